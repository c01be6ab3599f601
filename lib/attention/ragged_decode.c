/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_ragged_decode_attention(). */
#include "attention/call.h"
#include "attention/operands.h"

#include <clattn/attention.h>

typedef clattn_ragged_decode_attention_params ragged_decode_params;

/* A query on the last key of its row has nothing to its right: the left side is a window of left + 1 keys. */
static clattn_status resolve_window(clattn_context *ctx, const clattn_window *window, int32_t *sliding_window)
{
    *sliding_window = 0;
    if (window == NULL)
        return CLATTN_OK;
    CLATTN_REQUIRE(&ctx->error, window->left >= -1 && window->right >= -1, CLATTN_INVALID_ARGUMENT,
                   "sliding_window is (%d, %d), expected -1 (unlimited) or more on both sides", (int)window->left,
                   (int)window->right);
    *sliding_window = window->left < INT32_MAX ? window->left + 1 : 0; /* no row is longer */
    return CLATTN_OK;
}

static clattn_status bind(clattn_context *ctx, const ragged_decode_params *params, clattn_problem *problem,
                          clattn_attention_buffers *buffers)
{
    clattn_operands operands = {
        .query = {"query", &params->query},
        .key = {"key", &params->key},
        .value = {"value", &params->value},
        .layout = CLATTN_KV_NHD,
        .dense = true,
        .one_query = true,
        .results = {.out = {"out", &params->out}, .lse = {"lse", &params->lse}, .mask_value = params->mask_value},
        .softmax_aux = {"softmax_aux", &params->softmax_aux},
        .shared_sinks = true,
        .softmax_scale = params->softmax_scale,
        .logits_soft_cap = params->logits_soft_cap,
        .compute_dtype = params->compute_dtype,
    };
    CLATTN_TRY(resolve_window(ctx, params->sliding_window, &operands.sliding_window));
    return clattn_operands_bind(ctx, &operands, problem, buffers);
}

clattn_status clattn_ragged_decode_attention(clattn_context *ctx, const ragged_decode_params *params,
                                             cl_uint num_wait_events, const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    clattn_problem problem = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &buffers));
    CLATTN_REQUIRE(&ctx->error, params->plan != NULL || params->sequence_end != NULL || problem.total_tokens == 0,
                   CLATTN_INVALID_ARGUMENT, "sequence_end is NULL");
    const clattn_plan_params batch = {
        .context_lens = params->sequence_end,
        .sequence_start = params->sequence_start,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .tuning = params->tuning,
    };
    return clattn_attention_call(ctx, &problem, &buffers, params->plan, &batch, &sync);
}
