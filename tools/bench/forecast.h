/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a run each of its problems is, so that the time left can be told. */
#ifndef BENCH_FORECAST_H
#define BENCH_FORECAST_H

#include "bench/options.h"

/* What a problem takes, in a unit that only a comparison with other problems of the same run gives a meaning. */
double bench_forecast(const bench_options *options, int problem);

#endif
