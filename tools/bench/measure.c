/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up, calibration and the rounds of a measurement. */
#include "bench/measure.h"

#include "bench/clock.h"
#include "bench/message.h"
#include "bench/statistics.h"

#include <math.h>
#include <stdlib.h>

#define SAMPLE_SECONDS 0.02
#define MAX_REPEATS (1 << 20)

/* The time of num_repeats operations and one wait for all of them. */
static bool time_operations(const bench_probes *probes, const bench_subject *subject, int num_repeats, double *seconds)
{
    const double start = bench_now();
    for (int i = 0; i < num_repeats; i++) {
        if (!subject->enqueue(subject->user))
            return false;
    }
    if (!bench_check_cl(clFinish(probes->queue), "clFinish"))
        return false;
    *seconds = bench_now() - start;
    return true;
}

/* Warms up and finds how many operations fill a sample. */
static bool calibrate(const bench_probes *probes, bench_subject *subject)
{
    double seconds = 0.0;
    subject->num_repeats = 1;
    if (!time_operations(probes, subject, subject->num_warmups, &seconds))
        return false;
    for (;;) {
        if (!time_operations(probes, subject, subject->num_repeats, &seconds))
            return false;
        if (seconds >= SAMPLE_SECONDS || subject->num_repeats >= MAX_REPEATS)
            return true;
        const double factor = fmin(10.0, 1.2 * SAMPLE_SECONDS / seconds);
        subject->num_repeats = (int)ceil(subject->num_repeats * factor);
    }
}

/* One array per measured thing; the subjects' stand one behind the other. */
typedef struct sample_set {
    double *peak;    /* [runs] */
    double *read;    /* [runs] */
    double *seconds; /* [num_subjects, runs] */
} sample_set;

static bool run_round(const bench_probes *probes, const bench_subject *subjects, int num_subjects, int runs, int round,
                      const sample_set *samples)
{
    if (!bench_probe_sample(probes, &probes->fma, &samples->peak[round]) ||
        !bench_probe_sample(probes, &probes->read, &samples->read[round]))
        return false;
    /* What follows the probes finds the caches in another state than what follows an operation. */
    for (int turn = 0; turn < num_subjects; turn++) {
        const int index = (round + turn) % num_subjects;
        const bench_subject *subject = &subjects[index];
        double seconds = 0.0;
        if (!time_operations(probes, subject, subject->num_repeats, &seconds))
            return false;
        samples->seconds[(size_t)index * (size_t)runs + (size_t)round] = seconds / subject->num_repeats;
    }
    bench_progress("round %d of %d: %.3f ms", round + 1, runs, samples->seconds[round] * 1e3);
    return true;
}

static void summarise(double *samples, int runs, double *median, double *spread)
{
    const bench_quartiles quartiles = bench_quartiles_of(samples, (size_t)runs);
    *median = quartiles.median;
    *spread = bench_spread(&quartiles);
}

/* Sorts the samples, and needs those of the first subject in their order: they come last. */
static void summarise_subjects(bench_subject *subjects, int num_subjects, int runs, const sample_set *samples,
                               double *ratios)
{
    for (int index = num_subjects - 1; index >= 0; index--) {
        bench_subject *subject = &subjects[index];
        double *seconds = samples->seconds + (size_t)index * (size_t)runs;
        bench_ratios_of(seconds, samples->seconds, (size_t)runs, ratios);
        summarise(ratios, runs, &subject->ratio, &subject->ratio_spread);
        summarise(seconds, runs, &subject->median_s, &subject->spread);
    }
}

bool bench_measure(const bench_probes *probes, bench_subject *subjects, int num_subjects, int runs,
                   bench_measurement *measurement)
{
    const size_t count = (size_t)runs;
    double *storage = calloc((3 + (size_t)num_subjects) * count, sizeof *storage);
    if (!storage)
        return bench_error("out of memory");
    double *ratios = storage;
    const sample_set samples = {storage + count, storage + 2 * count, storage + 3 * count};
    *measurement = (bench_measurement){.runs = runs};

    bool good = true;
    for (int i = 0; good && i < num_subjects; i++)
        good = calibrate(probes, &subjects[i]);
    for (int round = 0; good && round < runs; round++)
        good = run_round(probes, subjects, num_subjects, runs, round, &samples);
    if (good) {
        summarise_subjects(subjects, num_subjects, runs, &samples, ratios);
        summarise(samples.peak, runs, &measurement->peak_gflops, &measurement->peak_spread);
        summarise(samples.read, runs, &measurement->read_gbytes_per_s, &measurement->read_spread);
    }
    free(storage);
    return good;
}
