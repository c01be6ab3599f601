/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up, calibration and the rounds of a measurement. */
#include "bench/measure.h"

#include "bench/clock.h"
#include "bench/statistics.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_SECONDS 0.02
#define MAX_REPEATS (1 << 20)

/* What num_repeats operations and one wait for all of them took. */
static bool time_operations(cl_command_queue queue, const bench_subject *subject, int num_repeats, bench_sample *took)
{
    const double process_start = bench_process_time();
    const double start = bench_now();
    for (int i = 0; i < num_repeats; i++) {
        if (!subject->enqueue(subject->user))
            return false;
    }
    if (!tool_check_cl(clFinish(queue), "clFinish"))
        return false;
    took->seconds = bench_now() - start;
    took->busy_threads = (bench_process_time() - process_start) / took->seconds;
    return true;
}

bool bench_subject_calibrate(cl_command_queue queue, bench_subject *subject)
{
    bench_sample took = {0};
    subject->num_repeats = 1;
    if (!time_operations(queue, subject, subject->num_warmups, &took))
        return false;
    for (;;) {
        if (!time_operations(queue, subject, subject->num_repeats, &took))
            return false;
        if (took.seconds >= SAMPLE_SECONDS || subject->num_repeats >= MAX_REPEATS)
            return true;
        const double factor = fmin(10.0, 1.2 * SAMPLE_SECONDS / took.seconds);
        subject->num_repeats = (int)ceil(subject->num_repeats * factor);
    }
}

bool bench_subject_sample(cl_command_queue queue, const bench_subject *subject, bench_sample *took)
{
    if (!time_operations(queue, subject, subject->num_repeats, took))
        return false;
    took->seconds /= subject->num_repeats;
    return true;
}

/* One array per measured thing; the subjects' stand one behind the other. */
typedef struct sample_set {
    size_t runs;
    double *peak;    /* [runs] */
    double *read;    /* [runs] */
    double *scratch; /* [runs] */
    double *seconds; /* [num_subjects, runs] */
    double *busy;    /* [num_subjects, runs] */
} sample_set;

static bool run_round(const bench_probes *probes, const bench_subject *subjects, int num_subjects, size_t round,
                      const sample_set *samples)
{
    if (!bench_probe_sample(probes, &probes->fma, &samples->peak[round]) ||
        !bench_probe_sample(probes, &probes->read, &samples->read[round]))
        return false;
    /* What follows the probes finds the caches in another state than what follows an operation. */
    for (size_t turn = 0; turn < (size_t)num_subjects; turn++) {
        const size_t index = (round + turn) % (size_t)num_subjects;
        const bench_subject *subject = &subjects[index];
        bench_sample took = {0};
        if (!bench_subject_sample(probes->queue, subject, &took))
            return false;
        samples->seconds[index * samples->runs + round] = took.seconds;
        samples->busy[index * samples->runs + round] = took.busy_threads;
    }
    tool_progress_bar((int)round + 1, (int)samples->runs, "round %zu of %zu: %.3f ms", round + 1, samples->runs,
                      samples->seconds[round] * 1e3);
    return true;
}

/* Leaves the samples in their order. */
static void summarise(const sample_set *samples, const double *values, double *median, double *spread)
{
    if (values != samples->scratch)
        memcpy(samples->scratch, values, samples->runs * sizeof *values);
    const bench_quartiles quartiles = bench_quartiles_of(samples->scratch, samples->runs);
    *median = quartiles.median;
    *spread = bench_spread(&quartiles);
}

static void summarise_subject(bench_subject *subject, size_t index, const sample_set *samples)
{
    const size_t runs = samples->runs;
    const double *seconds = samples->seconds + index * runs;
    double ignored = 0.0;
    summarise(samples, seconds, &subject->median_s, &subject->spread);
    summarise(samples, samples->busy + index * runs, &subject->busy_threads, &ignored);
    bench_ratios_of(seconds, samples->seconds, runs, samples->scratch);
    summarise(samples, samples->scratch, &subject->ratio, &subject->ratio_spread);
    if (subject->num_parts > 0) {
        const double *parts = samples->seconds + (size_t)subject->first_part * runs;
        bench_ratios_to_sums(seconds, parts, (size_t)subject->num_parts, runs, samples->scratch);
        summarise(samples, samples->scratch, &subject->parts_ratio, &subject->parts_spread);
    }
    if (subject->baseline > 0) {
        bench_ratios_of(samples->seconds + (size_t)subject->baseline * runs, seconds, runs, samples->scratch);
        summarise(samples, samples->scratch, &subject->gain, &subject->gain_spread);
    }
}

bool bench_measure(const bench_probes *probes, bench_subject *subjects, int num_subjects, int runs,
                   bench_measurement *measurement)
{
    const size_t count = (size_t)runs;
    double *storage = calloc((3 + 2 * (size_t)num_subjects) * count, sizeof *storage);
    if (!storage)
        return tool_error("out of memory");
    const sample_set samples = {
        .runs = count,
        .peak = storage,
        .read = storage + count,
        .scratch = storage + 2 * count,
        .seconds = storage + 3 * count,
        .busy = storage + (3 + (size_t)num_subjects) * count,
    };
    *measurement = (bench_measurement){.runs = runs};

    bool good = true;
    for (int i = 0; good && i < num_subjects; i++)
        good = bench_subject_calibrate(probes->queue, &subjects[i]);
    for (size_t round = 0; good && round < count; round++)
        good = run_round(probes, subjects, num_subjects, round, &samples);
    for (int i = 0; good && i < num_subjects; i++)
        summarise_subject(&subjects[i], (size_t)i, &samples);
    if (good) {
        summarise(&samples, samples.peak, &measurement->peak_gflops, &measurement->peak_spread);
        summarise(&samples, samples.read, &measurement->read_gbytes_per_s, &measurement->read_spread);
    }
    free(storage);
    return good;
}
