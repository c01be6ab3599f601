/* SPDX-License-Identifier: Apache-2.0 */
/* The front door clattn_merge_states(). */
#include "attention/merge.h"
#include "attention/operands.h"
#include "tuning/loops.h"

#include <clattn/attention.h>

#define MAX_STATE_TENSORS 3

typedef clattn_merge_states_params merge_params;

/* The caller's states, checked. */
typedef struct bound_states {
    clattn_view views[MAX_STATE_TENSORS];
    clattn_bound bound[MAX_STATE_TENSORS];
    size_t num_bound;
} bound_states;

static clattn_states_address address_of(const clattn_view *view)
{
    return (clattn_states_address){view->offset, (cl_ulong)view->strides[0], (cl_ulong)view->strides[1],
                                   (cl_ulong)view->strides[2]};
}

/* One part of the states beside their output, float32. */
static clattn_status bind_part(clattn_context *ctx, const clattn_tensor *tensor, const char *name,
                               const int64_t shape[3], bound_states *bound, clattn_states_address *address,
                               cl_mem *buffer)
{
    clattn_view *view = &bound->views[bound->num_bound];
    CLATTN_TRY(clattn_bind_typed_tensor(ctx, tensor, name, CLATTN_FLOAT32, 3, shape, view));
    *address = address_of(view);
    *buffer = tensor->buffer;
    bound->bound[bound->num_bound++] = (clattn_bound){name, *buffer, view};
    return CLATTN_OK;
}

/* Either the log-sum-exps or maxima and denominators. */
static clattn_status choose_form(clattn_context *ctx, const merge_params *params, bool *by_lse)
{
    const clattn_operand lse = {"states_lse", &params->states_lse};
    const clattn_operand max = {"states_max", &params->states_max};
    const clattn_operand denominator = {"states_denominator", &params->states_denominator};
    clattn_state_kind kind;
    CLATTN_TRY(clattn_operands_choose_state(ctx, &lse, &max, &denominator, &kind));
    CLATTN_REQUIRE(&ctx->error, kind != CLATTN_STATE_NONE, CLATTN_INVALID_ARGUMENT,
                   "states_lse: its buffer is NULL, and so are those of states_max and states_denominator");
    *by_lse = kind == CLATTN_STATE_LSE;
    return CLATTN_OK;
}

static clattn_status bind_states(clattn_context *ctx, const merge_params *params, clattn_problem *problem,
                                 clattn_states *states, bound_states *bound)
{
    clattn_view *out = &bound->views[0];
    CLATTN_TRY(clattn_bind_open_tensor(ctx, &params->states_out, "states_out", 4, out));
    bound->bound[bound->num_bound++] = (clattn_bound){"states_out", params->states_out.buffer, out};
    problem->total_tokens = (int32_t)out->shape[1];
    problem->num_q_heads = (int32_t)out->shape[2];
    problem->num_kv_heads = problem->num_q_heads; /* each head merges for itself */
    problem->head_dim_v = (int32_t)out->shape[3];
    CLATTN_TRY(clattn_check_head_dim("head_dim_v", problem->head_dim_v, &ctx->error));
    CLATTN_TRY(clattn_check_heads(problem->num_q_heads, problem->num_kv_heads, &ctx->error));
    CLATTN_REQUIRE(&ctx->error, (int64_t)problem->total_tokens * problem->num_q_heads <= INT32_MAX,
                   CLATTN_SIZE_OVERFLOW, "%d tokens times %d heads are more than 2^31-1", (int)problem->total_tokens,
                   (int)problem->num_q_heads);

    const int32_t most_states = clattn_loops_merge_states(&ctx->facts, ctx->family, problem->head_dim_v);
    CLATTN_REQUIRE(&ctx->error, out->shape[0] <= most_states, CLATTN_UNSUPPORTED,
                   "states_out: %lld states, expected at most %d on this device, which ends loops after %u rounds",
                   (long long)out->shape[0], (int)most_states, (unsigned)ctx->facts.max_loop_iterations);

    states->dtype = out->dtype;
    states->acc = params->states_out.buffer;
    states->args = (clattn_merge_args){
        .acc = address_of(out), .num_states = (cl_int)out->shape[0], .num_rows = problem->total_tokens};
    CLATTN_TRY(choose_form(ctx, params, &states->by_lse));
    if (states->by_lse)
        return bind_part(ctx, &params->states_lse, "states_lse", out->shape, bound, &states->args.max, &states->max);
    CLATTN_TRY(bind_part(ctx, &params->states_max, "states_max", out->shape, bound, &states->args.max, &states->max));
    return bind_part(ctx, &params->states_denominator, "states_denominator", out->shape, bound, &states->args.sum,
                     &states->sum);
}

static clattn_status bind(clattn_context *ctx, const merge_params *params, clattn_problem *problem,
                          clattn_states *states, clattn_attention_buffers *buffers)
{
    const clattn_result_operands operands = {
        .out = {"out", &params->out},
        .lse = {"lse", &params->lse},
        .max = {"max", &params->max},
        .denominator = {"denominator", &params->denominator},
        .numerator = params->numerator,
        .mask_value = params->mask_value,
    };
    bound_states bound = {.num_bound = 0};
    clattn_view views[CLATTN_MAX_RESULTS];
    clattn_bound results[CLATTN_MAX_RESULTS];
    size_t num_results = 0;
    CLATTN_TRY(bind_states(ctx, params, problem, states, &bound));
    CLATTN_TRY(clattn_operands_bind_results(ctx, &operands, problem, buffers, views, results, &num_results));
    CLATTN_TRY(clattn_operands_check_apart(ctx, results, num_results, bound.bound, bound.num_bound));
    return clattn_problem_set_mask_value(problem, params->mask_value, &ctx->error);
}

clattn_status clattn_merge_states(clattn_context *ctx, const merge_params *params, cl_uint num_wait_events,
                                  const cl_event *wait_events, cl_event *event)
{
    const clattn_sync sync = {.num_wait_events = num_wait_events, .wait_events = wait_events, .event = event};
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    clattn_problem problem = {0};
    clattn_states states = {0};
    clattn_attention_buffers buffers = {0};
    CLATTN_TRY(bind(ctx, params, &problem, &states, &buffers));
    if (problem.total_tokens == 0)
        return clattn_sync_nothing(ctx, &sync);
    clattn_kernel_launch launch;
    CLATTN_TRY(clattn_merge_build(ctx, &problem, ctx->family, &states, &launch));
    return clattn_merge_enqueue(ctx, &problem, &states, &launch, &buffers, &sync);
}
