/* SPDX-License-Identifier: Apache-2.0 */
/* Variant, grid and arguments of the merge kernel; see merge.h. */
#include "attention/merge.h"

#include "runtime/size.h"

#define WORK_GROUP_SIZE 64
#define ROWS_PER_ITEM 16 /* on a CPU, where a work-group costs more than a row */

_Static_assert(sizeof(clattn_merge_args) == 12 * 8 + 4 * 4, "the kernel's struct has no padding");

static size_t work_group_size_of(const clattn_context *ctx, clattn_family family)
{
    if (family == CLATTN_FAMILY_VECTOR)
        return 1;
    return ctx->facts.max_work_group_size < WORK_GROUP_SIZE ? ctx->facts.max_work_group_size : WORK_GROUP_SIZE;
}

clattn_status clattn_merge_build(clattn_context *ctx, const clattn_problem *problem, clattn_family family,
                                 clattn_states *states, clattn_kernel_launch *launch)
{
    launch->work_group_size = work_group_size_of(ctx, family);
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    clattn_kernel_define_results(&variant, problem);
    clattn_variant_define(&variant, "STATES_DTYPE", (int32_t)states->dtype);
    clattn_variant_define(&variant, "STATES_LSE", states->by_lse);
    clattn_variant_define(&variant, "PLANNED", states->plan != NULL);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", (int32_t)launch->work_group_size);
    CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &launch->kernel, &ctx->error));

    int64_t num_items = states->num_items;
    if (states->plan == NULL) {
        states->args.rows_per_item = launch->work_group_size == 1 ? ROWS_PER_ITEM : 1;
        num_items = clattn_ceil_div(states->args.num_rows, states->args.rows_per_item);
    }
    launch->num_groups = (size_t)num_items * (size_t)problem->num_kv_heads;
    return CLATTN_OK;
}

clattn_status clattn_merge_enqueue(clattn_context *ctx, const clattn_problem *problem, const clattn_states *states,
                                   const clattn_kernel_launch *launch, const clattn_attention_buffers *buffers,
                                   const clattn_sync *sync)
{
    clattn_kernel_args args = clattn_kernel_args_of(problem);
    args.items_at = states->items_at;
    const clattn_kernel_argument arguments[] = {
        CLATTN_KERNEL_ARGUMENT(buffers->out),
        CLATTN_KERNEL_ARGUMENT(buffers->state),
        CLATTN_KERNEL_ARGUMENT(buffers->denominator),
        CLATTN_KERNEL_ARGUMENT(buffers->sinks),
        CLATTN_KERNEL_ARGUMENT(states->acc),
        CLATTN_KERNEL_ARGUMENT(states->max),
        CLATTN_KERNEL_ARGUMENT(states->sum),
        CLATTN_KERNEL_ARGUMENT(states->plan),
        CLATTN_KERNEL_ARGUMENT(args),
        CLATTN_KERNEL_ARGUMENT(states->args),
    };
    return clattn_kernel_enqueue(ctx, launch, arguments, sizeof arguments / sizeof *arguments, sync);
}
