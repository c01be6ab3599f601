/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_ragged_attention(). */
#include "attention/call.h"
#include "attention/operands.h"

#include <clattn/attention.h>

static clattn_status bind(clattn_context *ctx, const clattn_ragged_attention_params *params, clattn_problem *problem,
                          clattn_attention_buffers *buffers)
{
    const clattn_operands operands = {
        .query = {"query", &params->query},
        .key = {"key", &params->key},
        .value = {"value", &params->value},
        .layout = CLATTN_KV_NHD,
        .dense = true,
        .one_query = true,
        .results = {.out = {"out", &params->out},
                    .max = {"max", &params->max},
                    .denominator = {"denominator", &params->denominator},
                    .require_state = true,
                    .numerator = params->numerator,
                    .mask_value = params->mask_value},
        .softmax_scale = params->softmax_scale != 0.0f ? params->softmax_scale : 1.0f,
        .compute_dtype = params->compute_dtype,
    };
    return clattn_operands_bind(ctx, &operands, problem, buffers);
}

clattn_status clattn_ragged_attention(clattn_context *ctx, const clattn_ragged_attention_params *params,
                                      cl_uint num_wait_events, const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    clattn_problem problem = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &buffers));
    CLATTN_REQUIRE(&ctx->error, params->plan != NULL || params->lengths != NULL || problem.total_tokens == 0,
                   CLATTN_INVALID_ARGUMENT, "lengths is NULL");
    const clattn_plan_params batch = {
        .context_lens = params->lengths,
        .sequence_start = params->starts,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .tuning = params->tuning,
    };
    return clattn_attention_call(ctx, &problem, &buffers, params->plan, &batch, &sync);
}
