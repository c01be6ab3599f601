/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A 16-bit type as the tests below walk through it: every finite value up to `infinity`, in order. */
typedef struct narrow_type {
    uint16_t (*from_float)(float value);
    float (*to_float)(uint16_t narrow);
    uint16_t infinity;
} narrow_type;

static const narrow_type narrow_types[] = {
    {support_half_from_float, support_float_from_half, 0x7c00},
    {support_bfloat16_from_float, support_float_from_bfloat16, 0x7f80},
};
enum { NUM_NARROW_TYPES = sizeof(narrow_types) / sizeof(narrow_types[0]) };

static void known_values_have_known_bits(void **state)
{
    (void)state;
    assert_int_equal(support_half_from_float(1.0f), 0x3c00);
    assert_int_equal(support_half_from_float(-2.0f), 0xc000);
    assert_int_equal(support_half_from_float(65504.0f), 0x7bff);
    assert_int_equal(support_half_from_float(65519.0f), 0x7bff);
    assert_int_equal(support_half_from_float(65520.0f), 0x7c00);
    assert_int_equal(support_half_from_float(0x1p-24f), 0x0001);
    assert_int_equal(support_half_from_float(0x1p-25f), 0x0000);
    assert_int_equal(support_half_from_float(0x1.8p-25f), 0x0001);
    assert_int_equal(support_half_from_float(-0.0f), 0x8000);
    assert_int_equal(support_half_from_float(INFINITY), 0x7c00);
    assert_int_equal(support_bfloat16_from_float(1.0f), 0x3f80);
    assert_int_equal(support_bfloat16_from_float(-3.140625f), 0xc049);
    assert_int_equal(support_bfloat16_from_float(3.4e38f), 0x7f80);
    assert_int_equal(support_bfloat16_from_float(-INFINITY), 0xff80);
}

static void every_value_survives_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_NARROW_TYPES; i++) {
        for (uint32_t bits = 0; bits < 0x10000u; bits++) {
            const float value = narrow_types[i].to_float((uint16_t)bits);
            if (isnan(value))
                assert_true(isnan(narrow_types[i].to_float(narrow_types[i].from_float(value))));
            else
                assert_int_equal(narrow_types[i].from_float(value), bits);
        }
    }
}

static void values_between_two_neighbours_round_to_nearest_even(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_NARROW_TYPES; i++) {
        for (uint32_t bits = 0; bits + 1u < narrow_types[i].infinity; bits++) {
            const float low = narrow_types[i].to_float((uint16_t)bits);
            const float high = narrow_types[i].to_float((uint16_t)(bits + 1u));
            const float middle = low + (high - low) / 2.0f; /* exact in float32 */
            const uint32_t even = bits & 1u ? bits + 1u : bits;
            assert_int_equal(narrow_types[i].from_float(middle), even);
            assert_int_equal(narrow_types[i].from_float(nextafterf(middle, low)), bits);
            assert_int_equal(narrow_types[i].from_float(nextafterf(middle, high)), bits + 1u);
            assert_int_equal(narrow_types[i].from_float(-middle), even | 0x8000u);
        }
    }
}

static void nan_stays_nan_whatever_its_payload(void **state)
{
    static const uint32_t payloads[] = {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xffffffffu, 0xff800001u};
    (void)state;
    for (int i = 0; i < NUM_NARROW_TYPES; i++) {
        for (size_t k = 0; k < sizeof(payloads) / sizeof(payloads[0]); k++) {
            float value;
            memcpy(&value, &payloads[k], sizeof(value));
            assert_true(isnan(narrow_types[i].to_float(narrow_types[i].from_float(value))));
        }
    }
}

static void store_and_load_agree_for_every_dtype(void **state)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint8_t bytes[8] = {0};
        support_store(bytes + 1, dtypes[i], -1.5f);
        assert_true(support_load(bytes + 1, dtypes[i]) == -1.5f);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[5], 0);
    }
}

static void rounding_bounds_the_error_of_a_store(void **state)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT16, CLATTN_BFLOAT16};
    (void)state;
    for (int i = 0; i < 2; i++) {
        double largest = 0.0;
        for (int k = 1; k < 20000; k++) {
            const float value = (float)k * 1.00013e-3f;
            uint8_t bytes[4];
            support_store(bytes, dtypes[i], value);
            const double error = fabs((double)support_load(bytes, dtypes[i]) - (double)value);
            assert_true(error <= support_rounding(dtypes[i], (double)value));
            largest = fmax(largest, error / support_rounding(dtypes[i], (double)value));
        }
        assert_true(largest > 0.9); /* the bound is not a loose one */
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_known_bits),
        cmocka_unit_test(every_value_survives_a_round_trip),
        cmocka_unit_test(values_between_two_neighbours_round_to_nearest_even),
        cmocka_unit_test(nan_stays_nan_whatever_its_payload),
        cmocka_unit_test(store_and_load_agree_for_every_dtype),
        cmocka_unit_test(rounding_bounds_the_error_of_a_store),
    };
    return cmocka_run_group_tests_name("support_fp", tests, NULL, NULL);
}
