/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of cl-demo. It takes nothing from the library but `out`: keys and values come from the rows that were
 * appended, in the order of their tokens, so that a wrong page or slot shows as well as a wrong sum.
 */
#include "demo/check.h"

#include "bench/storage.h"
#include "common/message.h"

#include "reference/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OUT_ROUNDING 0x1p-24 /* half a unit in the last place of float32, relative */

/* Room for the sequence with the longest context. */
typedef struct check_scratch {
    float *queries;    /* [q_len, Hq, D] */
    float *keys;       /* [context_len, Hkv, D] */
    float *values;     /* [context_len, Hkv, D] */
    double *statistic; /* [q_len, Hq] of lse, maximum and denominator, which nobody looks at */
    float *statistic_float32;
} check_scratch;

/* Both implementations' results for one layer. */
typedef struct layer_truth {
    double *exact; /* [total_tokens, Hq, D] */
    float *naive;
} layer_truth;

static void widen(const demo_rows *rows, int64_t first_token, int64_t num_tokens, float *out)
{
    const int64_t width = rows->num_heads * DEMO_HEAD_DIM;
    for (int64_t i = 0; i < num_tokens * width; i++)
        out[i] = bench_float16_widen(rows->host[first_token * width + i]);
}

/* Rows of the past, then the new ones. */
static void gather(const demo_rows *past, int64_t past_start, int64_t num_past, const demo_rows *rows, int64_t start,
                   int64_t num_rows, float *out)
{
    widen(past, past_start, num_past, out);
    widen(rows, start, num_rows, out + num_past * DEMO_NUM_KV_HEADS * DEMO_HEAD_DIM);
}

static bool compute_sequence(const check_scratch *scratch, int32_t q_len, int32_t context_len, double *exact,
                             float *naive)
{
    const reference_pages keys = {scratch->keys, 0, DEMO_NUM_KV_HEADS * DEMO_HEAD_DIM, DEMO_HEAD_DIM};
    const reference_pages values = {scratch->values, 0, DEMO_NUM_KV_HEADS * DEMO_HEAD_DIM, DEMO_HEAD_DIM};
    const reference_sequence sequence = {
        .num_rows = q_len,
        .num_q_heads = DEMO_NUM_Q_HEADS,
        .num_kv_heads = DEMO_NUM_KV_HEADS,
        .head_dim = DEMO_HEAD_DIM,
        .head_dim_v = DEMO_HEAD_DIM,
        .queries = scratch->queries,
        .query_row_stride = DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM,
        .query_head_stride = DEMO_HEAD_DIM,
        .keys = keys,
        .values = values,
        .page_size = context_len,
        .first_position = context_len - q_len,
        .kv_end = context_len,
        .causal = true,
        .window_left = -1,
        .window_right = -1,
        .softmax_scale = 1.0 / sqrt(DEMO_HEAD_DIM),
    };
    double *statistic = scratch->statistic;
    float *statistic_float32 = scratch->statistic_float32;
    const reference_result exact_result = {exact, statistic, statistic, statistic};
    const reference_result_float32 naive_result = {naive, statistic_float32, statistic_float32, statistic_float32};
    return (reference_attention(&sequence, &exact_result) &&
            reference_attention_float32(&sequence, 0, &naive_result)) ||
           tool_error("out of memory");
}

static bool compute_layer(const demo_layer *layer, const check_scratch *scratch, const layer_truth *truth)
{
    int64_t start = 0;
    int64_t past_start = 0;
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++) {
        const int32_t q_len = demo_q_lens[seq];
        const int32_t context_len = demo_context_lens[seq];
        const int32_t num_past = context_len - q_len;
        const int64_t first_element = start * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM;
        widen(&layer->queries, start, q_len, scratch->queries);
        gather(&layer->past_keys, past_start, num_past, &layer->keys, start, q_len, scratch->keys);
        gather(&layer->past_values, past_start, num_past, &layer->values, start, q_len, scratch->values);
        if (!compute_sequence(scratch, q_len, context_len, truth->exact + first_element, truth->naive + first_element))
            return false;
        start += q_len;
        past_start += num_past;
    }
    return true;
}

/* A number that is not finite is beyond every bound. */
static void compare(const float *out, const double *exact, int64_t count, demo_verdict *verdict)
{
    for (int64_t i = 0; i < count; i++) {
        const double allowed = 2.0 * verdict->naive_error + OUT_ROUNDING * fabs(exact[i]);
        const double difference = fabs((double)out[i] - exact[i]);
        const double error = isfinite(difference) ? difference : (double)INFINITY;
        if (verdict->num_compared == 0 || error / allowed > verdict->error / verdict->allowed) {
            verdict->error = error;
            verdict->allowed = allowed;
        }
        verdict->within_bound = verdict->within_bound && error <= allowed;
        verdict->num_compared++;
    }
}

static bool judge(const demo_step *step, const check_scratch *scratch, const layer_truth *truths, demo_verdict *verdict)
{
    const int64_t count = (int64_t)step->total_tokens * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM;
    *verdict = (demo_verdict){.within_bound = true};
    for (int32_t layer = 0; layer < DEMO_NUM_LAYERS; layer++) {
        const layer_truth *truth = &truths[layer];
        if (!compute_layer(&step->layers[layer], scratch, truth))
            return false;
        for (int64_t i = 0; i < count; i++)
            verdict->naive_error = fmax(verdict->naive_error, fabs((double)truth->naive[i] - truth->exact[i]));
    }
    for (int32_t layer = 0; layer < DEMO_NUM_LAYERS; layer++)
        compare(step->layers[layer].out_host, truths[layer].exact, count, verdict);
    return true;
}

static bool make_scratch(check_scratch *scratch)
{
    size_t longest = 0;
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++) {
        if ((size_t)demo_context_lens[seq] > longest)
            longest = (size_t)demo_context_lens[seq];
    }
    scratch->queries = calloc(longest * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM, sizeof *scratch->queries);
    scratch->keys = calloc(longest * DEMO_NUM_KV_HEADS * DEMO_HEAD_DIM, sizeof *scratch->keys);
    scratch->values = calloc(longest * DEMO_NUM_KV_HEADS * DEMO_HEAD_DIM, sizeof *scratch->values);
    scratch->statistic = calloc(longest * DEMO_NUM_Q_HEADS, sizeof *scratch->statistic);
    scratch->statistic_float32 = calloc(longest * DEMO_NUM_Q_HEADS, sizeof *scratch->statistic_float32);
    return (scratch->queries && scratch->keys && scratch->values && scratch->statistic && scratch->statistic_float32) ||
           tool_error("out of memory");
}

static void free_scratch(check_scratch *scratch)
{
    free(scratch->queries);
    free(scratch->keys);
    free(scratch->values);
    free(scratch->statistic);
    free(scratch->statistic_float32);
}

bool demo_check(const demo_step *step, demo_verdict *verdict)
{
    const size_t count = (size_t)step->total_tokens * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM;
    layer_truth truths[DEMO_NUM_LAYERS];
    bool good = true;
    for (int32_t layer = 0; layer < DEMO_NUM_LAYERS; layer++) {
        truths[layer].exact = malloc(count * sizeof *truths[layer].exact);
        truths[layer].naive = malloc(count * sizeof *truths[layer].naive);
        if (!truths[layer].exact || !truths[layer].naive)
            good = tool_error("out of memory");
    }
    check_scratch scratch = {0};
    good = good && make_scratch(&scratch) && judge(step, &scratch, truths, verdict);
    free_scratch(&scratch);
    for (int32_t layer = 0; layer < DEMO_NUM_LAYERS; layer++) {
        free(truths[layer].exact);
        free(truths[layer].naive);
    }
    return good;
}
