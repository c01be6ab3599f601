/* SPDX-License-Identifier: Apache-2.0 */
/* Batch, reference and judgement of an attention variant; see attention_trial.h. */
#include "verify/attention_trial.h"

#include "attention/schedule.h"
#include "runtime/size.h"
#include "verify/results.h"
#include "verify/sample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_SIZE 3
#define PAGE_SIZE 5
#define GAP 8         /* elements between rows */
#define MAX_SIDE 192  /* of a tile: larger ones are filled in part, which keeps the reference short */
#define FEW_KEYS 4    /* where there are no tiles of keys: with head_dim 512 some devices end longer loops */
#define SOFT_CAP 3.0f /* near the logits, so that it bends them */
#define NUM_SPLITS 3
#define RECORD_INTS ((int32_t)(sizeof(clattn_work_item) / sizeof(int32_t)))

/* Sequences: rows of more than a tile; rows whose keys are split; one without keys; one that begins late. */
enum { SEQ_LONG, SEQ_SPLIT, SEQ_EMPTY, SEQ_LATE, NUM_SEQS };
enum { MAX_ITEMS = 64 }; /* tiles of one row: 9, and 2 x 3 in parts, and 2 x 3 */
enum { STREAM_Q = 1, STREAM_K, STREAM_V };

typedef struct attention_batch {
    clattn_problem problem;
    clattn_kernel_launch launch;
    clattn_span spans[NUM_SEQS];
    clattn_work_item items[MAX_ITEMS];
    int32_t num_items;
    int32_t num_pages; /* in the list; one more exists, that nobody lists */
    int32_t num_partial_rows;
    int32_t block_q;
    int32_t block_kv;
    clattn_trial_array *q;
    clattn_trial_array *k;
    clattn_trial_array *v;
    clattn_trial_array *metadata;
    clattn_trial_array *partial_acc;
    clattn_trial_array *partial_sums;
    clattn_trial_results results;
} attention_batch;

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static clattn_phase phase_of(clattn_program_id program)
{
    return program == CLATTN_PROGRAM_VECTOR_PREFILL || program == CLATTN_PROGRAM_SIMT_PREFILL ? CLATTN_PHASE_PREFILL
                                                                                              : CLATTN_PHASE_DECODE;
}

static clattn_family family_of(clattn_program_id program)
{
    switch (program) {
    case CLATTN_PROGRAM_VECTOR_PREFILL:
    case CLATTN_PROGRAM_VECTOR_DECODE:
        return CLATTN_FAMILY_VECTOR;
    case CLATTN_PROGRAM_SIMT_PREFILL:
    case CLATTN_PROGRAM_SIMT_DECODE:
        return CLATTN_FAMILY_SIMT;
    default:
        return CLATTN_FAMILY_PLAIN;
    }
}

/* A define that only some families have. */
static int32_t value_or(const clattn_variant *variant, const char *name, int32_t otherwise)
{
    const int32_t value = clattn_variant_value(variant, name);
    return value != 0 ? value : otherwise;
}

/* Heads, widths, types and options, and the grid's sides. */
static void init_problem(attention_batch *batch, const clattn_variant *variant, cl_kernel kernel)
{
    const clattn_family family = family_of(variant->program);
    const int32_t work_group_size = value_or(variant, "WORK_GROUP_SIZE", 1);
    const clattn_tile tile = {.block_q = value_or(variant, "BLOCK_Q", work_group_size + 2), /* more than one each */
                              .block_kv = value_or(variant, "BLOCK_KV", FEW_KEYS),
                              .work_group_size = work_group_size,
                              .heads = value_or(variant, "HEADS", 1),
                              .lanes = value_or(variant, "LANES", 1)};
    clattn_problem *problem = &batch->problem;
    clattn_trial_take_results(variant, problem);
    problem->num_kv_heads = 2 * tile.heads;
    problem->num_q_heads = GROUP_SIZE * problem->num_kv_heads;
    problem->head_dim = clattn_variant_value(variant, "HEAD_DIM");
    problem->page_size = PAGE_SIZE;
    problem->q_dtype = (clattn_dtype)clattn_variant_value(variant, "Q_DTYPE");
    problem->k_dtype = (clattn_dtype)clattn_variant_value(variant, "K_DTYPE");
    problem->v_dtype = (clattn_dtype)clattn_variant_value(variant, "V_DTYPE");
    problem->softmax_scale = 1.0f / sqrtf((float)problem->head_dim);
    problem->logits_soft_cap = clattn_variant_value(variant, "SOFT_CAP") != 0 ? SOFT_CAP : 0.0f;
    batch->block_q = smaller(tile.block_q, MAX_SIDE);
    batch->block_kv = smaller(tile.block_kv, MAX_SIDE);
    problem->window_left = batch->block_kv + batch->block_kv / 2 + 2;
    problem->window_right = 0;

    const clattn_tile_request request = {.family = family,
                                         .head_dim = problem->head_dim,
                                         .head_dim_v = problem->head_dim_v,
                                         .group_size = GROUP_SIZE,
                                         .num_kv_heads = problem->num_kv_heads};
    batch->launch = (clattn_kernel_launch){.kernel = kernel, .work_group_size = (size_t)work_group_size};
    if (family == CLATTN_FAMILY_VECTOR)
        batch->launch.local_bytes = (size_t)clattn_tile_local_bytes(&request, phase_of(variant->program), &tile);
}

static void init_spans(attention_batch *batch)
{
    const int32_t long_tokens = (batch->block_q + 7) / GROUP_SIZE + 1;
    const int32_t long_keys = larger(2 * batch->block_kv + 7, long_tokens + 4);
    const int32_t split_keys = 2 * batch->block_kv + 6;
    batch->spans[SEQ_LONG] =
        (clattn_span){.num_tokens = long_tokens, .kv_end = long_keys, .first_position = long_keys - long_tokens};
    batch->spans[SEQ_SPLIT] = (clattn_span){.num_tokens = 2, .kv_end = split_keys, .first_position = split_keys - 2};
    batch->spans[SEQ_EMPTY] = (clattn_span){.num_tokens = 1, .kv_start = 4, .kv_end = 4, .first_position = 3};
    batch->spans[SEQ_LATE] = (clattn_span){.num_tokens = 1, .kv_start = 3, .kv_end = 5, .first_position = 4};
    for (int s = 0; s < NUM_SEQS; ++s) {
        batch->spans[s].first_token = batch->problem.total_tokens;
        batch->spans[s].pages_at = batch->num_pages;
        batch->problem.total_tokens += batch->spans[s].num_tokens;
        batch->num_pages += (int32_t)clattn_ceil_div(batch->spans[s].kv_end, PAGE_SIZE);
    }
    batch->problem.num_pages = batch->num_pages + 1;
}

/* The keys that the query token of a sequence sees: [*first, *past). */
static void visible_keys(const attention_batch *batch, const clattn_span *span, int32_t token, int32_t *first,
                         int32_t *past)
{
    const int32_t position = span->first_position + token;
    *first = larger(span->kv_start, position - batch->problem.window_left);
    *past = larger(*first, smaller(span->kv_end, position + 1));
}

/* Rows [first_row, first_row + num_rows) against the keys that some of them see, in `num_splits` parts. */
static void add_items(attention_batch *batch, int32_t seq, int32_t first_row, int32_t num_rows, int32_t num_splits)
{
    const clattn_span *span = &batch->spans[seq];
    int32_t begin, end, unused;
    visible_keys(batch, span, first_row / GROUP_SIZE, &begin, &unused);
    visible_keys(batch, span, (first_row + num_rows - 1) / GROUP_SIZE, &unused, &end);
    const int32_t share = (int32_t)clattn_ceil_div(end - begin, num_splits);
    for (int32_t i = 0; i < num_splits; ++i) {
        assert(batch->num_items < MAX_ITEMS);
        batch->items[batch->num_items++] = (clattn_work_item){.sequence = seq,
                                                              .first_row = first_row,
                                                              .num_rows = num_rows,
                                                              .kv_begin = begin + i * share,
                                                              .kv_end = smaller(begin + (i + 1) * share, end),
                                                              .partial = num_splits > 1 ? batch->num_partial_rows : -1};
        if (num_splits > 1)
            batch->num_partial_rows += num_rows;
    }
}

static void init_items(attention_batch *batch, const clattn_variant *variant)
{
    for (int32_t seq = 0; seq < NUM_SEQS; ++seq) {
        const int32_t num_rows = batch->spans[seq].num_tokens * GROUP_SIZE;
        for (int32_t row = 0; row < num_rows; row += batch->block_q)
            add_items(batch, seq, row, smaller(batch->block_q, num_rows - row), seq == SEQ_SPLIT ? NUM_SPLITS : 1);
    }
    const int32_t heads = value_or(variant, "HEADS", 1);
    batch->launch.num_groups = (size_t)batch->num_items * (size_t)(batch->problem.num_kv_heads / heads);
}

/* Spans, items and pages, the latter in another order than they are listed in. */
static clattn_status new_metadata(clattn_trial *trial, attention_batch *batch, clattn_kernel_args *args)
{
    args->seqs_at = 0;
    args->items_at = NUM_SEQS * RECORD_INTS;
    args->pages_at = args->items_at + batch->num_items * RECORD_INTS;
    const size_t num_ints = (size_t)(args->pages_at + batch->num_pages);
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, num_ints, &batch->metadata));
    int32_t *ints = batch->metadata->elements;
    memcpy(ints, batch->spans, sizeof batch->spans);
    memcpy(ints + args->items_at, batch->items, (size_t)batch->num_items * sizeof *batch->items);
    for (int32_t i = 0; i < batch->num_pages; ++i)
        ints[args->pages_at + i] = batch->num_pages - i; /* page 0 is nobody's */
    return CLATTN_OK;
}

/* Pages [num_pages, PAGE_SIZE, num_kv_heads, width] with gaps; all of it NaN. */
static clattn_status new_pages(clattn_trial *trial, const clattn_problem *problem, clattn_dtype dtype, int32_t width,
                               clattn_pages_address *address, clattn_trial_array **pages)
{
    address->offset = CLATTN_TRIAL_GUARD;
    address->head_stride = (uint64_t)(width + GAP);
    address->slot_stride = (uint64_t)problem->num_kv_heads * address->head_stride;
    address->page_stride = PAGE_SIZE * address->slot_stride + GAP;
    const uint64_t num_elements = (uint64_t)problem->num_pages * address->page_stride + 2 * CLATTN_TRIAL_GUARD;
    return clattn_trial_new_array(trial, dtype, (size_t)num_elements, pages);
}

/* First element of a key's row of K or V. */
static size_t slot_of(const attention_batch *batch, const clattn_pages_address *address, const clattn_span *span,
                      int32_t key, int32_t kv_head)
{
    const int32_t page = batch->num_pages - (span->pages_at + key / PAGE_SIZE);
    return (size_t)(address->offset + (uint64_t)page * address->page_stride +
                    (uint64_t)(key % PAGE_SIZE) * address->slot_stride + (uint64_t)kv_head * address->head_stride);
}

static void fill(clattn_trial_array *array, size_t first, int32_t count, uint32_t stream)
{
    for (size_t i = first; i < first + (size_t)count; ++i)
        clattn_trial_set(array, i, clattn_sample(stream, i));
}

/* Numbers in the keys that some query of a sequence sees. */
static void fill_keys(attention_batch *batch, const clattn_span *span)
{
    const clattn_problem *problem = &batch->problem;
    int32_t first, past, unused;
    visible_keys(batch, span, 0, &first, &unused);
    visible_keys(batch, span, span->num_tokens - 1, &unused, &past);
    for (int32_t key = first; key < past; ++key)
        for (int32_t head = 0; head < problem->num_kv_heads; ++head) {
            fill(batch->k, slot_of(batch, &problem->k, span, key, head), problem->head_dim, STREAM_K);
            fill(batch->v, slot_of(batch, &problem->v, span, key, head), problem->head_dim_v, STREAM_V);
        }
}

static size_t query_of(const clattn_problem *problem, int32_t token, int32_t head)
{
    return (size_t)(problem->q.offset + (uint64_t)token * problem->q.token_stride +
                    (uint64_t)head * problem->q.head_stride);
}

static clattn_status new_inputs(clattn_trial *trial, attention_batch *batch)
{
    clattn_problem *problem = &batch->problem;
    problem->q = (clattn_rows){.offset = 3,
                               .token_stride = (uint64_t)(problem->num_q_heads * (problem->head_dim + GAP)),
                               .head_stride = (uint64_t)(problem->head_dim + GAP)};
    const uint64_t num_queries = (uint64_t)problem->total_tokens * problem->q.token_stride + CLATTN_TRIAL_GUARD;
    CLATTN_TRY(clattn_trial_new_array(trial, problem->q_dtype, (size_t)num_queries, &batch->q));
    CLATTN_TRY(new_pages(trial, problem, problem->k_dtype, problem->head_dim, &problem->k, &batch->k));
    CLATTN_TRY(new_pages(trial, problem, problem->v_dtype, problem->head_dim_v, &problem->v, &batch->v));
    for (int32_t token = 0; token < problem->total_tokens; ++token)
        for (int32_t head = 0; head < problem->num_q_heads; ++head)
            fill(batch->q, query_of(problem, token, head), problem->head_dim, STREAM_Q);
    for (int32_t seq = 0; seq < NUM_SEQS; ++seq)
        fill_keys(batch, &batch->spans[seq]);
    return CLATTN_OK;
}

static clattn_status new_partials(clattn_trial *trial, attention_batch *batch)
{
    const size_t num_states = (size_t)batch->num_partial_rows * (size_t)batch->problem.num_kv_heads;
    const size_t acc_elements = num_states * (size_t)batch->problem.head_dim_v + CLATTN_TRIAL_GUARD;
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, acc_elements, &batch->partial_acc));
    return clattn_trial_new_array(trial, CLATTN_FLOAT32, 2 * num_states + CLATTN_TRIAL_GUARD, &batch->partial_sums);
}

static clattn_status run(clattn_trial *trial, attention_batch *batch, const clattn_kernel_args *args)
{
    const clattn_attention_buffers buffers = {
        .q = batch->q->buffer,
        .k = batch->k->buffer,
        .v = batch->v->buffer,
        .out = batch->results.out->buffer,
        .state = clattn_trial_buffer(batch->results.state),
        .denominator = clattn_trial_buffer(batch->results.denominator),
        .sinks = clattn_trial_buffer(batch->results.sinks),
    };
    const clattn_plan_buffers plan = {batch->metadata->buffer, batch->partial_acc->buffer, batch->partial_sums->buffer};
    CLATTN_TRY(clattn_kernel_enqueue_phase(&trial->ctx, &batch->launch, &buffers, &plan, args, &(clattn_sync){0}));
    CLATTN_TRY(clattn_trial_download_results(trial, &batch->results));
    CLATTN_TRY(clattn_trial_download(trial, batch->partial_acc));
    return clattn_trial_download(trial, batch->partial_sums);
}

/* The state of a row, from the values in its own K and V: maximum first, then sum and numerators. */
static void attend(const attention_batch *batch, const clattn_span *span, int32_t token, int32_t head, double *logits,
                   clattn_reference_row *row)
{
    const clattn_problem *problem = &batch->problem;
    const int32_t kv_head = head / GROUP_SIZE;
    const size_t query = query_of(problem, span->first_token + token, head);
    int32_t first, past;
    visible_keys(batch, span, token, &first, &past);
    row->max = -HUGE_VAL;
    for (int32_t key = first; key < past; ++key) {
        const size_t slot = slot_of(batch, &problem->k, span, key, kv_head);
        double dot = 0.0;
        for (size_t d = 0; d < (size_t)problem->head_dim; ++d)
            dot += clattn_trial_get(batch->q, query + d) * clattn_trial_get(batch->k, slot + d);
        double logit = dot * (double)problem->softmax_scale;
        if (problem->logits_soft_cap > 0.0f)
            logit = (double)problem->logits_soft_cap * tanh(logit / (double)problem->logits_soft_cap);
        logits[key - first] = logit;
        row->max = fmax(row->max, logit);
    }
    row->sum = 0.0;
    memset(row->acc, 0, (size_t)problem->head_dim_v * sizeof *row->acc);
    for (int32_t key = first; key < past; ++key) {
        const size_t slot = slot_of(batch, &problem->v, span, key, kv_head);
        const double weight = exp(logits[key - first] - row->max);
        row->sum += weight;
        for (size_t d = 0; d < (size_t)problem->head_dim_v; ++d)
            row->acc[d] += weight * clattn_trial_get(batch->v, slot + d);
    }
}

/* Joins the partial states of a row, as merging does, and compares their quotients and log-sum-exp. */
static void judge_partials(clattn_trial *trial, attention_batch *batch, const clattn_work_item *item, int32_t row,
                           int32_t kv_head, const clattn_reference_row *wanted)
{
    const size_t width = (size_t)batch->problem.head_dim_v;
    size_t states[NUM_SPLITS];
    double max[NUM_SPLITS];
    double sum[NUM_SPLITS];
    double joint_max = -HUGE_VAL;
    double joint_sum = 0.0;
    for (int i = 0; i < NUM_SPLITS; ++i) {
        const int32_t partial_row = item->partial + i * item->num_rows + row;
        states[i] = (size_t)partial_row * (size_t)batch->problem.num_kv_heads + (size_t)kv_head;
        max[i] = clattn_trial_take(batch->partial_sums, 2 * states[i]);
        sum[i] = clattn_trial_take(batch->partial_sums, 2 * states[i] + 1);
        joint_max = fmax(joint_max, sum[i] == 0.0 ? -HUGE_VAL : max[i]);
    }
    for (int i = 0; i < NUM_SPLITS; ++i) {
        max[i] = sum[i] == 0.0 ? 0.0 : exp(max[i] - joint_max); /* its weight from here on */
        joint_sum += max[i] * sum[i];
    }
    clattn_trial_judge(trial, "partial_sums", 2 * states[0], joint_max + log(joint_sum), wanted->max + log(wanted->sum),
                       CLATTN_TRIAL_TOLERANCE * (1.0 + fabs(wanted->max) + log(wanted->sum)));
    for (size_t d = 0; d < width; ++d) {
        double acc = 0.0;
        for (int i = 0; i < NUM_SPLITS; ++i) {
            const double part = clattn_trial_take(batch->partial_acc, states[i] * width + d);
            acc += sum[i] == 0.0 ? 0.0 : max[i] * part; /* whatever a part without keys holds */
        }
        clattn_trial_judge(trial, "partial_acc", states[0] * width + d, acc / joint_sum, wanted->acc[d] / wanted->sum,
                           CLATTN_TRIAL_TOLERANCE * CLATTN_SAMPLE_MAX);
    }
}

static void judge_item(clattn_trial *trial, attention_batch *batch, const clattn_work_item *item, double *logits,
                       clattn_reference_row *wanted)
{
    const clattn_span *span = &batch->spans[item->sequence];
    for (int32_t row = 0; row < item->num_rows; ++row)
        for (int32_t kv_head = 0; kv_head < batch->problem.num_kv_heads; ++kv_head) {
            const int32_t token = (item->first_row + row) / GROUP_SIZE;
            const int32_t head = kv_head * GROUP_SIZE + (item->first_row + row) % GROUP_SIZE;
            attend(batch, span, token, head, logits, wanted);
            if (item->partial >= 0)
                judge_partials(trial, batch, item, row, kv_head, wanted);
            else
                clattn_trial_judge_row(trial, &batch->problem, &batch->results, span->first_token + token, head,
                                       wanted);
        }
}

/* Every item but the second and later parts of a split, which are judged with the first. */
static clattn_status judge(clattn_trial *trial, attention_batch *batch)
{
    const size_t most_keys = (size_t)batch->problem.num_pages * PAGE_SIZE;
    double *scratch = malloc((most_keys + (size_t)batch->problem.head_dim_v) * sizeof *scratch);
    CLATTN_REQUIRE(&trial->ctx.error, scratch != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the trial of a kernel");
    clattn_reference_row wanted = {.acc = scratch + most_keys};
    for (int32_t i = 0; i < batch->num_items; i += batch->items[i].partial >= 0 ? NUM_SPLITS : 1)
        judge_item(trial, batch, &batch->items[i], scratch, &wanted);
    free(scratch);
    clattn_trial_judge_rest_of_results(trial, &batch->results);
    clattn_trial_judge_rest(trial, "behind partial_acc", batch->partial_acc);
    clattn_trial_judge_rest(trial, "behind partial_sums", batch->partial_sums);
    return CLATTN_OK;
}

clattn_status clattn_attention_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel)
{
    attention_batch batch = {.num_items = 0};
    init_problem(&batch, variant, kernel);
    init_spans(&batch);
    init_items(&batch, variant);
    CLATTN_TRY(new_inputs(trial, &batch));
    CLATTN_TRY(new_partials(trial, &batch));
    CLATTN_TRY(clattn_trial_new_results(trial, &batch.problem, &batch.results));
    clattn_kernel_args args = clattn_kernel_args_of(&batch.problem);
    CLATTN_TRY(new_metadata(trial, &batch, &args));
    CLATTN_TRY(clattn_trial_upload(trial));
    clattn_status status = run(trial, &batch, &args);
    if (clattn_trial_has_run(trial, &status))
        return judge(trial, &batch);
    return status;
}
