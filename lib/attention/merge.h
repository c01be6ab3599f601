/* SPDX-License-Identifier: Apache-2.0 */
/* The merge kernel: joins the states that a plan's splits leave, or those that a caller brings. */
#ifndef CLATTN_ATTENTION_MERGE_H
#define CLATTN_ATTENTION_MERGE_H

#include "attention/kernel.h"

/* Element (state, row, head) of one part of the states: offset + state * state_stride + row * row_stride + ... */
typedef struct clattn_states_address {
    cl_ulong offset, state_stride, row_stride, head_stride;
} clattn_states_address;

/* merge_args of cl/merge.cl. */
typedef struct clattn_merge_args {
    clattn_states_address acc, max, sum;
    cl_int num_states, num_rows, rows_per_item; /* of the caller's states */
    cl_int unused;
} clattn_merge_args;

/* States to be joined. With a plan's buffer its merge items say which rows; otherwise all rows of all heads. */
typedef struct clattn_states {
    clattn_dtype dtype; /* of acc */
    bool by_lse;        /* max is the log-sum-exp, and there is no sum */
    clattn_merge_args args;
    cl_mem acc;
    cl_mem max;
    cl_mem sum;
    cl_mem plan; /* NULL = the caller's states */
    cl_int items_at;
    int64_t num_items; /* of the plan */
} clattn_states;

/* Builds the kernel that joins these states into the problem's results. */
clattn_status clattn_merge_build(clattn_context *ctx, const clattn_problem *problem, clattn_family family,
                                 clattn_states *states, clattn_kernel_launch *launch);

clattn_status clattn_merge_enqueue(clattn_context *ctx, const clattn_problem *problem, const clattn_states *states,
                                   const clattn_kernel_launch *launch, const clattn_attention_buffers *buffers,
                                   const clattn_sync *sync);

#endif
