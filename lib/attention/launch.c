/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and order of a plan's kernels; see launch.h. */
#include "attention/launch.h"

#include "attention/merge.h"
#include "attention/variant.h"
#include "tuning/loops.h"
#include "tuning/rows.h"

/* The kernels of a plan that have something to do, in their order: at most one per phase and the merge behind them. */
typedef struct launch_list {
    clattn_kernel_launch launches[CLATTN_NUM_PHASES + 1];
    clattn_phase phases[CLATTN_NUM_PHASES];
    clattn_states partial; /* what the merge joins */
    int num_phases;
    bool merges;
} launch_list;

/* The partial states of split rows: [num_partial_rows, Hkv, head_dim_v], and pairs of maximum and sum. */
static clattn_states partial_states(const clattn_problem *problem, const clattn_plan *plan)
{
    const cl_ulong num_heads = (cl_ulong)problem->num_kv_heads;
    const cl_ulong width = (cl_ulong)problem->head_dim_v;
    return (clattn_states){
        .dtype = CLATTN_FLOAT32,
        .args = {.acc = {0, 0, num_heads * width, width},
                 .max = {0, 0, num_heads * 2, 2},
                 .sum = {1, 0, num_heads * 2, 2}},
        .acc = plan->partial_acc,
        .max = plan->partial_sums,
        .sum = plan->partial_sums,
        .plan = plan->metadata.buffer,
        .items_at = (cl_int)plan->sections.merge_items,
        .num_items = plan->counts.num_merge_items,
    };
}

/* The plain family's kernel for the items of any family's plan: it takes rows and keys as they come, unless the device
 * ends loops that are as long as they become. */
static clattn_status find_plain_kernel(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                       clattn_phase phase, clattn_kernel_launch *launch)
{
    const clattn_tile_request request = {.family = CLATTN_FAMILY_PLAIN,
                                         .head_dim = problem->head_dim,
                                         .head_dim_v = problem->head_dim_v,
                                         .group_size = problem->num_q_heads / problem->num_kv_heads,
                                         .num_kv_heads = problem->num_kv_heads};
    clattn_row row;
    clattn_row_default(&ctx->facts, &request, &row);
    row.tiles[phase].block_q = plan->row.tiles[phase].block_q;
    row.tiles[phase].block_kv = 1;
    const int32_t most_keys = clattn_loops_item_keys(&ctx->facts, &request, phase, &row.tiles[phase]);
    CLATTN_REQUIRE(&ctx->error, plan->counts.max_item_keys[phase] <= most_keys, CLATTN_KERNEL_REJECTED,
                   "a kernel is rejected, and the plain family's in its place can take %d keys of a work item's %d on "
                   "this device, which ends loops after %u rounds",
                   (int)most_keys, (int)plan->counts.max_item_keys[phase], (unsigned)ctx->facts.max_loop_iterations);
    const clattn_variant variant = clattn_variant_of_phase(problem, &row, phase);
    launch->num_groups = (size_t)plan->counts.num_items[phase] * (size_t)problem->num_kv_heads;
    launch->work_group_size = (size_t)row.tiles[phase].work_group_size;
    return clattn_program_store_kernel(ctx->programs, &variant, &launch->kernel, &ctx->error);
}

/* The kernel of the plan's family, or the plain one where that is rejected: which is no error, and leaves no sentence.
 */
static clattn_status find_phase_kernel(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                       clattn_phase phase, clattn_kernel_launch *launch)
{
    clattn_error error;
    const clattn_variant variant = clattn_variant_of_phase(problem, &plan->row, phase);
    const clattn_status status = clattn_program_store_kernel(ctx->programs, &variant, &launch->kernel, &error);
    if (status == CLATTN_KERNEL_REJECTED && plan->row.family != CLATTN_FAMILY_PLAIN)
        return find_plain_kernel(ctx, problem, plan, phase, launch);
    CLATTN_REQUIRE(&ctx->error, status == CLATTN_OK, status, "%s", error.text);
    launch->num_groups = (size_t)clattn_plan_num_groups(plan, phase);
    launch->work_group_size = (size_t)plan->row.tiles[phase].work_group_size;
    launch->local_bytes = plan->row.local_argument_bytes[phase];
    return CLATTN_OK;
}

static clattn_status build(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                           launch_list *list)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        if (plan->counts.num_items[phase] == 0)
            continue;
        clattn_kernel_launch *next = &list->launches[list->num_phases];
        list->phases[list->num_phases++] = (clattn_phase)phase;
        CLATTN_TRY(find_phase_kernel(ctx, problem, plan, (clattn_phase)phase, next));
    }
    list->merges = plan->counts.num_merge_items > 0;
    if (!list->merges)
        return CLATTN_OK;
    list->partial = partial_states(problem, plan);
    return clattn_merge_build(ctx, problem, plan->row.family, &list->partial, &list->launches[list->num_phases]);
}

clattn_status clattn_attention_launch(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                      const clattn_attention_buffers *buffers, const clattn_sync *sync)
{
    launch_list list = {.num_phases = 0};
    const int32_t max_sinks = plan->row.max_sinks;
    CLATTN_REQUIRE(&ctx->error, max_sinks == 0 || problem->sinks.num_per_row <= max_sinks, CLATTN_UNSUPPORTED,
                   "softmax_aux: %d sinks for a row, expected at most %d on this device, which ends loops after %u "
                   "rounds",
                   (int)problem->sinks.num_per_row, (int)max_sinks, (unsigned)ctx->facts.max_loop_iterations);
    CLATTN_TRY(build(ctx, problem, plan, &list));
    const int num_launches = list.num_phases + list.merges;
    if (num_launches == 0)
        return clattn_sync_nothing(ctx, sync);

    const clattn_plan_buffers plan_buffers = {plan->metadata.buffer, plan->partial_acc, plan->partial_sums};
    clattn_kernel_args args = clattn_kernel_args_of(problem);
    args.pages_at = (cl_int)plan->sections.pages;
    for (int i = 0; i < num_launches; ++i) {
        /* The queue is in-order: the first command waits for the list, the last one's event speaks for all. */
        const clattn_sync own = {
            .num_wait_events = i == 0 ? sync->num_wait_events : 0,
            .wait_events = i == 0 ? sync->wait_events : NULL,
            .event = i == num_launches - 1 ? sync->event : NULL,
        };
        if (i == list.num_phases) {
            CLATTN_TRY(clattn_merge_enqueue(ctx, problem, &list.partial, &list.launches[i], buffers, &own));
            continue;
        }
        args.items_at = (cl_int)plan->sections.items[list.phases[i]];
        CLATTN_TRY(clattn_kernel_enqueue_phase(ctx, &list.launches[i], buffers, &plan_buffers, &args, &own));
    }
    return CLATTN_OK;
}
