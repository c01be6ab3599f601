/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics of a few samples. */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

/* The three quartiles of a set of samples, linearly interpolated between neighbours. */
typedef struct bench_quartiles {
    double lower;
    double median;
    double upper;
} bench_quartiles;

/* Sorts `samples` in place; count >= 1. */
bench_quartiles bench_quartiles_of(double *samples, size_t count);

/* The interquartile range over the median; 0 if the median is 0. */
double bench_spread(const bench_quartiles *quartiles);

/* Whether a spread is so large that the figure says more of the machine than of what was measured. */
bool bench_is_noisy(double spread);

/* ratios[i] = samples[i] / references[i], for samples that were taken in pairs; references are positive. */
void bench_ratios_of(const double *samples, const double *references, size_t count, double *ratios);

/*
 * ratios[i] = samples[i] / the sum over part of parts[part * count + i], for num_parts arrays of samples that stand one
 * behind the other and were taken together with the first.
 */
void bench_ratios_to_sums(const double *samples, const double *parts, size_t num_parts, size_t count, double *ratios);

#endif
