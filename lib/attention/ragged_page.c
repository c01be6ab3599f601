/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_ragged_page_attention(): checks, problem, plan, launch. */
#include "attention/bind.h"
#include "attention/launch.h"

#include <clattn/attention.h>

typedef clattn_ragged_page_attention_params ragged_params;

/* The checked tensors; what is absent is all zero. */
typedef struct operands {
    clattn_view queries;
    clattn_view key; /* of combined pages: both */
    clattn_view value;
    clattn_view out;
    clattn_view lse;
    clattn_view softmax_aux;
} operands;

/* A tensor that is optional is absent without a buffer; then nothing else of it may be given. */
static clattn_status check_absent(clattn_context *ctx, const clattn_tensor *tensor, const char *name)
{
    CLATTN_REQUIRE(&ctx->error, tensor->rank == 0 && tensor->offset_bytes == 0, CLATTN_INVALID_ARGUMENT,
                   "%s: its buffer is NULL, but rank or offset_bytes is given", name);
    return CLATTN_OK;
}

static clattn_status bind_separate_pages(clattn_context *ctx, const ragged_params *params, clattn_problem *problem,
                                         operands *bound, clattn_attention_buffers *buffers)
{
    const int64_t any[4] = {CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT};
    CLATTN_REQUIRE(&ctx->error, params->kv_layout > CLATTN_KV_COMBINED && params->kv_layout < CLATTN_NUM_KV_LAYOUTS,
                   CLATTN_INVALID_ARGUMENT,
                   "kv_layout is %s, expected nhd, hnd or heads_first with key_pages and value_pages",
                   clattn_kv_layout_name(params->kv_layout));
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->key_pages, "key_pages", 4, any, &bound->key));
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->value_pages, "value_pages", 4, bound->key.shape, &bound->value));
    buffers->k = params->key_pages.buffer;
    buffers->v = params->value_pages.buffer;
    return clattn_problem_set_kv(problem, params->kv_layout, &bound->key, &bound->value, &ctx->error);
}

static clattn_status bind_pages(clattn_context *ctx, const ragged_params *params, clattn_problem *problem,
                                operands *bound, clattn_attention_buffers *buffers)
{
    const bool combined = params->kv_pages.buffer != NULL;
    const bool separate = params->key_pages.buffer != NULL || params->value_pages.buffer != NULL;
    CLATTN_REQUIRE(&ctx->error, combined || separate, CLATTN_INVALID_ARGUMENT,
                   "kv_pages: its buffer is NULL, and so are those of key_pages and value_pages");
    CLATTN_REQUIRE(&ctx->error, !combined || !separate, CLATTN_INVALID_ARGUMENT,
                   "kv_pages is given together with key_pages or value_pages");
    if (separate)
        return bind_separate_pages(ctx, params, problem, bound, buffers);

    const int64_t any[4] = {CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT};
    CLATTN_REQUIRE(&ctx->error, params->kv_layout == CLATTN_KV_COMBINED, CLATTN_INVALID_ARGUMENT,
                   "kv_layout is %s, expected combined with kv_pages", clattn_kv_layout_name(params->kv_layout));
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->kv_pages, "kv_pages", 4, any, &bound->key));
    buffers->k = params->kv_pages.buffer;
    buffers->v = params->kv_pages.buffer;
    return clattn_problem_set_kv(problem, CLATTN_KV_COMBINED, &bound->key, NULL, &ctx->error);
}

static clattn_status bind_queries(clattn_context *ctx, const ragged_params *params, clattn_problem *problem,
                                  clattn_view *queries)
{
    const int64_t any[3] = {CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT};
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->queries, "queries", 3, any, queries));
    for (int i = 0; i < 3; ++i)
        CLATTN_REQUIRE(&ctx->error, queries->shape[i] <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                       "queries: dimension %d is %lld, more than 2^31-1", i, (long long)queries->shape[i]);
    problem->total_tokens = (int32_t)queries->shape[0];
    problem->num_q_heads = (int32_t)queries->shape[1];
    problem->q_dtype = queries->dtype;
    problem->q = clattn_rows_of(queries);
    return CLATTN_OK;
}

static clattn_status bind_results(clattn_context *ctx, const ragged_params *params, clattn_problem *problem,
                                  operands *bound, clattn_attention_buffers *buffers)
{
    const int64_t out_shape[3] = {problem->total_tokens, problem->num_q_heads, problem->head_dim_v};
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->out, "out", 3, out_shape, &bound->out));
    problem->out_dtype = bound->out.dtype;
    problem->out = clattn_rows_of(&bound->out);
    buffers->out = params->out.buffer;

    problem->has_lse = params->lse.buffer != NULL;
    if (problem->has_lse) {
        CLATTN_TRY(clattn_bind_typed_tensor(ctx, &params->lse, "lse", CLATTN_FLOAT32, 2, out_shape, &bound->lse));
        problem->lse = clattn_rows_of(&bound->lse);
        buffers->lse = params->lse.buffer;
    } else {
        CLATTN_TRY(check_absent(ctx, &params->lse, "lse"));
    }
    problem->has_sinks = params->softmax_aux.buffer != NULL;
    if (problem->has_sinks) {
        CLATTN_TRY(clattn_bind_typed_tensor(ctx, &params->softmax_aux, "softmax_aux", CLATTN_FLOAT32, 1, out_shape + 1,
                                            &bound->softmax_aux));
        problem->sinks_offset = bound->softmax_aux.offset;
        buffers->sinks = params->softmax_aux.buffer;
    } else {
        CLATTN_TRY(check_absent(ctx, &params->softmax_aux, "softmax_aux"));
    }
    return CLATTN_OK;
}

/* Work-items write their results while others still read: neither result may share bytes with another tensor. */
static clattn_status check_apart(clattn_context *ctx, const operands *bound, const clattn_attention_buffers *buffers)
{
    const clattn_bound tensors[] = {
        {"out", buffers->out, &bound->out},         {"lse", buffers->lse, &bound->lse},
        {"queries", buffers->q, &bound->queries},   {"the pages", buffers->k, &bound->key},
        {"value_pages", buffers->v, &bound->value}, {"softmax_aux", buffers->sinks, &bound->softmax_aux},
    };
    const size_t num_results = 2;
    for (size_t result = 0; result < num_results; ++result)
        for (size_t other = result + 1; other < sizeof tensors / sizeof *tensors; ++other)
            CLATTN_TRY(clattn_bind_require_apart(ctx, &tensors[result], &tensors[other]));
    return CLATTN_OK;
}

/* Tensors and options, in the order of the fields. */
static clattn_status bind(clattn_context *ctx, const ragged_params *params, clattn_problem *problem,
                          clattn_attention_buffers *buffers)
{
    operands bound = {0};
    CLATTN_TRY(bind_queries(ctx, params, problem, &bound.queries));
    buffers->q = params->queries.buffer;
    CLATTN_TRY(bind_pages(ctx, params, problem, &bound, buffers));
    CLATTN_REQUIRE(&ctx->error, bound.queries.shape[2] == problem->head_dim, CLATTN_INVALID_SHAPE,
                   "queries: dimension 2 is %lld, but the pages hold rows of %d", (long long)bound.queries.shape[2],
                   (int)problem->head_dim);
    CLATTN_TRY(clattn_check_head_dim(problem->head_dim, &ctx->error));
    CLATTN_TRY(clattn_check_heads(problem->num_q_heads, problem->num_kv_heads, &ctx->error));
    CLATTN_TRY(bind_results(ctx, params, problem, &bound, buffers));
    CLATTN_TRY(check_apart(ctx, &bound, buffers));
    CLATTN_TRY(clattn_problem_set_options(problem, params->softmax_scale, params->logits_soft_cap, params->mask_value,
                                          &ctx->error));
    CLATTN_TRY(clattn_problem_set_causal_window(problem, params->sliding_window, &ctx->error));
    CLATTN_REQUIRE(&ctx->error,
                   params->compute_dtype == CLATTN_DTYPE_DEFAULT || params->compute_dtype == CLATTN_FLOAT32,
                   CLATTN_UNSUPPORTED, "compute_dtype is %s, but every family multiplies in float32",
                   clattn_dtype_name(params->compute_dtype));
    return CLATTN_OK;
}

static clattn_status require_equal(clattn_context *ctx, const char *name, int64_t planned, int64_t given)
{
    CLATTN_REQUIRE(&ctx->error, planned == given, CLATTN_PLAN_MISMATCH,
                   "the plan was made for %s %lld, the call has %lld", name, (long long)planned, (long long)given);
    return CLATTN_OK;
}

/* The caller's plan must be for this problem, and nothing that it holds may be given again. */
static clattn_status check_plan(clattn_context *ctx, const ragged_params *params, const clattn_problem *problem)
{
    const clattn_plan *plan = params->plan;
    const bool has_batch = params->num_seqs != 0 || params->query_start_loc != NULL || params->context_lens != NULL ||
                           params->block_tables != NULL || params->pages_per_seq != 0 || params->num_splits != 0 ||
                           params->batch_invariant || params->tuning != NULL;
    CLATTN_REQUIRE(&ctx->error, !has_batch, CLATTN_INVALID_ARGUMENT,
                   "plan is given together with fields of the batch, its splits or its tuning");
    CLATTN_REQUIRE(&ctx->error, plan->ctx == ctx, CLATTN_PLAN_MISMATCH, "the plan was made with another context");
    CLATTN_TRY(require_equal(ctx, "total_tokens", plan->shape.total_tokens, problem->total_tokens));
    CLATTN_TRY(require_equal(ctx, "num_q_heads", plan->shape.num_q_heads, problem->num_q_heads));
    CLATTN_TRY(require_equal(ctx, "num_kv_heads", plan->shape.num_kv_heads, problem->num_kv_heads));
    CLATTN_TRY(require_equal(ctx, "head_dim", plan->shape.head_dim, problem->head_dim));
    CLATTN_TRY(require_equal(ctx, "page_size", plan->shape.page_size, problem->page_size));
    CLATTN_TRY(require_equal(ctx, "a window reaching back", plan->shape.window_left, problem->window_left));
    CLATTN_TRY(require_equal(ctx, "token-major pages", plan->shape.token_major, problem->token_major));
    CLATTN_REQUIRE(&ctx->error, plan->shape.num_pages <= problem->num_pages, CLATTN_PLAN_MISMATCH,
                   "the plan was made for %d pages, the call has %d", (int)plan->shape.num_pages,
                   (int)problem->num_pages);
    return CLATTN_OK;
}

/* Makes or updates the context's own plan from the call's batch. */
static clattn_status plan_call(clattn_context *ctx, const ragged_params *params, const clattn_problem *problem)
{
    const clattn_plan_params plan_params = {
        .num_seqs = params->num_seqs,
        .total_tokens = problem->total_tokens,
        .query_start_loc = params->query_start_loc,
        .context_lens = params->context_lens,
        .block_tables = params->block_tables,
        .pages_per_seq = params->pages_per_seq,
        .num_q_heads = problem->num_q_heads,
        .num_kv_heads = problem->num_kv_heads,
        .head_dim = problem->head_dim,
        .page_size = problem->page_size,
        .num_pages = problem->num_pages,
        .kv_layout = params->kv_layout,
        .sliding_window = params->sliding_window,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .tuning = params->tuning,
    };
    ctx->destroy_call_plan = clattn_plan_destroy;
    if (ctx->call_plan == NULL)
        return clattn_plan_create(ctx, &plan_params, &ctx->call_plan);
    return clattn_plan_update(ctx->call_plan, &plan_params);
}

clattn_status clattn_ragged_page_attention(clattn_context *ctx, const ragged_params *params, cl_uint num_wait_events,
                                           const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_TRY(clattn_sync_check(ctx, &sync));
    CLATTN_REQUIRE(&ctx->error, params != NULL, CLATTN_INVALID_ARGUMENT, "params is NULL");
    clattn_problem problem = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &buffers));
    if (params->plan != NULL)
        CLATTN_TRY(check_plan(ctx, params, &problem));
    else
        CLATTN_TRY(plan_call(ctx, params, &problem));
    return clattn_attention_launch(ctx, &problem, params->plan != NULL ? params->plan : ctx->call_plan, &buffers,
                                   &sync);
}
