/* SPDX-License-Identifier: Apache-2.0 */
/* Times an operation and the device's two probes in turn, so that a noisy machine hits all three alike. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench/probes.h"

/* Enqueues the operation once on the probes' queue; false after printing why not. */
typedef bool (*bench_enqueue)(void *user);

/* Medians over the rounds, and interquartile range over median. */
typedef struct bench_measurement {
    int runs;        /* rounds */
    int num_repeats; /* operations per sample */
    double median_s; /* of one operation */
    double spread;
    double peak_gflops;
    double peak_spread;
    double read_gbytes_per_s;
    double read_spread;
} bench_measurement;

/* `runs` rounds of FMA probe, read probe and operation. num_warmups operations are run first, untimed. */
bool bench_measure(const bench_probes *probes, bench_enqueue enqueue, void *user, int num_warmups, int runs,
                   bench_measurement *measurement);

#endif
