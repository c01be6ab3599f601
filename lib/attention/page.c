/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_page_attention(). */
#include "attention/call.h"
#include "attention/operands.h"

#include <clattn/attention.h>

static clattn_status bind(clattn_context *ctx, const clattn_page_attention_params *params, clattn_problem *problem,
                          clattn_attention_buffers *buffers)
{
    CLATTN_REQUIRE(&ctx->error, params->kv_layout > CLATTN_KV_COMBINED && params->kv_layout < CLATTN_NUM_KV_LAYOUTS,
                   CLATTN_INVALID_ARGUMENT, "kv_layout is %s, expected nhd, hnd or heads_first",
                   clattn_kv_layout_name(params->kv_layout));
    const clattn_operands operands = {
        .query = {"query", &params->query},
        .key = {"key_cache", &params->key_cache},
        .value = {"value_cache", &params->value_cache},
        .layout = params->kv_layout,
        .one_query = true,
        .results = {.out = {"out", &params->out}, .lse = {"lse", &params->lse}, .mask_value = params->mask_value},
        .softmax_aux = {"softmax_aux", &params->softmax_aux},
        .softmax_scale = params->softmax_scale,
        .logits_soft_cap = params->logits_soft_cap,
        .sliding_window = params->sliding_window,
        .compute_dtype = params->compute_dtype,
    };
    return clattn_operands_bind(ctx, &operands, problem, buffers);
}

/* The promise is checked before anything is planned; a plan knows its longest row. */
static clattn_status check_promise(clattn_context *ctx, const clattn_page_attention_params *params, int32_t num_seqs)
{
    const int32_t most = params->max_context_len;
    CLATTN_REQUIRE(&ctx->error, most >= 0, CLATTN_INVALID_ARGUMENT, "max_context_len is %d, expected 0 or more",
                   (int)most);
    if (most == 0)
        return CLATTN_OK;
    if (params->plan != NULL)
        CLATTN_REQUIRE(&ctx->error, params->plan->shape.longest_context <= most, CLATTN_INVALID_BATCH,
                       "the plan's longest context_len is %d, more than the max_context_len of %d",
                       (int)params->plan->shape.longest_context, (int)most);
    for (int32_t s = 0; params->context_lens != NULL && s < num_seqs; ++s)
        CLATTN_REQUIRE(&ctx->error, params->context_lens[s] <= most, CLATTN_INVALID_BATCH,
                       "context_lens[%d] is %d, more than the max_context_len of %d", (int)s,
                       (int)params->context_lens[s], (int)most);
    return CLATTN_OK;
}

clattn_status clattn_page_attention(clattn_context *ctx, const clattn_page_attention_params *params,
                                    cl_uint num_wait_events, const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    clattn_problem problem = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &buffers));
    const clattn_plan_params batch = {
        .context_lens = params->context_lens,
        .block_tables = params->block_tables,
        .pages_per_seq = params->pages_per_seq,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .tuning = params->tuning,
    };
    CLATTN_TRY(check_promise(ctx, params, problem.total_tokens));
    return clattn_attention_call(ctx, &problem, &buffers, params->plan, &batch, &sync);
}
