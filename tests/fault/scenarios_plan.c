/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: made, updated to a larger batch and again and again, reserved, destroyed. */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NUM_SLOTS = 64 };

static support_attention *create_batch(const fault_world *world, const int32_t *q_lens, const int32_t *context_lens,
                                       int32_t num_seqs)
{
    const support_attention_case description = {
        .seed = 13,
        .num_seqs = num_seqs,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 8,
        .page_size = 4,
        .num_splits = 3,
    };
    return support_attention_create(&world->device, &description);
}

static void open_batches(fault_world *world)
{
    static const int32_t q_lens[] = {1, 2};
    static const int32_t context_lens[] = {33, 17};
    static const int32_t more_q_lens[] = {1, 5, 40, 2};
    static const int32_t more_context_lens[] = {90, 35, 41, 77};
    fault_world_open(world);
    world->attention = create_batch(world, q_lens, context_lens, 2);
    world->larger = create_batch(world, more_q_lens, more_context_lens, 4);
    support_attention_run(world->attention, &world->device); /* builds the kernels */
    support_attention_run(world->larger, &world->device);
}

/* A batch's parameters with a slot mapping, whose check needs memory of its own. */
static clattn_plan_params params_of(const support_attention *batch)
{
    static int64_t slots[NUM_SLOTS];
    clattn_plan_params params = support_attention_plan_params(batch);
    assert_true(params.total_tokens <= NUM_SLOTS);
    for (int i = 0; i < NUM_SLOTS; i++)
        slots[i] = i;
    params.slot_mapping = slots;
    return params;
}

static void create_plan(fault_world *world)
{
    const clattn_plan_params params = params_of(world->attention);
    clattn_plan_destroy(&world->plan);
    fault_require_ok(world, clattn_plan_create(world->device.ctx, &params, &world->plan));
}

static clattn_status call_create(fault_world *world)
{
    const clattn_plan_params params = params_of(world->attention);
    return clattn_plan_create(world->device.ctx, &params, &world->plan);
}

static void run_batch(fault_world *world, support_attention *batch)
{
    support_attention_reset(batch, &world->device);
    fault_require_ok(world, support_attention_call(batch, &world->device, world->plan, 0, NULL, NULL));
    support_attention_read(batch, &world->device);
    support_attention_check(batch);
}

static void check_batch(fault_world *world)
{
    run_batch(world, world->attention);
}

static void check_larger(fault_world *world)
{
    run_batch(world, world->larger);
}

static void destroy_plan(fault_world *world)
{
    clattn_plan_destroy(&world->plan);
}

static clattn_status call_update(fault_world *world)
{
    const clattn_plan_params params = params_of(world->larger);
    return clattn_plan_update(world->plan, &params);
}

/* Both staging halves have been written from: the next update waits for one of them. */
static void update_twice(fault_world *world)
{
    const clattn_plan_params params = params_of(world->attention);
    for (int i = 0; i < 2; i++)
        fault_require_ok(world, clattn_plan_update(world->plan, &params));
}

static void open_updated(fault_world *world)
{
    open_batches(world);
    create_plan(world);
    for (int i = 0; i < 2; i++)
        fault_require_ok(world, call_update(world));
}

static clattn_status call_reserve(fault_world *world)
{
    return clattn_plan_reserve(world->plan, 8, 200, 400);
}

static clattn_status call_destroy(fault_world *world)
{
    clattn_plan_destroy(&world->plan);
    return CLATTN_OK;
}

static void check_destroyed(fault_world *world)
{
    assert_null(world->plan);
}

static void prepare_destroy(fault_world *world)
{
    create_plan(world);
    check_batch(world);
}

static const fault_scenario scenarios[] = {
    {.function = "clattn_plan_create",
     .variant = "splits and slots",
     .open = open_batches,
     .call = call_create,
     .check = check_batch,
     .undo = destroy_plan},
    {.function = "clattn_plan_update",
     .variant = "larger batch",
     .open = open_batches,
     .prepare = create_plan,
     .call = call_update,
     .check = check_larger},
    {.function = "clattn_plan_update",
     .variant = "behind two others",
     .tolerated = "clWaitForEvents",
     .open = open_updated,
     .prepare = update_twice,
     .call = call_update,
     .check = check_larger},
    {.function = "clattn_plan_reserve",
     .variant = "more of everything",
     .tolerated = "clWaitForEvents",
     .open = open_batches,
     .prepare = create_plan,
     .call = call_reserve,
     .check = check_batch},
    {.function = "clattn_plan_destroy",
     .variant = "used",
     .tolerated = "clWaitForEvents",
     .only_once = true,
     .open = open_batches,
     .prepare = prepare_destroy,
     .call = call_destroy,
     .check = check_destroyed},
};

fault_scenario_list fault_plan_scenarios(void)
{
    return FAULT_SCENARIO_LIST(scenarios);
}
