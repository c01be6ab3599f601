/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a slot mapping: range and duplicates. */
#include "kv_cache/slots.h"

#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static clattn_status check(clattn_error *error, const int64_t *slots, int32_t num_tokens, int64_t num_slots)
{
    const uint64_t num_entries = clattn_slots_scratch_entries(num_tokens);
    int32_t *scratch = malloc((size_t)num_entries * sizeof *scratch);
    assert_non_null(scratch);
    memset(scratch, 0x5a, (size_t)num_entries * sizeof *scratch);
    const clattn_status status = clattn_slots_check(error, slots, num_tokens, num_slots, scratch);
    free(scratch);
    return status;
}

static void scratch_is_a_power_of_two_of_twice_the_tokens(void **state)
{
    static const struct {
        int32_t num_tokens;
        uint64_t num_entries;
    } cases[] = {{0, 2}, {1, 2}, {2, 4}, {3, 8}, {4, 8}, {5, 16}, {1024, 2048}, {INT32_MAX, UINT64_C(1) << 32}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(clattn_slots_scratch_entries(cases[i].num_tokens), cases[i].num_entries);
}

static void no_tokens_are_accepted(void **state)
{
    clattn_error error;
    (void)state;
    assert_int_equal(check(&error, NULL, 0, 0), CLATTN_OK);
}

static void slots_up_to_the_last_are_accepted(void **state)
{
    const int64_t slots[] = {0, 99, 50};
    clattn_error error;
    (void)state;
    assert_int_equal(check(&error, slots, 3, 100), CLATTN_OK);
}

static void slot_behind_the_cache_is_refused_by_name(void **state)
{
    const int64_t slots[] = {0, 99, 50};
    clattn_error error;
    (void)state;
    assert_int_equal(check(&error, slots, 3, 99), CLATTN_INVALID_PAGE);
    assert_string_equal(error.text, "slot_mapping[1] is 99, expected a slot in [0, 99)");
}

static void negative_slot_is_refused_by_name(void **state)
{
    const int64_t slots[] = {4, 3, -1};
    clattn_error error;
    (void)state;
    assert_int_equal(check(&error, slots, 3, 8), CLATTN_INVALID_PAGE);
    assert_string_equal(error.text, "slot_mapping[2] is -1, expected a slot in [0, 8)");
}

static void slot_given_twice_is_refused_by_both_tokens(void **state)
{
    const int64_t slots[] = {5, 1, 7, 1, 5};
    clattn_error error;
    (void)state;
    assert_int_equal(check(&error, slots, 3, 8), CLATTN_OK);
    assert_int_equal(check(&error, slots, 5, 8), CLATTN_INVALID_PAGE);
    assert_string_equal(error.text, "slot_mapping[1] and slot_mapping[3] are both slot 1, expected every slot once");
}

/* Slots that agree in their low 32 bits, and slots beyond them. */
static void slots_beyond_32_bits_are_told_apart(void **state)
{
    int64_t slots[300];
    clattn_error error;
    (void)state;
    for (int i = 0; i < 300; i++)
        slots[i] = (int64_t)i << 32;
    assert_int_equal(check(&error, slots, 300, (int64_t)300 << 32), CLATTN_OK);
    slots[299] = slots[17];
    assert_int_equal(check(&error, slots, 300, (int64_t)300 << 32), CLATTN_INVALID_PAGE);
    assert_non_null(strstr(error.text, "slot_mapping[17] and slot_mapping[299]"));
}

/* A permutation passes; with any one entry repeated it does not. */
static void repeated_entry_of_a_permutation_is_always_found(void **state)
{
    support_random random = support_random_seeded(7);
    (void)state;
    for (int step = 0; step < 2000; step++) {
        const int32_t count = support_random_between(&random, 2, 200);
        int32_t order[200];
        int64_t slots[200];
        clattn_error error;
        support_random_permutation(&random, count, order);
        for (int32_t i = 0; i < count; i++)
            slots[i] = order[i];
        if (check(&error, slots, count, count) != CLATTN_OK)
            fail_msg("step=%d count=%d: %s", step, (int)count, error.text);
        const int32_t first = support_random_between(&random, 0, count - 2);
        const int32_t second = support_random_between(&random, first + 1, count - 1);
        slots[second] = slots[first];
        if (check(&error, slots, count, count) != CLATTN_INVALID_PAGE)
            fail_msg("step=%d count=%d first=%d second=%d: accepted", step, (int)count, (int)first, (int)second);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scratch_is_a_power_of_two_of_twice_the_tokens),
        cmocka_unit_test(no_tokens_are_accepted),
        cmocka_unit_test(slots_up_to_the_last_are_accepted),
        cmocka_unit_test(slot_behind_the_cache_is_refused_by_name),
        cmocka_unit_test(negative_slot_is_refused_by_name),
        cmocka_unit_test(slot_given_twice_is_refused_by_both_tokens),
        cmocka_unit_test(slots_beyond_32_bits_are_told_apart),
        cmocka_unit_test(repeated_entry_of_a_permutation_is_always_found),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
