/* SPDX-License-Identifier: Apache-2.0 */
/* The free list and the reference counts. */
#include "kv_cache/pages.h"

#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

enum { MAX_PAGES = 64 };

static clattn_pages pages_of(int32_t num_pages)
{
    clattn_pages pages;
    clattn_error error;
    assert_int_equal(clattn_pages_init(&pages, num_pages, &error), CLATTN_OK);
    return pages;
}

static void take_gives_every_page_once_and_then_none(void **state)
{
    static const int32_t counts[] = {1, 2, 7, MAX_PAGES};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        clattn_pages pages = pages_of(counts[i]);
        bool seen[MAX_PAGES] = {false};
        assert_int_equal(clattn_pages_num_free(&pages), counts[i]);
        for (int32_t k = 0; k < counts[i]; k++) {
            const int32_t page = clattn_pages_take(&pages);
            assert_in_range(page, 0, counts[i] - 1);
            assert_false(seen[page]);
            seen[page] = true;
            assert_int_equal(clattn_pages_count(&pages, page), 1);
            assert_int_equal(clattn_pages_num_free(&pages), counts[i] - 1 - k);
        }
        assert_int_equal(clattn_pages_take(&pages), CLATTN_NO_PAGE);
        assert_int_equal(clattn_pages_num_free(&pages), 0);
        clattn_pages_finish(&pages);
    }
}

static void first_takes_ascend(void **state)
{
    clattn_pages pages = pages_of(5);
    (void)state;
    for (int32_t i = 0; i < 5; i++)
        assert_int_equal(clattn_pages_take(&pages), i);
    clattn_pages_finish(&pages);
}

static void page_is_free_after_its_last_holder_only(void **state)
{
    clattn_pages pages = pages_of(3);
    const int32_t page = clattn_pages_take(&pages);
    (void)state;
    clattn_pages_retain(&pages, page);
    clattn_pages_retain(&pages, page);
    assert_int_equal(clattn_pages_count(&pages, page), 3);
    clattn_pages_release(&pages, page);
    clattn_pages_release(&pages, page);
    assert_int_equal(clattn_pages_count(&pages, page), 1);
    assert_int_equal(clattn_pages_num_free(&pages), 2);
    clattn_pages_release(&pages, page);
    assert_int_equal(clattn_pages_count(&pages, page), 0);
    assert_int_equal(clattn_pages_num_free(&pages), 3);
    clattn_pages_finish(&pages);
}

static void page_released_last_is_taken_first(void **state)
{
    clattn_pages pages = pages_of(4);
    const int32_t first = clattn_pages_take(&pages);
    const int32_t second = clattn_pages_take(&pages);
    (void)state;
    clattn_pages_release(&pages, second);
    clattn_pages_release(&pages, first);
    assert_int_equal(clattn_pages_take(&pages), first);
    assert_int_equal(clattn_pages_take(&pages), second);
    clattn_pages_finish(&pages);
}

static void peek_names_the_pages_of_the_next_takes(void **state)
{
    clattn_pages pages = pages_of(7);
    int32_t expected[6];
    (void)state;
    clattn_pages_release(&pages, clattn_pages_take(&pages));
    (void)clattn_pages_take(&pages);
    for (int32_t i = 0; i < 6; i++)
        expected[i] = clattn_pages_peek(&pages, i);
    assert_int_equal(clattn_pages_num_free(&pages), 6);
    for (int32_t i = 0; i < 6; i++)
        assert_int_equal(clattn_pages_take(&pages), expected[i]);
    clattn_pages_finish(&pages);
}

/* Compares with an array of counts after every one of many random operations. */
static void random_operations_agree_with_plain_counts(void **state)
{
    support_random random = support_random_seeded(1);
    clattn_pages pages = pages_of(MAX_PAGES);
    int32_t counts[MAX_PAGES] = {0};
    (void)state;
    for (int step = 0; step < 20000; step++) {
        const int32_t page = support_random_between(&random, 0, MAX_PAGES - 1);
        const int32_t action = support_random_between(&random, 0, 3);
        int32_t num_free = 0;
        if (action <= 1 && counts[page] > 0) {
            clattn_pages_release(&pages, page);
            counts[page]--;
        } else if (action == 2 && counts[page] > 0) {
            clattn_pages_retain(&pages, page);
            counts[page]++;
        } else {
            const int32_t taken = clattn_pages_take(&pages);
            if (taken != CLATTN_NO_PAGE)
                assert_int_equal(counts[taken]++, 0);
        }
        for (int32_t i = 0; i < MAX_PAGES; i++) {
            num_free += counts[i] == 0;
            if (clattn_pages_count(&pages, i) != counts[i])
                fail_msg("step=%d page=%d count=%d expected=%d", step, (int)i, (int)clattn_pages_count(&pages, i),
                         (int)counts[i]);
        }
        assert_int_equal(clattn_pages_num_free(&pages), num_free);
    }
    clattn_pages_finish(&pages);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_gives_every_page_once_and_then_none),
        cmocka_unit_test(first_takes_ascend),
        cmocka_unit_test(page_is_free_after_its_last_holder_only),
        cmocka_unit_test(page_released_last_is_taken_first),
        cmocka_unit_test(peek_names_the_pages_of_the_next_takes),
        cmocka_unit_test(random_operations_agree_with_plain_counts),
    };
    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
