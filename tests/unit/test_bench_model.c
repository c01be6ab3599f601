/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of cl-bench, on cases counted by hand. */
#include "bench/model.h"
#include "bench/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_near(double actual, double expected)
{
    assert_true(fabs(actual - expected) <= 1e-12 * fabs(expected));
}

static void pairs_of_a_decode_are_its_context(void **state)
{
    (void)state;
    assert_int_equal(bench_count_pairs(1, 1, 0), 1);
    assert_int_equal(bench_count_pairs(1, 11, 0), 11);
    assert_int_equal(bench_count_pairs(0, 11, 0), 0);
}

static void pairs_of_a_prefill_are_causal(void **state)
{
    (void)state;
    assert_int_equal(bench_count_pairs(4, 4, 0), 1 + 2 + 3 + 4);
    assert_int_equal(bench_count_pairs(3, 11, 0), 9 + 10 + 11);
    assert_int_equal(bench_count_pairs(100000, 100000, 0), 5000050000);
}

static void pairs_of_a_window_count_the_query_itself(void **state)
{
    (void)state;
    assert_int_equal(bench_count_pairs(1, 11, 4), 4);
    assert_int_equal(bench_count_pairs(1, 11, 1), 1);
    assert_int_equal(bench_count_pairs(1, 11, 11), 11);
    assert_int_equal(bench_count_pairs(1, 11, 12), 11);
    assert_int_equal(bench_count_pairs(5, 5, 3), 1 + 2 + 3 + 3 + 3);
}

static void visible_keys_start_at_the_first_querys_window(void **state)
{
    (void)state;
    assert_int_equal(bench_count_visible_keys(1, 11, 0), 11);
    assert_int_equal(bench_count_visible_keys(1, 11, 4), 4);   /* keys 7..10 */
    assert_int_equal(bench_count_visible_keys(3, 11, 4), 6);   /* position 8 sees 5..8, position 10 up to 10 */
    assert_int_equal(bench_count_visible_keys(3, 11, 9), 11);  /* position 8 sees 0..8 */
    assert_int_equal(bench_count_visible_keys(3, 11, 8), 10);  /* position 8 sees 1..8 */
    assert_int_equal(bench_count_visible_keys(11, 11, 2), 11); /* the first query is key 0 */
    assert_int_equal(bench_count_visible_keys(0, 11, 0), 0);
}

/* A decode behind 11 keys, a sequence without queries, a prefill of 3; 4 query heads on 2 kv heads of width 8. */
static const int32_t q_lens[] = {1, 0, 3};
static const int32_t context_lens[] = {11, 7, 3};
static const bench_batch mixed_batch = {
    .num_seqs = 3,
    .q_lens = q_lens,
    .context_lens = context_lens,
    .num_q_heads = 4,
    .num_kv_heads = 2,
    .head_dim = 8,
    .head_dim_v = 8,
    .query_element_bytes = 4,
    .out_element_bytes = 2,
    .kv_element_bytes = 2,
};

static void flops_are_four_per_pair_head_and_dimension(void **state)
{
    (void)state;
    assert_int_equal(bench_count_flops(&mixed_batch), (11 + 0 + 6) * 4 * 8 * 4);
}

static void bytes_are_visible_rows_once_and_queries_and_out(void **state)
{
    (void)state;
    /* 11 + 3 keys of 2 heads, K and V, 16 bytes each. */
    assert_int_equal(bench_count_kv_bytes(&mixed_batch), (11 + 3) * 2 * 2 * 16);
    /* 4 tokens of 4 heads, 32 bytes of queries and 16 of out. */
    assert_int_equal(bench_count_bytes(&mixed_batch), (11 + 3) * 2 * 2 * 16 + 4 * 4 * (32 + 16));
}

static void narrow_values_count_in_values_and_out_only(void **state)
{
    (void)state;
    bench_batch batch = mixed_batch;
    batch.head_dim_v = 3;
    /* 8 multiply-adds for a score, 3 for its share of out. */
    assert_int_equal(bench_count_flops(&batch), (11 + 0 + 6) * 4 * (2 * 8 + 2 * 3));
    /* Rows of 16 bytes of K and 6 of V, of 32 bytes of queries and 6 of out. */
    assert_int_equal(bench_count_kv_bytes(&batch), (11 + 3) * 2 * (16 + 6));
    assert_int_equal(bench_count_bytes(&batch), (11 + 3) * 2 * (16 + 6) + 4 * 4 * (32 + 6));
}

static void statistics_count_once_per_token_and_head(void **state)
{
    (void)state;
    bench_batch batch = mixed_batch;
    batch.statistics_bytes = 8;
    assert_int_equal(bench_count_bytes(&batch), bench_count_bytes(&mixed_batch) + 4 * 4 * 8);
    assert_int_equal(bench_count_kv_bytes(&batch), bench_count_kv_bytes(&mixed_batch));
}

static void rating_takes_the_larger_floor(void **state)
{
    (void)state;
    /* 2 GFLOP at 100 GFLOP/s take 20 ms, 3 GB at 50 GB/s take 60 ms. */
    const bench_rating memory = bench_rate(2000000000, 3000000000, 0.08, 100.0, 50.0);
    assert_false(memory.compute_bound);
    assert_near(memory.floor_s, 0.06);
    assert_near(memory.fraction, 0.75);
    assert_near(memory.gflops, 25.0);
    assert_near(memory.gbytes_per_s, 37.5);

    /* The same bytes at 300 GB/s take 10 ms. */
    const bench_rating compute = bench_rate(2000000000, 3000000000, 0.08, 100.0, 300.0);
    assert_true(compute.compute_bound);
    assert_near(compute.floor_s, 0.02);
    assert_near(compute.fraction, 0.25);
}

static void quartiles_of_an_odd_count_are_samples(void **state)
{
    (void)state;
    double samples[] = {9.0, 1.0, 5.0, 3.0, 7.0};
    const bench_quartiles quartiles = bench_quartiles_of(samples, 5);
    assert_near(quartiles.lower, 3.0);
    assert_near(quartiles.median, 5.0);
    assert_near(quartiles.upper, 7.0);
    assert_near(bench_spread(&quartiles), 0.8);
}

static void quartiles_of_an_even_count_are_interpolated(void **state)
{
    (void)state;
    double samples[] = {4.0, 1.0, 2.0, 3.0};
    const bench_quartiles quartiles = bench_quartiles_of(samples, 4);
    assert_near(quartiles.lower, 1.75);
    assert_near(quartiles.median, 2.5);
    assert_near(quartiles.upper, 3.25);
    assert_near(bench_spread(&quartiles), 0.6);
}

static void one_outlier_does_not_widen_the_spread(void **state)
{
    (void)state;
    double samples[] = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 50.0};
    const bench_quartiles quartiles = bench_quartiles_of(samples, 9);
    assert_near(quartiles.median, 1.0);
    assert_near(bench_spread(&quartiles), 0.0);
}

static void a_single_sample_is_every_quartile(void **state)
{
    (void)state;
    double sample = 2.5;
    const bench_quartiles quartiles = bench_quartiles_of(&sample, 1);
    assert_near(quartiles.lower, 2.5);
    assert_near(quartiles.median, 2.5);
    assert_near(quartiles.upper, 2.5);
    assert_near(bench_spread(&quartiles), 0.0);
}

static void ratios_pair_the_samples_of_a_round(void **state)
{
    (void)state;
    /* A machine that slows down tenfold slows both: their ratio is 1.5 in every round. */
    const double references[] = {1.0, 10.0, 2.0};
    const double samples[] = {1.5, 15.0, 3.0};
    double ratios[3] = {0};
    bench_ratios_of(samples, references, 3, ratios);
    for (int i = 0; i < 3; i++)
        assert_near(ratios[i], 1.5);
}

static void ratios_to_sums_add_the_parts_of_a_round(void **state)
{
    (void)state;
    const double samples[] = {3.0, 10.0};
    const double parts[] = {1.0, 3.0, /* the second part: */ 2.0, 1.0};
    double ratios[2] = {0};
    bench_ratios_to_sums(samples, parts, 2, 2, ratios);
    assert_near(ratios[0], 1.0);
    assert_near(ratios[1], 2.5);
}

static void a_spread_over_a_tenth_is_noise(void **state)
{
    (void)state;
    assert_false(bench_is_noisy(0.1));
    assert_true(bench_is_noisy(0.1001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_a_decode_are_its_context),
        cmocka_unit_test(pairs_of_a_prefill_are_causal),
        cmocka_unit_test(pairs_of_a_window_count_the_query_itself),
        cmocka_unit_test(visible_keys_start_at_the_first_querys_window),
        cmocka_unit_test(flops_are_four_per_pair_head_and_dimension),
        cmocka_unit_test(bytes_are_visible_rows_once_and_queries_and_out),
        cmocka_unit_test(narrow_values_count_in_values_and_out_only),
        cmocka_unit_test(statistics_count_once_per_token_and_head),
        cmocka_unit_test(rating_takes_the_larger_floor),
        cmocka_unit_test(quartiles_of_an_odd_count_are_samples),
        cmocka_unit_test(quartiles_of_an_even_count_are_interpolated),
        cmocka_unit_test(one_outlier_does_not_widen_the_spread),
        cmocka_unit_test(a_single_sample_is_every_quartile),
        cmocka_unit_test(ratios_pair_the_samples_of_a_round),
        cmocka_unit_test(ratios_to_sums_add_the_parts_of_a_round),
        cmocka_unit_test(a_spread_over_a_tenth_is_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
