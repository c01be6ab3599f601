/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the plan of a call and launches it; see call.h. */
#include "attention/call.h"

#include "attention/launch.h"

static clattn_status require_equal(clattn_context *ctx, const char *name, int64_t planned, int64_t given)
{
    CLATTN_REQUIRE(&ctx->error, planned == given, CLATTN_PLAN_MISMATCH,
                   "the plan was made for %s %lld, the call has %lld", name, (long long)planned, (long long)given);
    return CLATTN_OK;
}

/* The caller's plan must be for this problem, and nothing that it holds may be given again. */
static clattn_status check_plan(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                const clattn_plan_params *batch)
{
    const clattn_plan_shape *shape = &plan->shape;
    const bool has_batch = batch->num_seqs != 0 || batch->query_start_loc != NULL || batch->context_lens != NULL ||
                           batch->sequence_start != NULL || batch->block_tables != NULL || batch->pages_per_seq != 0 ||
                           batch->num_splits != 0 || batch->batch_invariant || batch->tuning != NULL;
    CLATTN_REQUIRE(&ctx->error, !has_batch, CLATTN_INVALID_ARGUMENT,
                   "plan is given together with fields of the batch, its splits or its tuning");
    CLATTN_REQUIRE(&ctx->error, plan->ctx == ctx, CLATTN_PLAN_MISMATCH, "the plan was made with another context");
    CLATTN_TRY(require_equal(ctx, "total_tokens", shape->total_tokens, problem->total_tokens));
    CLATTN_REQUIRE(&ctx->error, shape->one_query || !problem->one_query, CLATTN_PLAN_MISMATCH,
                   "the plan was made for other numbers of queries than one for each sequence");
    CLATTN_REQUIRE(&ctx->error, shape->dense == problem->dense, CLATTN_PLAN_MISMATCH,
                   "the plan was made for a %s cache, the call has a %s one", shape->dense ? "dense" : "paged",
                   problem->dense ? "dense" : "paged");
    CLATTN_TRY(require_equal(ctx, "num_q_heads", shape->num_q_heads, problem->num_q_heads));
    CLATTN_TRY(require_equal(ctx, "num_kv_heads", shape->num_kv_heads, problem->num_kv_heads));
    CLATTN_TRY(require_equal(ctx, "head_dim", shape->head_dim, problem->head_dim));
    CLATTN_TRY(require_equal(ctx, "head_dim_v", shape->head_dim_v, problem->head_dim_v));
    CLATTN_TRY(require_equal(ctx, problem->dense ? "seq_len" : "page_size", shape->page_size, problem->page_size));
    CLATTN_TRY(require_equal(ctx, "a window reaching back", shape->window_left, problem->window_left));
    CLATTN_TRY(require_equal(ctx, "token-major pages", shape->token_major, problem->token_major));
    CLATTN_REQUIRE(&ctx->error, shape->num_pages <= problem->num_pages, CLATTN_PLAN_MISMATCH,
                   "the plan was made for %d pages, the call has %d", (int)shape->num_pages, (int)problem->num_pages);
    return CLATTN_OK;
}

/* Makes or updates the context's own plan. */
static clattn_status plan_call(clattn_context *ctx, const clattn_problem *problem, const clattn_plan_params *batch)
{
    clattn_plan_params params = *batch;
    if (problem->one_query)
        params.num_seqs = problem->total_tokens;
    params.total_tokens = problem->total_tokens;
    params.dense = problem->dense;
    params.num_q_heads = problem->num_q_heads;
    params.num_kv_heads = problem->num_kv_heads;
    params.head_dim = problem->head_dim;
    params.head_dim_v = problem->head_dim_v;
    params.page_size = problem->page_size;
    params.num_pages = problem->num_pages;
    params.kv_layout = problem->token_major ? CLATTN_KV_NHD : CLATTN_KV_HND;
    params.kv_dtype = problem->k_dtype;
    params.sliding_window = clattn_problem_sliding_window(problem);
    ctx->destroy_call_plan = clattn_plan_destroy;
    if (ctx->call_plan == NULL)
        return clattn_plan_create(ctx, &params, &ctx->call_plan);
    return clattn_plan_update(ctx->call_plan, &params);
}

clattn_status clattn_attention_call(clattn_context *ctx, const clattn_problem *problem,
                                    const clattn_attention_buffers *buffers, const clattn_plan *given,
                                    const clattn_plan_params *batch, const clattn_sync *sync)
{
    if (given != NULL)
        CLATTN_TRY(check_plan(ctx, problem, given, batch));
    else
        CLATTN_TRY(plan_call(ctx, problem, batch));
    return clattn_attention_launch(ctx, problem, given != NULL ? given : ctx->call_plan, buffers, sync);
}
