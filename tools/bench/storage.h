/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between float and the 16-bit storage types on the host, for random data and for checking results. */
#ifndef BENCH_STORAGE_H
#define BENCH_STORAGE_H

#include <clattn/dtype.h>
#include <stdint.h>

/* To nearest even, for |value| < 65520; what would be a subnormal float16 becomes 0. */
uint16_t bench_float16_round(float value);

/* Exact; NaN stays NaN. */
float bench_float16_widen(uint16_t half);

/* To nearest even, for finite values. */
uint16_t bench_bfloat16_round(float value);

/* Exact. */
float bench_bfloat16_widen(uint16_t narrow);

/* An element of an array of that type, as a float. */
float bench_storage_get(clattn_dtype dtype, const void *values, int64_t index);

/* Makes `count` elements of such an array, from an index on, NaN. */
void bench_storage_poison(clattn_dtype dtype, void *values, int64_t first, int64_t count);

/* The largest error of rounding a number near `value` once to the type. */
double bench_storage_rounding(clattn_dtype dtype, double value);

#endif
