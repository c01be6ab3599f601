/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics of a few samples. */
#include "bench/statistics.h"

#include <assert.h>
#include <stdlib.h>

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The value at `fraction` of the way through sorted samples. */
static double quantile(const double *sorted, size_t count, double fraction)
{
    const double position = fraction * (double)(count - 1);
    const size_t below = (size_t)position;
    const size_t above = below + 1 < count ? below + 1 : below;
    const double weight = position - (double)below;
    return sorted[below] * (1.0 - weight) + sorted[above] * weight;
}

bench_quartiles bench_quartiles_of(double *samples, size_t count)
{
    assert(count >= 1);
    qsort(samples, count, sizeof *samples, compare_doubles);
    const bench_quartiles quartiles = {
        .lower = quantile(samples, count, 0.25),
        .median = quantile(samples, count, 0.5),
        .upper = quantile(samples, count, 0.75),
    };
    return quartiles;
}

double bench_spread(const bench_quartiles *quartiles)
{
    if (!(quartiles->median > 0.0))
        return 0.0;
    return (quartiles->upper - quartiles->lower) / quartiles->median;
}

void bench_ratios_of(const double *samples, const double *references, size_t count, double *ratios)
{
    for (size_t i = 0; i < count; i++)
        ratios[i] = samples[i] / references[i];
}

void bench_ratios_to_sums(const double *samples, const double *parts, size_t num_parts, size_t count, double *ratios)
{
    for (size_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (size_t part = 0; part < num_parts; part++)
            sum += parts[part * count + i];
        ratios[i] = samples[i] / sum;
    }
}

bool bench_is_noisy(double spread)
{
    return spread > 0.1;
}
