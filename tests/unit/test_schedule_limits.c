/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules for devices that end long loops: what a row says of keys, splits and merged rows holds whatever is asked.
 */
#include "schedule_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BLOCK_KV = 16 };

/* Plans and checks one decoded row of so many keys, and says how often it is split and how long its items are. */
static clattn_schedule_counts plan_row(model_case *problem, int32_t context_len)
{
    model_schedule schedule;
    char name[128];
    problem->params.num_seqs = problem->params.num_owned_tokens = problem->params.total_tokens = 0;
    model_add(problem, 1, context_len);
    model_plan(problem, &schedule);
    snprintf(name, sizeof name, "context_len=%d num_splits=%d invariant=%d", context_len, problem->params.num_splits,
             problem->params.batch_invariant);
    model_check(problem, &schedule, name);
    model_check_bound(problem, &schedule, name);
    const clattn_schedule_counts counts = schedule.counts;
    model_release(&schedule);
    return counts;
}

static void init(model_case *problem)
{
    model_init(problem);
    problem->row.target_groups = 1; /* no automatic splits */
    assert_int_equal(problem->row.tiles[CLATTN_PHASE_DECODE].block_kv, BLOCK_KV);
}

static void keys_beyond_an_item_are_split(void **state)
{
    model_case problem;
    (void)state;
    init(&problem);
    assert_int_equal(plan_row(&problem, 10000).max_splits, 1);
    problem.row.max_item_keys[CLATTN_PHASE_DECODE] = 3 * BLOCK_KV;
    for (int32_t num_splits = 0; num_splits <= 1; num_splits++) {
        problem.params.num_splits = num_splits;
        assert_int_equal(plan_row(&problem, 3 * BLOCK_KV).max_splits, 1);
        assert_int_equal(plan_row(&problem, 3 * BLOCK_KV + 1).max_splits, 2);
        assert_int_equal(plan_row(&problem, 10000).max_splits, 209);
        assert_int_equal(plan_row(&problem, 10000).max_item_keys[CLATTN_PHASE_DECODE], 3 * BLOCK_KV);
    }
    problem.params.num_splits = 0;
    problem.params.batch_invariant = true;
    assert_int_equal(plan_row(&problem, 10000).max_splits, 209);
}

static void more_splits_than_needed_are_as_asked(void **state)
{
    model_case problem;
    (void)state;
    init(&problem);
    problem.row.max_item_keys[CLATTN_PHASE_DECODE] = 30 * BLOCK_KV;
    problem.params.num_splits = 10;
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_splits, 10);
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_item_keys[CLATTN_PHASE_DECODE], 10 * BLOCK_KV);
}

static void no_more_splits_than_can_be_merged(void **state)
{
    model_case problem;
    (void)state;
    init(&problem);
    problem.params.num_splits = 50;
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_splits, 50);
    problem.row.max_splits = 20;
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_splits, 20);
    problem.params.num_splits = 20;
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_splits, 20);
    problem.row.max_item_keys[CLATTN_PHASE_DECODE] = 2 * BLOCK_KV; /* which comes first: the plan refuses it */
    assert_int_equal(plan_row(&problem, 100 * BLOCK_KV).max_splits, 50);
}

/* Those of a split tile, and those that nobody owns. */
static void merge_items_have_no_more_rows_than_allowed(void **state)
{
    (void)state;
    for (int32_t max_rows = 1; max_rows <= 17; max_rows++) {
        model_case problem;
        model_schedule schedule;
        init(&problem);
        problem.params.num_splits = 3;
        problem.row.max_merge_rows = max_rows;
        problem.row.max_clear_rows = 2 * max_rows;
        model_add(&problem, 40, 500);
        model_add_tail(&problem, 130);
        model_plan(&problem, &schedule);
        model_check(&problem, &schedule, "merged rows");
        model_check_bound(&problem, &schedule, "merged rows");
        if (max_rows == 1)
            assert_int_equal(schedule.counts.num_merge_items, 40 + 130 / 2);
        model_release(&schedule);
    }
}

/* The bound of a reservation does not wrap. */
static void the_largest_reservation_is_bounded(void **state)
{
    static const int32_t splits[] = {0, 1, INT32_MAX / 2, INT32_MAX};
    model_case problem;
    clattn_schedule_counts bound;
    (void)state;
    init(&problem);
    problem.row.max_item_keys[CLATTN_PHASE_DECODE] = BLOCK_KV;
    problem.row.max_merge_rows = 1;
    problem.row.max_clear_rows = 1;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        problem.params = (clattn_schedule_params){.num_seqs = INT32_MAX,
                                                  .total_tokens = INT32_MAX,
                                                  .group_size = INT32_MAX,
                                                  .num_kv_heads = 1,
                                                  .num_splits = splits[i],
                                                  .row = &problem.row};
        clattn_schedule_bound(&problem.params, INT32_MAX, &bound);
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
            assert_true(bound.num_items[phase] > INT32_MAX);
        assert_true(bound.num_merge_items > INT32_MAX);
        assert_true(bound.num_partial_rows > INT32_MAX);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_beyond_an_item_are_split),
        cmocka_unit_test(more_splits_than_needed_are_as_asked),
        cmocka_unit_test(no_more_splits_than_can_be_merged),
        cmocka_unit_test(merge_items_have_no_more_rows_than_allowed),
        cmocka_unit_test(the_largest_reservation_is_bounded),
    };
    return cmocka_run_group_tests_name("schedule_limits", tests, NULL, NULL);
}
