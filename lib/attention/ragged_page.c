/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_ragged_page_attention(). */
#include "attention/call.h"
#include "attention/operands.h"

#include <clattn/attention.h>

typedef clattn_ragged_page_attention_params ragged_page_params;

/* Whether K and V lie in one tensor or in two, which the layout must say as well. */
static clattn_status choose_pages(clattn_context *ctx, const ragged_page_params *params, clattn_operands *operands)
{
    const bool combined = params->kv_pages.buffer != NULL;
    const bool separate = params->key_pages.buffer != NULL || params->value_pages.buffer != NULL;
    CLATTN_REQUIRE(&ctx->error, combined || separate, CLATTN_INVALID_ARGUMENT,
                   "kv_pages: its buffer is NULL, and so are those of key_pages and value_pages");
    CLATTN_REQUIRE(&ctx->error, !combined || !separate, CLATTN_INVALID_ARGUMENT,
                   "kv_pages is given together with key_pages or value_pages");
    operands->layout = params->kv_layout;
    if (combined) {
        CLATTN_REQUIRE(&ctx->error, params->kv_layout == CLATTN_KV_COMBINED, CLATTN_INVALID_ARGUMENT,
                       "kv_layout is %s, expected combined with kv_pages", clattn_kv_layout_name(params->kv_layout));
        operands->key = (clattn_operand){"kv_pages", &params->kv_pages};
        return CLATTN_OK;
    }
    CLATTN_REQUIRE(&ctx->error, params->kv_layout > CLATTN_KV_COMBINED && params->kv_layout < CLATTN_NUM_KV_LAYOUTS,
                   CLATTN_INVALID_ARGUMENT,
                   "kv_layout is %s, expected nhd, hnd or heads_first with key_pages and value_pages",
                   clattn_kv_layout_name(params->kv_layout));
    operands->key = (clattn_operand){"key_pages", &params->key_pages};
    operands->value = (clattn_operand){"value_pages", &params->value_pages};
    return CLATTN_OK;
}

static clattn_status bind(clattn_context *ctx, const ragged_page_params *params, clattn_problem *problem,
                          clattn_attention_buffers *buffers)
{
    clattn_operands operands = {
        .query = {"queries", &params->queries},
        .results = {.out = {"out", &params->out}, .lse = {"lse", &params->lse}, .mask_value = params->mask_value},
        .softmax_aux = {"softmax_aux", &params->softmax_aux},
        .softmax_scale = params->softmax_scale,
        .logits_soft_cap = params->logits_soft_cap,
        .sliding_window = params->sliding_window,
        .compute_dtype = params->compute_dtype,
    };
    CLATTN_TRY(choose_pages(ctx, params, &operands));
    return clattn_operands_bind(ctx, &operands, problem, buffers);
}

clattn_status clattn_ragged_page_attention(clattn_context *ctx, const ragged_page_params *params,
                                           cl_uint num_wait_events, const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    clattn_problem problem = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &buffers));
    CLATTN_REQUIRE(&ctx->error, params->plan != NULL || params->num_seqs <= 0 || params->query_start_loc != NULL,
                   CLATTN_INVALID_ARGUMENT, "query_start_loc is NULL");
    const clattn_plan_params batch = {
        .num_seqs = params->num_seqs,
        .query_start_loc = params->query_start_loc,
        .context_lens = params->context_lens,
        .block_tables = params->block_tables,
        .pages_per_seq = params->pages_per_seq,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .tuning = params->tuning,
    };
    return clattn_attention_call(ctx, &problem, &buffers, params->plan, &batch, &sync);
}
