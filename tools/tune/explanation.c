/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out what an explanation tells; how it is written is explanation_text.c's. */
#include "tune/explanation.h"

#include "bench/call.h"
#include "common/message.h"

#include <stdio.h>

#define NUM_WARMUPS 2 /* the first one builds */

/* A clattn_program_visitor over a tune_explanation. */
static void note_kernel(void *user, const clattn_program_info *info)
{
    tune_explanation *explanation = user;
    if (explanation->num_kernels == TUNE_MAX_KERNELS)
        return;
    tune_kernel *kernel = &explanation->kernels[explanation->num_kernels++];
    *kernel = (tune_kernel){
        .is_loaded = info->is_loaded,
        .local_memory_bytes = info->local_memory_bytes,
        .private_memory_bytes = info->private_memory_bytes,
        .max_work_group_size = info->max_work_group_size,
        .preferred_multiple = info->preferred_multiple,
    };
    snprintf(kernel->program, sizeof kernel->program, "%s", info->program);
}

/* Builds the kernels; local arguments count once a call has set them. */
static bool look_at_kernels(tune_explanation *explanation, clattn_context *ctx, bench_call *call)
{
    return bench_call_enqueue(call) && tool_check_cl(clFinish(clattn_context_cl_queue(ctx)), "clFinish") &&
           tool_check(ctx, clattn_context_visit_programs(ctx, note_kernel, explanation),
                      "clattn_context_visit_programs");
}

static bool time_call(tune_explanation *explanation, clattn_context *ctx, bench_call *call, int runs)
{
    bench_probes probes;
    tool_progress("building the probes");
    if (!bench_probes_init(&probes, ctx))
        return false;
    explanation->subject = (bench_subject){.enqueue = bench_call_enqueue, .user = call, .num_warmups = NUM_WARMUPS};
    const bool good = bench_measure(&probes, &explanation->subject, 1, runs, &explanation->measurement);
    bench_probes_finish(&probes);
    explanation->rating = bench_rate(explanation->flops, explanation->bytes, explanation->subject.median_s,
                                     explanation->measurement.peak_gflops, explanation->measurement.read_gbytes_per_s);
    return good;
}

static bool explain_call(tune_explanation *explanation, clattn_context *ctx, const bench_operands *operands, int runs)
{
    bench_call call;
    if (!bench_call_init(&call, operands, explanation->operation, BENCH_ALL_PHASES, NULL))
        return false;
    explanation->plan = call.plan_info;
    explanation->flops = bench_count_flops(&call.batch);
    explanation->bytes = bench_count_bytes(&call.batch);
    const bool good = look_at_kernels(explanation, ctx, &call) && time_call(explanation, ctx, &call, runs);
    bench_call_finish(&call);
    return good;
}

bool tune_explanation_make(tune_explanation *explanation, clattn_context *ctx, const bench_problem *problem,
                           const bench_operation *operation, int runs)
{
    *explanation = (tune_explanation){.problem = problem, .operation = operation};
    const clattn_tuning_query_params question = bench_tuning_question(problem, operation);
    if (clattn_context_tuning_query(ctx, &question, &explanation->answer) != CLATTN_OK)
        return true;
    const bench_operations operations = {.count = 1, .at = {operation}};
    bench_operands operands;
    tool_progress("filling the KV cache on %s", clattn_context_device(ctx)->name);
    if (!bench_operands_init(&operands, ctx, problem, &operations))
        return false;
    const bool good = explain_call(explanation, ctx, &operands, runs);
    bench_operands_finish(&operands);
    return good;
}
