/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention written from the contract alone: in float64 as the truth that every kernel is compared with, and in
 * naive float32 as the yardstick of its accuracy. Plain host code; knows nothing of the library or of OpenCL.
 */
#ifndef REFERENCE_ATTENTION_H
#define REFERENCE_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

/* Where K or V lies: element d of a head's token is data[page*page_stride + slot*slot_stride + kv_head*head_stride +
 * d]. */
typedef struct reference_pages {
    const float *data;
    int64_t page_stride;
    int64_t slot_stride;
    int64_t head_stride;
} reference_pages;

/*
 * Attention sinks: query head h with kv head g has the num_per_row extra logits
 * data[h*q_head_stride + g*kv_head_stride + i]. One per query head: q_head_stride 1. Shared by all heads: both 0.
 */
typedef struct reference_sinks {
    const float *data;
    int32_t num_per_row; /* 0 = no sinks */
    int64_t q_head_stride;
    int64_t kv_head_stride;
} reference_sinks;

/*
 * One sequence. With p = first_position + row, row sees key t if kv_start <= t < kv_end, t <= p when causal,
 * t >= p - window_left and t <= p + window_right. Logical page t / page_size lies at block_table[t / page_size].
 *
 * Shapes    queries [num_rows, num_q_heads, head_dim], block_table [ceil(kv_end / page_size)]
 */
typedef struct reference_sequence {
    int32_t num_rows;
    int32_t num_q_heads; /* a multiple of num_kv_heads; query head h reads kv head h / (num_q_heads / num_kv_heads) */
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    const float *queries;
    int64_t query_row_stride;
    int64_t query_head_stride;
    reference_pages keys;
    reference_pages values;
    const int32_t *block_table; /* NULL = logical page i is page i */
    int32_t page_size;
    int64_t first_position;
    int64_t kv_start;
    int64_t kv_end;
    bool causal;
    int64_t window_left;    /* tokens, inclusive distance, -1 = unlimited */
    int64_t window_right;   /* tokens, inclusive distance, -1 = unlimited */
    double softmax_scale;   /* taken as it is: 0 makes every logit 0 */
    double logits_soft_cap; /* 0 = off */
    double mask_value;      /* reported as the maximum of a row that sees no key */
    reference_sinks sinks;
} reference_sequence;

/*
 * The rows of a sequence: out normalised, lse natural, max and denominator with the sinks.
 *
 * Shapes    out [num_rows, num_q_heads, head_dim_v], the others [num_rows, num_q_heads]
 */
typedef struct reference_result {
    double *out;
    double *lse;
    double *max;
    double *denominator;
} reference_result;

/* The same rows of the float32 implementation. */
typedef struct reference_result_float32 {
    float *out;
    float *lse;
    float *max;
    float *denominator;
} reference_result_float32;

/* Whether a row of the sequence sees a key. */
bool reference_row_sees(const reference_sequence *sequence, int32_t row, int64_t key);

/* The first element of a kv head's token `key` in K or V. */
const float *reference_kv_row(const reference_sequence *sequence, const reference_pages *pages, int64_t key,
                              int32_t head);

/*
 * The size of a row's logits as sums: the largest root of the sum of squares of a logit's terms, scaled, over the keys
 * that the row sees; 0 without one. Rounding every term once moves a logit by about that many half ulps of 1.
 */
double reference_logit_size(const reference_sequence *sequence, int32_t row, int32_t q_head);

/* Attention in float64; false if the host has no memory for a row of logits. */
bool reference_attention(const reference_sequence *sequence, const reference_result *result);

/*
 * Orders in which a naive implementation may add up, 0 = from the first term to the last: the definition leaves it
 * open, and the error of a single sum is a matter of luck.
 */
enum { REFERENCE_NUM_ORDERS = 8 };

/* Attention in float32, as its definition reads; false if the host has no memory for a row of logits. */
bool reference_attention_float32(const reference_sequence *sequence, int order, const reference_result_float32 *result);

#endif
