/* SPDX-License-Identifier: Apache-2.0 */
#include "fp.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint32_t bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* value / 2^shift, ties to even; 0 < shift < 32. */
static uint32_t shift_right_to_even(uint32_t value, uint32_t shift)
{
    const uint32_t kept = value >> shift;
    const uint32_t lost = value & ((1u << shift) - 1u);
    const uint32_t half = 1u << (shift - 1u);
    return kept + (lost > half || (lost == half && (kept & 1u)));
}

uint16_t support_half_from_float(float value)
{
    const uint32_t bits = bits_from_float(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t exponent = magnitude >> 23;
    uint32_t half;

    if (magnitude > 0x7f800000u)
        half = 0x7e00u | ((magnitude >> 13) & 0x3ffu); /* quiet NaN with the upper payload */
    else if (exponent >= 143u)
        half = 0x7c00u; /* 65536 and above, infinity included */
    else if (exponent >= 113u)
        half = shift_right_to_even(magnitude - (112u << 23), 13u); /* may carry into infinity, as it should */
    else if (exponent >= 102u)
        half = shift_right_to_even((magnitude & 0x7fffffu) | 0x800000u, 126u - exponent); /* subnormal */
    else
        half = 0u; /* below half of the smallest subnormal */
    return (uint16_t)(sign | half);
}

float support_float_from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    const uint32_t fraction = half & 0x3ffu;

    if (exponent == 0u) {
        const float magnitude = (float)fraction * 0x1p-24f;
        return float_from_bits(sign | bits_from_float(magnitude));
    }
    if (exponent == 0x1fu)
        return float_from_bits(sign | 0x7f800000u | (fraction << 13));
    return float_from_bits(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

uint16_t support_bfloat16_from_float(float value)
{
    const uint32_t bits = bits_from_float(value);

    /* Rounding could carry a NaN's payload into infinity, so a NaN is only cut, and made quiet. */
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)shift_right_to_even(bits, 16u);
}

float support_float_from_bfloat16(uint16_t bfloat16)
{
    return float_from_bits((uint32_t)bfloat16 << 16);
}

void support_store(void *element, clattn_dtype dtype, float value)
{
    uint16_t narrow;

    assert(dtype == CLATTN_FLOAT32 || dtype == CLATTN_FLOAT16 || dtype == CLATTN_BFLOAT16);
    if (dtype == CLATTN_FLOAT32) {
        memcpy(element, &value, sizeof(value));
        return;
    }
    narrow = dtype == CLATTN_FLOAT16 ? support_half_from_float(value) : support_bfloat16_from_float(value);
    memcpy(element, &narrow, sizeof(narrow));
}

float support_load(const void *element, clattn_dtype dtype)
{
    float value;
    uint16_t narrow;

    assert(dtype == CLATTN_FLOAT32 || dtype == CLATTN_FLOAT16 || dtype == CLATTN_BFLOAT16);
    if (dtype == CLATTN_FLOAT32) {
        memcpy(&value, element, sizeof(value));
        return value;
    }
    memcpy(&narrow, element, sizeof(narrow));
    return dtype == CLATTN_FLOAT16 ? support_float_from_half(narrow) : support_float_from_bfloat16(narrow);
}

double support_rounding(clattn_dtype dtype, double value)
{
    switch (dtype) {
    case CLATTN_FLOAT16:
        return fmax(fabs(value) * 0x1p-11, 0x1p-25);
    case CLATTN_BFLOAT16:
        return fmax(fabs(value) * 0x1p-8, 0x1p-134);
    default:
        return fmax(fabs(value) * 0x1p-24, 0x1p-150);
    }
}
