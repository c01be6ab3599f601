/* SPDX-License-Identifier: Apache-2.0 */
/* What of a problem an operation can honour. */
#include "bench/problem.h"

#include "common/message.h"

bench_batch bench_batch_of(const bench_problem *problem, const bench_workload *lengths)
{
    const tool_shape *shape = &problem->shape;
    return (bench_batch){
        .num_seqs = lengths->num_seqs,
        .q_lens = lengths->q_lens,
        .context_lens = lengths->context_lens,
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .sliding_window = shape->sliding_window,
        .query_element_bytes = clattn_dtype_size(problem->dtype),
        .out_element_bytes = clattn_dtype_size(problem->dtype),
        .kv_element_bytes = clattn_dtype_size(problem->kv_dtype),
    };
}

clattn_tuning_query_params bench_tuning_question(const bench_problem *problem, const bench_operation *operation)
{
    const tool_shape *shape = &problem->shape;
    const bench_workload *workload = problem->workload;
    clattn_tuning_query_params params = {
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .page_size = problem->page_size,
        .kv_layout = problem->layout,
        .dense = operation->dense,
        .kv_dtype = problem->kv_dtype,
        .num_seqs = workload ? workload->num_seqs : 0,
    };
    if (operation->dense) {
        params.kv_layout = CLATTN_KV_NHD;
        params.page_size = workload && workload->num_seqs > 0 ? bench_workload_longest(workload) : problem->page_size;
    }
    return params;
}

static bool check_layout(const bench_problem *problem, const bench_operations *operations)
{
    const bench_operation *separate = bench_operations_separate(operations);
    if (problem->layout != CLATTN_KV_COMBINED || !bench_operations_have_pages(operations))
        return true;
    if (separate)
        return tool_error("--layout combined: %s reads K and V from pages of their own", separate->name);
    return problem->shape.head_dim_v == problem->shape.head_dim ||
           tool_error("--layout combined: its pages hold K and V of one width, but --head-dim-v is not head_dim");
}

static bool check_operation(const bench_problem *problem, const bench_operation *operation)
{
    const tool_shape *shape = &problem->shape;
    const bench_workload *workload = problem->workload;
    if (!operation->window && shape->sliding_window > 0)
        return tool_error("%s has no window, but the problem has one of %d; --window 0 switches it off",
                          operation->name, (int)shape->sliding_window);
    if (!operation->soft_cap && shape->logits_soft_cap > 0.0f)
        return tool_error("%s has no soft cap, but the problem has one of %g; --soft-cap 0 switches it off",
                          operation->name, (double)shape->logits_soft_cap);
    if (!operation->sinks && shape->sinks)
        return tool_error("%s has no attention sinks, but --model %s has", operation->name, shape->name);
    for (int32_t seq = 0; operation->decode_only && seq < workload->num_seqs; seq++) {
        if (workload->q_lens[seq] != 1)
            return tool_error("--q-len %d: %s takes one new token for each sequence", (int)workload->q_lens[seq],
                              operation->name);
    }
    return true;
}

bool bench_problem_check(const bench_problem *problem, const bench_operations *operations)
{
    if (!check_layout(problem, operations))
        return false;
    for (int i = 0; i < operations->count; i++) {
        if (!check_operation(problem, operations->at[i]))
            return false;
    }
    return true;
}
