/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The naive float32 implementation. Its largest error against float64 is what the contract measures a kernel by,
 * so every operation here is a single float32 one, as the definition writes it, and the sums in the order asked for.
 */
#include "attention.h"

#include <math.h>
#include <stdlib.h>

static float sink_of(const reference_sequence *sequence, int32_t q_head, int32_t kv_head, int32_t index)
{
    const reference_sinks *sinks = &sequence->sinks;
    return sinks->data[q_head * sinks->q_head_stride + kv_head * sinks->kv_head_stride + index];
}

/*
 * The i-th of `count` terms of a sum: every stride-th, then those behind them, and so on, from the front or from the
 * back.
 */
static int64_t term_of(int order, int64_t i, int64_t count)
{
    static const int64_t strides[REFERENCE_NUM_ORDERS / 2] = {1, 2, 3, 8};
    const int64_t stride = strides[order / 2];
    int64_t first = 0;

    while (i >= (count - first + stride - 1) / stride) {
        i -= (count - first + stride - 1) / stride;
        first++;
    }
    return order % 2 == 0 ? first + i * stride : count - 1 - (first + i * stride);
}

static float logit_of(const reference_sequence *sequence, int order, const float *query, const float *key)
{
    const float cap = (float)sequence->logits_soft_cap;
    float logit = 0.0f;

    for (int32_t i = 0; i < sequence->head_dim; i++) {
        const int64_t d = term_of(order, i, sequence->head_dim);
        logit += query[d] * key[d];
    }
    logit *= (float)sequence->softmax_scale;
    return cap > 0.0f ? cap * tanhf(logit / cap) : logit;
}

/* Passes 1 and 2: logits and maximum; false if the row sees no key. */
static bool compute_logits(const reference_sequence *sequence, int order, int32_t row, int32_t q_head, int32_t kv_head,
                           float *logits, float *max)
{
    const float *query = sequence->queries + row * sequence->query_row_stride + q_head * sequence->query_head_stride;
    bool sees_a_key = false;

    *max = -INFINITY;
    for (int64_t t = 0; t < sequence->kv_end; t++) {
        logits[t] = -INFINITY;
        if (!reference_row_sees(sequence, row, t))
            continue;
        logits[t] = logit_of(sequence, order, query, reference_kv_row(sequence, &sequence->keys, t, kv_head));
        *max = fmaxf(*max, logits[t]);
        sees_a_key = true;
    }
    for (int32_t i = 0; i < sequence->sinks.num_per_row; i++)
        *max = fmaxf(*max, sink_of(sequence, q_head, kv_head, i));
    return sees_a_key;
}

static void attend(const reference_sequence *sequence, int order, const reference_result_float32 *result, int32_t row,
                   int32_t q_head, float *logits)
{
    const int32_t kv_head = q_head / (sequence->num_q_heads / sequence->num_kv_heads);
    const int64_t index = (int64_t)row * sequence->num_q_heads + q_head;
    float *out = result->out + index * sequence->head_dim_v;
    float max;
    float denominator = 0.0f;

    for (int32_t d = 0; d < sequence->head_dim_v; d++)
        out[d] = 0.0f;
    if (!compute_logits(sequence, order, row, q_head, kv_head, logits, &max)) {
        result->lse[index] = -INFINITY;
        result->max[index] = (float)sequence->mask_value;
        result->denominator[index] = 0.0f;
        return;
    }

    /* Passes 3 and 4: denominator and weighted sum, divided at the end. */
    for (int64_t i = 0; i < sequence->kv_end; i++) {
        const int64_t t = term_of(order, i, sequence->kv_end);
        if (!reference_row_sees(sequence, row, t))
            continue;
        const float *value = reference_kv_row(sequence, &sequence->values, t, kv_head);
        const float weight = expf(logits[t] - max);
        denominator += weight;
        for (int32_t d = 0; d < sequence->head_dim_v; d++)
            out[d] += weight * value[d];
    }
    for (int32_t i = 0; i < sequence->sinks.num_per_row; i++)
        denominator += expf(sink_of(sequence, q_head, kv_head, i) - max);
    for (int32_t d = 0; d < sequence->head_dim_v; d++)
        out[d] /= denominator;

    result->lse[index] = max + logf(denominator);
    result->max[index] = max;
    result->denominator[index] = denominator;
}

bool reference_attention_float32(const reference_sequence *sequence, int order, const reference_result_float32 *result)
{
    const size_t num_logits = sequence->kv_end > 0 ? (size_t)sequence->kv_end : 1;
    float *logits = calloc(num_logits, sizeof(*logits));

    if (!logits)
        return false;
    for (int32_t row = 0; row < sequence->num_rows; row++)
        for (int32_t q_head = 0; q_head < sequence->num_q_heads; q_head++)
            attend(sequence, order, result, row, q_head, logits);
    free(logits);
    return true;
}
