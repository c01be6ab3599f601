/* SPDX-License-Identifier: Apache-2.0 */
/* Samples and storage types; see sample.h. */
#include "verify/sample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Significant bits of a storage type, the leading one included. */
static int significant_bits(clattn_dtype dtype)
{
    switch (dtype) {
    case CLATTN_FLOAT16:
        return 11;
    case CLATTN_BFLOAT16:
        return 8;
    default:
        return 24;
    }
}

double clattn_sample(uint32_t stream, uint64_t index)
{
    /* Multiplication by odd constants and folding, twice: neighbours have nothing in common. */
    uint64_t hash = (index + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)stream * UINT64_C(0xd1b54a32d192ed03);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 29)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((hash >> 40) % 129) - 64.0) / 32.0;
}

double clattn_sample_round(clattn_dtype dtype, double value)
{
    int exponent;
    (void)frexp(value, &exponent);
    const int shift = significant_bits(dtype) - exponent;
    return ldexp(nearbyint(ldexp(value, shift)), -shift);
}

double clattn_sample_epsilon(clattn_dtype dtype)
{
    return ldexp(1.0, 1 - significant_bits(dtype));
}

/* Half has no type on the host: sign, five bits of exponent, ten of fraction. */
static uint32_t half_bits(double value)
{
    const uint32_t sign = signbit(value) ? 0x8000u : 0u;
    if (isnan(value))
        return 0x7e00u;
    if (value == 0.0)
        return sign;
    int exponent;
    const double fraction = frexp(fabs(value), &exponent);
    assert(exponent >= -13 && exponent <= 16);
    return sign | (uint32_t)(exponent + 14) << 10 | (uint32_t)((2.0 * fraction - 1.0) * 1024.0);
}

static double number_of_half(uint32_t bits)
{
    const int exponent = (int)(bits >> 10 & 31u);
    const double fraction = (double)(bits & 1023u) / 1024.0;
    double magnitude = ldexp(1.0 + fraction, exponent - 15);
    if (exponent == 0)
        magnitude = ldexp(fraction, -14);
    else if (exponent == 31)
        magnitude = fraction == 0.0 ? HUGE_VAL : (double)NAN;
    return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
}

uint32_t clattn_sample_bits(clattn_dtype dtype, double value)
{
    if (dtype == CLATTN_FLOAT16)
        return half_bits(value);
    const float number = (float)value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return dtype == CLATTN_BFLOAT16 ? bits >> 16 : bits;
}

double clattn_sample_of_bits(clattn_dtype dtype, uint32_t bits)
{
    if (dtype == CLATTN_FLOAT16)
        return number_of_half(bits);
    const uint32_t word = dtype == CLATTN_BFLOAT16 ? bits << 16 : bits;
    float number;
    memcpy(&number, &word, sizeof number);
    return (double)number;
}
