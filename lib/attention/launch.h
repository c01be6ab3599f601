/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a checked problem and a plan into enqueued kernels. */
#ifndef CLATTN_ATTENTION_LAUNCH_H
#define CLATTN_ATTENTION_LAUNCH_H

#include "attention/kernel.h"
#include "attention/plan.h"

/* Builds what is missing, then enqueues the kernels of the plan: decode, prefill, merge, each only if it has items. */
clattn_status clattn_attention_launch(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                      const clattn_attention_buffers *buffers, const clattn_sync *sync);

#endif
