/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel variants, arguments and launches of the attention kernels; see launch.h. */
#include "attention/launch.h"

#define LOG2_E 1.4426950408889634
#define MERGE_WORK_GROUP_SIZE 64

/* attention_args of cl/common/plan.cl. */
typedef struct kernel_args {
    cl_ulong q_offset, q_token_stride, q_head_stride;
    cl_ulong k_offset, k_page_stride, k_slot_stride, k_head_stride;
    cl_ulong v_offset, v_page_stride, v_slot_stride, v_head_stride;
    cl_ulong out_offset, out_token_stride, out_head_stride;
    cl_ulong lse_offset, lse_token_stride, lse_head_stride;
    cl_ulong sinks_offset;
    cl_int seqs_at, items_at, pages_at;
    cl_int num_kv_heads, group_size, page_size;
    cl_int window_left, window_right;
    cl_float q_scale;
    cl_float cap_scale;
} kernel_args;

_Static_assert(sizeof(kernel_args) == 18 * 8 + 10 * 4, "the kernels' struct has no padding");

/* One kernel to enqueue. */
typedef struct kernel_launch {
    cl_kernel kernel;
    cl_int items_at;
    size_t num_groups;
    size_t work_group_size;
    size_t local_bytes; /* of the kernel's local argument, 0 = it has none */
} kernel_launch;

static void define_common(clattn_variant *variant, const clattn_problem *problem)
{
    clattn_variant_define(variant, "HEAD_DIM_V", problem->head_dim_v);
    clattn_variant_define(variant, "OUT_DTYPE", (int32_t)problem->out_dtype);
    clattn_variant_define(variant, "SINKS", problem->has_sinks);
    clattn_variant_define(variant, "LSE", problem->has_lse);
}

static clattn_variant phase_variant(const clattn_problem *problem, const clattn_row *row, clattn_phase phase)
{
    static const clattn_program_id programs[CLATTN_NUM_FAMILIES][CLATTN_NUM_PHASES] = {
        [CLATTN_FAMILY_VECTOR] = {CLATTN_PROGRAM_VECTOR_DECODE, CLATTN_PROGRAM_VECTOR_PREFILL},
        [CLATTN_FAMILY_SIMT] = {CLATTN_PROGRAM_SIMT_DECODE, CLATTN_PROGRAM_SIMT_PREFILL},
    };
    const clattn_tile *tile = &row->tiles[phase];
    clattn_variant variant = {.program = programs[row->family][phase]};
    define_common(&variant, problem);
    clattn_variant_define(&variant, "HEAD_DIM", problem->head_dim);
    clattn_variant_define(&variant, "Q_DTYPE", (int32_t)problem->q_dtype);
    clattn_variant_define(&variant, "K_DTYPE", (int32_t)problem->k_dtype);
    clattn_variant_define(&variant, "V_DTYPE", (int32_t)problem->v_dtype);
    clattn_variant_define(&variant, "SOFT_CAP", problem->logits_soft_cap > 0.0f);
    clattn_variant_define(&variant, "BLOCK_Q", tile->block_q);
    clattn_variant_define(&variant, "BLOCK_KV", tile->block_kv);
    if (row->family == CLATTN_FAMILY_VECTOR) {
        clattn_variant_define(&variant, "LANES", tile->lanes);
        if (phase == CLATTN_PHASE_DECODE)
            clattn_variant_define(&variant, "HEADS", tile->heads);
    } else {
        clattn_variant_define(&variant, "WORK_GROUP_SIZE", tile->work_group_size);
    }
    return variant;
}

static clattn_variant merge_variant(const clattn_problem *problem, size_t work_group_size)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    define_common(&variant, problem);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", (int32_t)work_group_size);
    return variant;
}

static size_t merge_work_group_size(const clattn_context *ctx, clattn_family family)
{
    if (family == CLATTN_FAMILY_VECTOR)
        return 1;
    return ctx->facts.max_work_group_size < MERGE_WORK_GROUP_SIZE ? ctx->facts.max_work_group_size
                                                                  : MERGE_WORK_GROUP_SIZE;
}

static kernel_args make_args(const clattn_problem *problem, const clattn_plan *plan)
{
    /* Scores are kept in units of log2, where the exponential is one instruction on most devices. */
    const double scale = (double)problem->softmax_scale;
    const double cap = (double)problem->logits_soft_cap;
    return (kernel_args){
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
        .lse_offset = problem->lse.offset,
        .lse_token_stride = problem->lse.token_stride,
        .lse_head_stride = problem->lse.head_stride,
        .sinks_offset = problem->sinks_offset,
        .seqs_at = 0,
        .pages_at = (cl_int)plan->sections.pages,
        .num_kv_heads = problem->num_kv_heads,
        .group_size = problem->num_q_heads / problem->num_kv_heads,
        .page_size = problem->page_size,
        .window_left = problem->window_left,
        .window_right = problem->window_right,
        .q_scale = (cl_float)(cap > 0.0 ? scale / cap : scale * LOG2_E),
        .cap_scale = (cl_float)(cap * LOG2_E),
    };
}

/* Sets arguments from `first` on; all buffers may be NULL, for what the variant does not use. */
static cl_int set_buffers(cl_kernel kernel, cl_uint *argument, const cl_mem *buffers, int num_buffers)
{
    for (int i = 0; i < num_buffers; ++i) {
        const cl_int result = clSetKernelArg(kernel, (*argument)++, sizeof(cl_mem), &buffers[i]);
        if (result != CL_SUCCESS)
            return result;
    }
    return CL_SUCCESS;
}

static clattn_status enqueue(clattn_context *ctx, const kernel_launch *launch, const cl_mem *buffers, int num_buffers,
                             kernel_args *args, const clattn_sync *sync)
{
    cl_uint argument = 0;
    args->items_at = launch->items_at;
    cl_int result = set_buffers(launch->kernel, &argument, buffers, num_buffers);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(launch->kernel, argument++, sizeof *args, args);
    if (result == CL_SUCCESS && launch->local_bytes > 0)
        result = clSetKernelArg(launch->kernel, argument, launch->local_bytes, NULL);
    CLATTN_TRY(clattn_context_check_cl(ctx, result, "clSetKernelArg"));
    const size_t global_size = launch->num_groups * launch->work_group_size;
    result = clEnqueueNDRangeKernel(ctx->queue, launch->kernel, 1, NULL, &global_size, &launch->work_group_size,
                                    sync->num_wait_events, sync->wait_events, sync->event);
    return clattn_context_check_cl(ctx, result, "clEnqueueNDRangeKernel");
}

/* The kernels that have something to do, built: at most one per phase and the merge behind them. */
static clattn_status prepare(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                             kernel_launch *launches, int *num_launches)
{
    *num_launches = 0;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        if (plan->counts.num_items[phase] == 0)
            continue;
        kernel_launch *next = &launches[(*num_launches)++];
        const clattn_variant variant = phase_variant(problem, &plan->row, (clattn_phase)phase);
        CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &next->kernel, &ctx->error));
        next->items_at = (cl_int)plan->sections.items[phase];
        next->num_groups = (size_t)clattn_plan_num_groups(plan, (clattn_phase)phase);
        next->work_group_size = (size_t)plan->row.tiles[phase].work_group_size;
        next->local_bytes = plan->row.local_argument_bytes[phase];
    }
    if (plan->counts.num_merge_items > 0) {
        kernel_launch *next = &launches[(*num_launches)++];
        next->work_group_size = merge_work_group_size(ctx, plan->row.family);
        next->local_bytes = 0;
        const clattn_variant variant = merge_variant(problem, next->work_group_size);
        CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &next->kernel, &ctx->error));
        next->items_at = (cl_int)plan->sections.merge_items;
        next->num_groups = (size_t)plan->counts.num_merge_items * (size_t)problem->num_kv_heads;
    }
    return CLATTN_OK;
}

clattn_status clattn_attention_launch(clattn_context *ctx, const clattn_problem *problem, const clattn_plan *plan,
                                      const clattn_attention_buffers *buffers, const clattn_sync *sync)
{
    kernel_launch launches[CLATTN_NUM_PHASES + 1];
    int num_launches = 0;
    CLATTN_TRY(prepare(ctx, problem, plan, launches, &num_launches));
    if (num_launches == 0)
        return clattn_sync_nothing(ctx, sync);

    const cl_mem attention[] = {buffers->q,        buffers->k,          buffers->v,
                                buffers->out,      buffers->lse,        buffers->sinks,
                                plan->partial_acc, plan->partial_state, plan->metadata.buffer};
    const cl_mem merge[] = {buffers->out,      buffers->lse,        buffers->sinks,
                            plan->partial_acc, plan->partial_state, plan->metadata.buffer};
    kernel_args args = make_args(problem, plan);
    for (int i = 0; i < num_launches; ++i) {
        /* The queue is in-order: the first command waits for the list, the last one's event speaks for all. */
        const clattn_sync own = {
            .num_wait_events = i == 0 ? sync->num_wait_events : 0,
            .wait_events = i == 0 ? sync->wait_events : NULL,
            .event = i == num_launches - 1 ? sync->event : NULL,
        };
        const bool is_merge = plan->counts.num_merge_items > 0 && i == num_launches - 1;
        if (is_merge)
            CLATTN_TRY(enqueue(ctx, &launches[i], merge, (int)(sizeof merge / sizeof *merge), &args, &own));
        else
            CLATTN_TRY(enqueue(ctx, &launches[i], attention, (int)(sizeof attention / sizeof *attention), &args, &own));
    }
    return CLATTN_OK;
}
