/* SPDX-License-Identifier: Apache-2.0 */
/* The measured rates as lines of a table. */
#include "bench/rates.h"

#include "bench/statistics.h"

void bench_rate_print(const char *name, double value, const char *unit, double spread, FILE *file)
{
    fprintf(file, "  %-18s %12.3f %-9s spread %5.1f %%%s\n", name, value, unit, spread * 100.0,
            bench_is_noisy(spread) ? "  (over 10 %: the machine was not quiet)" : "");
}

void bench_device_rates_print(const bench_measurement *measurement, FILE *file)
{
    bench_rate_print("FMA peak", measurement->peak_gflops, "GFLOP/s", measurement->peak_spread, file);
    bench_rate_print("read bandwidth", measurement->read_gbytes_per_s, "GB/s", measurement->read_spread, file);
}

void bench_rates_print(const bench_measurement *measurement, const bench_subject *subject, const bench_rating *rating,
                       FILE *file)
{
    bench_rate_print("attention", subject->median_s * 1e3, "ms", subject->spread, file);
    bench_device_rates_print(measurement, file);
    fprintf(file, "  attention runs at %.1f GFLOP/s and %.2f GB/s: %.3f of the roofline (%s-bound, floor %.3f ms)\n",
            rating->gflops, rating->gbytes_per_s, rating->fraction, rating->compute_bound ? "compute" : "memory",
            rating->floor_s * 1e3);
}
