/* SPDX-License-Identifier: Apache-2.0 */
/* What every attention kernel shares on the host: its argument struct and how it is enqueued. */
#ifndef CLATTN_ATTENTION_KERNEL_H
#define CLATTN_ATTENTION_KERNEL_H

#include "attention/problem.h"
#include "runtime/context.h"

/* The caller's buffers; what is absent is NULL. */
typedef struct clattn_attention_buffers {
    cl_mem q;
    cl_mem k;
    cl_mem v;
    cl_mem out;
    cl_mem state;
    cl_mem denominator;
    cl_mem sinks;
} clattn_attention_buffers;

/* attention_args of cl/common/plan.cl. */
typedef struct clattn_kernel_args {
    cl_ulong q_offset, q_token_stride, q_head_stride;
    cl_ulong k_offset, k_page_stride, k_slot_stride, k_head_stride;
    cl_ulong v_offset, v_page_stride, v_slot_stride, v_head_stride;
    cl_ulong out_offset, out_token_stride, out_head_stride;
    cl_ulong state_offset, state_token_stride, state_head_stride;
    cl_ulong denominator_offset, denominator_token_stride, denominator_head_stride;
    cl_ulong sinks_offset, sinks_q_head_stride, sinks_kv_head_stride;
    cl_int seqs_at, items_at, pages_at; /* positions in the plan; 0 until its user sets them */
    cl_int num_kv_heads, group_size, page_size;
    cl_int window_left, window_right;
    cl_int num_sinks;
    cl_float dot_scale;
    cl_float soft_cap;
    cl_float mask_value;
} clattn_kernel_args;

clattn_kernel_args clattn_kernel_args_of(const clattn_problem *problem);

/* One kernel to enqueue. */
typedef struct clattn_kernel_launch {
    cl_kernel kernel;
    size_t num_groups;
    size_t work_group_size;
    size_t local_bytes; /* local memory that is passed as the last argument, 0 = there is no such argument */
} clattn_kernel_launch;

/* What a phase's kernel reads and writes besides the caller's buffers. */
typedef struct clattn_plan_buffers {
    cl_mem metadata;
    cl_mem partial_acc;
    cl_mem partial_sums;
} clattn_plan_buffers;

/* An argument; `value` NULL: local memory of `num_bytes`. */
typedef struct clattn_kernel_argument {
    size_t num_bytes;
    const void *value;
} clattn_kernel_argument;

#define CLATTN_KERNEL_ARGUMENT(variable)                                                                               \
    {                                                                                                                  \
        sizeof(variable), &(variable)                                                                                  \
    }

/* The attention kernel of a phase, of any family. */
clattn_status clattn_kernel_enqueue_phase(clattn_context *ctx, const clattn_kernel_launch *launch,
                                          const clattn_attention_buffers *buffers, const clattn_plan_buffers *plan,
                                          const clattn_kernel_args *args, const clattn_sync *sync);

clattn_status clattn_kernel_enqueue(clattn_context *ctx, const clattn_kernel_launch *launch,
                                    const clattn_kernel_argument *arguments, size_t num_arguments,
                                    const clattn_sync *sync);

#endif
