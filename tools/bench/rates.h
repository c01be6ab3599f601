/* SPDX-License-Identifier: Apache-2.0 */
/* The measured rates of an operation and its device as lines of a table. */
#ifndef BENCH_RATES_H
#define BENCH_RATES_H

#include "bench/measure.h"
#include "bench/model.h"

#include <stdio.h>

void bench_rates_print(const bench_measurement *measurement, const bench_rating *rating, FILE *file);

#endif
