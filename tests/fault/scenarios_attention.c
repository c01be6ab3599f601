/* SPDX-License-Identifier: Apache-2.0 */
/* The operations: each without a plan and with one, rows split and merged; first uses, and calls with nothing to do. */
#include "scenario.h"

#include "runtime/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Rows for both phases and for nobody, cut so that they are merged. */
static support_attention_case case_of(support_operation operation)
{
    static const int32_t q_lens[] = {1, 70};
    static const int32_t context_lens[] = {37, 75};
    const bool ragged = operation == SUPPORT_RAGGED_PAGE;
    const bool dense = operation == SUPPORT_RAGGED_DECODE || operation == SUPPORT_RAGGED;
    return (support_attention_case){
        .operation = operation,
        .seed = 11,
        .num_seqs = 2,
        .q_lens = ragged ? q_lens : NULL,
        .context_lens = context_lens,
        .seq_len = dense ? 80 : 0,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 8,
        .page_size = dense ? 0 : 4,
        .kv_layout = operation == SUPPORT_PAGE ? CLATTN_KV_NHD : CLATTN_KV_COMBINED,
        .lse = operation != SUPPORT_RAGGED,
        .num_splits = 2,
        .tail_rows = ragged ? 2 : 0,
    };
}

static void open_unused(fault_world *world, support_operation operation)
{
    const support_attention_case description = case_of(operation);
    fault_world_open(world);
    world->attention = support_attention_create(&world->device, &description);
}

/* With all kernels built. */
static void open_used(fault_world *world, support_operation operation)
{
    open_unused(world, operation);
    support_attention_run(world->attention, &world->device);
}

static void open_planned(fault_world *world, support_operation operation)
{
    open_used(world, operation);
    const clattn_plan_params params = support_attention_plan_params(world->attention);
    fault_require_ok(world, clattn_plan_create(world->device.ctx, &params, &world->plan));
}

#define OPEN(name, operation)                                                                                          \
    static void open_##name(fault_world *world)                                                                        \
    {                                                                                                                  \
        open_used(world, operation);                                                                                   \
    }                                                                                                                  \
    static void open_planned_##name(fault_world *world)                                                                \
    {                                                                                                                  \
        open_planned(world, operation);                                                                                \
    }

OPEN(ragged_page, SUPPORT_RAGGED_PAGE)
OPEN(page, SUPPORT_PAGE)
OPEN(ragged_decode, SUPPORT_RAGGED_DECODE)
OPEN(ragged, SUPPORT_RAGGED)

/* Two kernels: the second one's failure finds the first one built. */
static void open_first(fault_world *world)
{
    open_unused(world, SUPPORT_PAGE);
}

static void reset(fault_world *world)
{
    support_attention_reset(world->attention, &world->device);
}

/* The kernels stay, the plan of calls without one goes. */
static void forget_plan(fault_world *world)
{
    clattn_context *ctx = world->device.ctx;
    ctx->destroy_call_plan(&ctx->call_plan);
    reset(world);
}

static void forget_kernels(fault_world *world)
{
    fault_world_renew_context(world, "");
    reset(world);
}

static clattn_status call(fault_world *world)
{
    return support_attention_call(world->attention, &world->device, world->plan, 0, NULL, &world->event);
}

static void check(fault_world *world)
{
    assert_non_null(world->event);
    support_attention_read(world->attention, &world->device);
    support_attention_check(world->attention);
}

static void release_event(fault_world *world)
{
    clReleaseEvent(world->event);
    world->event = NULL;
}

static void open_no_tokens(fault_world *world)
{
    open_used(world, SUPPORT_RAGGED_PAGE);
}

static clattn_status call_no_tokens(fault_world *world)
{
    clattn_ragged_page_attention_params params = support_attention_ragged_page_params(world->attention, NULL);
    params.num_seqs = 0;
    params.queries.shape[0] = 0;
    params.out.shape[0] = 0;
    params.lse.shape[0] = 0;
    return clattn_ragged_page_attention(world->device.ctx, &params, 0, NULL, &world->event);
}

static void check_event(fault_world *world)
{
    assert_non_null(world->event);
    support_require_cl(clWaitForEvents(1, &world->event), "clWaitForEvents");
}

static void open_merge(fault_world *world)
{
    const merge_case description = {
        .seed = 5, .num_states = 3, .num_tokens = 3, .num_heads = 2, .width = 8, .result = MERGE_LSE};
    fault_world_open(world);
    world->merge = merge_problem_create(&description);
    merge_run(world->merge, &world->device);
}

static void reset_merge(fault_world *world)
{
    support_image_fill_canary(&world->merge->out);
    support_image_fill_canary(&world->merge->lse);
    support_image_upload(&world->merge->out, &world->device);
    support_image_upload(&world->merge->lse, &world->device);
}

static clattn_status call_merge(fault_world *world)
{
    const clattn_merge_states_params params = merge_params_of(world->merge);
    return clattn_merge_states(world->device.ctx, &params, 0, NULL, &world->event);
}

static clattn_status call_merge_no_tokens(fault_world *world)
{
    clattn_merge_states_params params = merge_params_of(world->merge);
    params.states_out.shape[1] = 0;
    params.states_lse.shape[1] = 0;
    params.out.shape[0] = 0;
    params.lse.shape[0] = 0;
    return clattn_merge_states(world->device.ctx, &params, 0, NULL, &world->event);
}

static void check_merge(fault_world *world)
{
    assert_non_null(world->event);
    support_image_download(&world->merge->out, &world->device);
    support_image_download(&world->merge->lse, &world->device);
    merge_check(world->merge, world->merge);
}

#define OPERATION(name, text, may_fail, opened)                                                                        \
    {                                                                                                                  \
        .function = #name, .variant = text, .tolerated = may_fail, .open = opened, .prepare = reset, .call = call,     \
        .check = check, .undo = release_event                                                                          \
    }

/* The context's own plan waits for the update before the last. */
#define UNPLANNED(name, opened) OPERATION(name, "no plan", "clWaitForEvents", opened)
#define PLANNED(name, opened) OPERATION(name, "planned", NULL, opened)

static const fault_scenario scenarios[] = {
    UNPLANNED(clattn_ragged_page_attention, open_ragged_page),
    PLANNED(clattn_ragged_page_attention, open_planned_ragged_page),
    UNPLANNED(clattn_page_attention, open_page),
    PLANNED(clattn_page_attention, open_planned_page),
    UNPLANNED(clattn_ragged_decode_attention, open_ragged_decode),
    PLANNED(clattn_ragged_decode_attention, open_planned_ragged_decode),
    UNPLANNED(clattn_ragged_attention, open_ragged),
    PLANNED(clattn_ragged_attention, open_planned_ragged),
    {.function = "clattn_ragged_page_attention",
     .variant = "first without plan",
     .open = open_ragged_page,
     .prepare = forget_plan,
     .call = call,
     .check = check,
     .undo = release_event},
    {.function = "clattn_page_attention",
     .variant = "first use of its kernels",
     .only_once = true,
     .open = open_first,
     .prepare = forget_kernels,
     .call = call,
     .check = check,
     .undo = release_event},
    {.function = "clattn_ragged_page_attention",
     .variant = "no tokens",
     .tolerated = "clWaitForEvents",
     .open = open_no_tokens,
     .call = call_no_tokens,
     .check = check_event,
     .undo = release_event},
    {.function = "clattn_merge_states",
     .variant = "lse",
     .open = open_merge,
     .prepare = reset_merge,
     .call = call_merge,
     .check = check_merge,
     .undo = release_event},
    {.function = "clattn_merge_states",
     .variant = "no tokens",
     .open = open_merge,
     .call = call_merge_no_tokens,
     .check = check_event,
     .undo = release_event},
};

fault_scenario_list fault_attention_scenarios(void)
{
    return FAULT_SCENARIO_LIST(scenarios);
}
