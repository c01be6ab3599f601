/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of the merge, on cases small enough to work out by hand. */
#include "reference/merge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MASK_VALUE (-1e30)
#define LOG2 0.69314718055994531

/* The result of one row of width 2. */
typedef struct row_result {
    double out[2];
    double numerator[2];
    double magnitude[2];
    double lse;
    double max;
    double denominator;
} row_result;

static void assert_near(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-14 * (1.0 + fabs(expected))))
        fail_msg("actual=%.17g expected=%.17g", actual, expected);
}

static row_result merge_by_lse(int32_t num_states, const float *out, const float *lse)
{
    row_result result;
    const reference_states states = {
        .num_states = num_states, .num_rows = 1, .width = 2, .out = out, .lse = lse, .mask_value = MASK_VALUE};
    const reference_merged merged = {result.out,  result.numerator, result.magnitude,
                                     &result.lse, &result.max,      &result.denominator};

    reference_merge(&states, &merged);
    return result;
}

static row_result merge_by_max(int32_t num_states, const float *numerator, const float *max, const float *denominator)
{
    row_result result;
    const reference_states states = {.num_states = num_states,
                                     .num_rows = 1,
                                     .width = 2,
                                     .out = numerator,
                                     .max = max,
                                     .denominator = denominator,
                                     .mask_value = MASK_VALUE};
    const reference_merged merged = {result.out,  result.numerator, result.magnitude,
                                     &result.lse, &result.max,      &result.denominator};

    reference_merge(&states, &merged);
    return result;
}

static void expect_nothing(const row_result *result)
{
    assert_true(result->out[0] == 0.0 && result->out[1] == 0.0);
    assert_true(result->numerator[0] == 0.0 && result->numerator[1] == 0.0);
    assert_true(isinf(result->lse) && result->lse < 0.0);
    assert_true(result->max == MASK_VALUE);
    assert_true(result->denominator == 0.0);
}

static void equal_states_give_the_mean(void **state)
{
    (void)state;
    const float out[] = {1.0f, -6.0f, 3.0f, 2.0f};
    const float lse[] = {5.0f, 5.0f};
    const row_result result = merge_by_lse(2, out, lse);

    assert_near(result.out[0], 2.0);
    assert_near(result.out[1], -2.0);
    assert_near(result.numerator[1], -4.0);
    assert_near(result.magnitude[1], 8.0);
    assert_near(result.max, 5.0);
    assert_near(result.denominator, 2.0);
    assert_near(result.lse, 5.0 + LOG2);
}

/* Sums 1 and 3 behind the same maximum: weights 1/4 and 3/4. */
static void denominators_weigh_the_states(void **state)
{
    (void)state;
    const float numerator[] = {4.0f, 0.0f, 24.0f, -12.0f};
    const float max[] = {-2.0f, -2.0f};
    const float denominator[] = {1.0f, 3.0f};
    const row_result result = merge_by_max(2, numerator, max, denominator);

    assert_near(result.out[0], 7.0);
    assert_near(result.out[1], -3.0);
    assert_near(result.numerator[0], 28.0);
    assert_near(result.max, -2.0);
    assert_near(result.denominator, 4.0);
    assert_near(result.lse, -2.0 + 2.0 * LOG2);
}

/* A maximum lower by log 2 (as a float32) halves the state. */
static void the_smaller_maximum_is_scaled_down(void **state)
{
    (void)state;
    const float numerator[] = {8.0f, 2.0f, 1.0f, 1.0f};
    const float max[] = {(float)-LOG2, 0.0f};
    const float denominator[] = {2.0f, 1.0f};
    const double half = exp((double)max[0]);
    const row_result result = merge_by_max(2, numerator, max, denominator);

    assert_near(result.max, 0.0);
    assert_near(result.denominator, 2.0 * half + 1.0);
    assert_near(result.numerator[0], 8.0 * half + 1.0);
    if (!(fabs(result.out[0] - 2.5) < 1e-7))
        fail_msg("out=%.17g", result.out[0]);
}

static void one_state_is_itself(void **state)
{
    (void)state;
    const float out[] = {3.5f, -1.25f};
    const float max[] = {-1e30f};
    const float denominator[] = {8.0f};
    const row_result result = merge_by_max(1, out, max, denominator);

    assert_true(result.numerator[0] == 3.5 && result.numerator[1] == -1.25);
    assert_near(result.out[0], 3.5 / 8.0);
    assert_true(result.max == (double)max[0]);
    assert_true(result.denominator == 8.0);
}

static void a_state_far_below_the_others_vanishes(void **state)
{
    (void)state;
    const float out[] = {7.0f, 7.0f, -1.0f, 2.0f};
    const float lse[] = {-1e30f, 1e30f};
    const row_result result = merge_by_lse(2, out, lse);

    assert_true(result.out[0] == -1.0 && result.out[1] == 2.0);
    assert_true(result.denominator == 1.0);
    assert_true(result.max == (double)lse[1] && result.lse == (double)lse[1]);
}

static void empty_states_have_no_influence(void **state)
{
    (void)state;
    const float out[] = {NAN, NAN, 3.0f, 4.0f, INFINITY, NAN};
    const float lse[] = {-INFINITY, 2.0f, -INFINITY};
    const float max[] = {NAN, 2.0f, INFINITY};
    const float denominator[] = {0.0f, 2.0f, -0.0f};
    const row_result by_lse = merge_by_lse(3, out, lse);
    const row_result by_max = merge_by_max(3, out, max, denominator);

    assert_true(by_lse.out[0] == 3.0 && by_lse.out[1] == 4.0 && by_lse.lse == 2.0);
    assert_true(by_max.out[0] == 1.5 && by_max.out[1] == 2.0 && by_max.max == 2.0 && by_max.denominator == 2.0);
}

static void only_empty_states_give_nothing(void **state)
{
    (void)state;
    const float out[] = {NAN, 1.0f, 2.0f, NAN};
    const float lse[] = {-INFINITY, -INFINITY};
    const float max[] = {5.0f, NAN};
    const float denominator[] = {0.0f, 0.0f};
    row_result result = merge_by_lse(2, out, lse);

    expect_nothing(&result);
    result = merge_by_max(2, out, max, denominator);
    expect_nothing(&result);
    result = merge_by_lse(0, out, lse);
    expect_nothing(&result);
}

static void what_is_no_number_shows(void **state)
{
    (void)state;
    const float out[] = {1.0f, 1.0f, 2.0f, 2.0f, 3.0f, 3.0f};
    const float number[] = {4.0f, 1.0f, 2.0f};

    for (int32_t i = 0; i < 3; i++) {
        float spoiled[3] = {number[0], number[1], number[2]};
        spoiled[i] = NAN;
        const row_result by_lse = merge_by_lse(3, out, spoiled);
        const row_result by_max = merge_by_max(3, out, spoiled, number);
        const row_result by_denominator = merge_by_max(3, out, number, spoiled);
        assert_true(isnan(by_lse.out[0]) && isnan(by_lse.lse) && isnan(by_lse.max));
        assert_true(isnan(by_max.numerator[0]) && isnan(by_max.max) && isnan(by_max.denominator));
        assert_true(isnan(by_denominator.out[0]) && isnan(by_denominator.denominator));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_states_give_the_mean),
        cmocka_unit_test(denominators_weigh_the_states),
        cmocka_unit_test(the_smaller_maximum_is_scaled_down),
        cmocka_unit_test(one_state_is_itself),
        cmocka_unit_test(a_state_far_below_the_others_vanishes),
        cmocka_unit_test(empty_states_have_no_influence),
        cmocka_unit_test(only_empty_states_give_nothing),
        cmocka_unit_test(what_is_no_number_shows),
    };
    return cmocka_run_group_tests_name("reference_merge", tests, NULL, NULL);
}
