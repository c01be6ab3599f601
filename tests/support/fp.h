/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions between float32 and the 16-bit storage types, on the host: round to nearest even, NaN stays NaN. */
#ifndef SUPPORT_FP_H
#define SUPPORT_FP_H

#include <clattn/dtype.h>
#include <stdint.h>

uint16_t support_half_from_float(float value);
float support_float_from_half(uint16_t half);
uint16_t support_bfloat16_from_float(float value);
float support_float_from_bfloat16(uint16_t bfloat16);

/* Writes one element of a dtype to, or reads it from, storage that need not be aligned. */
void support_store(void *element, clattn_dtype dtype, float value);
float support_load(const void *element, clattn_dtype dtype);

/* Largest error of rounding a number near `value` once to a dtype. */
double support_rounding(clattn_dtype dtype, double value);

#endif
