/* SPDX-License-Identifier: Apache-2.0 */
/* Problems in words. */
#include "bench/describe.h"

static void print_lengths(const char *name, const int32_t *lengths, int32_t count, FILE *file)
{
    int32_t least = lengths[0];
    int32_t most = lengths[0];
    for (int32_t i = 1; i < count; i++) {
        least = lengths[i] < least ? lengths[i] : least;
        most = lengths[i] > most ? lengths[i] : most;
    }
    fprintf(file, ", %s %d", name, (int)least);
    if (most > least)
        fprintf(file, " to %d", (int)most);
}

void bench_describe_model(const bench_problem *problem, FILE *file)
{
    const tool_shape *shape = &problem->shape;
    fprintf(file, "  model      ");
    if (shape->name)
        fprintf(file, "%s, %s layers: ", shape->name, problem->layer);
    fprintf(file, "%d query heads, %d kv heads, head_dim %d", (int)shape->num_q_heads, (int)shape->num_kv_heads,
            (int)shape->head_dim);
    if (shape->head_dim_v != shape->head_dim)
        fprintf(file, ", head_dim_v %d", (int)shape->head_dim_v);
    if (shape->sliding_window > 0)
        fprintf(file, ", window %d", (int)shape->sliding_window);
    if (shape->logits_soft_cap > 0.0f)
        fprintf(file, ", soft cap %g", (double)shape->logits_soft_cap);
    fprintf(file, "%s\n", shape->sinks ? ", sinks" : "");
}

void bench_describe_batch(const bench_workload *workload, FILE *file)
{
    fprintf(file, "  batch      ");
    if (workload->name)
        fprintf(file, "%s: ", workload->name);
    fprintf(file, "%d sequence%s", (int)workload->num_seqs, workload->num_seqs == 1 ? "" : "s");
    print_lengths("new tokens", workload->q_lens, workload->num_seqs, file);
    print_lengths("context", workload->context_lens, workload->num_seqs, file);
}

void bench_describe_storage(const bench_problem *problem, const bench_operation *operation, FILE *file)
{
    const clattn_dtype out_dtype = operation->statistics ? CLATTN_FLOAT32 : problem->dtype;
    fprintf(file, "  storage    queries %s, out %s, K and V %s in ", clattn_dtype_name(problem->dtype),
            clattn_dtype_name(out_dtype), clattn_dtype_name(problem->kv_dtype));
    if (operation->dense)
        fprintf(file, "a dense cache of %d\n", (int)bench_workload_longest(problem->workload));
    else
        fprintf(file, "%s pages of %d\n", clattn_kv_layout_name(problem->layout), (int)problem->page_size);
}
