/* SPDX-License-Identifier: Apache-2.0 */
/* Grid and arguments of the merge kernel; see merge.h. */
#include "attention/merge.h"

#include "attention/variant.h"
#include "runtime/size.h"
#include "tuning/rows.h"

#define ROWS_PER_ITEM 16 /* on a CPU, where a work-group costs more than a row */

_Static_assert(sizeof(clattn_merge_args) == 12 * 8 + 4 * 4, "the kernel's struct has no padding");

clattn_status clattn_merge_build(clattn_context *ctx, const clattn_problem *problem, clattn_family family,
                                 clattn_states *states, clattn_kernel_launch *launch)
{
    const uint32_t work_group_size = clattn_row_wise_work_group_size(&ctx->facts, family);
    const clattn_merge_kind kind = {states->dtype, states->by_lse, states->plan != NULL};
    const clattn_variant variant = clattn_variant_of_merge(problem, &kind, work_group_size);
    launch->work_group_size = work_group_size;
    CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &launch->kernel, &ctx->error));

    int64_t num_items = states->num_items;
    if (states->plan == NULL) {
        states->args.rows_per_item =
            launch->work_group_size == 1 && ctx->facts.max_loop_iterations == 0 ? ROWS_PER_ITEM : 1;
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
