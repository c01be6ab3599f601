/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the attention kernels, and compares what they cover with what SEMANTICS asks of the call; see walk.h. */
#include "walk_kernel.h"

#include <stdlib.h>
#include <string.h>

/* Keys [begin, end). */
typedef struct key_span {
    int64_t begin;
    int64_t end;
} key_span;

/* A sequence of the call. */
typedef struct expected_sequence {
    int64_t first_token;
    int64_t num_tokens;
    int64_t context_len; /* dense: the end of the keys */
    int64_t start;       /* dense: their start */
} expected_sequence;

/* sequence_t and work_item_t. */
typedef struct kernel_item {
    int64_t first_token, first_position, kv_start, kv_past, pages_at;
    int64_t sequence, first_row, num_rows, kv_begin, kv_end, partial;
} kernel_item;

/* One launch of an attention kernel. */
typedef struct attention_launch {
    walk_args args;
    walk_results results;
    kernel_shape shape;
    cl_mem q, k, v, plan, partial_acc, partial_sums;
} attention_launch;

/* ---- what the call means ---- */

static void find_sizes(call_walk *walk)
{
    const fuzz_call *call = walk->call;
    const clattn_tensor *query = &call->tensors[CALL_QUERY];
    const clattn_tensor *key = &call->tensors[CALL_KEY];
    if (call->operation == CALL_MERGE_STATES) {
        walk->total_tokens = query->shape[1];
        walk->num_q_heads = query->shape[2];
        walk->num_kv_heads = walk->num_q_heads; /* each for itself */
        walk->group_size = 1;
        return;
    }
    const bool slot_second = call->layout == CLATTN_KV_COMBINED || call->layout == CLATTN_KV_NHD;
    const int head = slot_second ? 2 : call->layout == CLATTN_KV_HND ? 1 : 0;
    walk->total_tokens = query->shape[0];
    walk->num_q_heads = query->shape[1];
    walk->num_kv_heads = key->shape[head] / (call->layout == CLATTN_KV_COMBINED ? 2 : 1);
    walk->group_size = walk->num_q_heads / walk->num_kv_heads;
    walk->page_size = key->shape[slot_second ? 1 : 2];
    walk->num_seqs = call->operation == CALL_RAGGED_PAGE ? call->batch.num_seqs : walk->total_tokens;
}

static void prepare(call_walk *walk)
{
    if (walk->begun)
        return;
    walk->begun = true;
    find_sizes(walk);
    const int64_t num_rows = walk->total_tokens * walk->num_q_heads;
    FUZZ_REQUIRE(num_rows >= 0 && num_rows <= 1 << 24, "%lld rows are too many to walk", (long long)num_rows);
    walk->written = calloc((size_t)num_rows + 1, 1);
    FUZZ_REQUIRE(walk->written != NULL, "no memory to walk %lld rows", (long long)num_rows);
}

static expected_sequence sequence_of(const call_walk *walk, int64_t sequence)
{
    const call_batch *batch = &walk->call->batch;
    const int32_t *starts = batch->query_start_loc;
    return (expected_sequence){
        .first_token = starts != NULL ? starts[sequence] : sequence,
        .num_tokens = starts != NULL ? starts[sequence + 1] - starts[sequence] : 1,
        .context_len = batch->context_lens[sequence],
        .start = batch->sequence_start != NULL ? batch->sequence_start[sequence] : 0,
    };
}

/* The keys that a query token sees: SEMANTICS 1.2, and 2 to 5 for where it stands. */
static key_span visible_keys(const call_walk *walk, const expected_sequence *sequence, int64_t token)
{
    const fuzz_call *call = walk->call;
    key_span keys;
    if (call_is_dense(call)) {
        const int64_t position = sequence->context_len - 1;
        keys.begin = sequence->start > 0 ? sequence->start : 0;
        keys.end = sequence->context_len < walk->page_size ? sequence->context_len : walk->page_size;
        const bool limited =
            call->operation == CALL_RAGGED_DECODE && call->has_window_pair && call->window_pair.left >= 0;
        if (limited && position - call->window_pair.left > keys.begin)
            keys.begin = position - call->window_pair.left;
    } else {
        const int64_t position = sequence->context_len - sequence->num_tokens + (token - sequence->first_token);
        const int64_t window = call->sliding_window;
        keys.begin = window > 0 && position - window + 1 > 0 ? position - window + 1 : 0;
        keys.end = position + 1;
    }
    if (keys.end < keys.begin)
        keys.end = keys.begin;
    return keys;
}

/* The physical page of a sequence's logical one. */
static int64_t page_of(const call_walk *walk, int64_t sequence, int64_t page)
{
    if (call_is_dense(walk->call))
        return sequence;
    const call_batch *batch = &walk->call->batch;
    FUZZ_REQUIRE(page < batch->pages_per_seq, "logical page %lld of %d", (long long)page, (int)batch->pages_per_seq);
    return batch->block_tables[sequence * batch->pages_per_seq + page];
}

/* ---- what the kernels do ---- */

static shape_kernel kernel_of(const fake_launch *launch)
{
    if (strcmp(launch->kernel, "clattn_attention") == 0)
        return SHAPE_PLAIN;
    const bool vector = walk_has_define(launch->options, "LANES");
    if (strcmp(launch->kernel, "clattn_prefill") == 0)
        return vector ? SHAPE_VECTOR_PREFILL : SHAPE_SIMT_PREFILL;
    FUZZ_REQUIRE(strcmp(launch->kernel, "clattn_decode") == 0, "kernel %s", launch->kernel);
    return vector ? SHAPE_VECTOR_DECODE : SHAPE_SIMT_DECODE;
}

static int32_t define_or(const char *options, const char *name, int32_t absent)
{
    return walk_has_define(options, name) ? walk_define(options, name) : absent;
}

static kernel_shape shape_of(const fake_launch *launch)
{
    const char *options = launch->options;
    return (kernel_shape){
        .kernel = kernel_of(launch),
        .head_dim = walk_define(options, "HEAD_DIM"),
        .head_dim_v = walk_define(options, "HEAD_DIM_V"),
        .block_q = define_or(options, "BLOCK_Q", 0),
        .block_kv = define_or(options, "BLOCK_KV", 0),
        .work_group_size = define_or(options, "WORK_GROUP_SIZE", 1), /* vector: always 1 */
        .lanes = define_or(options, "LANES", 0),
        .heads = define_or(options, "HEADS", 1),
        .qk_keys = define_or(options, "QK_KEYS", 0),
        .converts_k = walk_define(options, "K_DTYPE") != CLATTN_FLOAT32,
    };
}

/* What the kernel was built for must be the call's, and fit the device. */
static void check_shape(const call_walk *walk, const fake_launch *launch, const attention_launch *attention)
{
    const clattn_tensor *tensors = walk->call->tensors;
    const bool combined = walk->call->layout == CLATTN_KV_COMBINED;
    const kernel_shape *shape = &attention->shape;
    const char *error = kernel_shape_error(shape);
    FUZZ_REQUIRE(error == NULL, "%s does not build: %s (%s)", launch->kernel, error, launch->options);
    FUZZ_REQUIRE(shape->head_dim == tensors[CALL_QUERY].shape[2] && shape->head_dim_v == tensors[CALL_OUT].shape[2],
                 "the kernel has other head dimensions");
    FUZZ_REQUIRE(walk_define(launch->options, "Q_DTYPE") == (int)tensors[CALL_QUERY].dtype &&
                     walk_define(launch->options, "K_DTYPE") == (int)tensors[CALL_KEY].dtype &&
                     walk_define(launch->options, "V_DTYPE") == (int)tensors[combined ? CALL_KEY : CALL_VALUE].dtype,
                 "the kernel has other dtypes");
    FUZZ_REQUIRE(launch->local_size == (size_t)shape->work_group_size, "groups of %zu", launch->local_size);
    const int64_t local_bytes = kernel_shape_local_bytes(shape);
    FUZZ_REQUIRE((uint64_t)local_bytes <= walk->facts->local_memory_bytes,
                 "%lld bytes of local memory, the device has %llu", (long long)local_bytes,
                 (unsigned long long)walk->facts->local_memory_bytes);
    const fake_argument *tiles = &launch->arguments[11];
    const bool vector = shape->lanes > 0;
    FUZZ_REQUIRE(tiles->is_local == vector && (!vector || tiles->num_bytes >= (size_t)local_bytes),
                 "a local argument of %zu bytes, needed are %lld", tiles->num_bytes, (long long)local_bytes);
    FUZZ_REQUIRE(!vector || tiles->num_bytes <= walk->facts->local_memory_bytes, "a local argument of %zu bytes",
                 tiles->num_bytes);
    FUZZ_REQUIRE(attention->args.num_kv_heads == walk->num_kv_heads && attention->args.group_size == walk->group_size &&
                     attention->args.page_size == walk->page_size && walk->num_kv_heads % shape->heads == 0,
                 "the kernel has other heads or pages");
}

static kernel_item load_item(const call_walk *walk, const attention_launch *launch, int64_t index)
{
    const int64_t at = launch->args.items_at + 8 * index;
    kernel_item item = {
        .sequence = walk_plan_int(launch->plan, at),
        .first_row = walk_plan_int(launch->plan, at + 1),
        .num_rows = walk_plan_int(launch->plan, at + 2),
        .kv_begin = walk_plan_int(launch->plan, at + 3),
        .kv_end = walk_plan_int(launch->plan, at + 4),
        .partial = walk_plan_int(launch->plan, at + 5),
    };
    FUZZ_REQUIRE(item.sequence >= 0 && item.sequence < walk->num_seqs, "sequence %lld of %lld",
                 (long long)item.sequence, (long long)walk->num_seqs);
    const bool any_rows = launch->shape.kernel == SHAPE_PLAIN; /* its work-items take them in turns */
    FUZZ_REQUIRE(item.num_rows >= 1 && (any_rows || item.num_rows <= launch->shape.block_q) && item.first_row >= 0,
                 "%lld rows from %lld on in a tile of %d", (long long)item.num_rows, (long long)item.first_row,
                 (int)launch->shape.block_q);
    FUZZ_REQUIRE(item.kv_begin >= 0 && item.kv_begin <= item.kv_end, "keys %lld to %lld", (long long)item.kv_begin,
                 (long long)item.kv_end);
    const int64_t record = launch->args.seqs_at + 8 * item.sequence;
    item.first_token = walk_plan_int(launch->plan, record);
    item.first_position = walk_plan_int(launch->plan, record + 1);
    item.kv_start = walk_plan_int(launch->plan, record + 2);
    item.kv_past = walk_plan_int(launch->plan, record + 3);
    item.pages_at = walk_int(launch->args.pages_at + walk_plan_int(launch->plan, record + 4), "pages_at");
    return item;
}

/* visible_keys() of cl/common/plan.cl. */
static key_span keys_of_row(const attention_launch *launch, const kernel_item *item, int64_t packed_row)
{
    const walk_args *args = &launch->args;
    const int64_t position = walk_int(item->first_position + packed_row / args->group_size, "a position");
    const int64_t from_window = walk_int(position - args->window_left, "a window's start");
    const int64_t first = from_window > item->kv_start ? from_window : item->kv_start;
    const int64_t to_end = walk_int(item->kv_past - 1 - position, "keys behind a position");
    const int64_t past =
        args->window_right < to_end ? walk_int(position + args->window_right + 1, "a window's end") : item->kv_past;
    const key_span keys = {first > item->kv_begin ? first : item->kv_begin, past < item->kv_end ? past : item->kv_end};
    return keys;
}

/* Room for one more element of a growing array. */
static void *grow(void *array, int64_t count, int64_t *capacity, size_t element_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity > 0 ? 2 * *capacity : 256;
    array = realloc(array, (size_t)*capacity * element_bytes);
    FUZZ_REQUIRE(array != NULL, "no memory for %lld records", (long long)*capacity);
    return array;
}

static void add_visit(call_walk *walk, int64_t token, int64_t head_in_group, key_span keys)
{
    walk->visits = grow(walk->visits, walk->num_visits, &walk->max_visits, sizeof *walk->visits);
    walk->visits[walk->num_visits++] = (walk_visit){token, head_in_group, keys.begin, keys.end};
}

static void write_partial(call_walk *walk, const attention_launch *launch, const kernel_item *item, int64_t row,
                          int64_t token, int64_t head_in_group)
{
    const int64_t partial_row = item->partial + row;
    const uint64_t first = (uint64_t)partial_row * (uint64_t)walk->num_kv_heads;
    const uint64_t last = first + (uint64_t)walk->num_kv_heads - 1;
    const uint64_t width = (uint64_t)launch->results.head_dim_v;
    walk_require_inside(launch->partial_sums, CLATTN_FLOAT32, 2 * last, 2, "partial sums");
    walk_require_inside(launch->partial_acc, CLATTN_FLOAT32, last * width, width, "partial results");
    walk->partials = grow(walk->partials, walk->num_partials, &walk->max_partials, sizeof *walk->partials);
    walk->partials[walk->num_partials++] = (walk_partial){partial_row, token, head_in_group, false};
}

/* A row of an item: its query, the keys that it sees, and what it writes. */
static void walk_row(call_walk *walk, const attention_launch *launch, const kernel_item *item, int64_t row)
{
    const walk_args *args = &launch->args;
    const int64_t packed_row = walk_int(item->first_row + row, "a packed row");
    const int64_t token = walk_int(item->first_token + packed_row / walk->group_size, "a token");
    const int64_t head_in_group = packed_row % walk->group_size;
    const expected_sequence sequence = sequence_of(walk, item->sequence);
    FUZZ_REQUIRE(token >= sequence.first_token && token < sequence.first_token + sequence.num_tokens,
                 "token %lld is none of sequence %lld", (long long)token, (long long)item->sequence);

    for (int64_t kv_head = 0; kv_head < walk->num_kv_heads; kv_head++) {
        const int64_t q_head = kv_head * walk->group_size + head_in_group;
        const int64_t index[] = {token, q_head};
        walk_require_element(walk->call, CALL_QUERY, launch->q, 2, index,
                             args->q_offset + (uint64_t)token * args->q_token_stride +
                                 (uint64_t)q_head * args->q_head_stride,
                             launch->shape.head_dim);
        if (item->partial < 0)
            walk_result(walk, &launch->results, args, token, kv_head, head_in_group);
    }
    if (item->partial >= 0)
        write_partial(walk, launch, item, row, token, head_in_group);

    const key_span seen = keys_of_row(launch, item, packed_row);
    const key_span visible = visible_keys(walk, &sequence, token);
    const int64_t begin = visible.begin > item->kv_begin ? visible.begin : item->kv_begin;
    const int64_t end = visible.end < item->kv_end ? visible.end : item->kv_end;
    FUZZ_REQUIRE((begin >= end && seen.begin >= seen.end) || (begin == seen.begin && end == seen.end),
                 "token %lld sees the keys %lld to %lld instead of %lld to %lld", (long long)token,
                 (long long)seen.begin, (long long)seen.end, (long long)begin, (long long)end);
    if (begin < end)
        add_visit(walk, token, head_in_group, seen);
}

/* K and V of a page's slot and kv head; both addresses grow evenly in both, so that corners speak for the rest. */
static void check_key(const call_walk *walk, const attention_launch *launch, int64_t page, int64_t slot, int64_t head)
{
    const fuzz_call *call = walk->call;
    const walk_args *args = &launch->args;
    const bool combined = call->layout == CLATTN_KV_COMBINED;
    const int64_t k_head = combined ? 2 * head : head;
    int64_t index[] = {page, slot, k_head};
    if (call->layout == CLATTN_KV_HND || call->layout == CLATTN_KV_HEADS_FIRST) {
        index[0] = call->layout == CLATTN_KV_HND ? page : head;
        index[1] = call->layout == CLATTN_KV_HND ? head : page;
        index[2] = slot;
    }
    walk_require_element(call, CALL_KEY, launch->k, 3, index,
                         args->k_offset + (uint64_t)page * args->k_page_stride + (uint64_t)slot * args->k_slot_stride +
                             (uint64_t)head * args->k_head_stride,
                         launch->shape.head_dim);
    if (combined)
        index[2]++;
    walk_require_element(call, combined ? CALL_KEY : CALL_VALUE, launch->v, 3, index,
                         args->v_offset + (uint64_t)page * args->v_page_stride + (uint64_t)slot * args->v_slot_stride +
                             (uint64_t)head * args->v_head_stride,
                         launch->shape.head_dim_v);
}

static void walk_pages(const call_walk *walk, const attention_launch *launch, const kernel_item *item)
{
    for (int64_t key = item->kv_begin; key < item->kv_end;) {
        const int64_t logical = key / walk->page_size;
        const int64_t page_end = (logical + 1) * walk->page_size;
        const int64_t past = page_end < item->kv_end ? page_end : item->kv_end;
        const int64_t page = walk_plan_int(launch->plan, item->pages_at + logical);
        FUZZ_REQUIRE(page == page_of(walk, item->sequence, logical),
                     "sequence %lld reads page %lld as logical page %lld", (long long)item->sequence, (long long)page,
                     (long long)logical);
        const int64_t slots[] = {key % walk->page_size, (past - 1) % walk->page_size};
        const int64_t heads[] = {0, walk->num_kv_heads - 1};
        for (int i = 0; i < 4; i++)
            check_key(walk, launch, page, slots[i / 2], heads[i % 2]);
        key = past;
    }
    if (launch->shape.kernel == SHAPE_PLAIN)
        return;
    /* The kernels' loops add a block to the last key that they have looked at. */
    const int64_t num_blocks = (item->kv_end - item->kv_begin + launch->shape.block_kv - 1) / launch->shape.block_kv;
    walk_int(item->kv_begin + num_blocks * launch->shape.block_kv, "the key behind the last block");
}

static void walk_attention_launch(call_walk *walk, const fake_launch *launch)
{
    attention_launch attention = {
        .results = walk_results_of(launch, 3, 4, 5, 6),
        .shape = shape_of(launch),
        .q = walk_buffer(launch, 0),
        .k = walk_buffer(launch, 1),
        .v = walk_buffer(launch, 2),
        .partial_acc = walk_buffer(launch, 7),
        .partial_sums = walk_buffer(launch, 8),
        .plan = walk_buffer(launch, 9),
    };
    walk_struct(launch, 10, &attention.args, sizeof attention.args);
    check_shape(walk, launch, &attention);
    const int64_t num_groups = walk_int((int64_t)(launch->global_size / launch->local_size), "a group's number");
    const int64_t blocks = walk->num_kv_heads / attention.shape.heads;
    FUZZ_REQUIRE(num_groups % blocks == 0, "%lld groups for %lld blocks of heads", (long long)num_groups,
                 (long long)blocks);
    for (int64_t i = 0; i < num_groups / blocks; i++) {
        const kernel_item item = load_item(walk, &attention, i);
        for (int64_t row = 0; row < item.num_rows; row++)
            walk_row(walk, &attention, &item, row);
        walk_pages(walk, &attention, &item);
        walk->num_items++;
    }
}

/* ---- what is left of it ---- */

static int compare_partials(const void *a, const void *b)
{
    const walk_partial *left = a;
    const walk_partial *right = b;
    return (left->partial_row > right->partial_row) - (left->partial_row < right->partial_row);
}

/* All partial results are there when the merge kernel runs: no two in one place. */
static void sort_partials(call_walk *walk)
{
    if (walk->num_partials == 0)
        return;
    qsort(walk->partials, (size_t)walk->num_partials, sizeof *walk->partials, compare_partials);
    for (int64_t i = 1; i < walk->num_partials; i++)
        FUZZ_REQUIRE(walk->partials[i].partial_row != walk->partials[i - 1].partial_row,
                     "partial row %lld is written twice", (long long)walk->partials[i].partial_row);
}

void walk_join(call_walk *walk, int64_t partial_row, int64_t token, int64_t head_in_group)
{
    const walk_partial wanted = {.partial_row = partial_row};
    walk_partial *found = walk->num_partials == 0 ? NULL
                                                  : bsearch(&wanted, walk->partials, (size_t)walk->num_partials,
                                                            sizeof wanted, compare_partials);
    FUZZ_REQUIRE(found != NULL, "partial row %lld is read, but not written", (long long)partial_row);
    FUZZ_REQUIRE(found->token == token && found->head_in_group == head_in_group && !found->joined,
                 "partial row %lld is joined into token %lld", (long long)partial_row, (long long)token);
    found->joined = true;
}

void walk_launch(void *user, const fake_launch *launch)
{
    call_walk *walk = user;
    prepare(walk);
    if (strcmp(launch->kernel, "clattn_merge") == 0) {
        sort_partials(walk);
        walk_merge_launch(walk, launch);
    } else {
        walk_attention_launch(walk, launch);
    }
}

static int compare_visits(const void *a, const void *b)
{
    const walk_visit *left = a;
    const walk_visit *right = b;
    if (left->token != right->token)
        return left->token < right->token ? -1 : 1;
    if (left->head_in_group != right->head_in_group)
        return left->head_in_group < right->head_in_group ? -1 : 1;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* The visits of a row, from *next on in the sorted list: they must cover its keys without gap or overlap. */
static void check_coverage(const call_walk *walk, int64_t *next, int64_t token, int64_t head_in_group, key_span keys)
{
    int64_t covered = keys.begin;
    for (; *next < walk->num_visits; ++*next) {
        const walk_visit *visit = &walk->visits[*next];
        if (visit->token != token || visit->head_in_group != head_in_group)
            break;
        FUZZ_REQUIRE(visit->begin == covered, "token %lld: keys from %lld on follow on those before %lld",
                     (long long)token, (long long)visit->begin, (long long)covered);
        covered = visit->end;
    }
    FUZZ_REQUIRE(covered == keys.end, "token %lld: keys before %lld of %lld are covered", (long long)token,
                 (long long)covered, (long long)keys.end);
}

void walk_check(call_walk *walk)
{
    prepare(walk);
    for (int64_t i = 0; i < walk->total_tokens * walk->num_q_heads; i++)
        FUZZ_REQUIRE(walk->written[i] == 1, "token %lld, head %lld is not written", (long long)(i / walk->num_q_heads),
                     (long long)(i % walk->num_q_heads));
    for (int64_t i = 0; i < walk->num_partials; i++)
        FUZZ_REQUIRE(walk->partials[i].joined, "partial row %lld is not merged",
                     (long long)walk->partials[i].partial_row);
    if (walk->num_visits > 0)
        qsort(walk->visits, (size_t)walk->num_visits, sizeof *walk->visits, compare_visits);
    int64_t next = 0;
    for (int64_t s = 0; s < walk->num_seqs; s++) {
        const expected_sequence sequence = sequence_of(walk, s);
        for (int64_t row = 0; row < sequence.num_tokens * walk->group_size; row++) {
            const int64_t token = sequence.first_token + row / walk->group_size;
            check_coverage(walk, &next, token, row % walk->group_size, visible_keys(walk, &sequence, token));
        }
    }
    FUZZ_REQUIRE(next == walk->num_visits, "rows that no sequence owns see keys");
}

void walk_begin(call_walk *walk, const fuzz_call *call, const clattn_device_facts *facts)
{
    memset(walk, 0, sizeof *walk);
    walk->call = call;
    walk->facts = facts;
}

void walk_finish(call_walk *walk)
{
    free(walk->written);
    free(walk->visits);
    free(walk->partials);
}
