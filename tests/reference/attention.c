/* SPDX-License-Identifier: Apache-2.0 */
/* The float64 reference: four passes per query row, each as its definition reads, and nothing clever. */
#include "attention.h"

#include <math.h>
#include <stdlib.h>

bool reference_row_sees(const reference_sequence *sequence, int32_t row, int64_t key)
{
    const int64_t position = sequence->first_position + row;

    if (key < sequence->kv_start || key >= sequence->kv_end)
        return false;
    if (sequence->causal && key > position)
        return false;
    if (sequence->window_left >= 0 && key < position - sequence->window_left)
        return false;
    if (sequence->window_right >= 0 && key > position + sequence->window_right)
        return false;
    return true;
}

const float *reference_kv_row(const reference_sequence *sequence, const reference_pages *pages, int64_t key,
                              int32_t head)
{
    const int64_t logical_page = key / sequence->page_size;
    const int64_t slot = key % sequence->page_size;
    const int64_t page = sequence->block_table ? sequence->block_table[logical_page] : logical_page;

    return pages->data + page * pages->page_stride + slot * pages->slot_stride + head * pages->head_stride;
}

double reference_logit_size(const reference_sequence *sequence, int32_t row, int32_t q_head)
{
    const int32_t kv_head = q_head / (sequence->num_q_heads / sequence->num_kv_heads);
    const float *query = sequence->queries + row * sequence->query_row_stride + q_head * sequence->query_head_stride;
    double largest = 0.0;

    for (int64_t t = 0; t < sequence->kv_end; t++) {
        const float *key = reference_kv_row(sequence, &sequence->keys, t, kv_head);
        double squares = 0.0;
        if (!reference_row_sees(sequence, row, t))
            continue;
        for (int32_t d = 0; d < sequence->head_dim; d++)
            squares += (double)query[d] * (double)key[d] * (double)query[d] * (double)key[d];
        largest = fmax(largest, sqrt(squares));
    }
    return largest * fabs(sequence->softmax_scale);
}

static double sink_of(const reference_sequence *sequence, int32_t q_head, int32_t kv_head, int32_t index)
{
    const reference_sinks *sinks = &sequence->sinks;
    return (double)sinks->data[q_head * sinks->q_head_stride + kv_head * sinks->kv_head_stride + index];
}

static double logit_of(const reference_sequence *sequence, const float *query, const float *key)
{
    double logit = 0.0;

    for (int32_t d = 0; d < sequence->head_dim; d++)
        logit += (double)query[d] * (double)key[d];
    logit *= sequence->softmax_scale;
    if (sequence->logits_soft_cap > 0.0)
        logit = sequence->logits_soft_cap * tanh(logit / sequence->logits_soft_cap);
    return logit;
}

/* One row of one head. `logits` has room for kv_end numbers; those of keys that the row does not see are not used. */
static void attend(const reference_sequence *sequence, const reference_result *result, int32_t row, int32_t q_head,
                   double *logits)
{
    const int32_t kv_head = q_head / (sequence->num_q_heads / sequence->num_kv_heads);
    const float *query = sequence->queries + row * sequence->query_row_stride + q_head * sequence->query_head_stride;
    const int64_t index = (int64_t)row * sequence->num_q_heads + q_head;
    double *out = result->out + index * sequence->head_dim_v;
    double max = -(double)INFINITY;
    double denominator = 0.0;
    bool sees_a_key = false;

    for (int32_t d = 0; d < sequence->head_dim_v; d++)
        out[d] = 0.0;

    /* Pass 1: the logits of the visible keys. */
    for (int64_t t = 0; t < sequence->kv_end; t++) {
        if (!reference_row_sees(sequence, row, t))
            continue;
        logits[t] = logit_of(sequence, query, reference_kv_row(sequence, &sequence->keys, t, kv_head));
        sees_a_key = true;
    }
    if (!sees_a_key) {
        result->lse[index] = -(double)INFINITY;
        result->max[index] = sequence->mask_value;
        result->denominator[index] = 0.0;
        return;
    }

    /* Pass 2: the maximum, sinks included. */
    for (int64_t t = 0; t < sequence->kv_end; t++)
        if (reference_row_sees(sequence, row, t))
            max = fmax(max, logits[t]);
    for (int32_t i = 0; i < sequence->sinks.num_per_row; i++)
        max = fmax(max, sink_of(sequence, q_head, kv_head, i));

    /* Pass 3: the denominator, sinks included. */
    for (int64_t t = 0; t < sequence->kv_end; t++)
        if (reference_row_sees(sequence, row, t))
            denominator += exp(logits[t] - max);
    for (int32_t i = 0; i < sequence->sinks.num_per_row; i++)
        denominator += exp(sink_of(sequence, q_head, kv_head, i) - max);

    /* Pass 4: the weighted sum of V; sinks have no value. */
    for (int64_t t = 0; t < sequence->kv_end; t++) {
        if (!reference_row_sees(sequence, row, t))
            continue;
        const float *value = reference_kv_row(sequence, &sequence->values, t, kv_head);
        const double weight = exp(logits[t] - max) / denominator;
        for (int32_t d = 0; d < sequence->head_dim_v; d++)
            out[d] += weight * (double)value[d];
    }

    result->lse[index] = max + log(denominator);
    result->max[index] = max;
    result->denominator[index] = denominator;
}

bool reference_attention(const reference_sequence *sequence, const reference_result *result)
{
    const size_t num_logits = sequence->kv_end > 0 ? (size_t)sequence->kv_end : 1;
    double *logits = calloc(num_logits, sizeof(*logits));

    if (!logits)
        return false;
    for (int32_t row = 0; row < sequence->num_rows; row++)
        for (int32_t q_head = 0; q_head < sequence->num_q_heads; q_head++)
            attend(sequence, result, row, q_head, logits);
    free(logits);
    return true;
}
