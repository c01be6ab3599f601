/* SPDX-License-Identifier: Apache-2.0 */
/* What ragged paged attention promises about pairs of problems: equal bits, or equality within rounding. */
#include "support/attention.h"
#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Two correct float32 results differ by no more: |a - b| <= TOLERANCE * (1 + |a|). */
#define TOLERANCE 3e-6

static const int32_t mixed_q_lens[] = {1, 37, 5, 1};
static const int32_t mixed_context_lens[] = {193, 61, 93, 8};

static support_attention_case mixed_batch(uint64_t seed)
{
    return (support_attention_case){
        .seed = seed,
        .num_seqs = COUNT(mixed_q_lens),
        .q_lens = mixed_q_lens,
        .context_lens = mixed_context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };
}

static support_attention *run(const support_device *device, const support_attention_case *problem)
{
    support_attention *ragged = support_attention_create(device, problem);

    support_attention_run(ragged, device);
    return ragged;
}

/* Fails unless all rows of sequence seq_a in one problem are, bit for bit, those of seq_b in the other. */
static void expect_same_sequence(const support_attention *a, int32_t seq_a, const support_attention *b, int32_t seq_b)
{
    const int32_t num_rows = a->description.q_lens[seq_a];
    const int32_t first = a->description.context_lens[seq_a] - num_rows;

    support_attention_expect_same(a, seq_a, b, seq_b, first, num_rows);
}

static void the_same_call_gives_the_same_bits(void **state)
{
    static const int32_t num_splits[] = {0, 3};

    for (int32_t i = 0; i < COUNT(num_splits); i++) {
        support_attention_case problem = mixed_batch(1);
        problem.num_splits = num_splits[i];
        support_attention *first = run(*state, &problem);
        support_attention *second = run(*state, &problem);
        support_attention_expect_same_bytes(first, second);
        for (int32_t again = 0; again < 5; again++) {
            support_attention_run(second, *state);
            support_attention_expect_same_bytes(first, second);
        }
        support_attention_destroy(&first);
        support_attention_destroy(&second);
    }
}

static void a_plan_gives_the_bits_of_the_call_without_one(void **state)
{
    support_attention_case problem = mixed_batch(2);
    problem.batch_invariant = true;
    support_attention *ragged = run(*state, &problem);
    support_attention *planned = support_attention_create(*state, &problem);

    support_attention_run_with_plan(planned, *state);
    support_attention_expect_same_bytes(ragged, planned);
    support_attention_destroy(&ragged);
    support_attention_destroy(&planned);
}

static void relabelled_pages_change_no_bit(void **state)
{
    for (int32_t layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        support_attention_case problem = mixed_batch(3);
        problem.kv_layout = (clattn_kv_layout)layout;
        support_attention *first = run(*state, &problem);
        problem.page_seed = 77;
        support_attention *second = run(*state, &problem);
        assert_memory_not_equal(first->block_tables, second->block_tables, 4 * sizeof(int32_t));
        support_attention_expect_same_bytes(first, second);
        support_attention_destroy(&first);
        support_attention_destroy(&second);
    }
}

/* The sequences with seeds 11 and 12 stand in two batches that otherwise have nothing in common. */
static void expect_independence_of_the_batch(const support_device *device, int32_t num_splits, bool batch_invariant)
{
    static const uint64_t seeds_a[] = {11, 12};
    static const int32_t q_lens_a[] = {1, 40};
    static const int32_t context_lens_a[] = {300, 77};
    static const uint64_t seeds_b[] = {21, 12, 22, 23, 24, 11, 25, 26};
    static const int32_t q_lens_b[] = {30, 40, 1, 1, 0, 1, 2, 1};
    static const int32_t context_lens_b[] = {30, 77, 5, 700, 9, 300, 50, 1};
    support_attention_case problem = mixed_batch(4);
    support_attention *alone, *crowded;

    problem.num_splits = num_splits;
    problem.batch_invariant = batch_invariant;
    problem.num_seqs = COUNT(seeds_a);
    problem.sequence_seeds = seeds_a;
    problem.q_lens = q_lens_a;
    problem.context_lens = context_lens_a;
    alone = run(device, &problem);
    problem.num_seqs = COUNT(seeds_b);
    problem.sequence_seeds = seeds_b;
    problem.q_lens = q_lens_b;
    problem.context_lens = context_lens_b;
    problem.tail_rows = 3;
    crowded = run(device, &problem);
    support_attention_check(crowded);
    expect_same_sequence(alone, 0, crowded, 5);
    expect_same_sequence(alone, 1, crowded, 1);
    support_attention_destroy(&alone);
    support_attention_destroy(&crowded);
}

static void other_sequences_change_no_bit_with_fixed_splits(void **state)
{
    static const int32_t num_splits[] = {1, 2, 5};

    for (int32_t i = 0; i < COUNT(num_splits); i++)
        expect_independence_of_the_batch(*state, num_splits[i], false);
}

static void other_sequences_change_no_bit_when_batch_invariant(void **state)
{
    expect_independence_of_the_batch(*state, 0, true);
}

static void slots_that_nobody_owns_change_no_bit(void **state)
{
    for (int32_t layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        support_attention_case problem = mixed_batch(5);
        problem.kv_layout = (clattn_kv_layout)layout;
        problem.strided = true;
        problem.filler = SUPPORT_FILLER_NUMBER;
        support_attention *number = run(*state, &problem);
        problem.filler = SUPPORT_FILLER_NAN;
        support_attention *nan = run(*state, &problem);
        problem.filler = SUPPORT_FILLER_INFINITY;
        support_attention *infinity = run(*state, &problem);
        support_attention_expect_same_bytes(number, nan);
        support_attention_expect_same_bytes(number, infinity);
        support_attention_destroy(&number);
        support_attention_destroy(&nan);
        support_attention_destroy(&infinity);
    }
}

/*
 * The last tokens of a sequence hold NaN, infinity or another number in K and V. Rows before them must not notice,
 * although later rows of the same tile see these tokens, and turn NaN if these are.
 */
static void expect_blindness_to_the_future(const support_device *device, int32_t q_len, int32_t num_poisoned,
                                           int32_t num_splits, clattn_dtype kv_dtype)
{
    static const support_filler fillers[] = {SUPPORT_FILLER_NAN, SUPPORT_FILLER_INFINITY, SUPPORT_FILLER_NUMBER};
    const int32_t q_lens[] = {1, q_len};
    const int32_t context_lens[] = {40, 93};
    support_attention_case problem = mixed_batch(6);
    support_attention *clean;

    problem.num_seqs = 2;
    problem.q_lens = q_lens;
    problem.context_lens = context_lens;
    problem.num_splits = num_splits;
    problem.kv_dtype = kv_dtype;
    clean = run(device, &problem);
    support_attention_check(clean);
    problem.poisoned_seq = 1;
    problem.poisoned_tokens = num_poisoned;
    for (int32_t i = 0; i < COUNT(fillers); i++) {
        problem.filler = fillers[i];
        support_attention *poisoned = run(device, &problem);
        support_attention_expect_same(clean, 1, poisoned, 1, 93 - q_len, q_len - num_poisoned);
        expect_same_sequence(clean, 0, poisoned, 0);
        if (problem.filler == SUPPORT_FILLER_NAN) {
            support_attention_expect_nan(poisoned, SUPPORT_OUT, 1, 93 - num_poisoned, num_poisoned);
            support_attention_expect_nan(poisoned, SUPPORT_LSE, 1, 93 - num_poisoned, num_poisoned);
        }
        support_attention_destroy(&poisoned);
    }
    support_attention_destroy(&clean);
}

static void future_tokens_change_no_bit_in_prefill(void **state)
{
    expect_blindness_to_the_future(*state, 93, 1, 1, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 93, 50, 1, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 60, 59, 0, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 60, 30, 3, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 60, 20, 1, CLATTN_FLOAT16);
}

static void future_tokens_change_no_bit_in_decode(void **state)
{
    expect_blindness_to_the_future(*state, 2, 1, 1, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 4, 2, 0, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 4, 3, 7, CLATTN_FLOAT32);
    expect_blindness_to_the_future(*state, 4, 1, 2, CLATTN_FLOAT16);
}

/* A token that has left the window is as good as gone: the filler stands in those that no row sees. */
static void tokens_before_the_window_change_no_bit(void **state)
{
    static const support_filler fillers[] = {SUPPORT_FILLER_NAN, SUPPORT_FILLER_INFINITY};
    support_attention_case problem = mixed_batch(7);
    problem.sliding_window = 16;
    problem.filler = SUPPORT_FILLER_NUMBER;
    support_attention *clean = run(*state, &problem);

    support_attention_check(clean);
    /* Sequence 0 decodes at position 192, so its first 177 tokens are 22 whole pages and one slot. */
    assert_int_equal(support_attention_seen_keys(clean, 0).start, 177);
    for (int32_t i = 0; i < COUNT(fillers); i++) {
        problem.filler = fillers[i];
        support_attention *poisoned = run(*state, &problem);
        support_attention_expect_same_bytes(clean, poisoned);
        support_attention_destroy(&poisoned);
    }
    support_attention_destroy(&clean);
}

/* Every query row of both, which ran the same sequences. */
static void expect_rows_close(const support_attention *a, const support_attention *b,
                              const support_attention_case *problem)
{
    for (int32_t s = 0; s < problem->num_seqs; s++)
        support_attention_expect_close(a, s, b, s, problem->context_lens[s] - problem->q_lens[s], problem->q_lens[s],
                                       TOLERANCE);
}

static void splits_agree_with_one_pass(void **state)
{
    static const int32_t num_splits[] = {2, 3, 7, 64};
    support_attention_case problem = mixed_batch(8);
    problem.sinks = SUPPORT_SINKS_PER_HEAD;
    problem.num_splits = 1;
    support_attention *whole = run(*state, &problem);

    for (int32_t i = 0; i < COUNT(num_splits); i++) {
        problem.num_splits = num_splits[i];
        support_attention *split = run(*state, &problem);
        expect_rows_close(whole, split, &problem);
        support_attention_destroy(&split);
    }
    support_attention_destroy(&whole);
}

/* A prompt of 93 tokens at once, and in chunks that end at odd places, the last one a single token. */
static void chunked_prefill_agrees_with_whole_prefill(void **state)
{
    static const uint64_t seeds[] = {31};
    static const int32_t whole_len[] = {93};
    static const int32_t chunk_lens[] = {40, 23, 7, 20, 2, 1};
    support_attention_case problem = mixed_batch(9);
    problem.sequence_seeds = seeds;
    problem.num_seqs = 1;
    problem.q_lens = whole_len;
    problem.context_lens = whole_len;
    support_attention *whole = run(*state, &problem);
    int32_t context_len = 0;

    for (int32_t i = 0; i < COUNT(chunk_lens); i++) {
        context_len += chunk_lens[i];
        problem.q_lens = &chunk_lens[i];
        problem.context_lens = &context_len;
        support_attention *chunk = run(*state, &problem);
        support_attention_expect_close(whole, 0, chunk, 0, context_len - chunk_lens[i], chunk_lens[i], TOLERANCE);
        support_attention_destroy(&chunk);
    }
    assert_int_equal(context_len, 93);
    support_attention_destroy(&whole);
}

static void decode_agrees_with_prefill_of_the_last_token(void **state)
{
    static const uint64_t seeds[] = {41};
    static const int32_t one = 1;
    static const int32_t windows[] = {0, 5};

    for (int32_t context_len = 24; context_len <= 93; context_len += 23) {
        for (int32_t i = 0; i < COUNT(windows); i++) {
            support_attention_case problem = mixed_batch(10);
            problem.sequence_seeds = seeds;
            problem.num_seqs = 1;
            problem.context_lens = &context_len;
            problem.sliding_window = windows[i];
            problem.q_lens = &context_len;
            support_attention *prefill = run(*state, &problem);
            problem.q_lens = &one;
            support_attention *decode = run(*state, &problem);
            support_attention_expect_close(prefill, 0, decode, 0, context_len - 1, 1, TOLERANCE);
            support_attention_destroy(&prefill);
            support_attention_destroy(&decode);
        }
    }
}

static void grouped_heads_agree_with_repeated_kv_heads(void **state)
{
    support_attention_case problem = mixed_batch(11);
    problem.num_q_heads = 8;
    problem.num_kv_heads = 2;
    support_attention *grouped = run(*state, &problem);
    problem.num_kv_heads = 8;
    problem.kv_head_repeats = 4;
    support_attention *repeated = run(*state, &problem);

    expect_rows_close(grouped, repeated, &problem);
    support_attention_destroy(&grouped);
    support_attention_destroy(&repeated);
}

static void a_window_past_the_context_agrees_with_none(void **state)
{
    support_attention_case problem = mixed_batch(12);
    support_attention *none = run(*state, &problem);
    problem.sliding_window = 193;
    support_attention *wide = run(*state, &problem);

    expect_rows_close(none, wide, &problem);
    support_attention_destroy(&none);
    support_attention_destroy(&wide);
}

/* Weights that sum to 1 leave a V that is the same everywhere as it is, whatever the scores. */
static void expect_first_value(const support_attention *ragged, int32_t seq, int32_t row, int32_t head)
{
    const support_attention_case *description = &ragged->description;
    const support_kv_strides strides = support_attention_value_strides(ragged);
    const int32_t kv_head = head / (description->num_q_heads / description->num_kv_heads);
    const int64_t page = ragged->block_tables[seq * ragged->pages_per_seq];
    const int64_t value_row = page * strides.page + kv_head * strides.head + strides.offset;
    const int64_t index[3] = {row, head, 0};
    const int64_t out_row = support_image_at(&ragged->out, index);

    for (int32_t d = 0; d < description->head_dim; d++) {
        const double value = (double)support_image_get(&ragged->values, value_row + d);
        const double out = (double)support_image_get(&ragged->out, out_row + d);
        if (!(fabs(out - value) <= TOLERANCE * (1.0 + fabs(value))))
            fail_msg("seed=%llu seq=%d row=%d head=%d d=%d out=%.9g value=%.9g num_splits=%d",
                     (unsigned long long)description->seed, (int)seq, (int)row, (int)head, (int)d, out, value,
                     (int)description->num_splits);
    }
}

static void constant_values_come_back(void **state)
{
    static const int32_t num_splits[] = {0, 4};

    for (int32_t i = 0; i < COUNT(num_splits); i++) {
        support_attention_case problem = mixed_batch(13);
        problem.constant_values = true;
        problem.num_splits = num_splits[i];
        support_attention *ragged = run(*state, &problem);
        for (int32_t s = 0; s < problem.num_seqs; s++)
            for (int32_t row = ragged->query_start_loc[s]; row < ragged->query_start_loc[s + 1]; row++)
                for (int32_t head = 0; head < problem.num_q_heads; head++)
                    expect_first_value(ragged, s, row, head);
        support_attention_destroy(&ragged);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_call_gives_the_same_bits),
        cmocka_unit_test(a_plan_gives_the_bits_of_the_call_without_one),
        cmocka_unit_test(relabelled_pages_change_no_bit),
        cmocka_unit_test(other_sequences_change_no_bit_with_fixed_splits),
        cmocka_unit_test(other_sequences_change_no_bit_when_batch_invariant),
        cmocka_unit_test(slots_that_nobody_owns_change_no_bit),
        cmocka_unit_test(future_tokens_change_no_bit_in_prefill),
        cmocka_unit_test(future_tokens_change_no_bit_in_decode),
        cmocka_unit_test(tokens_before_the_window_change_no_bit),
        cmocka_unit_test(splits_agree_with_one_pass),
        cmocka_unit_test(chunked_prefill_agrees_with_whole_prefill),
        cmocka_unit_test(decode_agrees_with_prefill_of_the_last_token),
        cmocka_unit_test(grouped_heads_agree_with_repeated_kv_heads),
        cmocka_unit_test(a_window_past_the_context_agrees_with_none),
        cmocka_unit_test(constant_values_come_back),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_properties", tests, sizeof(tests) / sizeof(tests[0]));
}
