/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding to the 16-bit storage types by integer arithmetic on a float's bits. */
#include "bench/storage.h"

#include <math.h>
#include <string.h>

#define FLOAT16_LEAST_NORMAL_HALF 0x0400u
#define FLOAT16_INFINITY 0x7c00u
#define FLOAT_EXPONENTS 0x70000000u /* makes the largest exponent of a half that of a float */
#define FLOAT16_NAN 0x7e00u
#define BFLOAT16_NAN 0x7fc0u
#define FLOAT16_LEAST_NORMAL 0x38800000u /* 2^-14 as a float */
#define EXPONENT_BIAS 0x38000000u        /* difference of the two exponent biases, 112, in a float's exponent field */

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

uint16_t bench_bfloat16_round(float value)
{
    const uint32_t bits = float_bits(value);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t bench_float16_round(float value)
{
    const uint32_t bits = float_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude < FLOAT16_LEAST_NORMAL)
        return (uint16_t)sign;
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - EXPONENT_BIAS) >> 13));
}

float bench_float16_widen(uint16_t half)
{
    const uint32_t magnitude = half & 0x7fffu;
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent_bias = magnitude >= FLOAT16_INFINITY ? FLOAT_EXPONENTS : EXPONENT_BIAS;
    const uint32_t bits = sign | ((magnitude << 13) + exponent_bias);
    float value;
    if (magnitude < FLOAT16_LEAST_NORMAL_HALF) /* multiples of 2^-24 */
        return ldexpf(sign != 0 ? -(float)magnitude : (float)magnitude, -24);
    memcpy(&value, &bits, sizeof value);
    return value;
}

float bench_bfloat16_widen(uint16_t narrow)
{
    const uint32_t bits = (uint32_t)narrow << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float bench_storage_get(clattn_dtype dtype, const void *values, int64_t index)
{
    if (dtype == CLATTN_FLOAT32)
        return ((const float *)values)[index];
    const uint16_t narrow = ((const uint16_t *)values)[index];
    return dtype == CLATTN_BFLOAT16 ? bench_bfloat16_widen(narrow) : bench_float16_widen(narrow);
}

void bench_storage_poison(clattn_dtype dtype, void *values, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++) {
        if (dtype == CLATTN_FLOAT32)
            ((float *)values)[i] = NAN;
        else
            ((uint16_t *)values)[i] = dtype == CLATTN_BFLOAT16 ? BFLOAT16_NAN : FLOAT16_NAN;
    }
}

double bench_storage_rounding(clattn_dtype dtype, double value)
{
    /* Bits behind the leading one, and the exponent of the least normal number. */
    const int num_bits = dtype == CLATTN_FLOAT32 ? 23 : dtype == CLATTN_FLOAT16 ? 10 : 7;
    const int least_exponent = dtype == CLATTN_FLOAT16 ? -14 : -126;
    return ldexp(fmax(fabs(value), ldexp(1.0, least_exponent)), -num_bits - 1);
}
