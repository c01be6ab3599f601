/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one query for each row of a dense cache: ranges, windows, shapes, dtypes and options. */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

enum { MIXED_SEQ_LEN = 93 };

/*
 * Whole rows, single keys, and every way in which a range can be empty or stick out; several times, since the largest
 * errors of a few rows are a matter of luck.
 */
#define STARTS 0, 0, 0, 92, 31, -7, INT32_MIN, 17, 0, 200, INT32_MAX, 40, 93, 0, 0, -9, 0, INT32_MIN, 15, 16
#define ENDS 93, 1, 2, 93, 64, 40, 13, INT32_MAX, 200, 300, INT32_MAX, 17, 93, 0, -5, -3, INT32_MIN, INT32_MIN, 32, 48
static const int32_t mixed_starts[] = {STARTS, STARTS, STARTS, STARTS};
static const int32_t mixed_ends[] = {ENDS, ENDS, ENDS, ENDS};
_Static_assert(sizeof(mixed_starts) == sizeof(mixed_ends), "pairs");

static support_attention_case mixed_batch(uint64_t seed)
{
    return (support_attention_case){
        .operation = SUPPORT_RAGGED_DECODE,
        .seed = seed,
        .num_seqs = COUNT(mixed_ends),
        .context_lens = mixed_ends,
        .kv_starts = mixed_starts,
        .seq_len = MIXED_SEQ_LEN,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .lse = true,
    };
}

static support_attention *run(const support_device *device, const support_attention_case *problem)
{
    support_attention *attention = support_attention_create(device, problem);

    support_attention_run(attention, device);
    return attention;
}

static void every_range_matches_in_every_cache_length(void **state)
{
    static const int32_t seq_lens[] = {1, 7, 16, 17, MIXED_SEQ_LEN, 257};

    for (int32_t i = 0; i < COUNT(seq_lens); i++) {
        support_attention_case problem = mixed_batch((uint64_t)i);
        problem.seq_len = seq_lens[i];
        support_attention_verify(*state, &problem);
        problem.kv_starts = NULL;
        support_attention_verify(*state, &problem);
    }
}

static void every_window_matches(void **state)
{
    static const clattn_window windows[] = {
        {-1, -1}, {0, 0}, {4, 0}, {4, -1}, {-1, 3}, {20, 7}, {1000, 1}, {INT32_MAX, INT32_MAX}, {INT32_MAX - 1, -1},
    };

    for (int32_t i = 0; i < COUNT(windows); i++) {
        support_attention_case problem = mixed_batch(100 + (uint64_t)i);
        problem.window = &windows[i];
        problem.num_splits = i % 3;
        support_attention_verify(*state, &problem);
    }
}

/* No key stands to the right of the query, not even where the range ends behind the cache. */
static void the_right_side_of_a_window_changes_no_bit(void **state)
{
    static const int32_t lefts[] = {-1, 0, 6};
    static const int32_t rights[] = {0, 1, 50, INT32_MAX};

    for (int32_t i = 0; i < COUNT(lefts); i++) {
        support_attention_case problem = mixed_batch(200);
        clattn_window window = {lefts[i], -1};
        problem.window = &window;
        support_attention *unlimited = run(*state, &problem);
        for (int32_t k = 0; k < COUNT(rights); k++) {
            window.right = rights[k];
            support_attention *limited = run(*state, &problem);
            support_attention_expect_same_bytes(unlimited, limited);
            support_attention_destroy(&limited);
        }
        support_attention_destroy(&unlimited);
    }
}

/* An inclusive distance of 4 lets 5 keys through: the range of them alone gives the same. */
static void a_window_agrees_with_the_range_of_its_keys(void **state)
{
    static const uint64_t seeds[] = {5, 6};
    static const int32_t ends[] = {93, 11};
    static const int32_t starts[] = {88, 6};
    const clattn_window window = {4, 0};
    support_attention_case problem = mixed_batch(250);

    problem.sequence_seeds = seeds;
    problem.num_seqs = COUNT(ends);
    problem.context_lens = ends;
    problem.kv_starts = starts;
    support_attention *ranged = run(*state, &problem);
    problem.kv_starts = NULL;
    problem.window = &window;
    support_attention *windowed = run(*state, &problem);
    for (int32_t s = 0; s < COUNT(ends); s++)
        support_attention_expect_close(ranged, s, windowed, s, ends[s] - 1, 1, 3e-6);
    support_attention_destroy(&ranged);
    support_attention_destroy(&windowed);
}

static void every_number_of_heads_matches(void **state)
{
    static const int32_t heads[][2] = {{1, 1}, {7, 7}, {7, 1}, {8, 8}, {8, 4}, {8, 2}, {8, 1}, {6, 2}};

    for (int32_t i = 0; i < COUNT(heads); i++) {
        support_attention_case problem = mixed_batch(300 + (uint64_t)i);
        problem.num_q_heads = heads[i][0];
        problem.num_kv_heads = heads[i][1];
        support_attention_verify(*state, &problem);
    }
}

/* Every dtype of each operand; the last one has K and V of different dtypes. */
static void every_dtype_matches(void **state)
{
    static const clattn_dtype dtypes[][4] = {
        {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_FLOAT16, CLATTN_FLOAT16},
        {CLATTN_FLOAT16, CLATTN_FLOAT16, CLATTN_FLOAT16, CLATTN_BFLOAT16},
        {CLATTN_FLOAT16, CLATTN_BFLOAT16, CLATTN_BFLOAT16, CLATTN_FLOAT32},
        {CLATTN_BFLOAT16, CLATTN_BFLOAT16, CLATTN_BFLOAT16, CLATTN_FLOAT16},
        {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_FLOAT32, CLATTN_FLOAT32},
    };

    for (int32_t i = 0; i < COUNT(dtypes); i++) {
        support_attention_case problem = mixed_batch(400 + (uint64_t)i);
        problem.query_dtype = dtypes[i][0];
        problem.kv_dtype = dtypes[i][1];
        problem.value_dtype = dtypes[i][2];
        problem.out_dtype = dtypes[i][3];
        problem.strided = i % 2;
        support_attention_verify(*state, &problem);
    }
}

static void cap_sinks_and_lse_match_in_every_combination(void **state)
{
    for (int32_t flags = 0; flags < 8; flags++) {
        support_attention_case problem = mixed_batch(500 + (uint64_t)flags);
        problem.logits_soft_cap = flags & 1 ? 2.5f : 0.0f;
        problem.sinks = flags & 2 ? SUPPORT_SINKS_PER_KV_HEAD : SUPPORT_SINKS_NONE;
        problem.num_sinks = flags & 2 ? 3 : 0;
        problem.lse = flags & 4;
        problem.num_splits = flags % 3;
        problem.strided = flags >= 4;
        support_attention_verify(*state, &problem);
    }
}

static void sinks_of_every_shape_count_once_over_every_number_of_splits(void **state)
{
    static const support_sinks shapes[] = {SUPPORT_SINKS_SHARED, SUPPORT_SINKS_PER_KV_HEAD};
    static const int32_t num_sinks[] = {1, 2, 4, 3, 7}; /* 2 and 4 are the numbers of kv and query heads, too */
    const clattn_window window = {9, 0};

    for (int32_t i = 0; i < COUNT(shapes); i++) {
        for (int32_t k = 0; k < COUNT(num_sinks); k++) {
            support_attention_case problem = mixed_batch(550 + (uint64_t)(10 * i + k));
            problem.sinks = shapes[i];
            problem.num_sinks = num_sinks[k];
            problem.num_splits = k;
            problem.window = k == 3 ? &window : NULL;
            problem.strided = k == 2;
            support_attention_verify(*state, &problem);
        }
    }
}

/* So large that none of them lies on the slope of the cap, where their rounding errors would be all that counts. */
static void soft_cap_survives_large_logits(void **state)
{
    support_attention_case problem = mixed_batch(600);

    problem.logits_soft_cap = 20.0f;
    problem.query_factor = 1e8f;
    support_attention_verify(*state, &problem);
    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
}

static void huge_logits_are_one_hot(void **state)
{
    support_attention_case problem = mixed_batch(610);

    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
    problem.num_splits = 3;
    problem.sinks = SUPPORT_SINKS_SHARED;
    problem.num_sinks = 2;
    support_attention_verify(*state, &problem);
}

static void softmax_scale_is_used_as_given(void **state)
{
    static const float scales[] = {0.5f, 0.03125f, -0.25f};

    for (int32_t i = 0; i < COUNT(scales); i++) {
        support_attention_case problem = mixed_batch(620 + (uint64_t)i);
        problem.softmax_scale = scales[i];
        support_attention_verify(*state, &problem);
    }
}

/* Rows long enough for the library to split them of its own accord, which begin and end anywhere. */
static void every_number_of_splits_matches(void **state)
{
    static const int32_t num_splits[] = {0, 1, 2, 5, 64};
    static const int32_t starts[] = {0, 1999, 700, -5, 3, 2995};
    static const int32_t ends[] = {3000, 2222, 600, 4000, 4, 3001};

    for (int32_t i = 0; i <= COUNT(num_splits); i++) {
        support_attention_case problem = mixed_batch(700 + (uint64_t)i);
        problem.seq_len = 3000;
        problem.num_seqs = COUNT(ends);
        problem.kv_starts = starts;
        problem.context_lens = ends;
        problem.batch_invariant = i == COUNT(num_splits);
        problem.num_splits = problem.batch_invariant ? 0 : num_splits[i];
        support_attention_verify(*state, &problem);
    }
}

static void every_tile_override_matches(void **state)
{
    const support_device *device = *state;
    const bool vector = device->family == CLATTN_FAMILY_VECTOR;
    const clattn_tuning tunings[] = {
        {.block_q = vector ? 64 : 16, .block_kv = 64},
        {.family = device->family, .num_stages = 1, .local_memory_limit_bytes = 1 << 20},
        {.work_group_size = vector ? 1 : 32, .block_q = vector ? 64 : 16},
    };

    for (int32_t i = 0; i < COUNT(tunings); i++) {
        support_attention_case problem = mixed_batch(800 + (uint64_t)i);
        problem.tuning = support_device_tuning(device, tunings[i]);
        problem.num_splits = i == 0 ? 2 : 0;
        support_attention_verify(device, &problem);
    }
}

static void tensors_with_offsets_and_gaps_match(void **state)
{
    support_attention_case problem = mixed_batch(900);

    problem.strided = true;
    support_attention_verify(*state, &problem);
    problem.num_splits = 3;
    support_attention_verify(*state, &problem);
}

static void values_of_another_width_match(void **state)
{
    static const int32_t widths[][2] = {{24, 40}, {64, 32}};

    for (int32_t i = 0; i < COUNT(widths); i++) {
        support_attention_case problem = mixed_batch(950 + (uint64_t)i);
        problem.head_dim = widths[i][0];
        problem.head_dim_v = widths[i][1];
        problem.strided = i == 1;
        problem.num_splits = 2;
        support_attention_verify(*state, &problem);
    }
}

static void no_result_shows_the_mask_value(void **state)
{
    support_attention_case problem = mixed_batch(1000);
    support_attention *usual = run(*state, &problem);

    problem.mask_value = -1e30f;
    support_attention *other = run(*state, &problem);
    support_attention_check(other);
    support_attention_expect_same_bytes(usual, other);
    support_attention_destroy(&usual);
    support_attention_destroy(&other);
}

static void no_rows_and_only_empty_ones_are_legal(void **state)
{
    static const int32_t starts[] = {5, 93, 0};
    static const int32_t ends[] = {5, 200, -1};
    support_attention_case problem = mixed_batch(1010);

    problem.kv_starts = starts;
    problem.context_lens = ends;
    problem.sinks = SUPPORT_SINKS_SHARED;
    problem.num_sinks = 3;
    for (int32_t num_seqs = 0; num_seqs <= 3; num_seqs += 3) {
        problem.num_seqs = num_seqs;
        support_attention_verify(*state, &problem);
    }
}

static void keys_outside_the_ranges_change_no_bit(void **state)
{
    static const support_filler fillers[] = {SUPPORT_FILLER_NAN, SUPPORT_FILLER_INFINITY};
    const clattn_window window = {12, 0};
    support_attention_case problem = mixed_batch(1100);

    problem.window = &window;
    problem.strided = true;
    problem.filler = SUPPORT_FILLER_NUMBER;
    support_attention *number = run(*state, &problem);
    for (int32_t i = 0; i < COUNT(fillers); i++) {
        problem.filler = fillers[i];
        support_attention *poisoned = run(*state, &problem);
        support_attention_expect_same_bytes(number, poisoned);
        support_attention_destroy(&poisoned);
    }
    support_attention_destroy(&number);
}

/* The rows with seeds 11 and 12 stand in two batches that otherwise have nothing in common. */
static void other_rows_change_no_bit(void **state)
{
    static const uint64_t seeds_alone[] = {11, 12};
    static const int32_t starts_alone[] = {3, 0};
    static const int32_t ends_alone[] = {700, 77};
    static const uint64_t seeds_crowded[] = {21, 12, 22, 23, 11};
    static const int32_t starts_crowded[] = {30, 0, 0, 500, 3};
    static const int32_t ends_crowded[] = {30, 77, 7, 800, 700};

    for (int32_t num_splits = 0; num_splits <= 4; num_splits += 2) {
        support_attention_case problem = mixed_batch(1200);
        problem.seq_len = 700;
        problem.num_splits = num_splits;
        problem.batch_invariant = num_splits == 0;
        problem.num_seqs = COUNT(seeds_alone);
        problem.sequence_seeds = seeds_alone;
        problem.kv_starts = starts_alone;
        problem.context_lens = ends_alone;
        support_attention *alone = run(*state, &problem);
        problem.num_seqs = COUNT(seeds_crowded);
        problem.sequence_seeds = seeds_crowded;
        problem.kv_starts = starts_crowded;
        problem.context_lens = ends_crowded;
        support_attention *crowded = run(*state, &problem);
        support_attention_check(crowded);
        support_attention_expect_same(alone, 0, crowded, 4, 699, 1);
        support_attention_expect_same(alone, 1, crowded, 1, 76, 1);
        support_attention_destroy(&alone);
        support_attention_destroy(&crowded);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_matches_in_every_cache_length),
        cmocka_unit_test(every_window_matches),
        cmocka_unit_test(the_right_side_of_a_window_changes_no_bit),
        cmocka_unit_test(a_window_agrees_with_the_range_of_its_keys),
        cmocka_unit_test(every_number_of_heads_matches),
        cmocka_unit_test(every_dtype_matches),
        cmocka_unit_test(cap_sinks_and_lse_match_in_every_combination),
        cmocka_unit_test(sinks_of_every_shape_count_once_over_every_number_of_splits),
        cmocka_unit_test(soft_cap_survives_large_logits),
        cmocka_unit_test(huge_logits_are_one_hot),
        cmocka_unit_test(softmax_scale_is_used_as_given),
        cmocka_unit_test(every_number_of_splits_matches),
        cmocka_unit_test(every_tile_override_matches),
        cmocka_unit_test(tensors_with_offsets_and_gaps_match),
        cmocka_unit_test(values_of_another_width_match),
        cmocka_unit_test(no_result_shows_the_mask_value),
        cmocka_unit_test(no_rows_and_only_empty_ones_are_legal),
        cmocka_unit_test(keys_outside_the_ranges_change_no_bit),
        cmocka_unit_test(other_rows_change_no_bit),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_decode", tests, sizeof(tests) / sizeof(tests[0]));
}
