/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one query for each sequence over pages: shapes, dtypes and options, with few compiled variants. */
#include "support/attention.h"
#include "support/random.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const int32_t mixed_context_lens[] = {93, 0, 1, 257, 8, 9, 7};

static support_attention_case mixed_batch(uint64_t seed)
{
    return (support_attention_case){
        .operation = SUPPORT_PAGE,
        .seed = seed,
        .num_seqs = COUNT(mixed_context_lens),
        .context_lens = mixed_context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };
}

static clattn_kv_layout layout_of(int32_t number)
{
    static const clattn_kv_layout layouts[] = {CLATTN_KV_NHD, CLATTN_KV_HND, CLATTN_KV_HEADS_FIRST};

    return layouts[number % COUNT(layouts)];
}

static void lengths_around_a_page_match_in_every_page_size_and_layout(void **state)
{
    static const int32_t page_sizes[] = {1, 2, 7, 8, 16, 33};

    for (int32_t i = 0; i < COUNT(page_sizes); i++) {
        const int32_t page_size = page_sizes[i];
        const int32_t context_lens[] = {93, 0, 1, page_size - 1, page_size, page_size + 1, 2 * page_size, 257};
        for (int32_t k = 0; k < 2; k++) {
            support_attention_case problem = mixed_batch((uint64_t)(10 * i + k));
            problem.num_seqs = COUNT(context_lens);
            problem.context_lens = context_lens;
            problem.page_size = page_size;
            problem.kv_layout = layout_of(2 * i + k);
            support_attention_verify(*state, &problem);
        }
    }
}

static void every_number_of_heads_matches(void **state)
{
    static const int32_t heads[][2] = {{1, 1}, {7, 7}, {7, 1}, {8, 8}, {8, 4}, {8, 2}, {8, 1}, {6, 2}};

    for (int32_t i = 0; i < COUNT(heads); i++) {
        support_attention_case problem = mixed_batch(100 + (uint64_t)i);
        problem.num_q_heads = heads[i][0];
        problem.num_kv_heads = heads[i][1];
        support_attention_verify(*state, &problem);
    }
}

/* Nine triples in which every pair of query, K/V and out dtypes occurs. */
static void every_pair_of_dtypes_matches(void **state)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

    for (int32_t i = 0; i < 9; i++) {
        support_attention_case problem = mixed_batch(200 + (uint64_t)i);
        problem.kv_layout = i % 4 == 0 ? CLATTN_KV_NHD : (clattn_kv_layout)(i % CLATTN_NUM_KV_LAYOUTS);
        problem.query_dtype = dtypes[i / 3];
        problem.kv_dtype = dtypes[i % 3];
        problem.out_dtype = dtypes[(i / 3 + i % 3) % 3];
        support_attention_verify(*state, &problem);
    }
}

static void every_window_matches(void **state)
{
    static const int32_t windows[] = {1, 4, 7, 8, 9, 20, 1000, INT32_MAX};

    for (int32_t i = 0; i < COUNT(windows); i++) {
        support_attention_case problem = mixed_batch(300 + (uint64_t)i);
        problem.kv_layout = layout_of(i);
        problem.sliding_window = windows[i];
        problem.num_splits = i % 3;
        support_attention_verify(*state, &problem);
    }
}

static void cap_sinks_and_lse_match_in_every_combination(void **state)
{
    for (int32_t flags = 0; flags < 8; flags++) {
        support_attention_case problem = mixed_batch(400 + (uint64_t)flags);
        problem.logits_soft_cap = flags & 1 ? 2.5f : 0.0f;
        problem.sinks = flags & 2 ? SUPPORT_SINKS_PER_HEAD : SUPPORT_SINKS_NONE;
        problem.lse = flags & 4;
        problem.num_splits = flags % 3;
        problem.strided = flags >= 4;
        support_attention_verify(*state, &problem);
    }
}

/* So large that none of them lies on the slope of the cap, where their rounding errors would be all that counts. */
static void soft_cap_survives_large_logits(void **state)
{
    support_attention_case problem = mixed_batch(450);

    problem.logits_soft_cap = 20.0f;
    problem.query_factor = 1e8f;
    support_attention_verify(*state, &problem);
    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
}

static void huge_logits_are_one_hot(void **state)
{
    support_attention_case problem = mixed_batch(460);

    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
    problem.num_splits = 3;
    problem.sinks = SUPPORT_SINKS_PER_HEAD;
    support_attention_verify(*state, &problem);
}

static void softmax_scale_is_used_as_given(void **state)
{
    static const float scales[] = {0.5f, 0.03125f, -0.25f};

    for (int32_t i = 0; i < COUNT(scales); i++) {
        support_attention_case problem = mixed_batch(470 + (uint64_t)i);
        problem.softmax_scale = scales[i];
        support_attention_verify(*state, &problem);
    }
}

static void every_number_of_splits_matches(void **state)
{
    static const int32_t num_splits[] = {0, 1, 2, 5, 64};
    static const int32_t long_context_lens[] = {3000, 0, 700, 41};

    for (int32_t i = 0; i <= COUNT(num_splits); i++) {
        support_attention_case problem = mixed_batch(500 + (uint64_t)i);
        problem.num_seqs = COUNT(long_context_lens);
        problem.context_lens = long_context_lens;
        problem.batch_invariant = i == COUNT(num_splits);
        problem.num_splits = problem.batch_invariant ? 0 : num_splits[i];
        problem.out_dtype = i == 2 ? CLATTN_BFLOAT16 : CLATTN_FLOAT32;
        support_attention_verify(*state, &problem);
    }
}

/* The last pages of a row may be fewer than a tile holds. */
static void every_tile_override_matches(void **state)
{
    const support_device *device = *state;
    const bool vector = device->family == CLATTN_FAMILY_VECTOR;
    const clattn_tuning tunings[] = {
        {.block_kv = 16},
        {.num_kv_pages_per_block = 4},
        {.family = device->family, .num_stages = 1, .local_memory_limit_bytes = 1 << 20},
        {.work_group_size = vector ? 1 : 64},
    };

    for (int32_t i = 0; i < COUNT(tunings); i++) {
        support_attention_case problem = mixed_batch(600 + (uint64_t)i);
        problem.tuning = support_device_tuning(device, tunings[i]);
        problem.num_splits = i == 0 ? 2 : 0;
        support_attention_verify(device, &problem);
    }
}

static void tensors_with_offsets_and_gaps_match_in_every_layout(void **state)
{
    for (int32_t i = 0; i < 3; i++) {
        support_attention_case problem = mixed_batch(700 + (uint64_t)i);
        problem.kv_layout = layout_of(i);
        problem.strided = true;
        support_attention_verify(*state, &problem);
    }
}

static void values_of_another_width_match(void **state)
{
    static const int32_t widths[][2] = {{24, 40}, {64, 32}};

    for (int32_t i = 0; i < COUNT(widths); i++) {
        support_attention_case problem = mixed_batch(750 + (uint64_t)i);
        problem.kv_layout = layout_of(i);
        problem.head_dim = widths[i][0];
        problem.head_dim_v = widths[i][1];
        problem.strided = i == 1;
        problem.num_splits = 2;
        support_attention_verify(*state, &problem);
    }
}

static void a_promise_that_holds_changes_no_bit(void **state)
{
    support_attention_case problem = mixed_batch(800);
    support_attention *none = support_attention_create(*state, &problem);
    support_attention_run(none, *state);

    problem.max_context_len = 257; /* the longest row's */
    support_attention_verify(*state, &problem);
    support_attention *promised = support_attention_create(*state, &problem);
    support_attention_run(promised, *state);
    support_attention_expect_same_bytes(none, promised);
    support_attention_destroy(&none);
    support_attention_destroy(&promised);
}

static void no_result_shows_the_mask_value(void **state)
{
    support_attention_case problem = mixed_batch(810);
    support_attention *usual = support_attention_create(*state, &problem);
    support_attention_run(usual, *state);

    problem.mask_value = -1e30f;
    support_attention_verify(*state, &problem);
    support_attention *other = support_attention_create(*state, &problem);
    support_attention_run(other, *state);
    support_attention_expect_same_bytes(usual, other);
    support_attention_destroy(&usual);
    support_attention_destroy(&other);
}

static void no_sequences_and_only_empty_ones_are_legal(void **state)
{
    static const int32_t empty[] = {0, 0, 0};
    support_attention_case problem = mixed_batch(820);

    problem.context_lens = empty;
    problem.sinks = SUPPORT_SINKS_PER_HEAD;
    for (int32_t num_seqs = 0; num_seqs <= 3; num_seqs += 3) {
        problem.num_seqs = num_seqs;
        support_attention_verify(*state, &problem);
    }
}

static void hundreds_of_sequences_match(void **state)
{
    enum { NUM_SEQS = 300 };
    int32_t context_lens[NUM_SEQS];
    support_random random = support_random_seeded(830);
    support_attention_case problem = mixed_batch(830);

    for (int32_t s = 0; s < NUM_SEQS; s++)
        context_lens[s] = support_random_between(&random, 0, 40);
    problem.num_seqs = NUM_SEQS;
    problem.context_lens = context_lens;
    support_attention_verify(*state, &problem);
}

static void ragged_page_attention_gives_the_same_bits_for_one_query(void **state)
{
    static const int32_t context_lens[] = {93, 1, 257, 8, 9, 1500};
    static const int32_t q_lens[] = {1, 1, 1, 1, 1, 1};

    for (int32_t i = 0; i < 4; i++) {
        support_attention_case problem = mixed_batch(900 + (uint64_t)i);
        problem.num_seqs = COUNT(context_lens);
        problem.context_lens = context_lens;
        problem.kv_layout = layout_of(i);
        problem.num_splits = i == 1 ? 3 : 0;
        problem.batch_invariant = i == 2;
        problem.sliding_window = i == 3 ? 20 : 0;
        problem.sinks = i > 0 ? SUPPORT_SINKS_PER_HEAD : SUPPORT_SINKS_NONE;
        support_attention *page = support_attention_create(*state, &problem);
        problem.operation = SUPPORT_RAGGED_PAGE;
        problem.q_lens = q_lens;
        support_attention *ragged = support_attention_create(*state, &problem);
        support_attention_run(page, *state);
        support_attention_run(ragged, *state);
        support_attention_expect_same_bytes(page, ragged);
        support_attention_destroy(&page);
        support_attention_destroy(&ragged);
    }
}

/* The sequences with seeds 11 and 12 stand in two batches that otherwise have nothing in common, nor their pages. */
static void other_sequences_change_no_bit(void **state)
{
    static const uint64_t seeds_alone[] = {11, 12};
    static const int32_t context_lens_alone[] = {300, 77};
    static const uint64_t seeds_crowded[] = {21, 12, 22, 23, 11};
    static const int32_t context_lens_crowded[] = {30, 77, 0, 700, 300};

    for (int32_t num_splits = 0; num_splits <= 4; num_splits += 2) {
        support_attention_case problem = mixed_batch(1000);
        problem.num_splits = num_splits;
        problem.batch_invariant = num_splits == 0;
        problem.num_seqs = COUNT(seeds_alone);
        problem.sequence_seeds = seeds_alone;
        problem.context_lens = context_lens_alone;
        support_attention *alone = support_attention_create(*state, &problem);
        problem.num_seqs = COUNT(seeds_crowded);
        problem.sequence_seeds = seeds_crowded;
        problem.context_lens = context_lens_crowded;
        problem.page_seed = 77;
        problem.filler = SUPPORT_FILLER_INFINITY;
        support_attention *crowded = support_attention_create(*state, &problem);
        support_attention_run(alone, *state);
        support_attention_run(crowded, *state);
        support_attention_check(crowded);
        support_attention_expect_same(alone, 0, crowded, 4, 299, 1);
        support_attention_expect_same(alone, 1, crowded, 1, 76, 1);
        support_attention_destroy(&alone);
        support_attention_destroy(&crowded);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_around_a_page_match_in_every_page_size_and_layout),
        cmocka_unit_test(every_number_of_heads_matches),
        cmocka_unit_test(every_pair_of_dtypes_matches),
        cmocka_unit_test(every_window_matches),
        cmocka_unit_test(cap_sinks_and_lse_match_in_every_combination),
        cmocka_unit_test(soft_cap_survives_large_logits),
        cmocka_unit_test(huge_logits_are_one_hot),
        cmocka_unit_test(softmax_scale_is_used_as_given),
        cmocka_unit_test(every_number_of_splits_matches),
        cmocka_unit_test(every_tile_override_matches),
        cmocka_unit_test(tensors_with_offsets_and_gaps_match_in_every_layout),
        cmocka_unit_test(values_of_another_width_match),
        cmocka_unit_test(a_promise_that_holds_changes_no_bit),
        cmocka_unit_test(no_result_shows_the_mask_value),
        cmocka_unit_test(no_sequences_and_only_empty_ones_are_legal),
        cmocka_unit_test(hundreds_of_sequences_match),
        cmocka_unit_test(ragged_page_attention_gives_the_same_bits_for_one_query),
        cmocka_unit_test(other_sequences_change_no_bit),
    };

    support_select_family(argc, argv);
    return support_run_tests("page", tests, sizeof(tests) / sizeof(tests[0]));
}
