/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and order of a plan's kernels; see launch.h. */
#include "attention/launch.h"

#include "attention/merge.h"
#include "attention/variant.h"

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

static clattn_status build(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                           launch_list *list)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        if (plan->counts.num_items[phase] == 0)
            continue;
        clattn_kernel_launch *next = &list->launches[list->num_phases];
        list->phases[list->num_phases++] = (clattn_phase)phase;
        const clattn_variant variant = clattn_variant_of_phase(problem, &plan->row, (clattn_phase)phase);
        CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &next->kernel, &ctx->error));
        next->num_groups = (size_t)clattn_plan_num_groups(plan, (clattn_phase)phase);
        next->work_group_size = (size_t)plan->row.tiles[phase].work_group_size;
    }
    list->merges = plan->counts.num_merge_items > 0;
    if (!list->merges)
        return CLATTN_OK;
    list->partial = partial_states(problem, plan);
    return clattn_merge_build(ctx, problem, plan->row.family, &list->partial, &list->launches[list->num_phases]);
}

static clattn_status enqueue_phase(clattn_context *ctx, const clattn_plan *plan, clattn_phase phase,
                                   const clattn_kernel_launch *launch, const clattn_attention_buffers *buffers,
                                   clattn_kernel_args *args, const clattn_sync *sync)
{
    args->items_at = (cl_int)plan->sections.items[phase];
    const clattn_kernel_argument arguments[] = {
        CLATTN_KERNEL_ARGUMENT(buffers->q),
        CLATTN_KERNEL_ARGUMENT(buffers->k),
        CLATTN_KERNEL_ARGUMENT(buffers->v),
        CLATTN_KERNEL_ARGUMENT(buffers->out),
        CLATTN_KERNEL_ARGUMENT(buffers->state),
        CLATTN_KERNEL_ARGUMENT(buffers->denominator),
        CLATTN_KERNEL_ARGUMENT(buffers->sinks),
        CLATTN_KERNEL_ARGUMENT(plan->partial_acc),
        CLATTN_KERNEL_ARGUMENT(plan->partial_sums),
        CLATTN_KERNEL_ARGUMENT(plan->metadata.buffer),
        CLATTN_KERNEL_ARGUMENT(*args),
        {plan->row.local_argument_bytes[phase], NULL},
    };
    const size_t num_arguments = sizeof arguments / sizeof *arguments - (plan->row.local_argument_bytes[phase] == 0);
    return clattn_kernel_enqueue(ctx, launch, arguments, num_arguments, sync);
}

clattn_status clattn_attention_launch(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                      const clattn_attention_buffers *buffers, const clattn_sync *sync)
{
    launch_list list = {.num_phases = 0};
    CLATTN_TRY(build(ctx, problem, plan, &list));
    const int num_launches = list.num_phases + list.merges;
    if (num_launches == 0)
        return clattn_sync_nothing(ctx, sync);

    clattn_kernel_args args = clattn_kernel_args_of(problem);
    args.pages_at = (cl_int)plan->sections.pages;
    for (int i = 0; i < num_launches; ++i) {
        /* The queue is in-order: the first command waits for the list, the last one's event speaks for all. */
        const clattn_sync own = {
            .num_wait_events = i == 0 ? sync->num_wait_events : 0,
            .wait_events = i == 0 ? sync->wait_events : NULL,
            .event = i == num_launches - 1 ? sync->event : NULL,
        };
        if (i < list.num_phases)
            CLATTN_TRY(enqueue_phase(ctx, plan, list.phases[i], &list.launches[i], buffers, &args, &own));
        else
            CLATTN_TRY(clattn_merge_enqueue(ctx, problem, &list.partial, &list.launches[i], buffers, &own));
    }
    return CLATTN_OK;
}
