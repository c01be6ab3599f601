/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operation promises about two ways to state one problem: layouts, widths, heads, windows, sinks, and options
 * that change nothing. Equal bits where the same work items do the same sums, else equality within rounding.
 */
#include "batch.h"

#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void heads_first_gives_the_bits_of_blocks_first(void **state)
{
    for (int32_t i = 0; i < 2 * NUM_WAYS_TO_SPLIT; i++) {
        support_attention_case blocks_first = batch_paged(40, CLATTN_KV_HND);
        blocks_first.strided = i >= NUM_WAYS_TO_SPLIT;
        batch_set_splits(&blocks_first, i % NUM_WAYS_TO_SPLIT);
        support_attention_case heads_first = blocks_first;
        heads_first.kv_layout = CLATTN_KV_HEADS_FIRST;
        batch_expect_same(*state, &blocks_first, &heads_first);
    }
}

static void token_major_pages_give_the_bits_of_head_major_ones_with_the_same_splits(void **state)
{
    for (int32_t way = 1; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case token_major = batch_paged(50, CLATTN_KV_NHD);
        batch_set_splits(&token_major, way);
        support_attention_case head_major = token_major;
        head_major.kv_layout = CLATTN_KV_HND;
        batch_expect_same(*state, &token_major, &head_major);
    }
}

/* The vector family's item takes several heads of token-major pages, so the automatic splits of a long row differ. */
static void token_major_pages_agree_with_head_major_ones_with_automatic_splits(void **state)
{
    static const int32_t long_context_lens[] = {3000, 0, 700, 41};
    support_attention_case token_major = batch_paged(51, CLATTN_KV_NHD);
    token_major.num_seqs = COUNT(long_context_lens);
    token_major.context_lens = long_context_lens;
    support_attention_case head_major = token_major;

    head_major.kv_layout = CLATTN_KV_HND;
    batch_expect_close(*state, &token_major, &head_major);
}

/* Columns [first, first + width) of a tensor's rows. */
static clattn_tensor columns_of(const support_image *image, int32_t first, int32_t width)
{
    clattn_tensor columns = image->tensor;

    for (int32_t i = 0; i < columns.rank; i++)
        columns.strides[i] = image->strides[i];
    columns.offset_bytes += (uint64_t)first * clattn_dtype_size(columns.dtype);
    columns.shape[columns.rank - 1] = width;
    return columns;
}

enum { NARROW = 32, NUM_SLICES = 2 };

static void expect_columns(const support_attention *wide, int32_t first, const support_attention *narrow,
                           double tolerance)
{
    support_image columns = wide->out;

    columns.tensor = columns_of(&wide->out, first, NARROW);
    support_image_expect_close(&columns, &narrow->out, tolerance);
    support_image_expect_close(&wide->lse, &narrow->lse, BITWISE);
}

/*
 * Values of 64 columns at once, and 32 at a time: the first ones also from a tensor of their own. The softmax does not
 * know the width. A simt work-group deals its work-items out among columns and keys, so there the sum over the keys of
 * a narrow V is ordered differently.
 */
static void wide_values_give_the_columns_of_narrow_ones(void **state)
{
    const support_device *device = *state;
    const double tolerance = device->family == CLATTN_FAMILY_VECTOR ? BITWISE : TOLERANCE;

    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case problem = batch_paged(100, CLATTN_KV_HND);
        batch_set_splits(&problem, way);
        support_attention *narrow = batch_run(device, &problem);
        problem.head_dim_v = NUM_SLICES * NARROW;
        support_attention *wide = batch_run(device, &problem);
        expect_columns(wide, 0, narrow, tolerance);
        for (int32_t first = 0; first < NUM_SLICES * NARROW; first += NARROW) {
            clattn_page_attention_params params = support_attention_page_params(narrow, NULL);
            params.value_cache = columns_of(&wide->values, first, NARROW);
            support_attention_reset(narrow, device);
            batch_require_ok(narrow, device, clattn_page_attention(device->ctx, &params, 0, NULL, NULL));
            support_attention_read(narrow, device);
            expect_columns(wide, first, narrow, tolerance);
        }
        support_attention_destroy(&narrow);
        support_attention_destroy(&wide);
    }
}

/* The rows of a tile share its work-items, so that a row's sums are ordered differently in a tile of four rows. */
static void grouped_heads_agree_with_repeated_kv_heads(void **state)
{
    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        for (int32_t dense = 0; dense < 2; dense++) {
            support_attention_case grouped = dense ? batch_dense(110) : batch_paged(110, CLATTN_KV_HND);
            grouped.num_q_heads = 8;
            grouped.num_kv_heads = 2;
            batch_set_splits(&grouped, way);
            support_attention_case repeated = grouped;
            repeated.num_kv_heads = 8;
            repeated.kv_head_repeats = 4;
            batch_expect_close(*state, &grouped, &repeated);
        }
    }
}

/* The query stands on the last key of its row, or behind it. */
static void the_right_side_of_a_window_changes_no_bit(void **state)
{
    static const int32_t lefts[] = {-1, 0, 5, 40};
    static const int32_t rights[] = {0, 1, 40, INT32_MAX};
    static const int32_t ends[] = {BATCH_SEQ_LEN, 93, BATCH_SEQ_LEN + 3, 17, 1, 0, 257};

    for (int32_t i = 0; i < COUNT(lefts); i++) {
        for (int32_t k = 0; k < COUNT(rights); k++) {
            const clattn_window unlimited = {lefts[i], -1};
            const clattn_window limited = {lefts[i], rights[k]};
            support_attention_case a = batch_dense(120);
            a.context_lens = ends;
            a.kv_starts = batch_starts;
            a.window = &unlimited;
            support_attention_case b = a;
            b.window = &limited;
            batch_expect_same(*state, &a, &b);
        }
    }
}

/* A problem of ragged_decode_attention with these sinks. */
static support_attention *run_with_sinks(const support_device *device, const support_attention_case *problem,
                                         int32_t rank, const int64_t *shape, const float *sinks)
{
    const size_t num_sinks = (size_t)(rank == 2 ? shape[0] * shape[1] : shape[0]);
    const cl_mem buffer = support_buffer_create(device, sinks, num_sinks * sizeof(*sinks));
    support_attention *attention = support_attention_create(device, problem);
    clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(attention, NULL);

    params.softmax_aux = clattn_tensor_make(buffer, CLATTN_FLOAT32, rank, shape);
    support_attention_reset(attention, device);
    batch_require_ok(attention, device, clattn_ragged_decode_attention(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(attention, device);
    clReleaseMemObject(buffer);
    return attention;
}

static void shared_sinks_give_the_bits_of_equal_rows_of_sinks(void **state)
{
    static const float shared[] = {0.5f, 3.0f, -1.25f};
    static const float per_kv_head[] = {0.5f, 3.0f, -1.25f, 0.5f, 3.0f, -1.25f};

    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case problem = batch_dense(130);
        problem.kv_starts = batch_starts;
        batch_set_splits(&problem, way);
        support_attention *a = run_with_sinks(*state, &problem, 1, (const int64_t[]){3}, shared);
        support_attention *b = run_with_sinks(*state, &problem, 2, (const int64_t[]){2, 3}, per_kv_head);
        support_attention_expect_same_bytes(a, b);
        support_attention_destroy(&a);
        support_attention_destroy(&b);
    }
}

/* Each kv head has two sinks of its own, and then one that weighs as much as both. */
static void two_sinks_agree_with_one_of_their_weight(void **state)
{
    static const float pairs[] = {0.5f, 2.0f, -3.0f, 4.0f};
    const float joined[] = {logf(expf(0.5f) + expf(2.0f)), logf(expf(-3.0f) + expf(4.0f))};

    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case problem = batch_dense(131);
        batch_set_splits(&problem, way);
        support_attention *two = run_with_sinks(*state, &problem, 2, (const int64_t[]){2, 2}, pairs);
        support_attention *one = run_with_sinks(*state, &problem, 2, (const int64_t[]){2, 1}, joined);
        batch_expect_rows_close(two, one, TOLERANCE);
        support_attention_destroy(&two);
        support_attention_destroy(&one);
    }
}

/* Writes the default mask_value over the maxima of rows that have no key and report this one. */
static void restore_empty_maxima(support_attention *attention, float mask_value)
{
    int32_t num_empty = 0;

    for (int32_t s = 0; s < attention->description.num_seqs; s++) {
        const support_key_range keys = support_attention_keys(attention, s);
        for (int32_t head = 0; head < attention->description.num_q_heads && keys.start >= keys.end; head++) {
            const int64_t at = support_image_at(&attention->max, (const int64_t[]){s, head});
            assert_true(support_image_get(&attention->max, at) == mask_value);
            support_image_set(&attention->max, at, CLATTN_DEFAULT_MASK_VALUE);
            num_empty++;
        }
    }
    assert_true(num_empty > 0);
}

static void mask_value_changes_only_the_maximum_of_empty_rows(void **state)
{
    static const float mask_value = -1e30f;

    for (int32_t i = 0; i < 2 * NUM_WAYS_TO_SPLIT; i++) {
        support_attention_case problem = batch_statistics(140);
        problem.kv_starts = batch_starts;
        problem.numerator = i >= NUM_WAYS_TO_SPLIT;
        batch_set_splits(&problem, i % NUM_WAYS_TO_SPLIT);
        support_attention *plain = batch_run(*state, &problem);
        problem.mask_value = mask_value;
        support_attention *masked = batch_run(*state, &problem);
        restore_empty_maxima(masked, mask_value);
        support_attention_expect_same_bytes(plain, masked);
        support_attention_destroy(&plain);
        support_attention_destroy(&masked);
    }
}

static void mask_value_changes_no_bit_of_out_and_lse(void **state)
{
    const support_attention_case plain[] = {batch_paged(141, CLATTN_KV_HND), batch_dense(141)};

    for (int32_t i = 0; i < COUNT(plain); i++) {
        support_attention_case masked = plain[i];
        masked.mask_value = -1e30f;
        batch_expect_same(*state, &plain[i], &masked);
    }
}

static void max_context_len_changes_no_bit(void **state)
{
    static const int32_t promises[] = {BATCH_SEQ_LEN, BATCH_SEQ_LEN + 1, INT32_MAX};

    for (int32_t i = 0; i < COUNT(promises) * NUM_WAYS_TO_SPLIT; i++) {
        support_attention_case plain = batch_paged(150, CLATTN_KV_HND);
        batch_set_splits(&plain, i % NUM_WAYS_TO_SPLIT);
        support_attention_case promised = plain;
        promised.max_context_len = promises[i / NUM_WAYS_TO_SPLIT];
        batch_expect_same(*state, &plain, &promised);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_first_gives_the_bits_of_blocks_first),
        cmocka_unit_test(token_major_pages_give_the_bits_of_head_major_ones_with_the_same_splits),
        cmocka_unit_test(token_major_pages_agree_with_head_major_ones_with_automatic_splits),
        cmocka_unit_test(wide_values_give_the_columns_of_narrow_ones),
        cmocka_unit_test(grouped_heads_agree_with_repeated_kv_heads),
        cmocka_unit_test(the_right_side_of_a_window_changes_no_bit),
        cmocka_unit_test(shared_sinks_give_the_bits_of_equal_rows_of_sinks),
        cmocka_unit_test(two_sinks_agree_with_one_of_their_weight),
        cmocka_unit_test(mask_value_changes_only_the_maximum_of_empty_rows),
        cmocka_unit_test(mask_value_changes_no_bit_of_out_and_lse),
        cmocka_unit_test(max_context_len_changes_no_bit),
    };

    support_select_family(argc, argv);
    return support_run_tests("option_properties", tests, sizeof(tests) / sizeof(tests[0]));
}
