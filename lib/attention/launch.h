/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a checked problem and a plan into enqueued kernels. */
#ifndef CLATTN_ATTENTION_LAUNCH_H
#define CLATTN_ATTENTION_LAUNCH_H

#include "attention/plan.h"
#include "attention/problem.h"

typedef struct clattn_attention_buffers {
    cl_mem q;
    cl_mem k;
    cl_mem v;
    cl_mem out;
    cl_mem lse;   /* NULL = none */
    cl_mem sinks; /* NULL = none */
} clattn_attention_buffers;

/* Builds what is missing, then enqueues the kernels of the plan: decode, prefill, merge, each only if it has items. */
clattn_status clattn_attention_launch(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                      const clattn_attention_buffers *buffers, const clattn_sync *sync);

#endif
