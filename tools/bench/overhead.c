/* SPDX-License-Identifier: Apache-2.0 */
/* The timed loop and the empty kernels beside it; their source is bare.cl. */
#include "bench/overhead.h"

#include "bench/clock.h"
#include "bench/program.h"
#include "bench/statistics.h"
#include "common/message.h"

#include <stdlib.h>

#define NUM_WARMUPS 100
#define NUM_BUFFER_ARGUMENTS 10
#define NUM_BUFFERS 5 /* the others are NULL, as in a call without statistics, sinks and splits */
#define BUFFER_BYTES 4096
#define LOCAL_BYTES 4096

extern const char clattn_bench_bare[];

/* bare_args of bare.cl. */
typedef struct bare_args {
    cl_ulong offsets[23];
    cl_int numbers[12];
} bare_args;

/* The empty kernel, launched num_kernels times in the place of an operation. */
typedef struct bare {
    cl_command_queue queue;
    cl_kernel kernel;
    cl_mem buffers[NUM_BUFFER_ARGUMENTS];
    int num_kernels;
    bool has_local_argument;
} bare;

static void bare_finish(bare *empty)
{
    for (int i = 0; i < NUM_BUFFER_ARGUMENTS; i++) {
        if (empty->buffers[i])
            clReleaseMemObject(empty->buffers[i]);
    }
    if (empty->kernel)
        clReleaseKernel(empty->kernel);
    *empty = (bare){0};
}

static bool bare_init(bare *empty, const bench_call *call)
{
    static const int used[NUM_BUFFERS] = {0, 1, 2, 3, 9}; /* q, k, v, out, plan */
    const clattn_context *ctx = call->operands->ctx;
    const clattn_plan_info *plan = &call->plan_info;
    *empty = (bare){
        .queue = clattn_context_cl_queue(ctx),
        .num_kernels = (plan->num_decode_items > 0) + (plan->num_prefill_items > 0) + (plan->num_merge_items > 0),
        .has_local_argument = plan->family == CLATTN_FAMILY_VECTOR,
    };
    bool good = bench_build_kernel(ctx, clattn_bench_bare,
                                   empty->has_local_argument ? "-DLOCAL_ARGUMENT=1" : "-DLOCAL_ARGUMENT=0",
                                   "clattn_bench_bare", &empty->kernel);
    for (int i = 0; good && i < NUM_BUFFERS; i++) {
        cl_int result = CL_SUCCESS;
        empty->buffers[used[i]] =
            clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_WRITE, BUFFER_BYTES, NULL, &result);
        good = tool_check_cl(result, "clCreateBuffer");
    }
    if (!good)
        bare_finish(empty);
    return good;
}

static cl_int bare_launch(const bare *empty)
{
    static const bare_args args = {0};
    static const size_t size = 1;
    cl_int result = CL_SUCCESS;
    cl_uint argument = 0;
    while (result == CL_SUCCESS && argument < NUM_BUFFER_ARGUMENTS) {
        result = clSetKernelArg(empty->kernel, argument, sizeof(cl_mem), &empty->buffers[argument]);
        argument++;
    }
    if (result == CL_SUCCESS)
        result = clSetKernelArg(empty->kernel, argument++, sizeof args, &args);
    if (result == CL_SUCCESS && empty->has_local_argument)
        result = clSetKernelArg(empty->kernel, argument, LOCAL_BYTES, NULL);
    if (result == CL_SUCCESS)
        result = clEnqueueNDRangeKernel(empty->queue, empty->kernel, 1, NULL, &size, &size, 0, NULL, NULL);
    return result;
}

/* Times one bare launch in the place of one operation. */
static bool time_bare(const bare *empty, double *seconds)
{
    cl_int result = CL_SUCCESS;
    const double start = bench_now();
    for (int i = 0; result == CL_SUCCESS && i < empty->num_kernels; i++)
        result = bare_launch(empty);
    *seconds = bench_now() - start;
    return tool_check_cl(result, "the bare launch") && tool_check_cl(clFinish(empty->queue), "clFinish");
}

static bool time_call(const bare *empty, bench_call *call, double *seconds)
{
    const double start = bench_now();
    const bool good = bench_call_enqueue(call);
    *seconds = bench_now() - start;
    return good && tool_check_cl(clFinish(empty->queue), "clFinish");
}

/* Every other time the bare launch goes first: neither is always the one behind the other. */
static bool time_pair(const bare *empty, bench_call *call, int index, double *call_seconds, double *bare_seconds)
{
    if (index % 2 == 0)
        return time_call(empty, call, call_seconds) && time_bare(empty, bare_seconds);
    return time_bare(empty, bare_seconds) && time_call(empty, call, call_seconds);
}

static bool run_pairs(const bare *empty, bench_call *call, int num_calls, double *call_samples, double *bare_samples)
{
    double untimed = 0.0;
    for (int i = 0; i < NUM_WARMUPS; i++) {
        if (!time_pair(empty, call, i, &untimed, &untimed))
            return false;
    }
    for (int i = 0; i < num_calls; i++) {
        if (!time_pair(empty, call, i, &call_samples[i], &bare_samples[i]))
            return false;
    }
    return true;
}

/*
 * The differences within pairs: on a busy machine a launch takes one of two times, with and without waking a worker,
 * and the difference of two such medians jumps where the median of the differences stands still.
 */
static void summarise(double *call_samples, double *bare_samples, double *differences, bench_overhead *overhead)
{
    const size_t count = (size_t)overhead->num_calls;
    for (size_t i = 0; i < count; i++)
        differences[i] = call_samples[i] - bare_samples[i];
    const bench_quartiles calls = bench_quartiles_of(call_samples, count);
    const bench_quartiles bares = bench_quartiles_of(bare_samples, count);
    overhead->call_s = calls.median;
    overhead->call_spread = bench_spread(&calls);
    overhead->bare_s = bares.median;
    overhead->bare_spread = bench_spread(&bares);
    overhead->overhead_s = bench_quartiles_of(differences, count).median;
}

bool bench_overhead_measure(bench_call *call, int num_calls, bench_overhead *overhead)
{
    bare empty;
    if (!bare_init(&empty, call))
        return false;
    *overhead = (bench_overhead){
        .num_calls = num_calls,
        .num_kernels = empty.num_kernels,
        .num_arguments = NUM_BUFFER_ARGUMENTS + 1 + empty.has_local_argument,
    };
    double *samples = calloc(3 * (size_t)num_calls, sizeof *samples);
    bool good = samples || tool_error("out of memory");
    if (good && run_pairs(&empty, call, num_calls, samples, samples + num_calls))
        summarise(samples, samples + num_calls, samples + 2 * (size_t)num_calls, overhead);
    else
        good = false;
    free(samples);
    bare_finish(&empty);
    return good;
}
