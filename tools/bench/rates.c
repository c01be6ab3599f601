/* SPDX-License-Identifier: Apache-2.0 */
/* The measured rates as lines of a table. */
#include "bench/rates.h"

#define NOISY_SPREAD 0.1

static void print_rate(const char *name, double value, const char *unit, double spread, FILE *file)
{
    fprintf(file, "  %-18s %12.3f %-9s spread %5.1f %%%s\n", name, value, unit, spread * 100.0,
            spread > NOISY_SPREAD ? "  (over 10 %: the machine was not quiet)" : "");
}

void bench_rates_print(const bench_measurement *measurement, const bench_rating *rating, FILE *file)
{
    print_rate("attention", measurement->median_s * 1e3, "ms", measurement->spread, file);
    print_rate("FMA peak", measurement->peak_gflops, "GFLOP/s", measurement->peak_spread, file);
    print_rate("read bandwidth", measurement->read_gbytes_per_s, "GB/s", measurement->read_spread, file);
    fprintf(file, "  attention runs at %.1f GFLOP/s and %.2f GB/s: %.3f of the roofline (%s-bound, floor %.3f ms)\n",
            rating->gflops, rating->gbytes_per_s, rating->fraction, rating->compute_bound ? "compute" : "memory",
            rating->floor_s * 1e3);
}
