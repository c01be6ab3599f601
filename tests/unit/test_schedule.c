/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler against a naive model: batches of fixed corner cases, random ones, and what stays independent of what.
 */
#include "schedule_model.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NAME_BYTES 512

static void plan_and_check(const model_case *problem, const char *name)
{
    model_schedule schedule;
    model_plan(problem, &schedule);
    model_check(problem, &schedule, name);
    model_check_bound(problem, &schedule, name);
    model_release(&schedule);
}

static model_case *new_case(void)
{
    model_case *problem = malloc(sizeof *problem);
    assert_non_null(problem);
    model_init(problem);
    return problem;
}

/* One sequence of 300 keys of every kind: decode, a short and a long prompt, rows behind them. */
static void add_mixed_batch(model_case *problem)
{
    static const int32_t lengths[][2] = {{1, 300}, {0, 7},   {0, 0},  {37, 61}, {1, 1},
                                         {93, 93}, {5, 257}, {2, 16}, {1, 17}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        model_add(problem, lengths[i][0], lengths[i][1]);
    model_add_tail(problem, 3);
}

static void nothing_gives_no_items(void **state)
{
    model_case *problem = new_case();
    model_schedule schedule;
    (void)state;
    model_plan(problem, &schedule);
    assert_int_equal(schedule.counts.num_items[CLATTN_PHASE_DECODE], 0);
    assert_int_equal(schedule.counts.num_items[CLATTN_PHASE_PREFILL], 0);
    assert_int_equal(schedule.counts.num_merge_items, 0);
    model_check(problem, &schedule, "nothing");
    model_check_bound(problem, &schedule, "nothing");
    model_release(&schedule);
    model_add(problem, 0, 0);
    model_add(problem, 0, 1000);
    plan_and_check(problem, "sequences without queries");
    free(problem);
}

static void one_row_is_one_item(void **state)
{
    model_case *problem = new_case();
    model_schedule schedule;
    (void)state;
    model_add(problem, 1, 11);
    model_plan(problem, &schedule);
    model_check(problem, &schedule, "one row");
    assert_int_equal(schedule.counts.num_items[CLATTN_PHASE_DECODE], 1);
    assert_int_equal(schedule.counts.num_merge_items, 0);
    assert_int_equal(schedule.items[CLATTN_PHASE_DECODE][0].kv_begin, 0);
    assert_int_equal(schedule.items[CLATTN_PHASE_DECODE][0].kv_end, 11);
    model_release(&schedule);

    problem->params.window_left = 3; /* SEMANTICS section 8: a window of 4 sees 7..10 */
    model_plan(problem, &schedule);
    assert_int_equal(schedule.items[CLATTN_PHASE_DECODE][0].kv_begin, 7);
    assert_int_equal(schedule.items[CLATTN_PHASE_DECODE][0].kv_end, 11);
    model_release(&schedule);
    free(problem);
}

static void every_group_size_is_covered(void **state)
{
    (void)state;
    for (int32_t group_size = 1; group_size <= 16; group_size++) {
        for (int32_t num_splits = 0; num_splits <= 3; num_splits += 3) {
            model_case *problem = new_case();
            char name[NAME_BYTES];
            problem->params.group_size = group_size;
            problem->params.num_splits = num_splits;
            add_mixed_batch(problem);
            snprintf(name, sizeof name, "group_size=%d num_splits=%d", group_size, num_splits);
            plan_and_check(problem, name);
            free(problem);
        }
    }
}

static void every_number_of_splits_is_covered(void **state)
{
    (void)state;
    for (int32_t num_splits = 1; num_splits <= 64; num_splits++) {
        model_case *problem = new_case();
        model_schedule schedule;
        char name[NAME_BYTES];
        problem->params.num_splits = num_splits;
        problem->row.tiles[CLATTN_PHASE_DECODE].block_kv = 5;
        add_mixed_batch(problem);
        snprintf(name, sizeof name, "num_splits=%d", num_splits);
        plan_and_check(problem, name);
        model_plan(problem, &schedule);
        assert_in_range(schedule.counts.max_splits, (num_splits + 1) / 2, num_splits); /* 60 blocks at most */
        model_release(&schedule);
        free(problem);
    }
}

static void every_window_is_covered(void **state)
{
    static const int32_t windows[] = {0, 1, 3, 15, 16, 17, 31, 92, 300, INT32_MAX - 1};
    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        for (int32_t num_splits = 0; num_splits <= 4; num_splits += 4) {
            model_case *problem = new_case();
            char name[NAME_BYTES];
            problem->params.window_left = windows[i];
            problem->params.num_splits = num_splits;
            problem->params.group_size = 3;
            add_mixed_batch(problem);
            snprintf(name, sizeof name, "window_left=%d num_splits=%d", windows[i], num_splits);
            plan_and_check(problem, name);
            free(problem);
        }
    }
}

/* As the dense operations will have them: keys [kv_start, kv_end), a window to both sides, rows that see nothing. */
static void ranges_and_windows_to_the_right_are_covered(void **state)
{
    static const int32_t sides[] = {CLATTN_UNLIMITED, 0, 5, 40};
    (void)state;
    for (int left = 0; left < 4; left++) {
        for (int right = 0; right < 4; right++) {
            model_case *problem = new_case();
            char name[NAME_BYTES];
            add_mixed_batch(problem);
            for (int32_t s = 0; s < problem->params.num_seqs; s++)
                problem->spans[s].kv_start = problem->spans[s].kv_end / 3;
            problem->params.window_left = sides[left];
            problem->params.window_right = sides[right];
            problem->params.num_splits = left == right ? 3 : 0;
            snprintf(name, sizeof name, "window=(%d, %d)", sides[left], sides[right]);
            plan_and_check(problem, name);
            free(problem);
        }
    }
}

static void invariant_splits_are_covered(void **state)
{
    static const int32_t contexts[] = {1, CLATTN_INVARIANT_SPLIT_TOKENS - 1, CLATTN_INVARIANT_SPLIT_TOKENS,
                                       CLATTN_INVARIANT_SPLIT_TOKENS + 1, 3 * CLATTN_INVARIANT_SPLIT_TOKENS + 17};
    model_case *problem = new_case();
    model_schedule schedule;
    (void)state;
    problem->params.batch_invariant = true;
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++)
        model_add(problem, 1, contexts[i]);
    model_add(problem, 20, 2 * CLATTN_INVARIANT_SPLIT_TOKENS);
    plan_and_check(problem, "batch_invariant");
    model_plan(problem, &schedule);
    assert_int_equal(schedule.counts.max_splits, 4);
    model_release(&schedule);
    free(problem);
}

static void rows_that_no_sequence_owns_are_cleared(void **state)
{
    static const int32_t tails[] = {1, 63, 64, 65, 129};
    (void)state;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        for (int32_t group_size = 1; group_size <= 7; group_size += 6) {
            model_case *problem = new_case();
            char name[NAME_BYTES];
            problem->params.group_size = group_size;
            if (i % 2 == 0)
                model_add(problem, 3, 5);
            model_add_tail(problem, tails[i]);
            snprintf(name, sizeof name, "tail=%d group_size=%d", tails[i], group_size);
            plan_and_check(problem, name);
            free(problem);
        }
    }
}

static void draw_row(clattn_row *row, support_random *random)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        row->tiles[phase].block_q = support_random_between(random, 1, phase == CLATTN_PHASE_DECODE ? 8 : 40);
        row->tiles[phase].block_kv = support_random_between(random, 1, 50);
        row->tiles[phase].heads = 1 << support_random_between(random, 0, 2);
    }
    row->decode_max_rows = support_random_between(random, 1, 24);
    row->target_groups = support_random_between(random, 1, 200);
    row->min_split_tokens = support_random_between(random, 1, 60);
    row->run_threads = support_random_between(random, 0, 1) == 0 ? 0 : support_random_between(random, 1, 20);
    if (support_random_between(random, 0, 2) == 0) {
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
            row->max_item_keys[phase] = row->tiles[phase].block_kv * support_random_between(random, 1, 6);
        row->max_merge_rows = support_random_between(random, 1, 9);
        row->max_clear_rows = support_random_between(random, 1, 70);
    }
}

static void draw_lengths(support_random *random, int32_t longest, int32_t *q_len, int32_t *context_len)
{
    *context_len = support_random_between(random, 0, longest);
    switch (support_random_between(random, 0, 4)) {
    case 0:
        *q_len = 0;
        break;
    case 1:
        *q_len = *context_len;
        break;
    case 2:
        *q_len = support_random_between(random, 0, *context_len);
        break;
    default:
        *q_len = *context_len > 0;
    }
}

static void draw_case(model_case *problem, support_random *random)
{
    static const int32_t longest[] = {3, 30, 250};
    model_init(problem);
    draw_row(&problem->row, random);
    problem->params.group_size = support_random_between(random, 1, 16);
    problem->params.num_kv_heads = 4 * support_random_between(random, 1, 3);
    switch (support_random_between(random, 0, 2)) {
    case 0:
        problem->params.num_splits = support_random_between(random, 1, 64);
        break;
    case 1:
        problem->params.batch_invariant = true;
        break;
    default:
        break;
    }
    if (support_random_between(random, 0, 1))
        problem->params.window_left = support_random_between(random, 0, 60);
    const int32_t num_seqs = support_random_between(random, 0, 9);
    for (int32_t s = 0; s < num_seqs; s++) {
        int32_t q_len, context_len;
        draw_lengths(random, longest[support_random_between(random, 0, 2)], &q_len, &context_len);
        model_add(problem, q_len, context_len);
    }
    if (support_random_between(random, 0, 3) == 0)
        model_add_tail(problem, support_random_between(random, 1, 70));
}

static void describe(const model_case *problem, uint64_t seed, char *text)
{
    const clattn_schedule_params *params = &problem->params;
    const clattn_row *row = &problem->row;
    int length = snprintf(
        text, NAME_BYTES,
        "seed=%llu group_size=%d kv_heads=%d num_splits=%d invariant=%d window_left=%d total_tokens=%d "
        "decode=%dx%dx%d prefill=%dx%dx%d decode_max_rows=%d target=%d min_split=%d max_keys=%d/%d merge_rows=%d "
        "lengths=",
        (unsigned long long)seed, params->group_size, params->num_kv_heads, params->num_splits, params->batch_invariant,
        params->window_left, params->total_tokens, row->tiles[0].block_q, row->tiles[0].block_kv, row->tiles[0].heads,
        row->tiles[1].block_q, row->tiles[1].block_kv, row->tiles[1].heads, row->decode_max_rows, row->target_groups,
        row->min_split_tokens, row->max_item_keys[0], row->max_item_keys[1], row->max_merge_rows);
    for (int32_t s = 0; s < params->num_seqs && length < NAME_BYTES - 32; s++)
        length += snprintf(text + length, (size_t)(NAME_BYTES - length), "%d/%d,", problem->spans[s].num_tokens,
                           problem->spans[s].kv_end);
}

static void random_batches_match_the_model(void **state)
{
    model_case *problem = new_case();
    (void)state;
    for (uint64_t seed = 1; seed <= 800; seed++) {
        support_random random = support_random_seeded(seed);
        char name[NAME_BYTES];
        draw_case(problem, &random);
        describe(problem, seed, name);
        plan_and_check(problem, name);
    }
    free(problem);
}

static void the_same_batch_gives_the_same_bytes(void **state)
{
    model_case *problem = new_case();
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        support_random random = support_random_seeded(seed);
        model_schedule first, second;
        draw_case(problem, &random);
        model_plan(problem, &first);
        model_plan(problem, &second);
        assert_memory_equal(&first.counts, &second.counts, sizeof first.counts);
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
            if (first.counts.num_items[phase] > 0)
                assert_memory_equal(first.items[phase], second.items[phase],
                                    (size_t)first.counts.num_items[phase] * sizeof(clattn_work_item));
        if (first.counts.num_merge_items > 0)
            assert_memory_equal(first.merge_items, second.merge_items,
                                (size_t)first.counts.num_merge_items * sizeof(clattn_merge_item));
        model_release(&first);
        model_release(&second);
    }
    free(problem);
}

/* The items of sequence `a` of one schedule and `b` of another, but for the places of their partial states. */
static void require_same_items(const model_schedule *left, int32_t a, const model_schedule *right, int32_t b,
                               const char *name)
{
    clattn_work_item *items_a = NULL;
    clattn_work_item *items_b = NULL;
    const int32_t num_items = model_items_of(left, a, &items_a);
    if (model_items_of(right, b, &items_b) != num_items)
        fail_msg("%s: sequence %d has another number of items in another batch", name, a);
    for (int32_t i = 0; i < num_items; i++)
        if (items_a[i].first_row != items_b[i].first_row || items_a[i].num_rows != items_b[i].num_rows ||
            items_a[i].kv_begin != items_b[i].kv_begin || items_a[i].kv_end != items_b[i].kv_end ||
            (items_a[i].partial < 0) != (items_b[i].partial < 0))
            fail_msg("%s: item %d of sequence %d differs in another batch", name, i, a);
    free(items_a);
    free(items_b);
}

/* Every sequence next to a long one only, against the batch. */
static void fixed_splits_do_not_depend_on_the_batch(void **state)
{
    model_case *problem = new_case();
    model_case *alone = new_case();
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        support_random random = support_random_seeded(seed);
        model_schedule batch, single;
        char name[NAME_BYTES];
        draw_case(problem, &random);
        problem->params.batch_invariant = seed % 2 == 0;
        problem->params.num_splits = seed % 2 == 0 ? 0 : support_random_between(&random, 1, 64);
        if (problem->params.batch_invariant)
            model_add(problem, 3, support_random_between(&random, 3, 9000));
        describe(problem, seed, name);
        model_plan(problem, &batch);
        for (int32_t s = 0; s < problem->params.num_seqs; s++) {
            *alone = *problem;
            alone->params.row = &alone->row;
            alone->params.spans = alone->spans;
            alone->params.num_seqs = alone->params.num_owned_tokens = alone->params.total_tokens = 0;
            model_add(alone, 2, 20000);
            model_add(alone, problem->spans[s].num_tokens, problem->spans[s].kv_end);
            model_plan(alone, &single);
            require_same_items(&batch, s, &single, 1, name);
            model_release(&single);
        }
        model_release(&batch);
    }
    free(problem);
    free(alone);
}

/* A lonely long row meets a device of many units. */
static void long_rows_are_split_to_fill_the_device(void **state)
{
    static const int32_t contexts[] = {256, 400, 1000, 4096, 32768, 131072, 1000000};
    (void)state;
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        for (int32_t target = 8; target <= 2048; target *= 4) {
            model_case *problem = new_case();
            model_schedule schedule;
            problem->row.target_groups = target;
            model_add(problem, 1, contexts[i]);
            model_plan(problem, &schedule);
            model_check_bound(problem, &schedule, "one long row");
            const int64_t num_items = schedule.counts.num_items[CLATTN_PHASE_DECODE];
            const int64_t most_useful = contexts[i] / problem->row.min_split_tokens;
            const int64_t wanted = target < most_useful ? target : most_useful;
            if (num_items < 2 || num_items < wanted / 2)
                fail_msg("context_len=%d target_groups=%d: %lld items", contexts[i], target, (long long)num_items);
            model_release(&schedule);
            free(problem);
        }
    }
}

/* Just less than two blocks for each group round down to one: nearly twice as many items as groups. */
static void rounding_of_shares_stays_within_the_bound(void **state)
{
    (void)state;
    for (int32_t target = 1; target <= 300; target++) {
        model_case *problem = new_case();
        model_schedule schedule;
        problem->row.target_groups = target;
        problem->row.min_split_tokens = 1;
        model_add(problem, 1, (2 * target - 1) * problem->row.tiles[CLATTN_PHASE_DECODE].block_kv);
        model_plan(problem, &schedule);
        model_check(problem, &schedule, "one block per item");
        model_check_bound(problem, &schedule, "one block per item");
        assert_int_equal(schedule.counts.num_items[CLATTN_PHASE_DECODE], 2 * target - 1);
        model_release(&schedule);
        free(problem);
    }
}

/* But never so finely that merging outweighs: three quarters of min_split_tokens, the last split of a row excepted. */
static void automatic_splits_are_not_too_small(void **state)
{
    (void)state;
    for (int32_t context_len = 1; context_len <= 3000; context_len += 7) {
        model_case *problem = new_case();
        model_schedule schedule;
        clattn_work_item *items = NULL;
        problem->row.target_groups = 100000;
        model_add(problem, 1, context_len);
        model_plan(problem, &schedule);
        const int32_t num_items = model_items_of(&schedule, 0, &items);
        for (int32_t i = 0; i + 1 < num_items; i++)
            if (4 * (items[i].kv_end - items[i].kv_begin) < 3 * problem->row.min_split_tokens)
                fail_msg("context_len=%d: item %d of %d has keys [%d, %d)", context_len, i, num_items,
                         items[i].kv_begin, items[i].kv_end);
        free(items);
        model_release(&schedule);
        free(problem);
    }
}

/* A batch that fills the device by itself is not split. */
static void many_equal_rows_are_not_split(void **state)
{
    model_case *problem = new_case();
    model_schedule schedule;
    (void)state;
    for (int32_t s = 0; s < 4 * problem->row.target_groups; s++)
        model_add(problem, 1, 1000);
    model_plan(problem, &schedule);
    assert_int_equal(schedule.counts.num_items[CLATTN_PHASE_DECODE], 4 * problem->row.target_groups);
    assert_int_equal(schedule.counts.num_merge_items, 0);
    model_release(&schedule);
    free(problem);
}

/*
 * When the last of num_threads is done, in keys, if each takes as many of the next items as its even share of what is
 * left, rounded up, whenever it is free: what PoCL does.
 */
static int64_t end_of_runs(const model_schedule *schedule, int32_t num_threads)
{
    enum { MOST_THREADS = 16 };
    int64_t busy_until[MOST_THREADS] = {0};
    const int64_t num_items = schedule->counts.num_items[CLATTN_PHASE_DECODE];
    int64_t end = 0;
    assert_true(num_threads <= MOST_THREADS);
    for (int64_t next = 0; next < num_items;) {
        int64_t *thread = busy_until;
        for (int32_t i = 1; i < num_threads; i++)
            if (busy_until[i] < *thread)
                thread = &busy_until[i];
        const int64_t past = next + (num_items - next + num_threads - 1) / num_threads;
        for (; next < past; next++)
            *thread +=
                schedule->items[CLATTN_PHASE_DECODE][next].kv_end - schedule->items[CLATTN_PHASE_DECODE][next].kv_begin;
        end = *thread > end ? *thread : end;
    }
    return end;
}

/* 64 sequences, evenly spread over the powers of two from 16 to 8192, for threads that take runs of work-groups. */
static void shares_keep_threads_busy_that_take_runs(void **state)
{
    (void)state;
    for (int32_t num_threads = 2; num_threads <= 16; num_threads *= 2) {
        int64_t ends[2]; /* heavy first; in shares */
        int64_t num_keys = 0;
        int64_t longest_item = 0;
        for (int shares = 0; shares < 2; shares++) {
            model_case *problem = new_case();
            model_schedule schedule;
            problem->row.target_groups = 8 * num_threads;
            problem->row.run_threads = shares ? num_threads : 0;
            for (int32_t s = 0; s < 64; s++)
                model_add(problem, 1, (16 << s % 9) + (16 << s % 9) * (s / 9) / 8);
            model_plan(problem, &schedule);
            model_check(problem, &schedule, shares ? "shares" : "heavy first");
            ends[shares] = end_of_runs(&schedule, num_threads);
            num_keys = longest_item = 0;
            for (int64_t i = 0; i < schedule.counts.num_items[CLATTN_PHASE_DECODE]; i++) {
                const clattn_work_item *item = &schedule.items[CLATTN_PHASE_DECODE][i];
                num_keys += item->kv_end - item->kv_begin;
                longest_item =
                    item->kv_end - item->kv_begin > longest_item ? item->kv_end - item->kv_begin : longest_item;
            }
            model_release(&schedule);
            free(problem);
        }
        const int64_t even = num_keys / num_threads;
        if (ends[1] > even + longest_item / 2 + even / 20)
            fail_msg("%d threads: done after %lld keys, an even part is %lld", num_threads, (long long)ends[1],
                     (long long)even);
        if (ends[0] < even * 5 / 4) /* or the test shows nothing */
            fail_msg("%d threads: heavy first is done after %lld keys, an even part is %lld", num_threads,
                     (long long)ends[0], (long long)even);
    }
}

static void one_item_needs_a_group_per_block_of_heads(void **state)
{
    model_case *problem = new_case();
    (void)state;
    problem->params.num_kv_heads = 12;
    problem->row.tiles[CLATTN_PHASE_DECODE].heads = 4;
    assert_int_equal(clattn_schedule_groups_per_item(&problem->params, CLATTN_PHASE_DECODE), 3);
    assert_int_equal(clattn_schedule_groups_per_item(&problem->params, CLATTN_PHASE_PREFILL), 12);
    free(problem);
}

/* Numbers near 2^31 must not wrap. */
static void the_longest_context_is_covered(void **state)
{
    model_case *problem = new_case();
    model_schedule schedule;
    clattn_work_item *items = NULL;
    (void)state;
    problem->params.num_splits = 7;
    problem->params.window_left = INT32_MAX - 1;
    model_add(problem, 1, INT32_MAX);
    model_plan(problem, &schedule);
    model_check_bound(problem, &schedule, "longest context");
    assert_int_equal(model_items_of(&schedule, 0, &items), 7);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(items[i].kv_begin, i == 0 ? 0 : items[i - 1].kv_end);
        assert_true(items[i].kv_end > items[i].kv_begin);
    }
    assert_int_equal(items[6].kv_end, INT32_MAX);
    free(items);
    model_release(&schedule);
    free(problem);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A length from 1 to 100,000, each octave as likely as the next. */
static int32_t draw_log_uniform(support_random *random)
{
    int32_t length;
    do {
        const int32_t shift = support_random_between(random, 0, 16);
        length = support_random_between(random, 1 << 16, (1 << 17) - 1) >> shift;
    } while (length > 100000);
    return length;
}

/* The time is printed for whoever reads the log; only the sizes are checked. */
static void a_thousand_sequences_stay_within_the_bound(void **state)
{
    enum { NUM_SEQS = 1000, STEPS = 20 };
    (void)state;
    for (int32_t prompts = 0; prompts < 2; prompts++) {
        support_random random = support_random_seeded(99);
        model_case *problem = new_case();
        model_schedule schedule;
        problem->params.group_size = 4;
        problem->params.num_kv_heads = 8;
        for (int32_t s = 0; s < NUM_SEQS; s++) {
            const int32_t context_len = draw_log_uniform(&random);
            model_add(problem, prompts && s % 10 == 0 ? (context_len + 1) / 2 : 1, context_len);
        }
        model_plan(problem, &schedule); /* also warms the memory up */
        model_check_bound(problem, &schedule, "a thousand sequences");
        model_release(&schedule);

        double best = 1e9;
        int64_t num_items = 0;
        for (int step = 0; step < STEPS; step++) {
            const double begin = seconds();
            model_plan(problem, &schedule);
            const double taken = seconds() - begin;
            best = taken < best ? taken : best;
            num_items = schedule.counts.num_items[0] + schedule.counts.num_items[1] + schedule.counts.num_merge_items;
            model_release(&schedule);
        }
        printf("# planning %d sequences%s: %lld items in %.3f ms, %.3f ms per 1000\n", NUM_SEQS,
               prompts ? " with prompts" : "", (long long)num_items, 1e3 * best, 1e6 * best / (double)num_items);
        free(problem);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_no_items),
        cmocka_unit_test(one_row_is_one_item),
        cmocka_unit_test(every_group_size_is_covered),
        cmocka_unit_test(every_number_of_splits_is_covered),
        cmocka_unit_test(every_window_is_covered),
        cmocka_unit_test(ranges_and_windows_to_the_right_are_covered),
        cmocka_unit_test(invariant_splits_are_covered),
        cmocka_unit_test(rows_that_no_sequence_owns_are_cleared),
        cmocka_unit_test(random_batches_match_the_model),
        cmocka_unit_test(the_same_batch_gives_the_same_bytes),
        cmocka_unit_test(fixed_splits_do_not_depend_on_the_batch),
        cmocka_unit_test(long_rows_are_split_to_fill_the_device),
        cmocka_unit_test(rounding_of_shares_stays_within_the_bound),
        cmocka_unit_test(automatic_splits_are_not_too_small),
        cmocka_unit_test(many_equal_rows_are_not_split),
        cmocka_unit_test(shares_keep_threads_busy_that_take_runs),
        cmocka_unit_test(one_item_needs_a_group_per_block_of_heads),
        cmocka_unit_test(the_longest_context_is_covered),
        cmocka_unit_test(a_thousand_sequences_stay_within_the_bound),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
