/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one problem that every operation is a front door to: heads, where Q, K, V and the results lie, and the options.
 * Plain data without buffers or lengths. Without OpenCL.
 */
#ifndef CLATTN_ATTENTION_PROBLEM_H
#define CLATTN_ATTENTION_PROBLEM_H

#include "attention/view.h"
#include "runtime/error.h"

#include <clattn/layout.h>
#include <stdbool.h>

/* Element address of token t, head h: offset + t * token_stride + h * head_stride. */
typedef struct clattn_rows {
    uint64_t offset;
    uint64_t token_stride;
    uint64_t head_stride;
} clattn_rows;

/* The sinks of query head h over kv head g: num_per_row from offset + h * q_head_stride + g * kv_head_stride on. */
typedef struct clattn_sinks {
    uint64_t offset;
    uint64_t q_head_stride;
    uint64_t kv_head_stride;
    int32_t num_per_row; /* 0 = no sinks */
} clattn_sinks;

/* What is written of a row's softmax besides its output: STATE of cl/common/results.cl. */
typedef enum clattn_state_kind {
    CLATTN_STATE_NONE = 0,
    CLATTN_STATE_LSE = 1,
    CLATTN_STATE_MAX_DENOMINATOR = 2
} clattn_state_kind;

/*
 * Element address of a page's slot and kv head: offset + page * page_stride + slot * slot_stride + head *
 * head_stride.
 */
typedef struct clattn_pages_address {
    uint64_t offset;
    uint64_t page_stride;
    uint64_t slot_stride;
    uint64_t head_stride;
} clattn_pages_address;

typedef struct clattn_problem {
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t total_tokens;
    bool one_query; /* each sequence has one query token, and sequence s is token s */
    bool dense;     /* page s is all of sequence s */
    int32_t page_size;
    int32_t num_pages;
    bool token_major; /* all kv heads of a token lie together */
    clattn_dtype q_dtype;
    clattn_dtype k_dtype;
    clattn_dtype v_dtype;
    clattn_dtype out_dtype;
    clattn_rows q;
    clattn_rows out;
    clattn_state_kind state_kind;
    clattn_rows state;       /* lse or max */
    clattn_rows denominator; /* with a max */
    bool numerator;          /* out is not divided by the denominator */
    clattn_pages_address k;
    clattn_pages_address v;
    clattn_sinks sinks;
    float softmax_scale;
    float logits_soft_cap; /* 0 = off */
    float mask_value;
    int32_t window_left; /* inclusive distances, CLATTN_UNLIMITED = none */
    int32_t window_right;
} clattn_problem;

/* Widths of rows that the kernels are written for; `name` is head_dim or head_dim_v. */
clattn_status clattn_check_head_dim(const char *name, int32_t head_dim, clattn_error *error);

/* Those of K and V. */
clattn_status clattn_check_head_dims(int32_t head_dim, int32_t head_dim_v, clattn_error *error);

/* Head counts: positive, and queries a multiple of keys. */
clattn_status clattn_check_heads(int32_t num_q_heads, int32_t num_kv_heads, clattn_error *error);

/* Scale and cap as the caller gave them: resolves zeros, refuses what is not a number or out of range. */
clattn_status clattn_problem_set_options(clattn_problem *problem, float softmax_scale, float logits_soft_cap,
                                         clattn_error *error);

/* The same for the maximum of a row without keys. */
clattn_status clattn_problem_set_mask_value(clattn_problem *problem, float mask_value, clattn_error *error);

/* Causal, with a window of W keys (the query's own included), 0 = unlimited. */
clattn_status clattn_problem_set_causal_window(clattn_problem *problem, int32_t sliding_window, clattn_error *error);

/* The W of a problem's window. */
int32_t clattn_problem_sliding_window(const clattn_problem *problem);

/*
 * Takes page count, page size, kv heads, head dims and addresses from the K and V views of a layout (SEMANTICS 6).
 * Combined: `value` is ignored, K and V lie in `key`.
 */
clattn_status clattn_problem_set_kv(clattn_problem *problem, clattn_kv_layout layout, const clattn_view *key,
                                    const clattn_view *value, clattn_error *error);

/* A [tokens, heads, width] view as rows; a [tokens, heads] view likewise. */
clattn_rows clattn_rows_of(const clattn_view *view);

#endif
