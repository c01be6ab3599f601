/* SPDX-License-Identifier: Apache-2.0 */
/* The FMA and read probes: variants, self-check, calibration. The kernels are in probes.cl. */
#include "bench/probes.h"

#include "bench/clock.h"
#include "bench/footprint.h"
#include "bench/read_probe.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>

#define SAMPLE_SECONDS 0.05
#define TRIAL_SECONDS 0.01
#define NUM_TRIALS 3

#define FMAS_PER_LANE_AND_ROUND 96 /* 12 chains of 8 steps */
#define NUM_CHAINS 12
#define FMA_ROUNDS 256
#define FMA_GROUPS_PER_COMPUTE_UNIT 32

#define MOST_ITEMS_PER_READER 64 /* of a GPU: 1 KiB of neighbouring float4 */

/* A CPU may or may not gain by asking for what it reads 8 KiB later, or by reading in several places. */
static const bench_probe_form cpu_forms[] = {
    {16, 1, 1, 1, 2}, {16, 1, 1, 1, 0}, {16, 1, 1, 4, 4}, {8, 1, 1, 1, 2}, {4, 1, 1, 1, 2},
};
static const bench_probe_form gpu_forms[] = {
    {1, 256, MOST_ITEMS_PER_READER, 4, 0},
    {4, 256, MOST_ITEMS_PER_READER, 4, 0},
};

void bench_probes_finish(bench_probes *probes)
{
    bench_probe_finish(&probes->fma);
    bench_probe_finish(&probes->read);
    if (probes->data)
        clReleaseMemObject(probes->data);
    *probes = (bench_probes){0};
}

bool bench_probe_sample(const bench_probes *probes, const bench_probe *probe, double *rate)
{
    const double start = bench_now();
    for (int i = 0; i < probe->num_launches; i++) {
        if (!bench_probe_launch(probe, probes->queue))
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

/* Checks that every item of the last launch wrote `expected`. */
static bool check_fmas(const bench_probes *probes, const bench_probe *probe, float expected)
{
    float *sums = bench_probe_results(probe, probes->queue);
    bool good = sums != NULL;
    for (size_t i = 0; good && i < probe->global_size; i++) {
        if (fabsf(sums[i] - expected) > 1e-5f * expected)
            good =
                tool_error("the device computed %g instead of %g in the FMA probe", (double)sums[i], (double)expected);
    }
    free(sums);
    return good;
}

static bool make_fma_probe(const bench_probes *probes, clattn_context *ctx, const bench_probe_form *form,
                           bench_probe *probe)
{
    const clattn_device_facts *facts = clattn_context_device(ctx);
    probe->local_size = form->work_group_size;
    probe->global_size = (size_t)facts->num_compute_units * FMA_GROUPS_PER_COMPUTE_UNIT * probe->local_size;
    probe->work = 2.0 * FMAS_PER_LANE_AND_ROUND * FMA_ROUNDS * form->lanes * (double)probe->global_size;

    /* x = x/2 + 1 arrives at exactly 2 whatever the start: no overflow, no subnormals, and a result to check. */
    const float multiplier = 0.5f;
    const float addend = 1.0f;
    const cl_int rounds = FMA_ROUNDS;
    if (!bench_probe_build(ctx, form, "probe_fma", &probe->kernel) || !bench_probe_make_out(ctx, probe))
        return false;
    cl_int result = clSetKernelArg(probe->kernel, 1, sizeof multiplier, &multiplier);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 2, sizeof addend, &addend);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 3, sizeof rounds, &rounds);
    return tool_check_cl(result, "clSetKernelArg") && calibrate(probes, probe, TRIAL_SECONDS) &&
           check_fmas(probes, probe, 2.0f * NUM_CHAINS * (float)form->lanes);
}

/* Bytes that one launch reads, no more than fit the device's largest buffer. */
static uint64_t read_bytes(const clattn_device_facts *facts)
{
    const uint64_t bytes = bench_footprint_bytes(facts);
    const uint64_t most = bytes < facts->max_allocation_bytes ? bytes : facts->max_allocation_bytes;
    return most / BENCH_CHUNK_BYTES * BENCH_CHUNK_BYTES;
}

static bool make_read_probe(const bench_probes *probes, clattn_context *ctx, const bench_probe_form *form,
                            bench_probe *probe)
{
    const uint64_t bytes = read_bytes(clattn_context_device(ctx));
    bench_chunks line;
    if (!bench_chunks_init_line(&line, bytes))
        return false;
    /* The words are all 1. */
    const bool good = bench_read_probe_init(probe, ctx, form, &line) &&
                      bench_read_probe_bind(probe, probes->data, NULL) &&
                      bench_read_probe_check(probe, probes->queue, (uint32_t)(bytes / sizeof(cl_uint))) &&
                      calibrate(probes, probe, TRIAL_SECONDS);
    bench_chunks_finish(&line);
    return good;
}

/* Every element is written: untouched memory may be one shared page of zeros that never leaves the cache. */
static bool make_data(bench_probes *probes, clattn_context *ctx, uint64_t bytes)
{
    cl_int result = CL_SUCCESS;
    const cl_uint one = 1;
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
        bench_probe_finish(best);
        *best = *candidate;
        *candidate = (bench_probe){0};
        *best_rate = fastest;
    }
    return true;
}

/* What fits a device's work-groups. */
static bench_probe_form fitted(const bench_probe_form *form, const clattn_device_facts *facts)
{
    bench_probe_form fit = *form;
    if (fit.work_group_size > facts->max_work_group_size)
        fit.work_group_size = facts->max_work_group_size;
    while (fit.items_per_reader > fit.work_group_size)
        fit.items_per_reader /= 2;
    fit.work_group_size -= fit.work_group_size % fit.items_per_reader;
    return fit;
}

static bool choose_forms(bench_probes *probes, clattn_context *ctx, const bench_probe_form *forms, size_t num_forms)
{
    double fma_rate = 0.0;
    double read_rate = 0.0;
    for (size_t i = 0; i < num_forms; i++) {
        const bench_probe_form form = fitted(&forms[i], clattn_context_device(ctx));
        bench_probe fma = {0};
        bench_probe read = {0};
        const bool same_fma = i > 0 && forms[i].lanes == forms[i - 1].lanes;
        const bool good =
            (same_fma ||
             (make_fma_probe(probes, ctx, &form, &fma) && keep_faster(probes, &probes->fma, &fma_rate, &fma))) &&
            make_read_probe(probes, ctx, &form, &read) && keep_faster(probes, &probes->read, &read_rate, &read);
        if (good && !read.kernel)
            probes->read_form = form;
        bench_probe_finish(&fma);
        bench_probe_finish(&read);
        if (!good)
            return false;
    }
    return calibrate(probes, &probes->fma, SAMPLE_SECONDS) && calibrate(probes, &probes->read, SAMPLE_SECONDS);
}

bool bench_probes_init(bench_probes *probes, clattn_context *ctx)
{
    const clattn_device_facts *facts = clattn_context_device(ctx);
    const bool is_cpu = facts->type == CLATTN_DEVICE_CPU;
    const bench_probe_form *forms = is_cpu ? cpu_forms : gpu_forms;
    const size_t num_forms = is_cpu ? sizeof cpu_forms / sizeof *cpu_forms : sizeof gpu_forms / sizeof *gpu_forms;
    *probes = (bench_probes){.queue = clattn_context_cl_queue(ctx)};
    if (make_data(probes, ctx, read_bytes(facts)) && choose_forms(probes, ctx, forms, num_forms))
        return true;
    bench_probes_finish(probes);
    return false;
}
