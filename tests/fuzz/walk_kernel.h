/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels' arguments and defines, as cl/ words them; and element addresses, of the kernels and of the call. */
#ifndef FUZZ_WALK_KERNEL_H
#define FUZZ_WALK_KERNEL_H

#include "support/kernel_shape.h"
#include "walk.h"

/* attention_args of cl/common/plan.cl. */
typedef struct walk_args {
    uint64_t q_offset, q_token_stride, q_head_stride;
    uint64_t k_offset, k_page_stride, k_slot_stride, k_head_stride;
    uint64_t v_offset, v_page_stride, v_slot_stride, v_head_stride;
    uint64_t out_offset, out_token_stride, out_head_stride;
    uint64_t state_offset, state_token_stride, state_head_stride;
    uint64_t denominator_offset, denominator_token_stride, denominator_head_stride;
    uint64_t sinks_offset, sinks_q_head_stride, sinks_kv_head_stride;
    int32_t seqs_at, items_at, pages_at;
    int32_t num_kv_heads, group_size, page_size;
    int32_t window_left, window_right;
    int32_t num_sinks;
    float dot_scale;
    float soft_cap;
    float mask_value;
} walk_args;

/* states_address and merge_args of cl/merge.cl. */
typedef struct walk_states_address {
    uint64_t offset, state_stride, row_stride, head_stride;
} walk_states_address;

typedef struct walk_merge_args {
    walk_states_address acc, max, sum;
    int32_t num_states, num_rows, rows_per_item;
    int32_t unused;
} walk_merge_args;

/* The results' defines: cl/common/results.cl. */
typedef struct walk_results {
    int32_t head_dim_v;
    clattn_dtype out_dtype;
    bool has_sinks;
    int32_t state; /* 0 none, 1 lse, 2 max and denominator */
    cl_mem out;
    cl_mem states;
    cl_mem denominators;
    cl_mem sinks;
} walk_results;

/* The value of -D<name>= in a program's options; ends the process without it, unless it may be `absent`. */
int32_t walk_define(const char *options, const char *name);
bool walk_has_define(const char *options, const char *name);

/* An argument of a kernel. */
cl_mem walk_buffer(const fake_launch *launch, int index);
void walk_struct(const fake_launch *launch, int index, void *value, size_t num_bytes);

/* The value as the kernels' int holds it; ends the process if that overflows. */
int64_t walk_int(int64_t value, const char *what);

/* An int of the plan's metadata. */
int64_t walk_plan_int(cl_mem plan, int64_t index);

/* Requires `width` elements of a dtype at `element` to lie in the buffer. */
void walk_require_inside(cl_mem buffer, clattn_dtype dtype, uint64_t element, uint64_t width, const char *what);

/*
 * Requires `element` to be the tensor's at `index` (whose last dimensions are 0 if there are fewer indices), and
 * `width` elements from there on to lie in the buffer, which must be the tensor's.
 */
void walk_require_element(const fuzz_call *call, call_tensor name, cl_mem buffer, int num_indices, const int64_t *index,
                          uint64_t element, int64_t width);

/* A finished row of token and query head: its output, its state and its sinks; marks it as written. */
void walk_result(call_walk *walk, const walk_results *results, const walk_args *args, int64_t token, int64_t kv_head,
                 int64_t head_in_group);

walk_results walk_results_of(const fake_launch *launch, int out, int states, int denominators, int sinks);

/* The merge kernel over partial results, and over a caller's states. */
void walk_merge_launch(call_walk *walk, const fake_launch *launch);

/* Takes the partial row as joined into this row; ends the process unless it is a part of it, and a new one. */
void walk_join(call_walk *walk, int64_t partial_row, int64_t token, int64_t head_in_group);

#endif
