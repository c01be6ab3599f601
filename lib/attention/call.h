/* SPDX-License-Identifier: Apache-2.0 */
/* What every attention operation does once its operands are a problem: find the plan and launch its kernels. */
#ifndef CLATTN_ATTENTION_CALL_H
#define CLATTN_ATTENTION_CALL_H

#include "attention/kernel.h"
#include "attention/plan.h"

/*
 * With the caller's plan, checked against the problem, or with the context's own, made from the call's batch: `batch`
 * holds what the call's fields say of the batch, its splits and its tuning, and nothing that the problem knows. With a
 * plan of the caller's it must be empty.
 */
clattn_status clattn_attention_call(clattn_context *ctx, const clattn_problem *problem,
                                    const clattn_attention_buffers *buffers, const clattn_plan *given,
                                    const clattn_plan_params *batch, const clattn_sync *sync);

#endif
