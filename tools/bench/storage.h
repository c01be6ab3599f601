/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between float and the 16-bit storage types on the host, for random data and for checking results. */
#ifndef BENCH_STORAGE_H
#define BENCH_STORAGE_H

#include <clattn/dtype.h>
#include <stdint.h>

/* To nearest even, for |value| < 65520; what would be a subnormal float16 becomes 0. */
uint16_t bench_float16_round(float value);

/* Exact, for the normal numbers and zeros that bench_float16_round() gives. */
float bench_float16_widen(uint16_t half);

/* To nearest even, for finite values. */
uint16_t bench_bfloat16_round(float value);

#endif
