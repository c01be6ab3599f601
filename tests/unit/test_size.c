/* SPDX-License-Identifier: Apache-2.0 */
/* Size arithmetic at its limits. */
#include "runtime/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UNTOUCHED 0x5a5au

static void add_up_to_the_limit_works(void **state)
{
    (void)state;
    uint64_t sum = UNTOUCHED;
    assert_true(clattn_size_add(0, 0, &sum));
    assert_true(sum == 0);
    assert_true(clattn_size_add(UINT64_MAX - 7, 7, &sum));
    assert_true(sum == UINT64_MAX);
    assert_true(clattn_size_add(0, UINT64_MAX, &sum));
    assert_true(sum == UINT64_MAX);
}

static void add_over_the_limit_is_refused(void **state)
{
    (void)state;
    uint64_t sum = UNTOUCHED;
    assert_false(clattn_size_add(UINT64_MAX - 7, 8, &sum));
    assert_false(clattn_size_add(1, UINT64_MAX, &sum));
    assert_false(clattn_size_add(UINT64_MAX, UINT64_MAX, &sum));
    assert_true(sum == UNTOUCHED);
}

static void multiply_up_to_the_limit_works(void **state)
{
    (void)state;
    uint64_t product = UNTOUCHED;
    assert_true(clattn_size_multiply(UINT64_MAX, 0, &product));
    assert_true(product == 0);
    assert_true(clattn_size_multiply(0, UINT64_MAX, &product));
    assert_true(product == 0);
    assert_true(clattn_size_multiply(UINT64_MAX, 1, &product));
    assert_true(product == UINT64_MAX);
    assert_true(clattn_size_multiply(UINT64_C(0xffffffff), UINT64_C(0x100000001), &product));
    assert_true(product == UINT64_MAX);
}

static void multiply_over_the_limit_is_refused(void **state)
{
    (void)state;
    uint64_t product = UNTOUCHED;
    assert_false(clattn_size_multiply(UINT64_C(1) << 32, UINT64_C(1) << 32, &product));
    assert_false(clattn_size_multiply(UINT64_MAX, 2, &product));
    assert_false(clattn_size_multiply(2, UINT64_MAX / 2 + 1, &product));
    assert_true(product == UNTOUCHED);
}

static void ceil_div_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(clattn_ceil_div(0, 4), 0);
    assert_int_equal(clattn_ceil_div(1, 4), 1);
    assert_int_equal(clattn_ceil_div(4, 4), 1);
    assert_int_equal(clattn_ceil_div(5, 4), 2);
    assert_int_equal(clattn_ceil_div(93, 1), 93);
    assert_true(clattn_ceil_div(INT64_MAX, INT64_MAX) == 1);
    assert_true(clattn_ceil_div(INT64_MAX, 2) == INT64_MAX / 2 + 1);
    assert_true(clattn_ceil_div(INT64_MAX, 1) == INT64_MAX);
    assert_int_equal(clattn_ceil_div(-5, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_up_to_the_limit_works),
        cmocka_unit_test(add_over_the_limit_is_refused),
        cmocka_unit_test(multiply_up_to_the_limit_works),
        cmocka_unit_test(multiply_over_the_limit_is_refused),
        cmocka_unit_test(ceil_div_rounds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
