/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over a dense cache with the statistics of its softmax: numerator or quotient, maximum and denominator. */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/*
 * Whole rows, single keys, and every way in which a range can be empty or stick out; several times, since the largest
 * errors of a few rows are a matter of luck.
 */
#define STARTS 0, 0, 92, 31, -7, INT32_MIN, 17, 0, 200, 40, 93, 0, 0, -9, INT32_MIN
#define ENDS 93, 1, 93, 64, 40, 13, INT32_MAX, 200, 300, 17, 93, 0, -5, -3, INT32_MIN
enum { NUM_REPEATS = 8, NUM_EMPTY = 7 * NUM_REPEATS };
static const int32_t mixed_starts[] = {STARTS, STARTS, STARTS, STARTS, STARTS, STARTS, STARTS, STARTS};
static const int32_t mixed_ends[] = {ENDS, ENDS, ENDS, ENDS, ENDS, ENDS, ENDS, ENDS};
_Static_assert(sizeof(mixed_starts) == sizeof(mixed_ends), "pairs");

/* The default softmax_scale of 1 is the subject of a test of its own. */
static support_attention_case mixed_batch(uint64_t seed)
{
    return (support_attention_case){
        .operation = SUPPORT_RAGGED,
        .seed = seed,
        .num_seqs = COUNT(mixed_ends),
        .context_lens = mixed_ends,
        .kv_starts = mixed_starts,
        .seq_len = 93,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .softmax_scale = 0.17677669f,
    };
}

static support_attention *run(const support_device *device, const support_attention_case *problem)
{
    support_attention *attention = support_attention_create(device, problem);

    support_attention_run(attention, device);
    return attention;
}

static void verify_both_forms(const support_device *device, support_attention_case problem)
{
    problem.numerator = false;
    support_attention_verify(device, &problem);
    problem.numerator = true;
    support_attention_verify(device, &problem);
}

static void every_range_matches_in_every_cache_length(void **state)
{
    static const int32_t seq_lens[] = {1, 7, 16, 17, 93, 257};

    for (int32_t i = 0; i < COUNT(seq_lens); i++) {
        support_attention_case problem = mixed_batch((uint64_t)i);
        problem.seq_len = seq_lens[i];
        verify_both_forms(*state, problem);
        problem.kv_starts = NULL;
        verify_both_forms(*state, problem);
    }
}

static void every_number_of_splits_matches(void **state)
{
    static const int32_t num_splits[] = {0, 1, 2, 5, 64};
    static const int32_t starts[] = {0, 1999, 700, -5, 3, 2995};
    static const int32_t ends[] = {3000, 2222, 600, 4000, 4, 3001};

    for (int32_t i = 0; i <= COUNT(num_splits); i++) {
        support_attention_case problem = mixed_batch(100 + (uint64_t)i);
        problem.seq_len = 3000;
        problem.num_seqs = COUNT(ends);
        problem.kv_starts = starts;
        problem.context_lens = ends;
        problem.batch_invariant = i == COUNT(num_splits);
        problem.num_splits = problem.batch_invariant ? 0 : num_splits[i];
        problem.strided = i == 3;
        verify_both_forms(*state, problem);
    }
}

/* Scale 0 is 1 here; a negative one turns the order of the logits round. */
static void softmax_scale_is_used_as_given(void **state)
{
    static const float scales[] = {0.0f, 1.0f, 0.25f, -0.5f};

    for (int32_t i = 0; i < COUNT(scales); i++) {
        support_attention_case problem = mixed_batch(200);
        problem.softmax_scale = scales[i];
        verify_both_forms(*state, problem);
    }
}

static void a_scale_of_zero_gives_the_bits_of_one(void **state)
{
    support_attention_case problem = mixed_batch(210);

    problem.softmax_scale = 0.0f;
    support_attention *zero = run(*state, &problem);
    problem.softmax_scale = 1.0f;
    support_attention *one = run(*state, &problem);

    support_attention_expect_same_bytes(zero, one);
    support_attention_destroy(&zero);
    support_attention_destroy(&one);
}

static void huge_logits_are_one_hot(void **state)
{
    support_attention_case problem = mixed_batch(220);

    problem.query_factor = 1e30f;
    verify_both_forms(*state, problem);
    problem.num_splits = 3;
    verify_both_forms(*state, problem);
}

static void every_number_of_heads_matches(void **state)
{
    static const int32_t heads[][2] = {{7, 1}, {8, 8}, {6, 2}, {1, 1}};

    for (int32_t i = 0; i < COUNT(heads); i++) {
        support_attention_case problem = mixed_batch(300 + (uint64_t)i);
        problem.num_q_heads = heads[i][0];
        problem.num_kv_heads = heads[i][1];
        problem.numerator = i % 2;
        support_attention_verify(*state, &problem);
    }
}

static void every_dtype_matches(void **state)
{
    static const clattn_dtype dtypes[][3] = {
        {CLATTN_FLOAT16, CLATTN_FLOAT16, CLATTN_FLOAT16},
        {CLATTN_BFLOAT16, CLATTN_BFLOAT16, CLATTN_BFLOAT16},
        {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16},
    };

    for (int32_t i = 0; i < COUNT(dtypes); i++) {
        support_attention_case problem = mixed_batch(400 + (uint64_t)i);
        problem.query_dtype = dtypes[i][0];
        problem.kv_dtype = dtypes[i][1];
        problem.value_dtype = dtypes[i][2];
        problem.numerator = i % 2 == 0;
        support_attention_verify(*state, &problem);
    }
}

static void values_of_another_width_match(void **state)
{
    static const int32_t widths[][2] = {{40, 24}, {32, 64}};

    for (int32_t i = 0; i < COUNT(widths); i++) {
        support_attention_case problem = mixed_batch(500 + (uint64_t)i);
        problem.head_dim = widths[i][0];
        problem.head_dim_v = widths[i][1];
        problem.numerator = i == 0;
        problem.strided = i == 1;
        problem.num_splits = 2;
        support_attention_verify(*state, &problem);
    }
}

static void tensors_with_offsets_and_gaps_match(void **state)
{
    support_attention_case problem = mixed_batch(600);

    problem.strided = true;
    verify_both_forms(*state, problem);
    problem.num_splits = 3;
    verify_both_forms(*state, problem);
}

static void every_tile_override_matches(void **state)
{
    const support_device *device = *state;
    const clattn_tuning tunings[] = {
        {.block_q = device->family == CLATTN_FAMILY_VECTOR ? 64 : 16, .block_kv = 64},
        {.family = device->family, .num_stages = 1, .local_memory_limit_bytes = 1 << 20},
    };

    for (int32_t i = 0; i < COUNT(tunings); i++) {
        support_attention_case problem = mixed_batch(650 + (uint64_t)i);
        problem.tuning = support_device_tuning(device, tunings[i]);
        problem.num_splits = 2 * i;
        support_attention_verify(device, &problem);
    }
}

static bool is_empty(const support_attention *attention, int32_t seq)
{
    const support_key_range keys = support_attention_seen_keys(attention, seq);

    return keys.start >= keys.end;
}

/* The check against the reference holds for every mask value; here it is the only thing that may change. */
static void only_the_maximum_of_an_empty_row_shows_the_mask_value(void **state)
{
    static const float mask_values[] = {-1e30f, CLATTN_DEFAULT_MASK_VALUE, -3.4e38f};
    support_attention_case problem = mixed_batch(700);
    support_attention *usual = run(*state, &problem);
    int32_t num_empty = 0;

    for (int32_t i = 0; i < COUNT(mask_values); i++) {
        problem.mask_value = mask_values[i];
        problem.num_splits = 0;
        support_attention_verify(*state, &problem);
        problem.num_splits = 2;
        support_attention_verify(*state, &problem);
        problem.num_splits = 0;
        support_attention *other = run(*state, &problem);
        for (int32_t s = 0; s < problem.num_seqs; s++) {
            const int64_t row = (int64_t)s * problem.num_q_heads;
            if (!is_empty(usual, s)) {
                support_attention_expect_same(usual, s, other, s, support_attention_first_position(usual, s), 1);
                continue;
            }
            num_empty++;
            for (int32_t head = 0; head < problem.num_q_heads; head++) {
                assert_true(support_image_get(&other->max, row + head) == mask_values[i]);
                assert_true(support_image_get(&other->denominator, row + head) == 0.0f);
            }
        }
        support_attention_destroy(&other);
    }
    assert_int_equal(num_empty, NUM_EMPTY * COUNT(mask_values));
    support_attention_destroy(&usual);
}

/* The numerator is another way to write out, not to compute it. */
static void the_form_of_out_changes_no_statistic(void **state)
{
    for (int32_t num_splits = 1; num_splits <= 4; num_splits += 3) {
        support_attention_case problem = mixed_batch(800);
        problem.num_splits = num_splits;
        support_attention *quotient = run(*state, &problem);
        problem.numerator = true;
        support_attention *numerator = run(*state, &problem);
        assert_memory_equal(quotient->max.bytes, numerator->max.bytes, quotient->max.num_bytes);
        assert_memory_equal(quotient->denominator.bytes, numerator->denominator.bytes, quotient->denominator.num_bytes);
        support_attention_destroy(&quotient);
        support_attention_destroy(&numerator);
    }
}

static void no_rows_and_only_empty_ones_are_legal(void **state)
{
    static const int32_t starts[] = {5, 93, 0};
    static const int32_t ends[] = {5, 200, -1};
    support_attention_case problem = mixed_batch(900);

    problem.kv_starts = starts;
    problem.context_lens = ends;
    for (int32_t num_seqs = 0; num_seqs <= 3; num_seqs += 3) {
        problem.num_seqs = num_seqs;
        verify_both_forms(*state, problem);
    }
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
        support_attention_case problem = mixed_batch(1000);
        problem.seq_len = 700;
        problem.numerator = num_splits == 2;
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
        problem.filler = SUPPORT_FILLER_INFINITY;
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
        cmocka_unit_test(every_number_of_splits_matches),
        cmocka_unit_test(softmax_scale_is_used_as_given),
        cmocka_unit_test(a_scale_of_zero_gives_the_bits_of_one),
        cmocka_unit_test(huge_logits_are_one_hot),
        cmocka_unit_test(every_number_of_heads_matches),
        cmocka_unit_test(every_dtype_matches),
        cmocka_unit_test(values_of_another_width_match),
        cmocka_unit_test(tensors_with_offsets_and_gaps_match),
        cmocka_unit_test(every_tile_override_matches),
        cmocka_unit_test(only_the_maximum_of_an_empty_row_shows_the_mask_value),
        cmocka_unit_test(the_form_of_out_changes_no_statistic),
        cmocka_unit_test(no_rows_and_only_empty_ones_are_legal),
        cmocka_unit_test(other_rows_change_no_bit),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged", tests, sizeof(tests) / sizeof(tests[0]));
}
