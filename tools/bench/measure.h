/* SPDX-License-Identifier: Apache-2.0 */
/* Times operations and the device's two probes in turn, so that a noisy machine hits all of them alike. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench/probes.h"

/* Enqueues the operation once on the probes' queue; false after printing why not. */
typedef bool (*bench_enqueue)(void *user);

/* Something to time, and what came out: medians over the rounds, and interquartile range over median. */
typedef struct bench_subject {
    bench_enqueue enqueue;
    void *user;
    int num_warmups; /* operations that are run first, untimed */
    int first_part;  /* index of the first of num_parts subjects that together do the same; num_parts 0 = none */
    int num_parts;
    int baseline;    /* index of a subject that does the same in another way; 0 = none, since the first is no one's */
    int num_repeats; /* operations per sample */
    double median_s; /* of one operation */
    double spread;
    double ratio; /* of its time to the first subject's in the same round */
    double ratio_spread;
    double parts_ratio; /* of its time to the sum of its parts' in the same round; 0 without parts */
    double parts_spread;
    double gain; /* of the baseline's time to its own in the same round; 0 without one */
    double gain_spread;
    double busy_threads; /* processor time over wall time: threads of this process that ran at once, on average */
} bench_subject;

/* What one operation took, as the average over the repeats of a sample. */
typedef struct bench_sample {
    double seconds;
    double busy_threads; /* as in a subject */
} bench_sample;

/* Warms a subject up and finds how many operations fill a sample. */
bool bench_subject_calibrate(cl_command_queue queue, bench_subject *subject);

/* Takes one sample of a calibrated subject, and waits for it. */
bool bench_subject_sample(cl_command_queue queue, const bench_subject *subject, bench_sample *took);

/* What the device did in the same rounds. */
typedef struct bench_measurement {
    int runs; /* rounds */
    double peak_gflops;
    double peak_spread;
    double read_gbytes_per_s;
    double read_spread;
} bench_measurement;

/* `runs` rounds of FMA probe, read probe and every subject; each round begins with another subject. */
bool bench_measure(const bench_probes *probes, bench_subject *subjects, int num_subjects, int runs,
                   bench_measurement *measurement);

#endif
