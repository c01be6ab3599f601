/* SPDX-License-Identifier: Apache-2.0 */
/* The FMA and read probes: variants, self-check, calibration. The kernels are in probes.cl. */
#include "bench/probes.h"

#include "bench/footprint.h"

#include "bench/clock.h"
#include "bench/program.h"
#include "common/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_SECONDS 0.05
#define TRIAL_SECONDS 0.01
#define NUM_TRIALS 3

#define FMAS_PER_LANE_AND_ROUND 96 /* 12 chains of 8 steps */
#define NUM_CHAINS 12
#define FMA_ROUNDS 256
#define FMA_GROUPS_PER_COMPUTE_UNIT 32

#define CPU_CHUNK_BYTES ((size_t)256 << 10) /* long enough for the hardware's prefetchers, short enough to balance */
#define GPU_VECTORS_PER_ITEM 16

extern const char clattn_bench_probes[];

/* One way to run the probes. */
typedef struct probe_variant {
    int lanes;
    size_t work_group_size;
    bool coalesced;
} probe_variant;

static const probe_variant cpu_variants[] = {{16, 1, false}, {8, 1, false}, {4, 1, false}};
static const probe_variant gpu_variants[] = {{1, 256, true}, {4, 256, true}};

static void probe_finish(bench_probe *probe)
{
    if (probe->kernel)
        clReleaseKernel(probe->kernel);
    if (probe->out)
        clReleaseMemObject(probe->out);
    *probe = (bench_probe){0};
}

void bench_probes_finish(bench_probes *probes)
{
    probe_finish(&probes->fma);
    probe_finish(&probes->read);
    if (probes->data)
        clReleaseMemObject(probes->data);
    *probes = (bench_probes){0};
}

bool bench_probe_sample(const bench_probes *probes, const bench_probe *probe, double *rate)
{
    const double start = bench_now();
    for (int i = 0; i < probe->num_launches; i++) {
        if (!tool_check_cl(clEnqueueNDRangeKernel(probes->queue, probe->kernel, 1, NULL, &probe->global_size,
                                                  &probe->local_size, 0, NULL, NULL),
                           "clEnqueueNDRangeKernel"))
            return false;
    }
    if (!tool_check_cl(clFinish(probes->queue), "clFinish"))
        return false;
    *rate = probe->work * probe->num_launches / (bench_now() - start) * 1e-9;
    return true;
}

/* Chooses num_launches so that a sample takes `seconds`; the first launch is a warm-up. */
static bool calibrate(const bench_probes *probes, bench_probe *probe, double seconds)
{
    double rate = 0.0;
    probe->num_launches = 1;
    if (!bench_probe_sample(probes, probe, &rate))
        return false;
    for (;;) {
        if (!bench_probe_sample(probes, probe, &rate))
            return false;
        const double took = probe->work * probe->num_launches / (rate * 1e9);
        if (took >= seconds || probe->num_launches > 1 << 20)
            return true;
        /* Aims 20 % past the goal, and at most tenfold: a first guess from a tiny sample is unreliable. */
        const double factor = fmin(10.0, 1.2 * seconds / took);
        probe->num_launches = (int)ceil(probe->num_launches * factor);
    }
}

/* Reads back what the last launch wrote and checks that every item wrote `expected`. */
static bool check_result(const bench_probes *probes, const bench_probe *probe, float expected, const char *name)
{
    float *sums = malloc(probe->global_size * sizeof *sums);
    if (!sums)
        return tool_error("out of memory");
    bool good = tool_check_cl(clEnqueueReadBuffer(probes->queue, probe->out, CL_TRUE, 0,
                                                  probe->global_size * sizeof *sums, sums, 0, NULL, NULL),
                              "clEnqueueReadBuffer");
    for (size_t i = 0; good && i < probe->global_size; i++) {
        if (fabsf(sums[i] - expected) > 1e-5f * expected)
            good = tool_error("the device computed %g instead of %g in the %s probe", (double)sums[i], (double)expected,
                              name);
    }
    free(sums);
    return good;
}

static bool build_kernel(clattn_context *ctx, const probe_variant *variant, const char *name, cl_kernel *kernel)
{
    char options[96];
    snprintf(options, sizeof options, "-DLANES=%d -DWORK_GROUP_SIZE=%zu -DCOALESCED=%d", variant->lanes,
             variant->work_group_size, variant->coalesced ? 1 : 0);
    return bench_build_kernel(ctx, clattn_bench_probes, options, name, kernel);
}

/* The buffer that receives one float per work-item, as the kernel's first argument. */
static bool make_out(clattn_context *ctx, bench_probe *probe)
{
    cl_int result = CL_SUCCESS;
    probe->out = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_WRITE_ONLY, probe->global_size * sizeof(float),
                                NULL, &result);
    return tool_check_cl(result, "clCreateBuffer") &&
           tool_check_cl(clSetKernelArg(probe->kernel, 0, sizeof probe->out, &probe->out), "clSetKernelArg");
}

static bool make_fma_probe(const bench_probes *probes, clattn_context *ctx, const probe_variant *variant,
                           bench_probe *probe)
{
    const clattn_device_facts *facts = clattn_context_device(ctx);
    probe->local_size = variant->work_group_size;
    probe->global_size = (size_t)facts->num_compute_units * FMA_GROUPS_PER_COMPUTE_UNIT * probe->local_size;
    probe->work = 2.0 * FMAS_PER_LANE_AND_ROUND * FMA_ROUNDS * variant->lanes * (double)probe->global_size;

    /* x = x/2 + 1 arrives at exactly 2 whatever the start: no overflow, no subnormals, and a result to check. */
    const float multiplier = 0.5f;
    const float addend = 1.0f;
    const cl_int rounds = FMA_ROUNDS;
    if (!build_kernel(ctx, variant, "probe_fma", &probe->kernel) || !make_out(ctx, probe))
        return false;
    cl_int result = clSetKernelArg(probe->kernel, 1, sizeof multiplier, &multiplier);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 2, sizeof addend, &addend);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 3, sizeof rounds, &rounds);
    return tool_check_cl(result, "clSetKernelArg") && calibrate(probes, probe, TRIAL_SECONDS) &&
           check_result(probes, probe, 2.0f * NUM_CHAINS * (float)variant->lanes, "FMA");
}

/* Bytes that one work-item of a variant reads. */
static size_t item_bytes(const probe_variant *variant)
{
    return variant->coalesced ? GPU_VECTORS_PER_ITEM * (size_t)variant->lanes * sizeof(float) : CPU_CHUNK_BYTES;
}

/* Bytes that one launch reads: whole work-groups, no more than fit the device's largest buffer. */
static uint64_t read_bytes(const clattn_device_facts *facts, const probe_variant *variant)
{
    const uint64_t group_bytes = item_bytes(variant) * variant->work_group_size;
    uint64_t bytes = bench_footprint_bytes(facts);
    bytes = bytes > facts->max_allocation_bytes ? facts->max_allocation_bytes : bytes;
    return bytes < group_bytes ? group_bytes : bytes / group_bytes * group_bytes;
}

static bool make_read_probe(bench_probes *probes, clattn_context *ctx, const probe_variant *variant, bench_probe *probe)
{
    const uint64_t bytes = read_bytes(clattn_context_device(ctx), variant);
    const cl_int vectors_per_item = (cl_int)(item_bytes(variant) / ((size_t)variant->lanes * sizeof(float)));
    probe->local_size = variant->work_group_size;
    probe->global_size = (size_t)(bytes / item_bytes(variant));
    probe->work = (double)bytes;
    if (!build_kernel(ctx, variant, "probe_read", &probe->kernel) || !make_out(ctx, probe))
        return false;
    cl_int result = clSetKernelArg(probe->kernel, 1, sizeof probes->data, &probes->data);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 2, sizeof vectors_per_item, &vectors_per_item);
    return tool_check_cl(result, "clSetKernelArg") && calibrate(probes, probe, TRIAL_SECONDS) &&
           check_result(probes, probe, (float)(item_bytes(variant) / sizeof(float)), "read");
}

/* Every element is written: untouched memory may be one shared page of zeros that never leaves the cache. */
static bool make_data(bench_probes *probes, clattn_context *ctx, uint64_t bytes)
{
    cl_int result = CL_SUCCESS;
    const float one = 1.0f;
    probes->data = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_ONLY, (size_t)bytes, NULL, &result);
    return tool_check_cl(result, "clCreateBuffer") &&
           tool_check_cl(
               clEnqueueFillBuffer(probes->queue, probes->data, &one, sizeof one, 0, (size_t)bytes, 0, NULL, NULL),
               "clEnqueueFillBuffer");
}

/* Measures a candidate against the best so far and keeps the faster of the two. */
static bool keep_faster(const bench_probes *probes, bench_probe *best, double *best_rate, bench_probe *candidate)
{
    double fastest = 0.0;
    for (int trial = 0; trial < NUM_TRIALS; trial++) {
        double rate = 0.0;
        if (!bench_probe_sample(probes, candidate, &rate))
            return false;
        fastest = fmax(fastest, rate);
    }
    if (fastest > *best_rate) {
        probe_finish(best);
        *best = *candidate;
        *candidate = (bench_probe){0};
        *best_rate = fastest;
    }
    return true;
}

static bool choose_variants(bench_probes *probes, clattn_context *ctx, const probe_variant *variants,
                            size_t num_variants)
{
    double fma_rate = 0.0;
    double read_rate = 0.0;
    const size_t limit = clattn_context_device(ctx)->max_work_group_size;
    for (size_t i = 0; i < num_variants; i++) {
        probe_variant variant = variants[i];
        if (variant.work_group_size > limit)
            variant.work_group_size = limit;
        bench_probe fma = {0};
        bench_probe read = {0};
        const bool good =
            make_fma_probe(probes, ctx, &variant, &fma) && keep_faster(probes, &probes->fma, &fma_rate, &fma) &&
            make_read_probe(probes, ctx, &variant, &read) && keep_faster(probes, &probes->read, &read_rate, &read);
        probe_finish(&fma);
        probe_finish(&read);
        if (!good)
            return false;
    }
    return calibrate(probes, &probes->fma, SAMPLE_SECONDS) && calibrate(probes, &probes->read, SAMPLE_SECONDS);
}

bool bench_probes_init(bench_probes *probes, clattn_context *ctx)
{
    const clattn_device_facts *facts = clattn_context_device(ctx);
    const bool is_cpu = facts->type == CLATTN_DEVICE_CPU;
    const probe_variant *variants = is_cpu ? cpu_variants : gpu_variants;
    const size_t num_variants =
        is_cpu ? sizeof cpu_variants / sizeof *cpu_variants : sizeof gpu_variants / sizeof *gpu_variants;
    uint64_t data_bytes = 0;
    for (size_t i = 0; i < num_variants; i++) {
        const uint64_t bytes = read_bytes(facts, &variants[i]);
        data_bytes = bytes > data_bytes ? bytes : data_bytes;
    }
    *probes = (bench_probes){.queue = clattn_context_cl_queue(ctx)};
    if (make_data(probes, ctx, data_bytes) && choose_variants(probes, ctx, variants, num_variants))
        return true;
    bench_probes_finish(probes);
    return false;
}
