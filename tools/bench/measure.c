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
static bool time_operations(const bench_probes *probes, bench_enqueue enqueue, void *user, int num_repeats,
                            double *seconds)
{
    const double start = bench_now();
    for (int i = 0; i < num_repeats; i++) {
        if (!enqueue(user))
            return false;
    }
    if (!bench_check_cl(clFinish(probes->queue), "clFinish"))
        return false;
    *seconds = bench_now() - start;
    return true;
}

/* Finds how many operations fill a sample. */
static bool calibrate(const bench_probes *probes, bench_enqueue enqueue, void *user, int *num_repeats)
{
    *num_repeats = 1;
    for (;;) {
        double seconds = 0.0;
        if (!time_operations(probes, enqueue, user, *num_repeats, &seconds))
            return false;
        if (seconds >= SAMPLE_SECONDS || *num_repeats >= MAX_REPEATS)
            return true;
        const double factor = fmin(10.0, 1.2 * SAMPLE_SECONDS / seconds);
        *num_repeats = (int)ceil(*num_repeats * factor);
    }
}

/* One array per measured thing. */
typedef struct sample_set {
    double *seconds;
    double *peak;
    double *read;
} sample_set;

static bool run_rounds(const bench_probes *probes, bench_enqueue enqueue, void *user, int num_repeats, int runs,
                       const sample_set *samples)
{
    for (int round = 0; round < runs; round++) {
        double seconds = 0.0;
        if (!bench_probe_sample(probes, &probes->fma, &samples->peak[round]) ||
            !bench_probe_sample(probes, &probes->read, &samples->read[round]) ||
            !time_operations(probes, enqueue, user, num_repeats, &seconds))
            return false;
        samples->seconds[round] = seconds / num_repeats;
        bench_progress("round %d of %d: %.3f ms", round + 1, runs, samples->seconds[round] * 1e3);
    }
    return true;
}

static void summarise(double *samples, int runs, double *median, double *spread)
{
    const bench_quartiles quartiles = bench_quartiles_of(samples, (size_t)runs);
    *median = quartiles.median;
    *spread = bench_spread(&quartiles);
}

bool bench_measure(const bench_probes *probes, bench_enqueue enqueue, void *user, int num_warmups, int runs,
                   bench_measurement *measurement)
{
    const size_t count = (size_t)runs;
    double *storage = calloc(3 * count, sizeof *storage);
    if (!storage)
        return bench_error("out of memory");
    const sample_set samples = {storage, storage + count, storage + 2 * count};
    *measurement = (bench_measurement){.runs = runs};

    double warmup_s = 0.0;
    const bool good = time_operations(probes, enqueue, user, num_warmups, &warmup_s) &&
                      calibrate(probes, enqueue, user, &measurement->num_repeats) &&
                      run_rounds(probes, enqueue, user, measurement->num_repeats, runs, &samples);
    if (good) {
        summarise(samples.seconds, runs, &measurement->median_s, &measurement->spread);
        summarise(samples.peak, runs, &measurement->peak_gflops, &measurement->peak_spread);
        summarise(samples.read, runs, &measurement->read_gbytes_per_s, &measurement->read_spread);
    }
    free(storage);
    return good;
}
