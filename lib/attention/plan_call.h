/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a call: the caller's, checked against the problem, or the context's own, made from the call's batch. */
#ifndef CLATTN_ATTENTION_PLAN_CALL_H
#define CLATTN_ATTENTION_PLAN_CALL_H

#include "attention/plan.h"
#include "attention/problem.h"

/*
 * `batch` holds what the call's fields say of the batch, its splits and its tuning, and nothing that the problem knows.
 * With a plan of the caller's it must be empty.
 */
clattn_status clattn_plan_for_call(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *given,
                                   const clattn_plan_params *batch, const clattn_plan **plan);

#endif
