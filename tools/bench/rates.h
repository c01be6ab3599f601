/* SPDX-License-Identifier: Apache-2.0 */
/* The measured rates of an operation and its device as lines of a table. */
#ifndef BENCH_RATES_H
#define BENCH_RATES_H

#include "bench/measure.h"
#include "bench/model.h"

#include <stdio.h>

/* A measured figure on a line of its own, with what its spread says of the machine. */
void bench_rate_print(const char *name, double value, const char *unit, double spread, FILE *file);

/* The device's two rates. */
void bench_device_rates_print(const bench_measurement *measurement, FILE *file);

/* One operation between the device's rates. */
void bench_rates_print(const bench_measurement *measurement, const bench_subject *subject, const bench_rating *rating,
                       FILE *file);

#endif
