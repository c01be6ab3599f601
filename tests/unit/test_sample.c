/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of trials: exact in every storage type, and rounded as the types' definitions say. */
#include "support/fp.h"
#include "verify/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

static void samples_are_exact_in_every_type(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        const double value = clattn_sample(7, i);
        assert_true(fabs(value) <= CLATTN_SAMPLE_MAX);
        for (int k = 0; k < 3; k++) {
            assert_true(clattn_sample_round(dtypes[k], value) == value);
            assert_true(clattn_sample_of_bits(dtypes[k], clattn_sample_bits(dtypes[k], value)) == value);
        }
    }
}

/* Neighbours and streams differ, and no value is preferred. */
static void samples_are_spread(void **state)
{
    int counts[129] = {0};
    int num_equal_neighbours = 0;
    int num_equal_streams = 0;
    (void)state;
    for (uint64_t i = 0; i < 129000; i++) {
        counts[(int)(clattn_sample(1, i) * 32.0) + 64]++;
        num_equal_neighbours += clattn_sample(1, i) == clattn_sample(1, i + 1);
        num_equal_streams += clattn_sample(1, i) == clattn_sample(2, i);
    }
    for (int i = 0; i < 129; i++)
        assert_in_range(counts[i], 800, 1200);
    assert_in_range(num_equal_neighbours, 800, 1200);
    assert_in_range(num_equal_streams, 800, 1200);
}

/* All bits of a 16-bit type, infinities and subnormal numbers included. */
static void every_pattern_has_its_number(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000u; bits++) {
        const double half = clattn_sample_of_bits(CLATTN_FLOAT16, bits);
        const double expected = (double)support_float_from_half((uint16_t)bits);
        assert_true(half == expected || (isnan(half) && isnan(expected)));
        const double bfloat16 = clattn_sample_of_bits(CLATTN_BFLOAT16, bits);
        const double expected_bfloat16 = (double)support_float_from_bfloat16((uint16_t)bits);
        assert_true(bfloat16 == expected_bfloat16 || (isnan(bfloat16) && isnan(expected_bfloat16)));
    }
}

/* Ties among them: halves of the last place, which go to the even neighbour. */
static void numbers_round_to_the_nearest(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        const float value = (float)(clattn_sample(3, (uint64_t)i) * (1.0 + (double)(i % 4096) / 4096.0));
        const double half = clattn_sample_round(CLATTN_FLOAT16, (double)value);
        const double bfloat16 = clattn_sample_round(CLATTN_BFLOAT16, (double)value);
        assert_int_equal(clattn_sample_bits(CLATTN_FLOAT16, half), support_half_from_float(value));
        assert_int_equal(clattn_sample_bits(CLATTN_BFLOAT16, bfloat16), support_bfloat16_from_float(value));
        assert_true(clattn_sample_round(CLATTN_FLOAT32, (double)value) == (double)value);
    }
    assert_true(clattn_sample_round(CLATTN_FLOAT16, 1.0 + 1.0 / 2048.0) == 1.0);
    assert_true(clattn_sample_round(CLATTN_FLOAT16, 1.0 + 3.0 / 2048.0) == 1.0 + 2.0 / 1024.0);
    assert_true(clattn_sample_round(CLATTN_BFLOAT16, 1.0 + 1.0 / 256.0) == 1.0);
    assert_true(clattn_sample_round(CLATTN_FLOAT16, 65504.0) == 65504.0);
    assert_int_equal(clattn_sample_bits(CLATTN_FLOAT16, 65504.0), 0x7bff);
    assert_int_equal(clattn_sample_bits(CLATTN_FLOAT16, ldexp(1.0, -14)), 0x0400);
}

static void nan_stays_nan(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++)
        assert_true(isnan(clattn_sample_of_bits(dtypes[k], clattn_sample_bits(dtypes[k], (double)NAN))));
}

static void epsilon_is_the_step_behind_one(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        const double epsilon = clattn_sample_epsilon(dtypes[k]);
        assert_true(clattn_sample_round(dtypes[k], 1.0 + epsilon) == 1.0 + epsilon);
        assert_true(clattn_sample_round(dtypes[k], 1.0 + epsilon / 4.0) == 1.0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_exact_in_every_type),
        cmocka_unit_test(samples_are_spread),
        cmocka_unit_test(every_pattern_has_its_number),
        cmocka_unit_test(numbers_round_to_the_nearest),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(epsilon_is_the_step_behind_one),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
