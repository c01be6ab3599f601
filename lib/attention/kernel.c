/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and enqueueing of the attention kernels; see kernel.h. */
#include "attention/kernel.h"

_Static_assert(sizeof(clattn_kernel_args) == 23 * 8 + 12 * 4, "the kernels' struct has no padding");

clattn_kernel_args clattn_kernel_args_of(const clattn_problem *problem)
{
    const float scale = problem->softmax_scale;
    const float cap = problem->logits_soft_cap;
    return (clattn_kernel_args){
        .q_offset = problem->q.offset,
        .q_token_stride = problem->q.token_stride,
        .q_head_stride = problem->q.head_stride,
        .k_offset = problem->k.offset,
        .k_page_stride = problem->k.page_stride,
        .k_slot_stride = problem->k.slot_stride,
        .k_head_stride = problem->k.head_stride,
        .v_offset = problem->v.offset,
        .v_page_stride = problem->v.page_stride,
        .v_slot_stride = problem->v.slot_stride,
        .v_head_stride = problem->v.head_stride,
        .out_offset = problem->out.offset,
        .out_token_stride = problem->out.token_stride,
        .out_head_stride = problem->out.head_stride,
        .state_offset = problem->state.offset,
        .state_token_stride = problem->state.token_stride,
        .state_head_stride = problem->state.head_stride,
        .denominator_offset = problem->denominator.offset,
        .denominator_token_stride = problem->denominator.token_stride,
        .denominator_head_stride = problem->denominator.head_stride,
        .sinks_offset = problem->sinks.offset,
        .sinks_q_head_stride = problem->sinks.q_head_stride,
        .sinks_kv_head_stride = problem->sinks.kv_head_stride,
        .num_kv_heads = problem->num_kv_heads,
        .group_size = problem->num_q_heads / problem->num_kv_heads,
        .page_size = problem->page_size,
        .window_left = problem->window_left,
        .window_right = problem->window_right,
        .num_sinks = problem->sinks.num_per_row,
        .dot_scale = cap > 0.0f ? scale / cap : scale,
        .soft_cap = cap,
        .mask_value = problem->mask_value,
    };
}

clattn_status clattn_kernel_enqueue(clattn_context *ctx, const clattn_kernel_launch *launch,
                                    const clattn_kernel_argument *arguments, size_t num_arguments,
                                    const clattn_sync *sync)
{
    for (size_t i = 0; i < num_arguments; ++i) {
        const cl_int result = clSetKernelArg(launch->kernel, (cl_uint)i, arguments[i].num_bytes, arguments[i].value);
        CLATTN_TRY(clattn_context_check_cl(ctx, result, "clSetKernelArg"));
    }
    const size_t global_size = launch->num_groups * launch->work_group_size;
    const cl_int result =
        clEnqueueNDRangeKernel(ctx->queue, launch->kernel, 1, NULL, &global_size, &launch->work_group_size,
                               sync->num_wait_events, sync->wait_events, sync->event);
    return clattn_context_check_cl(ctx, result, "clEnqueueNDRangeKernel");
}

clattn_status clattn_kernel_enqueue_phase(clattn_context *ctx, const clattn_kernel_launch *launch,
                                          const clattn_attention_buffers *buffers, const clattn_plan_buffers *plan,
                                          const clattn_kernel_args *args, const clattn_sync *sync)
{
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
        CLATTN_KERNEL_ARGUMENT(plan->metadata),
        CLATTN_KERNEL_ARGUMENT(*args),
        {launch->local_bytes, NULL},
    };
    const size_t num_arguments = sizeof arguments / sizeof *arguments - (launch->local_bytes == 0);
    return clattn_kernel_enqueue(ctx, launch, arguments, num_arguments, sync);
}
