/* SPDX-License-Identifier: Apache-2.0 */
/* The small batch, its truth and the comparison; see proof.h. */
#include "tune/proof.h"

#include "bench/buffers.h"
#include "bench/call.h"
#include "bench/order.h"
#include "bench/storage.h"
#include "common/message.h"

#include "reference/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Odd lengths, one key, whole pages, and enough keys for splits; prefills of some tiles and of a part of one. */
#define DECODE_CONTEXT_LENS "1,16,93,129,301,777"
#define PREFILL_Q_LENS "37,130,5"
#define PREFILL_CONTEXT_LENS "37,203,300"

#define NUM_FORCED_SPLITS 3
#define GUARD_ELEMENTS 256 /* behind out, that nobody may write */

static int64_t num_pages_of(const tune_proof *proof)
{
    return proof->operation->dense ? proof->lengths.num_seqs : proof->sequences.num_pages;
}

static int64_t page_size_of(const tune_proof *proof)
{
    return proof->operation->dense ? proof->sequences.max_context_len : proof->problem.page_size;
}

/* The pages of K, or of V; a dense cache has one page for each sequence. */
static bench_pages pages_of(const tune_proof *proof, int32_t width)
{
    return (bench_pages){
        .layout = proof->operation->dense ? CLATTN_KV_NHD : proof->problem.layout,
        .num_pages = num_pages_of(proof),
        .page_size = page_size_of(proof),
        .num_kv_heads = proof->problem.shape.num_kv_heads,
        .width = width,
    };
}

static bool is_combined(const tune_proof *proof)
{
    return !proof->operation->dense && proof->problem.layout == CLATTN_KV_COMBINED;
}

/* Elements of a result. */
static int64_t count_of(const tune_proof *proof, tune_result_kind kind)
{
    return (int64_t)proof->lengths.total_tokens * proof->problem.shape.num_q_heads * proof->truths[kind].width;
}

/* The page of a sequence's token. */
static int64_t page_of(const tune_proof *proof, int32_t seq, int64_t token)
{
    if (proof->operation->dense)
        return seq;
    const size_t row = (size_t)seq * (size_t)proof->sequences.pages_per_seq;
    return proof->sequences.block_tables[row + (size_t)(token / proof->problem.page_size)];
}

/* Makes every slot NaN that holds no token; `used` [num_pages * page_size] is scratch. */
static void poison(tune_proof *proof, bool *used)
{
    const int64_t slots = page_size_of(proof);
    for (int32_t seq = 0; seq < proof->lengths.num_seqs; seq++) {
        for (int64_t token = 0; token < proof->lengths.context_lens[seq]; token++)
            used[page_of(proof, seq, token) * slots + token % slots] = true;
    }
    const tool_shape *shape = &proof->problem.shape;
    const bench_pages key_pages = pages_of(proof, shape->head_dim);
    const bench_pages value_pages = pages_of(proof, shape->head_dim_v);
    const bench_order keys = bench_order_of_keys(&key_pages);
    const bench_order values = bench_order_of_values(&value_pages);
    void *value_buffer = is_combined(proof) ? proof->keys : proof->values;
    for (int64_t i = 0; i < num_pages_of(proof) * slots; i++) {
        for (int32_t head = 0; !used[i] && head < shape->num_kv_heads; head++) {
            const int64_t page = i / slots;
            const int64_t slot = i % slots;
            bench_storage_poison(proof->problem.kv_dtype, proof->keys,
                                 keys.first + page * keys.page_stride + slot * keys.slot_stride +
                                     head * keys.head_stride,
                                 shape->head_dim);
            bench_storage_poison(proof->problem.kv_dtype, value_buffer,
                                 values.first + page * values.page_stride + slot * values.slot_stride +
                                     head * values.head_stride,
                                 shape->head_dim_v);
        }
    }
}

/* `count` random elements, which the caller frees. */
static void *make_random(bench_random *random, clattn_dtype dtype, int64_t count)
{
    void *values = malloc((size_t)count * clattn_dtype_size(dtype));
    if (values)
        bench_random_fill(random, dtype, values, (size_t)count);
    return values;
}

static bool make_operands(tune_proof *proof, bench_random *random)
{
    const tool_shape *shape = &proof->problem.shape;
    const int64_t num_slots = num_pages_of(proof) * page_size_of(proof);
    const int64_t num_rows = num_slots * shape->num_kv_heads;
    const int64_t num_queries = (int64_t)proof->lengths.total_tokens * shape->num_q_heads * shape->head_dim;
    proof->num_keys = num_rows * shape->head_dim * (is_combined(proof) ? 2 : 1);
    proof->num_values = is_combined(proof) ? 0 : num_rows * shape->head_dim_v;
    proof->keys = make_random(random, proof->problem.kv_dtype, proof->num_keys);
    if (proof->num_values > 0)
        proof->values = make_random(random, proof->problem.kv_dtype, proof->num_values);
    proof->queries = make_random(random, proof->problem.dtype, num_queries);
    if (shape->sinks)
        proof->sinks = make_random(random, CLATTN_FLOAT32, shape->num_q_heads);
    bool *used = calloc((size_t)num_slots, sizeof *used);
    const bool good = proof->keys && (proof->values || proof->num_values == 0) && proof->queries &&
                      (proof->sinks || !shape->sinks) && used;
    if (good)
        poison(proof, used);
    free(used);
    return good;
}

/* `count` elements as floats, which the caller frees. */
static float *widen(clattn_dtype dtype, const void *values, int64_t count)
{
    float *widened = malloc((size_t)count * sizeof *widened);
    for (int64_t i = 0; widened && i < count; i++)
        widened[i] = bench_storage_get(dtype, values, i);
    return widened;
}

/* What every sequence has in common. The sinks of ragged_decode_attention are those of a kv head, for all its rows. */
static reference_sequence common_sequence(const tune_proof *proof)
{
    const tool_shape *shape = &proof->problem.shape;
    const int32_t group_size = shape->num_q_heads / shape->num_kv_heads;
    const reference_sinks sinks = proof->operation->id == BENCH_RAGGED_DECODE_ATTENTION
                                      ? (reference_sinks){proof->sinks, group_size, 0, group_size}
                                      : (reference_sinks){proof->sinks, 1, 1, 0};
    return (reference_sequence){
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .query_row_stride = (int64_t)shape->num_q_heads * shape->head_dim,
        .query_head_stride = shape->head_dim,
        .page_size = (int32_t)page_size_of(proof),
        .causal = true,
        .window_left = shape->sliding_window > 0 ? shape->sliding_window - 1 : -1,
        .window_right = -1,
        .softmax_scale = 1.0 / sqrt((double)shape->head_dim),
        .logits_soft_cap = (double)shape->logits_soft_cap,
        .sinks = proof->sinks ? sinks : (reference_sinks){0},
    };
}

/* Where the results of a sequence are put whose rows begin at row `start` of the batch. */
static reference_result exact_results(tune_proof *proof, int64_t start)
{
    double *at[TUNE_NUM_RESULTS];
    for (int kind = 0; kind < TUNE_NUM_RESULTS; kind++)
        at[kind] = proof->truths[kind].exact + start * proof->problem.shape.num_q_heads * proof->truths[kind].width;
    return (reference_result){
        .out = at[TUNE_OUT], .lse = at[TUNE_LSE], .max = at[TUNE_MAX], .denominator = at[TUNE_DENOMINATOR]};
}

/* Raises the error of a result to that of `count` naive elements, each of which is rounded once at least. */
static void raise_error(tune_truth *truth, const double *exact, const float *naive, int64_t count, double magnitude)
{
    for (int64_t i = 0; i < count; i++) {
        const double one_rounding = fmax(fabs(exact[i]), magnitude) * 0x1p-23;
        truth->naive_error = fmax(truth->naive_error, fmax(fabs((double)naive[i] - exact[i]), one_rounding));
    }
}

/* Half of the largest sum that a logit of the sequence comes from: see reference_logit_size(). */
static double logit_magnitude(const reference_sequence *sequence)
{
    double size = 0.0;
    for (int32_t row = 0; row < sequence->num_rows; row++) {
        for (int32_t head = 0; head < sequence->num_q_heads; head++)
            size = fmax(size, reference_logit_size(sequence, row, head));
    }
    return 0.5 * size;
}

/* A few single queries may be exact by luck: there the naive implementation adds up in every order. */
static bool compute_naive(tune_proof *proof, const reference_sequence *sequence, const reference_result *exact)
{
    const int64_t num_rows = (int64_t)sequence->num_rows * sequence->num_q_heads;
    const int64_t num_outputs = num_rows * sequence->head_dim_v;
    const int num_orders = sequence->num_rows == 1 ? REFERENCE_NUM_ORDERS : 1;
    float *naive = malloc((size_t)(num_outputs + 3 * num_rows) * sizeof *naive);
    if (!naive)
        return false;
    const reference_result_float32 result = {.out = naive,
                                             .lse = naive + num_outputs,
                                             .max = naive + num_outputs + num_rows,
                                             .denominator = naive + num_outputs + 2 * num_rows};
    const double magnitude = proof->operation->statistics || proof->problem.lse ? logit_magnitude(sequence) : 0.0;
    bool good = true;
    for (int order = 0; good && order < num_orders; order++) {
        good = reference_attention_float32(sequence, order, &result);
        if (!good)
            break;
        raise_error(&proof->truths[TUNE_OUT], exact->out, result.out, num_outputs, 0.0);
        raise_error(&proof->truths[TUNE_LSE], exact->lse, result.lse, num_rows, magnitude);
        raise_error(&proof->truths[TUNE_MAX], exact->max, result.max, num_rows, magnitude);
        raise_error(&proof->truths[TUNE_DENOMINATOR], exact->denominator, result.denominator, num_rows, 0.0);
    }
    free(naive);
    return good;
}

/* The truth of one sequence, whose rows begin at row `start` of the batch. */
static bool compute_sequence(tune_proof *proof, reference_sequence *sequence, int32_t seq, int64_t start)
{
    const int32_t dense_page = seq;
    sequence->num_rows = proof->lengths.q_lens[seq];
    sequence->kv_end = proof->lengths.context_lens[seq];
    sequence->first_position = sequence->kv_end - sequence->num_rows;
    sequence->block_table = proof->operation->dense
                                ? &dense_page
                                : proof->sequences.block_tables + (size_t)seq * (size_t)proof->sequences.pages_per_seq;
    const reference_result exact = exact_results(proof, start);
    const bool good = reference_attention(sequence, &exact) && compute_naive(proof, sequence, &exact);
    sequence->block_table = NULL;
    return good;
}

static bool reserve_truths(tune_proof *proof)
{
    bool good = true;
    for (int kind = 0; kind < TUNE_NUM_RESULTS; kind++) {
        tune_truth *truth = &proof->truths[kind];
        truth->width = kind == TUNE_OUT ? proof->problem.shape.head_dim_v : 1;
        truth->exact = malloc((size_t)count_of(proof, (tune_result_kind)kind) * sizeof *truth->exact);
        good = good && truth->exact;
    }
    return good;
}

static bool compute_truth(tune_proof *proof)
{
    const tool_shape *shape = &proof->problem.shape;
    const bench_pages key_pages = pages_of(proof, shape->head_dim);
    const bench_pages value_pages = pages_of(proof, shape->head_dim_v);
    const bench_order key_order = bench_order_of_keys(&key_pages);
    const bench_order value_order = bench_order_of_values(&value_pages);
    const int64_t query_width = (int64_t)shape->num_q_heads * shape->head_dim;
    float *keys = widen(proof->problem.kv_dtype, proof->keys, proof->num_keys);
    float *values = is_combined(proof) ? keys : widen(proof->problem.kv_dtype, proof->values, proof->num_values);
    float *queries = widen(proof->problem.dtype, proof->queries, proof->lengths.total_tokens * query_width);
    bool good = reserve_truths(proof) && keys && values && queries;
    int64_t start = 0;
    for (int32_t seq = 0; good && seq < proof->lengths.num_seqs; seq++) {
        reference_sequence sequence = common_sequence(proof);
        sequence.queries = queries + start * query_width;
        sequence.keys = (reference_pages){keys + key_order.first, key_order.page_stride, key_order.slot_stride,
                                          key_order.head_stride};
        sequence.values = (reference_pages){values + value_order.first, value_order.page_stride,
                                            value_order.slot_stride, value_order.head_stride};
        good = compute_sequence(proof, &sequence, seq, start);
        start += proof->lengths.q_lens[seq];
    }
    if (!is_combined(proof))
        free(values);
    free(keys);
    free(queries);
    return good;
}

bool tune_proof_init(tune_proof *proof, const bench_problem *problem, const bench_operation *operation,
                     clattn_phase phase, uint64_t seed)
{
    bench_random random;
    bench_random_init(&random, seed);
    *proof = (tune_proof){.operation = operation, .problem = *problem};
    const bool prefill = phase == CLATTN_PHASE_PREFILL;
    bool good = bench_workload_init_listed(&proof->lengths, 0, prefill ? PREFILL_Q_LENS : NULL,
                                           prefill ? PREFILL_CONTEXT_LENS : DECODE_CONTEXT_LENS);
    proof->problem.workload = &proof->lengths;
    good = good && bench_sequences_init(&proof->sequences, &proof->lengths, operation->dense ? 0 : problem->page_size,
                                        0, &random);
    if (good && make_operands(proof, &random) && compute_truth(proof))
        return true;
    tune_proof_finish(proof);
    return tool_error("out of memory for the reference");
}

void tune_proof_finish(tune_proof *proof)
{
    bench_sequences_finish(&proof->sequences);
    bench_workload_finish(&proof->lengths);
    free(proof->keys);
    free(proof->values);
    free(proof->queries);
    free(proof->sinks);
    for (int kind = 0; kind < TUNE_NUM_RESULTS; kind++)
        free(proof->truths[kind].exact);
    *proof = (tune_proof){.operation = NULL};
}

static bool upload_operands(const tune_proof *proof, clattn_context *ctx, bench_operands *operands)
{
    const tool_shape *shape = &proof->problem.shape;
    const size_t kv_bytes = clattn_dtype_size(proof->problem.kv_dtype);
    const size_t query_bytes = (size_t)proof->lengths.total_tokens * (size_t)shape->num_q_heads *
                               (size_t)shape->head_dim * clattn_dtype_size(proof->problem.dtype);
    return bench_upload(ctx, proof->keys, (size_t)proof->num_keys * kv_bytes, &operands->keys[0]) &&
           (proof->num_values == 0 ||
            bench_upload(ctx, proof->values, (size_t)proof->num_values * kv_bytes, &operands->values[0])) &&
           bench_upload(ctx, proof->queries, query_bytes, &operands->queries) &&
           (!proof->sinks ||
            bench_upload(ctx, proof->sinks, (size_t)shape->num_q_heads * sizeof(float), &operands->sinks));
}

/* Compares what lies in `results`, of the kind's number and GUARD_ELEMENTS. */
static bool compare(const tune_proof *proof, tune_result_kind kind, clattn_dtype dtype, const void *results)
{
    static const char *const names[TUNE_NUM_RESULTS] = {"element", "lse", "max", "denominator"};
    const tune_truth *truth = &proof->truths[kind];
    const int64_t num_heads = proof->problem.shape.num_q_heads;
    const int64_t count = count_of(proof, kind);
    for (int64_t i = 0; i < count; i++) {
        const double exact = truth->exact[i];
        const double actual = (double)bench_storage_get(dtype, results, i);
        const double allowed = 2.0 * truth->naive_error + bench_storage_rounding(dtype, exact);
        if (fabs(actual - exact) <= allowed)
            continue;
        const int64_t row = i / truth->width;
        return tool_error("row %lld, head %lld, %s %lld is %.9g instead of %.9g, and may be %.2g off",
                          (long long)(row / num_heads), (long long)(row % num_heads), names[kind],
                          (long long)(i % truth->width), actual, exact, allowed);
    }
    const unsigned char *guard = (const unsigned char *)results + (size_t)count * clattn_dtype_size(dtype);
    for (size_t i = 0; i < GUARD_ELEMENTS * clattn_dtype_size(dtype); i++) {
        if (guard[i] != 0xFF)
            return tool_error("byte %zu behind the results was written", i);
    }
    return true;
}

/* A result of a call: NaN and longer than it is before, read back and compared behind it. */
typedef struct proof_result {
    tune_result_kind kind;
    clattn_dtype dtype;
    cl_mem *buffer; /* of the call */
    size_t num_bytes;
    void *bytes;
} proof_result;

static bool poison_result(const tune_proof *proof, const clattn_context *ctx, proof_result *result)
{
    result->num_bytes = (size_t)(count_of(proof, result->kind) + GUARD_ELEMENTS) * clattn_dtype_size(result->dtype);
    result->bytes = malloc(result->num_bytes);
    if (!result->bytes)
        return tool_error("out of memory");
    memset(result->bytes, 0xFF, result->num_bytes);
    bench_release_buffer(*result->buffer);
    *result->buffer = NULL;
    return bench_upload(ctx, result->bytes, result->num_bytes, result->buffer);
}

/* Calls once and compares what the operation writes. */
static bool call_once(const tune_proof *proof, clattn_context *ctx, bench_call *call, bool *right)
{
    proof_result results[TUNE_NUM_RESULTS] = {{TUNE_OUT, call->out_dtype, &call->out, 0, NULL}};
    int num_results = 1;
    if (call->lse)
        results[num_results++] = (proof_result){TUNE_LSE, CLATTN_FLOAT32, &call->lse, 0, NULL};
    if (call->max)
        results[num_results++] = (proof_result){TUNE_MAX, CLATTN_FLOAT32, &call->max, 0, NULL};
    if (call->denominator)
        results[num_results++] = (proof_result){TUNE_DENOMINATOR, CLATTN_FLOAT32, &call->denominator, 0, NULL};
    bool good = true;
    for (int i = 0; good && i < num_results; i++)
        good = poison_result(proof, ctx, &results[i]);
    good = good && bench_call_enqueue(call);
    for (int i = 0; good && i < num_results; i++)
        good = bench_download(ctx, *results[i].buffer, 0, results[i].num_bytes, results[i].bytes);
    *right = good;
    for (int i = 0; i < num_results; i++) {
        *right = *right && compare(proof, results[i].kind, results[i].dtype, results[i].bytes);
        free(results[i].bytes);
    }
    return good;
}

/* With the number of splits that the plan chooses, and for single queries with one that it is told. */
static bool call_all(const tune_proof *proof, clattn_context *ctx, bench_operands *operands,
                     const clattn_tuning *tuning, bool *right)
{
    const int32_t nums_splits[] = {0, NUM_FORCED_SPLITS};
    const int num_calls = proof->lengths.total_tokens == proof->lengths.num_seqs ? 2 : 1;
    *right = true;
    for (int i = 0; *right && i < num_calls; i++) {
        bench_problem problem = proof->problem;
        problem.num_splits = nums_splits[i];
        operands->problem = &problem;
        bench_call call;
        if (!bench_call_init(&call, operands, proof->operation, BENCH_ALL_PHASES, tuning))
            return false;
        const bool good = call_once(proof, ctx, &call, right);
        bench_call_finish(&call);
        if (!good)
            return false;
    }
    return true;
}

bool tune_proof_run(const tune_proof *proof, clattn_context *ctx, const clattn_tuning *tuning, bool *right)
{
    bench_operands operands = {.ctx = ctx, .num_layers = 1};
    bool good = bench_sequences_init_part(&operands.sequences, &proof->sequences, BENCH_ALL_PHASES) &&
                upload_operands(proof, ctx, &operands);
    good = good && call_all(proof, ctx, &operands, tuning, right);
    bench_operands_finish(&operands);
    return good;
}
