/* SPDX-License-Identifier: Apache-2.0 */
#include "support/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The first outputs of xoshiro256** from the state 1, 2, 3, 4 follow from its definition: rotl(2*5, 7)*9 = 11520, ...
 */
static void generator_follows_its_definition(void **state)
{
    support_random random = {{1, 2, 3, 4}};
    (void)state;
    assert_true(support_random_next(&random) == 11520u);
    assert_true(support_random_next(&random) == 0u);
    assert_true(support_random_next(&random) == 1509978240u);
    assert_true(support_random_next(&random) == 1215971899390074240u);
}

/* SplitMix64's first outputs from seed 0 are published with it. */
static void seeding_follows_its_definition(void **state)
{
    const support_random random = support_random_seeded(0);
    (void)state;
    assert_true(random.state[0] == 0xe220a8397b1dcdafu);
    assert_true(random.state[1] == 0x6e789e6aa1b965f4u);
    assert_true(random.state[2] == 0x06c45d188009454fu);
}

static void between_reaches_both_ends_and_nothing_else(void **state)
{
    support_random random = support_random_seeded(1);
    int seen[5] = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        const int32_t value = support_random_between(&random, -2, 2);
        assert_in_range(value + 2, 0, 4);
        seen[value + 2]++;
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(seen[i], 140, 260);
    assert_int_equal(support_random_between(&random, 7, 7), 7);
}

static void normal_has_mean_zero_and_variance_one(void **state)
{
    support_random random = support_random_seeded(2);
    double sum = 0.0;
    double squares = 0.0;
    enum { COUNT = 20000 };
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        const double value = (double)support_random_normal(&random);
        assert_true(fabs(value) <= 3.5);
        sum += value;
        squares += value * value;
    }
    assert_true(fabs(sum / COUNT) < 0.03);
    assert_true(fabs(squares / COUNT - 1.0) < 0.03);
}

static void permutation_holds_every_number_once(void **state)
{
    support_random random = support_random_seeded(3);
    int32_t order[93];
    int seen[93] = {0};
    int moved = 0;
    (void)state;
    support_random_permutation(&random, 93, order);
    for (int i = 0; i < 93; i++) {
        assert_in_range(order[i], 0, 92);
        seen[order[i]]++;
        moved += order[i] != i;
    }
    for (int i = 0; i < 93; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
}

static void mixed_seeds_differ_in_both_arguments(void **state)
{
    (void)state;
    assert_true(support_random_mix(1, 2) != support_random_mix(2, 1));
    assert_true(support_random_mix(1, 2) != support_random_mix(1, 3));
    assert_true(support_random_mix(1, 2) == support_random_mix(1, 2));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(generator_follows_its_definition),
        cmocka_unit_test(seeding_follows_its_definition),
        cmocka_unit_test(between_reaches_both_ends_and_nothing_else),
        cmocka_unit_test(normal_has_mean_zero_and_variance_one),
        cmocka_unit_test(permutation_holds_every_number_once),
        cmocka_unit_test(mixed_seeds_differ_in_both_arguments),
    };
    return cmocka_run_group_tests_name("support_random", tests, NULL, NULL);
}
