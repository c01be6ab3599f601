/* SPDX-License-Identifier: Apache-2.0 */
/* Makes calls from bytes; see call.h. Sizes are small enough for every work item to be walked. */
#include "call.h"

#include "fake_opencl.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

enum { MAX_ROWS = 4096, MAX_TABLE_ENTRIES = 4096 };

/* The sizes that the tensors of a call agree on. */
typedef struct geometry {
    int32_t total_tokens;
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t page_size;
    int32_t num_pages;
} geometry;

clattn_device_facts call_make_device(fuzz_bytes *bytes)
{
    static const uint64_t local_kib[] = {2048, 1024, 64, 48, 32, 16, 512, 8};
    static const uint32_t group_limits[] = {1024, 512, 256, 128, 64, 4096, 24, 1};
    static const uint32_t multiples[] = {32, 64, 16, 8, 1};
    static const uint32_t widths[] = {1, 4, 8, 16};
    static const uint32_t units[] = {2, 1, 16, 108};
    static const uint64_t allocation_kib[] = {128 << 10, 1 << 30, 1 << 10, 16};
    clattn_device_facts facts = {
        .type = fuzz_one_in(bytes, 2) ? CLATTN_DEVICE_CPU : CLATTN_DEVICE_GPU,
        .local_memory_bytes = local_kib[fuzz_between(bytes, 0, COUNT(local_kib) - 1)] << 10,
        .max_work_group_size = group_limits[fuzz_between(bytes, 0, COUNT(group_limits) - 1)],
        .preferred_multiple = multiples[fuzz_between(bytes, 0, COUNT(multiples) - 1)],
        .float_vector_width = widths[fuzz_between(bytes, 0, COUNT(widths) - 1)],
        .num_compute_units = units[fuzz_between(bytes, 0, COUNT(units) - 1)],
        .max_allocation_bytes = allocation_kib[fuzz_between(bytes, 0, COUNT(allocation_kib) - 1)] << 10,
    };
    facts.global_memory_bytes = 4 * facts.max_allocation_bytes;
    if (facts.type == CLATTN_DEVICE_CPU && facts.float_vector_width == 1) /* one that ends loops */
        strcpy(facts.name, "llvmpipe");
    return facts;
}

static clattn_dtype make_dtype(fuzz_bytes *bytes)
{
    return (clattn_dtype)fuzz_between(bytes, CLATTN_FLOAT32, CLATTN_BFLOAT16);
}

/* ---- tensors ---- */

/* Strides for the dimensions in an order of their own, with gaps between them. */
static void set_strides(fuzz_bytes *bytes, clattn_tensor *tensor)
{
    static const int64_t gaps[] = {0, 1, 8, 1000, INT64_C(1) << 20, INT64_C(1) << 33};
    int order[CLATTN_MAX_RANK] = {0, 1, 2, 3};
    for (int i = tensor->rank - 2; i > 0; i--) { /* the last one stays: its stride is 1 */
        const int j = fuzz_between(bytes, 0, i);
        const int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    const int64_t largest = INT64_C(1) << 58;
    int64_t strides[CLATTN_MAX_RANK];
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        strides[order[i]] = stride;
        const int64_t extent = tensor->shape[order[i]] > 0 ? tensor->shape[order[i]] : 1;
        if (stride > largest / extent)
            return; /* stays contiguous */
        stride = stride * extent + gaps[fuzz_one_in(bytes, 2) ? fuzz_between(bytes, 0, COUNT(gaps) - 1) : 0];
    }
    for (int i = 0; i < tensor->rank; i++)
        tensor->strides[i] = strides[i];
}

/* Bytes of the buffer up to the end of the tensor. */
static uint64_t end_of(const clattn_tensor *tensor)
{
    uint64_t last = 0;
    uint64_t contiguous = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] == 0)
            return 0;
        const uint64_t stride = tensor->strides[i] > 0 ? (uint64_t)tensor->strides[i] : contiguous;
        last += (uint64_t)(tensor->shape[i] - 1) * stride;
        contiguous *= (uint64_t)tensor->shape[i];
    }
    return tensor->offset_bytes + (last + 1) * clattn_dtype_size(tensor->dtype);
}

static void make_tensor(fuzz_bytes *bytes, fuzz_call *call, call_tensor name, clattn_dtype dtype, int32_t rank,
                        const int64_t *shape)
{
    clattn_tensor *tensor = &call->tensors[name];
    *tensor = clattn_tensor_make(NULL, dtype, rank, shape);
    if (fuzz_one_in(bytes, 4))
        set_strides(bytes, tensor);
    if (fuzz_one_in(bytes, 4))
        tensor->offset_bytes = (uint64_t)fuzz_between(bytes, 0, 255) * clattn_dtype_size(dtype);
    const uint64_t slack = fuzz_one_in(bytes, 4) ? (uint64_t)fuzz_between(bytes, 0, 255) : 0;
    call->owned[name] = fake_opencl_create_buffer(end_of(tensor) + slack + (end_of(tensor) == 0));
    tensor->buffer = call->owned[name];
}

static void make_pages(fuzz_bytes *bytes, fuzz_call *call, const geometry *sizes)
{
    const int64_t pages = sizes->num_pages, slots = sizes->page_size, heads = sizes->num_kv_heads;
    const bool combined = call->layout == CLATTN_KV_COMBINED;
    int64_t shape[4] = {pages, slots, combined ? 2 * heads : heads, sizes->head_dim};
    if (call->layout == CLATTN_KV_HND) {
        shape[1] = heads;
        shape[2] = slots;
    } else if (call->layout == CLATTN_KV_HEADS_FIRST) {
        shape[0] = heads;
        shape[1] = pages;
        shape[2] = slots;
    }
    make_tensor(bytes, call, CALL_KEY, make_dtype(bytes), 4, shape);
    if (combined)
        return;
    shape[3] = sizes->head_dim_v;
    make_tensor(bytes, call, CALL_VALUE, make_dtype(bytes), 4, shape);
}

static void make_sinks(fuzz_bytes *bytes, fuzz_call *call, const geometry *sizes)
{
    const int64_t per_head[] = {sizes->num_q_heads};
    const int64_t shared[] = {sizes->num_kv_heads, fuzz_between(bytes, 0, 5)};
    if (call->operation != CALL_RAGGED_DECODE)
        make_tensor(bytes, call, CALL_SINKS, CLATTN_FLOAT32, 1, per_head);
    else if (fuzz_one_in(bytes, 2))
        make_tensor(bytes, call, CALL_SINKS, CLATTN_FLOAT32, 2, shared);
    else
        make_tensor(bytes, call, CALL_SINKS, CLATTN_FLOAT32, 1, shared + 1);
}

static void make_results(fuzz_bytes *bytes, fuzz_call *call, const geometry *sizes)
{
    const int64_t shape[] = {sizes->total_tokens, sizes->num_q_heads, sizes->head_dim_v};
    const bool by_max = call->operation == CALL_RAGGED || (call->operation == CALL_MERGE_STATES && call->numerator);
    make_tensor(bytes, call, CALL_OUT, call->operation == CALL_RAGGED ? CLATTN_FLOAT32 : make_dtype(bytes), 3, shape);
    if (by_max) {
        make_tensor(bytes, call, CALL_MAX, CLATTN_FLOAT32, 2, shape);
        make_tensor(bytes, call, CALL_DENOMINATOR, CLATTN_FLOAT32, 2, shape);
    } else if (fuzz_one_in(bytes, 2)) {
        make_tensor(bytes, call, CALL_LSE, CLATTN_FLOAT32, 2, shape);
    }
}

/* ---- batches ---- */

/* A copy in memory of exactly its size; NULL for no entries at all. */
static int32_t *copy_of(const int32_t *entries, int32_t num_entries)
{
    if (num_entries <= 0)
        return NULL;
    int32_t *copy = malloc((size_t)num_entries * sizeof *copy);
    FUZZ_REQUIRE(copy != NULL, "no memory for a table");
    memcpy(copy, entries, (size_t)num_entries * sizeof *copy);
    return copy;
}

enum { MAX_SEQS = 24 };

/* The lengths of a batch before they are a caller's tables. */
typedef struct batch_lengths {
    int32_t num_seqs;
    int32_t query[MAX_SEQS];
    int32_t context[MAX_SEQS];
} batch_lengths;

static int32_t make_length(fuzz_bytes *bytes, int32_t page_size)
{
    switch (fuzz_between(bytes, 0, 4)) {
    case 0:
        return fuzz_between(bytes, 0, 3);
    case 1: /* about a page's end */
        return page_size < 100000 ? page_size * fuzz_between(bytes, 0, 3) + fuzz_between(bytes, 0, 2) : page_size;
    case 2:
        return fuzz_between(bytes, 0, 255);
    case 3:
        return fuzz_between(bytes, 0, 10000);
    default:
        return fuzz_one_in(bytes, 32) ? INT32_MAX - fuzz_between(bytes, 0, 255) : fuzz_between(bytes, 0, 1 << 20);
    }
}

/* Fits the lengths to what a table may hold, and the queries to what can be walked. */
static void make_lengths(fuzz_bytes *bytes, const fuzz_call *call, const geometry *sizes, batch_lengths *made)
{
    made->num_seqs = fuzz_between(bytes, 0, fuzz_one_in(bytes, 4) ? MAX_SEQS : 5);
    int64_t rows_left = MAX_ROWS / sizes->num_q_heads;
    int64_t pages_left = MAX_TABLE_ENTRIES / (made->num_seqs > 0 ? made->num_seqs : 1);
    for (int32_t s = 0; s < made->num_seqs; s++) {
        const int64_t most_keys = pages_left * sizes->page_size;
        int32_t context = make_length(bytes, sizes->page_size);
        if (!call_is_dense(call) && context > most_keys)
            context = (int32_t)most_keys;
        int32_t query = 1;
        if (call->operation == CALL_RAGGED_PAGE) {
            query = fuzz_one_in(bytes, 2) ? 1 : fuzz_between(bytes, 0, fuzz_one_in(bytes, 4) ? 1000 : 20);
            if (query > context)
                query = context;
            if (query > rows_left)
                query = (int32_t)rows_left;
        }
        rows_left -= query;
        made->query[s] = query;
        made->context[s] = context;
    }
}

/* Page numbers; behind the used ones lies what nobody may look at. */
static void make_tables(fuzz_bytes *bytes, const geometry *sizes, const batch_lengths *lengths, call_batch *batch)
{
    int32_t most = 0;
    for (int32_t s = 0; s < lengths->num_seqs; s++) {
        const int32_t used = (int32_t)(((int64_t)lengths->context[s] + sizes->page_size - 1) / sizes->page_size);
        most = used > most ? used : most;
    }
    batch->pages_per_seq = most + fuzz_between(bytes, 0, 2);
    int32_t num_entries = batch->pages_per_seq * lengths->num_seqs;
    batch->block_tables = malloc(((size_t)num_entries + (num_entries == 0)) * sizeof(int32_t));
    FUZZ_REQUIRE(batch->block_tables != NULL, "no memory for block tables");
    const int32_t step = fuzz_between(bytes, 0, 16);
    for (int32_t i = 0; i < num_entries; i++) {
        const int32_t s = i / batch->pages_per_seq;
        const bool used = (int64_t)(i % batch->pages_per_seq) * sizes->page_size < lengths->context[s];
        batch->block_tables[i] = used ? (int32_t)(((int64_t)i * step + i / 7) % sizes->num_pages) : -1 - i;
    }
}

static void make_tuning(fuzz_bytes *bytes, call_batch *batch)
{
    static const int32_t sides[] = {0, 1, 2, 4, 8, 16, 32, 48, 64, 128};
    batch->has_tuning = true;
    batch->tuning = (clattn_tuning){
        .family = (clattn_family)fuzz_between(bytes, 0, CLATTN_NUM_FAMILIES - 1),
        .block_q = sides[fuzz_between(bytes, 0, COUNT(sides) - 1)],
        .block_kv = sides[fuzz_between(bytes, 0, COUNT(sides) - 1)],
        .work_group_size = sides[fuzz_between(bytes, 0, COUNT(sides) - 1)],
    };
}

static void make_batch(fuzz_bytes *bytes, fuzz_call *call, geometry *sizes)
{
    call_batch *batch = &call->batch;
    batch_lengths made = {0};
    make_lengths(bytes, call, sizes, &made);
    int32_t starts[MAX_SEQS + 1] = {0};
    for (int32_t s = 0; s < made.num_seqs; s++)
        starts[s + 1] = starts[s] + made.query[s];
    sizes->total_tokens = starts[made.num_seqs];

    batch->num_seqs = made.num_seqs;
    batch->num_entries = made.num_seqs;
    batch->context_lens = copy_of(made.context, made.num_seqs);
    if (call->operation == CALL_RAGGED_PAGE) {
        batch->query_start_loc = copy_of(starts, made.num_seqs + 1);
        if (fuzz_one_in(bytes, 4)) /* rows that no sequence owns */
            sizes->total_tokens += fuzz_between(bytes, 0, 40);
    }
    if (call_is_dense(call)) {
        sizes->num_pages = made.num_seqs;
        if (fuzz_one_in(bytes, 2)) {
            int32_t keys[MAX_SEQS];
            for (int32_t s = 0; s < made.num_seqs; s++)
                keys[s] = fuzz_one_in(bytes, 8) ? fuzz_extreme_int32(bytes) : make_length(bytes, sizes->page_size) / 2;
            batch->sequence_start = copy_of(keys, made.num_seqs);
        }
    } else {
        make_tables(bytes, sizes, &made, batch);
    }
    if (fuzz_one_in(bytes, 4))
        batch->num_splits = fuzz_one_in(bytes, 8) ? INT32_MAX : fuzz_between(bytes, 0, 40);
    else
        batch->batch_invariant = fuzz_one_in(bytes, 8);
    if (fuzz_one_in(bytes, 4))
        make_tuning(bytes, batch);
}

/* ---- calls ---- */

static int32_t make_head_dim(fuzz_bytes *bytes)
{
    return 8 * (fuzz_one_in(bytes, 4) ? fuzz_between(bytes, 1, 64) : fuzz_between(bytes, 1, 4));
}

static void make_geometry(fuzz_bytes *bytes, fuzz_call *call, geometry *sizes)
{
    static const int32_t groups[] = {1, 2, 4, 3, 8, 5, 7, 16, 64, 71};
    const int32_t group = groups[fuzz_between(bytes, 0, COUNT(groups) - 1)];
    sizes->num_kv_heads = fuzz_between(bytes, 1, fuzz_one_in(bytes, 8) ? 33 : 4);
    sizes->num_q_heads = group * sizes->num_kv_heads;
    sizes->head_dim = make_head_dim(bytes);
    sizes->head_dim_v = fuzz_one_in(bytes, 2) ? make_head_dim(bytes) : sizes->head_dim;
    sizes->page_size = fuzz_one_in(bytes, 16)  ? INT32_MAX - fuzz_between(bytes, 0, 255)
                       : fuzz_one_in(bytes, 4) ? fuzz_between(bytes, 1, 1 << 20)
                                               : fuzz_between(bytes, 1, 33);
    sizes->num_pages = fuzz_between(bytes, 1, 256);
    switch (call->operation) {
    case CALL_RAGGED_PAGE:
        call->layout = (clattn_kv_layout)fuzz_between(bytes, CLATTN_KV_COMBINED, CLATTN_KV_HEADS_FIRST);
        break;
    case CALL_PAGE:
        call->layout = (clattn_kv_layout)fuzz_between(bytes, CLATTN_KV_NHD, CLATTN_KV_HEADS_FIRST);
        break;
    default:
        call->layout = CLATTN_KV_NHD;
        break;
    }
    if (call->layout == CLATTN_KV_COMBINED)
        sizes->head_dim_v = sizes->head_dim;
}

static void make_options(fuzz_bytes *bytes, fuzz_call *call)
{
    if (fuzz_one_in(bytes, 2))
        call->logits_soft_cap = 30.0f;
    if (fuzz_one_in(bytes, 2))
        call->sliding_window = fuzz_one_in(bytes, 8) ? INT32_MAX : fuzz_between(bytes, 0, 300);
    if (fuzz_one_in(bytes, 2)) {
        call->has_window_pair = true;
        call->window_pair.left = fuzz_one_in(bytes, 8) ? INT32_MAX : fuzz_between(bytes, -1, 300);
        call->window_pair.right = fuzz_between(bytes, -1, 3);
    }
    call->numerator = fuzz_one_in(bytes, 2);
    if (call->operation != CALL_RAGGED && call->operation != CALL_MERGE_STATES)
        call->numerator = false;
}

static void make_merge(fuzz_bytes *bytes, fuzz_call *call)
{
    const geometry sizes = {.total_tokens = fuzz_between(bytes, 0, 255),
                            .num_q_heads = fuzz_between(bytes, 1, 16),
                            .head_dim_v = make_head_dim(bytes)};
    const int64_t shape[] = {fuzz_between(bytes, 0, 9), sizes.total_tokens, sizes.num_q_heads, sizes.head_dim_v};
    make_tensor(bytes, call, CALL_QUERY, make_dtype(bytes), 4, shape);
    if (fuzz_one_in(bytes, 2)) {
        make_tensor(bytes, call, CALL_STATES_LSE, CLATTN_FLOAT32, 3, shape);
    } else {
        make_tensor(bytes, call, CALL_STATES_MAX, CLATTN_FLOAT32, 3, shape);
        make_tensor(bytes, call, CALL_STATES_DENOMINATOR, CLATTN_FLOAT32, 3, shape);
    }
    make_results(bytes, call, &sizes);
}

void call_make(fuzz_bytes *bytes, fuzz_call *call)
{
    *call = (fuzz_call){.operation = (call_operation)fuzz_between(bytes, 0, CALL_NUM_OPERATIONS - 1)};
    make_options(bytes, call);
    if (call->operation == CALL_MERGE_STATES) {
        make_merge(bytes, call);
        return;
    }
    geometry sizes;
    make_geometry(bytes, call, &sizes);
    make_batch(bytes, call, &sizes);
    const int64_t query[] = {sizes.total_tokens, sizes.num_q_heads, sizes.head_dim};
    make_tensor(bytes, call, CALL_QUERY, make_dtype(bytes), 3, query);
    make_pages(bytes, call, &sizes);
    make_results(bytes, call, &sizes);
    if (call->operation != CALL_RAGGED && fuzz_one_in(bytes, 4))
        make_sinks(bytes, call, &sizes);
}

void call_release(fuzz_call *call)
{
    for (int i = 0; i < CALL_NUM_TENSORS; i++)
        if (call->owned[i] != NULL)
            clReleaseMemObject(call->owned[i]);
    free(call->batch.query_start_loc);
    free(call->batch.context_lens);
    free(call->batch.sequence_start);
    free(call->batch.block_tables);
    *call = (fuzz_call){0};
}
