/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding to the 16-bit storage types by integer arithmetic on a float's bits. */
#include "bench/storage.h"

#include <string.h>

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
    const uint32_t bits = sign | (magnitude == 0 ? 0 : (magnitude << 13) + EXPONENT_BIAS);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
