/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the operands of an attention call; see operands.h. */
#include "attention/operands.h"

/* Whether a tensor that may be absent is there; absent, nothing of it may be given. */
static clattn_status check_present(clattn_context *ctx, const clattn_operand *operand, bool *present)
{
    *present = operand->tensor != NULL && operand->tensor->buffer != NULL;
    if (operand->tensor != NULL && !*present)
        CLATTN_REQUIRE(&ctx->error, operand->tensor->rank == 0 && operand->tensor->offset_bytes == 0,
                       CLATTN_INVALID_ARGUMENT, "%s: its buffer is NULL, but rank or offset_bytes is given",
                       operand->name);
    return CLATTN_OK;
}

clattn_status clattn_operands_check_apart(clattn_context *ctx, const clattn_bound *results, size_t num_results,
                                          const clattn_bound *others, size_t num_others)
{
    for (size_t i = 0; i < num_results; ++i) {
        for (size_t j = i + 1; j < num_results; ++j)
            CLATTN_TRY(clattn_bind_require_apart(ctx, &results[i], &results[j]));
        for (size_t j = 0; j < num_others; ++j)
            CLATTN_TRY(clattn_bind_require_apart(ctx, &results[i], &others[j]));
    }
    return CLATTN_OK;
}

/* Rows of 32-bit state beside the output. */
static clattn_status bind_state(clattn_context *ctx, const clattn_operand *operand, const clattn_problem *problem,
                                clattn_view *view, clattn_rows *rows)
{
    const int64_t shape[2] = {problem->total_tokens, problem->num_q_heads};
    CLATTN_TRY(clattn_bind_typed_tensor(ctx, operand->tensor, operand->name, CLATTN_FLOAT32, 2, shape, view));
    *rows = clattn_rows_of(view);
    return CLATTN_OK;
}

clattn_status clattn_operands_choose_state(clattn_context *ctx, const clattn_operand *lse, const clattn_operand *max,
                                           const clattn_operand *denominator, clattn_state_kind *kind)
{
    bool has_lse, has_max, has_denominator;
    CLATTN_TRY(check_present(ctx, lse, &has_lse));
    CLATTN_TRY(check_present(ctx, max, &has_max));
    CLATTN_TRY(check_present(ctx, denominator, &has_denominator));
    CLATTN_REQUIRE(&ctx->error, !has_lse || (!has_max && !has_denominator), CLATTN_INVALID_ARGUMENT,
                   "%s is given together with %s or %s", lse->name, max->name, denominator->name);
    CLATTN_REQUIRE(&ctx->error, has_max == has_denominator, CLATTN_INVALID_ARGUMENT,
                   "%s is given without the other of %s and %s", has_max ? max->name : denominator->name, max->name,
                   denominator->name);
    *kind = has_max ? CLATTN_STATE_MAX_DENOMINATOR : has_lse ? CLATTN_STATE_LSE : CLATTN_STATE_NONE;
    return CLATTN_OK;
}

static clattn_status choose_result_state(clattn_context *ctx, const clattn_result_operands *operands,
                                         clattn_problem *problem)
{
    problem->numerator = operands->numerator;
    problem->state_kind = CLATTN_STATE_MAX_DENOMINATOR;
    if (operands->require_state)
        return CLATTN_OK; /* binding says what is missing */
    CLATTN_TRY(clattn_operands_choose_state(ctx, &operands->lse, &operands->max, &operands->denominator,
                                            &problem->state_kind));
    CLATTN_REQUIRE(&ctx->error, !operands->numerator || problem->state_kind == CLATTN_STATE_MAX_DENOMINATOR,
                   CLATTN_INVALID_ARGUMENT, "numerator is set, but max and denominator are absent");
    return CLATTN_OK;
}

clattn_status clattn_operands_bind_results(clattn_context *ctx, const clattn_result_operands *operands,
                                           clattn_problem *problem, clattn_attention_buffers *buffers,
                                           clattn_view views[CLATTN_MAX_RESULTS],
                                           clattn_bound bound[CLATTN_MAX_RESULTS], size_t *num_bound)
{
    const clattn_operand *out = &operands->out;
    const int64_t shape[3] = {problem->total_tokens, problem->num_q_heads, problem->head_dim_v};
    if (operands->require_state)
        CLATTN_TRY(clattn_bind_typed_tensor(ctx, out->tensor, out->name, CLATTN_FLOAT32, 3, shape, &views[0]));
    else
        CLATTN_TRY(clattn_bind_tensor(ctx, out->tensor, out->name, 3, shape, &views[0]));
    problem->out_dtype = views[0].dtype;
    problem->out = clattn_rows_of(&views[0]);
    buffers->out = out->tensor->buffer;
    bound[0] = (clattn_bound){out->name, buffers->out, &views[0]};
    *num_bound = 1;

    CLATTN_TRY(choose_result_state(ctx, operands, problem));
    if (problem->state_kind == CLATTN_STATE_NONE)
        return CLATTN_OK;
    const bool is_lse = problem->state_kind == CLATTN_STATE_LSE;
    const clattn_operand *state = is_lse ? &operands->lse : &operands->max;
    CLATTN_TRY(bind_state(ctx, state, problem, &views[1], &problem->state));
    buffers->state = state->tensor->buffer;
    bound[(*num_bound)++] = (clattn_bound){state->name, buffers->state, &views[1]};
    if (is_lse)
        return CLATTN_OK;
    CLATTN_TRY(bind_state(ctx, &operands->denominator, problem, &views[2], &problem->denominator));
    buffers->denominator = operands->denominator.tensor->buffer;
    bound[(*num_bound)++] = (clattn_bound){operands->denominator.name, buffers->denominator, &views[2]};
    return CLATTN_OK;
}

static clattn_status bind_query(clattn_context *ctx, const clattn_operand *operand, clattn_problem *problem,
                                clattn_view *query)
{
    CLATTN_TRY(clattn_bind_open_tensor(ctx, operand->tensor, operand->name, 3, query));
    problem->total_tokens = (int32_t)query->shape[0];
    problem->num_q_heads = (int32_t)query->shape[1];
    problem->q_dtype = query->dtype;
    problem->q = clattn_rows_of(query);
    return CLATTN_OK;
}

/* K and V agree in all but their width; combined pages are K and V in one. */
static clattn_status bind_kv(clattn_context *ctx, const clattn_operands *operands, clattn_problem *problem,
                             clattn_view *key, clattn_view *value, clattn_attention_buffers *buffers)
{
    const clattn_operand *k = &operands->key;
    const clattn_operand *v = &operands->value;
    const int64_t key_shape[4] = {problem->dense ? problem->total_tokens : CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT,
                                  CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT};
    CLATTN_TRY(clattn_bind_tensor(ctx, k->tensor, k->name, 4, key_shape, key));
    buffers->k = k->tensor->buffer;
    buffers->v = k->tensor->buffer;
    if (operands->layout != CLATTN_KV_COMBINED) {
        const int64_t value_shape[4] = {key->shape[0], key->shape[1], key->shape[2], CLATTN_ANY_EXTENT};
        CLATTN_TRY(clattn_bind_tensor(ctx, v->tensor, v->name, 4, value_shape, value));
        buffers->v = v->tensor->buffer;
    }
    return clattn_problem_set_kv(problem, operands->layout, key, value, &ctx->error);
}

/* How queries and keys fit each other, and whether a kernel is there for them. */
static clattn_status check_geometry(clattn_context *ctx, const clattn_operands *operands, const clattn_view *query,
                                    const clattn_problem *problem)
{
    CLATTN_REQUIRE(&ctx->error, query->shape[2] == problem->head_dim, CLATTN_INVALID_SHAPE,
                   "%s: dimension 2 is %lld, but %s holds rows of %d", operands->query.name, (long long)query->shape[2],
                   operands->key.name, (int)problem->head_dim);
    CLATTN_TRY(clattn_check_head_dims(problem->head_dim, problem->head_dim_v, &ctx->error));
    return clattn_check_heads(problem->num_q_heads, problem->num_kv_heads, &ctx->error);
}

static clattn_status bind_sinks(clattn_context *ctx, const clattn_operands *operands, clattn_problem *problem,
                                clattn_view *view, clattn_attention_buffers *buffers)
{
    const clattn_operand *operand = &operands->softmax_aux;
    bool present = false;
    CLATTN_TRY(check_present(ctx, operand, &present));
    if (!present)
        return CLATTN_OK;
    if (!operands->shared_sinks) {
        const int64_t shape[1] = {problem->num_q_heads};
        CLATTN_TRY(clattn_bind_typed_tensor(ctx, operand->tensor, operand->name, CLATTN_FLOAT32, 1, shape, view));
        problem->sinks = (clattn_sinks){.offset = view->offset, .q_head_stride = 1, .num_per_row = 1};
    } else {
        const int32_t rank = operand->tensor->rank;
        CLATTN_REQUIRE(&ctx->error, rank == 1 || rank == 2, CLATTN_INVALID_SHAPE, "%s: rank is %d, expected 1 or 2",
                       operand->name, (int)rank);
        const int64_t shape[2] = {rank == 1 ? CLATTN_ANY_EXTENT : problem->num_kv_heads, CLATTN_ANY_EXTENT};
        CLATTN_TRY(clattn_bind_typed_tensor(ctx, operand->tensor, operand->name, CLATTN_FLOAT32, rank, shape, view));
        CLATTN_REQUIRE(&ctx->error, view->shape[rank - 1] <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                       "%s: %lld sinks are more than 2^31-1", operand->name, (long long)view->shape[rank - 1]);
        problem->sinks = (clattn_sinks){.offset = view->offset,
                                        .kv_head_stride = rank == 1 ? 0 : (uint64_t)view->strides[0],
                                        .num_per_row = (int32_t)view->shape[rank - 1]};
    }
    buffers->sinks = operand->tensor->buffer;
    return CLATTN_OK;
}

static clattn_status set_options(clattn_context *ctx, const clattn_operands *operands, clattn_problem *problem)
{
    CLATTN_TRY(clattn_problem_set_options(problem, operands->softmax_scale, operands->logits_soft_cap, &ctx->error));
    CLATTN_TRY(clattn_problem_set_mask_value(problem, operands->results.mask_value, &ctx->error));
    CLATTN_TRY(clattn_problem_set_causal_window(problem, operands->sliding_window, &ctx->error));
    CLATTN_REQUIRE(&ctx->error,
                   operands->compute_dtype == CLATTN_DTYPE_DEFAULT || operands->compute_dtype == CLATTN_FLOAT32,
                   CLATTN_UNSUPPORTED, "compute_dtype is %s, but every family multiplies in float32",
                   clattn_dtype_name(operands->compute_dtype));
    return CLATTN_OK;
}

clattn_status clattn_operands_bind(clattn_context *ctx, const clattn_operands *operands, clattn_problem *problem,
                                   clattn_attention_buffers *buffers)
{
    clattn_view query = {0}, key = {0}, value = {0}, sinks = {0};
    clattn_view results[CLATTN_MAX_RESULTS];
    clattn_bound bound[CLATTN_MAX_RESULTS];
    size_t num_bound = 0;
    problem->dense = operands->dense;
    problem->one_query = operands->one_query;
    CLATTN_TRY(bind_query(ctx, &operands->query, problem, &query));
    buffers->q = operands->query.tensor->buffer;
    CLATTN_TRY(bind_kv(ctx, operands, problem, &key, &value, buffers));
    CLATTN_TRY(check_geometry(ctx, operands, &query, problem));
    CLATTN_TRY(clattn_operands_bind_results(ctx, &operands->results, problem, buffers, results, bound, &num_bound));
    CLATTN_TRY(bind_sinks(ctx, operands, problem, &sinks, buffers));
    const clattn_bound others[] = {{operands->query.name, buffers->q, &query},
                                   {operands->key.name, buffers->k, &key},
                                   {operands->value.name, buffers->v, &value},
                                   {operands->softmax_aux.name, buffers->sinks, &sinks}};
    CLATTN_TRY(clattn_operands_check_apart(ctx, bound, num_bound, others, sizeof others / sizeof *others));
    return set_options(ctx, operands, problem);
}
