/* SPDX-License-Identifier: Apache-2.0 */
/* The reference itself, on cases small enough to work out by hand. */
#include "reference/attention.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* cmocka's own comparison rounds to float32 first. */
static void assert_near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance))
        fail_msg("actual=%.17g expected=%.17g tolerance=%g", actual, expected, tolerance);
}

#define MAX_KEYS 12
#define MAX_ROWS 4
#define MASK_VALUE (-2.381976426469702e38)

/* One kv head of width 1: key t is keys[t] and its value values[t], dense unless a test pages them. */
typedef struct line {
    float queries[MAX_ROWS];
    float keys[MAX_KEYS];
    float values[MAX_KEYS];
    double out[MAX_ROWS];
    double lse[MAX_ROWS];
    double max[MAX_ROWS];
    double denominator[MAX_ROWS];
    reference_sequence sequence;
    reference_result result;
} line;

static void line_init(line *l, int32_t num_rows, int64_t num_keys)
{
    memset(l, 0, sizeof(*l));
    for (int32_t t = 0; t < MAX_KEYS; t++)
        l->values[t] = NAN;
    for (int32_t t = 0; t < num_keys; t++)
        l->values[t] = (float)(1 << t);
    for (int32_t row = 0; row < num_rows; row++)
        l->queries[row] = 1.0f;
    l->sequence = (reference_sequence){
        .num_rows = num_rows,
        .num_q_heads = 1,
        .num_kv_heads = 1,
        .head_dim = 1,
        .head_dim_v = 1,
        .queries = l->queries,
        .query_row_stride = 1,
        .query_head_stride = 1,
        .keys = {l->keys, MAX_KEYS, 1, 1},
        .values = {l->values, MAX_KEYS, 1, 1},
        .page_size = MAX_KEYS,
        .first_position = num_keys - num_rows,
        .kv_end = num_keys,
        .causal = true,
        .window_left = -1,
        .window_right = -1,
        .softmax_scale = 1.0,
        .mask_value = MASK_VALUE,
    };
    l->result = (reference_result){l->out, l->lse, l->max, l->denominator};
}

/* Values are powers of two and all logits 0, so the mean over the seen keys tells which ones were seen. */
static void assert_sees(line *l, int32_t row, int64_t first, int64_t last)
{
    double sum = 0.0;

    assert_true(reference_attention(&l->sequence, &l->result));
    for (int64_t t = first; t <= last; t++)
        sum += (double)(1 << t);
    assert_near(l->out[row], sum / (double)(last - first + 1), 1e-9);
    assert_near(l->denominator[row], (double)(last - first + 1), 1e-12);
    assert_near(l->lse[row], log((double)(last - first + 1)), 1e-12);
    for (int64_t t = 0; t < MAX_KEYS; t++)
        assert_int_equal(reference_row_sees(&l->sequence, row, t), t >= first && t <= last);
}

static void two_keys_give_the_softmax_by_hand(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 2);
    l.keys[1] = logf(3.0f);
    assert_true(reference_attention(&l.sequence, &l.result));
    /* Weights 1/4 and 3/4 over the values 1 and 2. */
    assert_near(l.out[0], 1.75, 1e-7);
    assert_near(l.lse[0], log(4.0), 1e-7);
    assert_near(l.max[0], log(3.0), 1e-7);
    assert_near(l.denominator[0], 4.0 / 3.0, 1e-7);
}

static void softmax_scale_multiplies_the_dot_product(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 2);
    l.keys[1] = 8.0f;
    l.sequence.softmax_scale = 0.25;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_near(l.max[0], 2.0, 1e-12);
    assert_near(l.out[0], (1.0 + 2.0 * exp(2.0)) / (1.0 + exp(2.0)), 1e-12);
}

static void causal_rows_see_up_to_their_own_position(void **state)
{
    line l;
    (void)state;

    line_init(&l, 3, 11);
    assert_sees(&l, 0, 0, 8);
    assert_sees(&l, 1, 0, 9);
    assert_sees(&l, 2, 0, 10);
}

static void sliding_window_counts_the_query_itself(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 11);
    l.sequence.window_left = 4 - 1;
    assert_sees(&l, 0, 7, 10);
    l.sequence.window_left = 1 - 1;
    assert_sees(&l, 0, 10, 10);
    l.sequence.window_left = 100;
    assert_sees(&l, 0, 0, 10);
}

static void window_pair_is_inclusive_on_both_sides(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 11);
    l.sequence.window_left = 4;
    l.sequence.window_right = -1;
    assert_sees(&l, 0, 6, 10);
    l.sequence.causal = false;
    l.sequence.first_position = 5;
    l.sequence.window_right = 2;
    assert_sees(&l, 0, 1, 7);
    l.sequence.window_right = 0;
    assert_sees(&l, 0, 1, 5);
    l.sequence.window_left = -1;
    l.sequence.window_right = -1;
    assert_sees(&l, 0, 0, 10);
}

static void kv_range_is_half_open(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 11);
    l.sequence.kv_start = 3;
    l.sequence.kv_end = 8;
    assert_sees(&l, 0, 3, 7);
}

static void soft_cap_bounds_large_logits_and_keeps_small_ones(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 3);
    l.sequence.logits_soft_cap = 20.0;
    l.keys[0] = 1e4f;
    l.keys[1] = -1e4f;
    l.keys[2] = 1e30f;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_near(l.max[0], 20.0, 1e-12);
    assert_near(l.out[0], (1.0 + 4.0 + 2.0 * exp(-40.0)) / (2.0 + exp(-40.0)), 1e-12);

    line_init(&l, 1, 1);
    l.sequence.logits_soft_cap = 20.0;
    l.keys[0] = 0.125f;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_near(l.max[0], 0.125 - 0.125 * 0.125 * 0.125 / (3.0 * 400.0), 1e-9);
}

static void huge_logits_are_one_hot(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 3);
    l.keys[0] = -1e30f;
    l.keys[1] = 1e30f;
    l.keys[2] = 9e29f;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_true(l.out[0] == 2.0);
    assert_true(l.denominator[0] == 1.0);
    assert_true(l.lse[0] == (double)1e30f);
}

static void sinks_enter_maximum_and_denominator_once_and_have_no_value(void **state)
{
    const float sink = logf(2.0f);
    line l;
    (void)state;

    line_init(&l, 1, 2);
    l.sequence.logits_soft_cap = 0.0;
    l.sequence.softmax_scale = 0.0; /* both logits 0, the sink unscaled */
    l.sequence.sinks = (reference_sinks){&sink, 1, 1, 0};
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_near(l.out[0], (1.0 + 2.0) / 4.0, 1e-7);
    assert_near(l.max[0], log(2.0), 1e-7);
    assert_near(l.denominator[0], 2.0, 1e-7);
    assert_near(l.lse[0], log(4.0), 1e-7);
}

static void sinks_are_not_capped(void **state)
{
    const float sink = 30.0f;
    line l;
    (void)state;

    line_init(&l, 1, 1);
    l.sequence.logits_soft_cap = 1.0;
    l.sequence.sinks = (reference_sinks){&sink, 1, 1, 0};
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_true(l.max[0] == 30.0);
}

/* Four query heads over two kv heads; three sinks per kv head: query heads 2 and 3 use the second triple. */
static void sinks_and_kv_heads_follow_the_group(void **state)
{
    const float sinks[6] = {0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 1.0f};
    const float queries[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const float keys[2] = {0.0f, 0.0f};
    const float values[2] = {8.0f, 16.0f};
    double out[4], lse[4], max[4], denominator[4];
    const reference_result result = {out, lse, max, denominator};
    const reference_sequence sequence = {
        .num_rows = 1,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 1,
        .head_dim_v = 1,
        .queries = queries,
        .query_row_stride = 4,
        .query_head_stride = 1,
        .keys = {keys, 2, 2, 1},
        .values = {values, 2, 2, 1},
        .page_size = 1,
        .kv_end = 1,
        .causal = true,
        .window_left = -1,
        .window_right = -1,
        .softmax_scale = 1.0,
        .sinks = {sinks, 3, 0, 3},
    };
    (void)state;

    assert_true(reference_attention(&sequence, &result));
    assert_near(out[0], 2.0, 1e-12);
    assert_near(out[1], 2.0, 1e-12);
    assert_near(out[2], 16.0 * exp(-1.0) / (3.0 + exp(-1.0)), 1e-12);
    assert_near(out[3], out[2], 0.0);
    assert_near(lse[3], log(1.0 + 3.0 * exp(1.0)), 1e-12);
}

static void empty_rows_are_zero_even_with_sinks(void **state)
{
    const float sink = 5.0f;
    line l;
    (void)state;

    line_init(&l, 2, 4);
    l.sequence.first_position = 0;
    l.sequence.kv_start = 1; /* row 0 stands before the first key, row 1 at it */
    l.sequence.sinks = (reference_sinks){&sink, 1, 1, 0};
    l.out[0] = 77.0;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_true(l.out[0] == 0.0);
    assert_true(isinf(l.lse[0]) && l.lse[0] < 0.0);
    assert_true(l.max[0] == MASK_VALUE);
    assert_true(l.denominator[0] == 0.0);
    assert_near(l.out[1], 2.0 / (1.0 + exp(5.0)), 1e-12);
}

static void no_keys_at_all_is_empty(void **state)
{
    line l;
    (void)state;

    line_init(&l, 1, 0);
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_true(l.out[0] == 0.0);
    assert_true(isinf(l.lse[0]) && l.lse[0] < 0.0);
}

/* page_size 4, context 11, pages 2, 0, 1 in that order; the fourth entry and the tail of the last page are poison. */
static void pages_are_found_through_the_block_table(void **state)
{
    static const int32_t block_table[4] = {2, 0, 1, -1};
    float values[12];
    line l;
    (void)state;

    line_init(&l, 3, 11);
    for (int32_t t = 0; t < 12; t++)
        values[block_table[t / 4] * 4 + t % 4] = l.values[t];
    assert_true(isnan(values[1 * 4 + 3]));
    l.sequence.block_table = block_table;
    l.sequence.page_size = 4;
    l.sequence.values = (reference_pages){values, 4, 1, 1};
    l.sequence.keys = (reference_pages){l.keys, 4, 1, 1};
    assert_sees(&l, 0, 0, 8);
    assert_sees(&l, 2, 0, 10);
    l.sequence.window_left = 3;
    assert_sees(&l, 2, 7, 10);
}

static void unseen_keys_are_never_multiplied(void **state)
{
    line l;
    (void)state;

    line_init(&l, 2, 4);
    l.keys[3] = NAN;
    l.values[3] = INFINITY;
    assert_true(reference_attention(&l.sequence, &l.result));
    assert_near(l.out[0], 7.0 / 3.0, 1e-12);
    assert_true(isnan(l.out[1]));
}

/* Every feature at once: the float32 implementation must agree with float64 to float32 accuracy. */
static void float32_implementation_agrees_with_float64(void **state)
{
    enum { ROWS = 3, HEADS = 2, DIM = 8, KEYS = 10 };
    const float sinks[HEADS] = {0.5f, -1.0f};
    float queries[ROWS * HEADS * DIM], keys[KEYS * DIM], values[KEYS * DIM];
    double out[ROWS * HEADS * DIM], lse[ROWS * HEADS], max[ROWS * HEADS], denominator[ROWS * HEADS];
    float out32[ROWS * HEADS * DIM], lse32[ROWS * HEADS], max32[ROWS * HEADS], denominator32[ROWS * HEADS];
    const reference_result result = {out, lse, max, denominator};
    const reference_result_float32 result32 = {out32, lse32, max32, denominator32};
    reference_sequence sequence = {
        .num_rows = ROWS,
        .num_q_heads = HEADS,
        .num_kv_heads = 1,
        .head_dim = DIM,
        .head_dim_v = DIM,
        .queries = queries,
        .query_row_stride = HEADS * DIM,
        .query_head_stride = DIM,
        .keys = {keys, KEYS * DIM, DIM, DIM},
        .values = {values, KEYS * DIM, DIM, DIM},
        .page_size = KEYS,
        .first_position = 6,
        .kv_start = 2,
        .kv_end = KEYS,
        .causal = true,
        .window_left = 5,
        .window_right = -1,
        .softmax_scale = 0.5,
        .logits_soft_cap = 3.0,
        .mask_value = MASK_VALUE,
        .sinks = {sinks, 1, 1, 0},
    };
    (void)state;

    for (int i = 0; i < ROWS * HEADS * DIM; i++)
        queries[i] = sinf((float)i);
    for (int i = 0; i < KEYS * DIM; i++) {
        keys[i] = cosf((float)(3 * i));
        values[i] = sinf((float)(7 * i));
    }
    assert_true(reference_attention(&sequence, &result));
    for (int order = 0; order < REFERENCE_NUM_ORDERS; order++) {
        assert_true(reference_attention_float32(&sequence, order, &result32));
        for (int i = 0; i < ROWS * HEADS * DIM; i++)
            assert_near((double)out32[i], out[i], 1e-6);
        for (int i = 0; i < ROWS * HEADS; i++) {
            assert_near((double)lse32[i], lse[i], 1e-6);
            assert_near((double)max32[i], max[i], 1e-6);
            assert_near((double)denominator32[i], denominator[i], 1e-5);
        }
    }

    /* Row 1 sees two keys: the one whose terms are larger counts. */
    double sizes[2] = {0.0, 0.0};
    for (int key = 0; key < 2; key++)
        for (int d = 0; d < DIM; d++)
            sizes[key] += pow((double)queries[HEADS * DIM + d] * (double)keys[key * DIM + d], 2.0);
    sequence.first_position = 0;
    sequence.kv_start = 0;
    assert_near(reference_logit_size(&sequence, 1, 0), 0.5 * sqrt(fmax(sizes[0], sizes[1])), 1e-12);

    sequence.first_position = -1; /* row 0 now sees nothing */
    assert_true(reference_logit_size(&sequence, 0, 0) == 0.0);
    assert_true(reference_attention_float32(&sequence, 0, &result32));
    assert_true(out32[0] == 0.0f && isinf(lse32[0]) && lse32[0] < 0.0f && denominator32[0] == 0.0f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_keys_give_the_softmax_by_hand),
        cmocka_unit_test(softmax_scale_multiplies_the_dot_product),
        cmocka_unit_test(causal_rows_see_up_to_their_own_position),
        cmocka_unit_test(sliding_window_counts_the_query_itself),
        cmocka_unit_test(window_pair_is_inclusive_on_both_sides),
        cmocka_unit_test(kv_range_is_half_open),
        cmocka_unit_test(soft_cap_bounds_large_logits_and_keeps_small_ones),
        cmocka_unit_test(huge_logits_are_one_hot),
        cmocka_unit_test(sinks_enter_maximum_and_denominator_once_and_have_no_value),
        cmocka_unit_test(sinks_are_not_capped),
        cmocka_unit_test(sinks_and_kv_heads_follow_the_group),
        cmocka_unit_test(empty_rows_are_zero_even_with_sinks),
        cmocka_unit_test(no_keys_at_all_is_empty),
        cmocka_unit_test(pages_are_found_through_the_block_table),
        cmocka_unit_test(unseen_keys_are_never_multiplied),
        cmocka_unit_test(float32_implementation_agrees_with_float64),
    };
    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
