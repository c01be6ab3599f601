/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operations promise about each other: a problem that two of them can state has one result. Equal bits where
 * the same kernel does the same work, else equality within rounding. Merging: test_merge_properties.c.
 */
#include "batch.h"

#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* batch_lens without the 0: in a ragged batch a query has at least its own key. */
static const int32_t lens_with_keys[BATCH_NUM_SEQS] = {BATCH_SEQ_LEN, 93, 16, 17, 1, 8, 257};

static void set_options(support_attention_case *problem)
{
    problem->logits_soft_cap = 2.5f;
    problem->sinks = SUPPORT_SINKS_PER_HEAD;
    problem->sliding_window = 200;
    problem->softmax_scale = 0.25f;
}

static void page_attention_gives_the_bits_of_ragged_page_attention(void **state)
{
    static const clattn_kv_layout layouts[] = {CLATTN_KV_NHD, CLATTN_KV_HND, CLATTN_KV_HEADS_FIRST};
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

    for (int32_t layout = 0; layout < COUNT(layouts); layout++) {
        for (int32_t i = 0; i < COUNT(dtypes) * NUM_WAYS_TO_SPLIT; i++) {
            support_attention_case page = batch_paged((uint64_t)i, layouts[layout]);
            page.context_lens = lens_with_keys;
            page.query_dtype = dtypes[i / NUM_WAYS_TO_SPLIT];
            page.kv_dtype = page.query_dtype;
            page.out_dtype = page.query_dtype;
            page.strided = i % 2 == 1;
            batch_set_splits(&page, i % NUM_WAYS_TO_SPLIT);
            if (i >= NUM_WAYS_TO_SPLIT)
                set_options(&page);
            support_attention_case ragged = page;
            ragged.operation = SUPPORT_RAGGED_PAGE;
            batch_expect_same(*state, &page, &ragged);
        }
    }
}

/* Both keep the heads of a token together, so that the tiles are the same. */
static void combined_pages_give_the_bits_of_separate_ones(void **state)
{
    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case separate = batch_paged(30, CLATTN_KV_NHD);
        separate.context_lens = lens_with_keys;
        batch_set_splits(&separate, way);
        support_attention_case combined = separate;
        combined.operation = SUPPORT_RAGGED_PAGE;
        combined.kv_layout = CLATTN_KV_COMBINED;
        batch_expect_same(*state, &separate, &combined);
    }
}

/* A dense cache [B, seq_len, Hkv, D] seen as pages [B * seq_len / page_size, page_size, Hkv, D]. */
static clattn_tensor as_pages(const support_image *dense, int32_t page_size)
{
    clattn_tensor pages = dense->tensor;

    assert_true(pages.strides[0] == 0 || page_size == pages.shape[1]); /* a gap behind each row is no page */
    pages.shape[0] *= pages.shape[1] / page_size;
    pages.shape[1] = page_size;
    return pages;
}

/* The sinks [Hkv, 1] of a dense problem as page_attention's [Hq]; absent where the problem has none. */
static clattn_tensor sinks_per_head(const support_attention *attention, const support_device *device)
{
    const support_attention_case *description = &attention->description;
    const int64_t num_heads = description->num_q_heads;
    const int32_t group_size = description->num_q_heads / description->num_kv_heads;
    float sinks[4];

    if (attention->sinks.tensor.rank == 0)
        return (clattn_tensor){0};
    assert_int_equal(num_heads, COUNT(sinks));
    for (int32_t head = 0; head < num_heads; head++)
        sinks[head] = support_image_get(&attention->sinks, head / group_size * attention->sinks.strides[0]);
    return clattn_tensor_make(support_buffer_create(device, sinks, sizeof(sinks)), CLATTN_FLOAT32, 1, &num_heads);
}

/* page_attention over the cache of a dense problem, whose row b is the pages from b * seq_len / page_size on. */
static void run_as_pages(support_attention *attention, const support_device *device, int32_t page_size)
{
    const support_attention_case *description = &attention->description;
    const int32_t pages_per_seq = description->seq_len / page_size;
    const int32_t num_pages = description->num_seqs * pages_per_seq;
    int32_t *block_tables = calloc((size_t)num_pages, sizeof(*block_tables));
    const clattn_page_attention_params params = {
        .query = attention->queries.tensor,
        .key_cache = as_pages(&attention->keys, page_size),
        .value_cache = as_pages(&attention->values, page_size),
        .kv_layout = CLATTN_KV_NHD,
        .out = attention->out.tensor,
        .lse = attention->lse.tensor,
        .softmax_aux = sinks_per_head(attention, device),
        .softmax_scale = description->softmax_scale,
        .logits_soft_cap = description->logits_soft_cap,
        .sliding_window = description->window ? description->window->left + 1 : 0,
        .context_lens = description->context_lens,
        .block_tables = block_tables,
        .pages_per_seq = pages_per_seq,
        .num_splits = description->num_splits,
        .batch_invariant = description->batch_invariant,
    };

    assert_non_null(block_tables);
    for (int32_t page = 0; page < num_pages; page++)
        block_tables[page] = page;
    support_attention_reset(attention, device);
    batch_require_ok(attention, device, clattn_page_attention(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(attention, device);
    if (params.softmax_aux.buffer)
        clReleaseMemObject(params.softmax_aux.buffer);
    free(block_tables);
}

static void expect_same_as_pages(const support_device *device, const support_attention_case *problem, int32_t page_size)
{
    support_attention *dense = batch_run(device, problem);
    support_attention *pages = support_attention_create(device, problem);

    run_as_pages(pages, device, page_size);
    support_attention_expect_same_bytes(dense, pages);
    support_attention_destroy(&dense);
    support_attention_destroy(&pages);
}

static void a_dense_cache_gives_the_bits_of_its_pages(void **state)
{
    static const int32_t page_sizes[] = {1, 9, 32, 96, BATCH_SEQ_LEN};
    static const clattn_window window = {199, 0};

    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case problem = batch_dense(60 + (uint64_t)way);
        batch_set_splits(&problem, way);
        for (int32_t i = 0; i < COUNT(page_sizes); i++)
            expect_same_as_pages(*state, &problem, page_sizes[i]);
        problem.strided = true;
        expect_same_as_pages(*state, &problem, BATCH_SEQ_LEN);
        problem.strided = false;
        problem.logits_soft_cap = 2.5f;
        problem.sinks = SUPPORT_SINKS_PER_KV_HEAD;
        problem.num_sinks = 1;
        problem.softmax_scale = 0.25f;
        problem.window = &window;
        for (int32_t i = 0; i < COUNT(page_sizes); i++)
            expect_same_as_pages(*state, &problem, page_sizes[i]);
    }
}

/* A view of a dense cache [B, seq_len, Hkv, D]: row b from key `start + b * step` on, num_keys of them. */
static clattn_tensor view_from(const support_image *dense, int32_t start, int32_t step, int32_t num_keys)
{
    clattn_tensor view = dense->tensor;

    for (int32_t i = 0; i < view.rank; i++)
        view.strides[i] = dense->strides[i];
    view.offset_bytes += (uint64_t)(start * dense->strides[1]) * clattn_dtype_size(view.dtype);
    view.strides[0] += step * dense->strides[1];
    view.shape[1] = num_keys;
    return view;
}

/* Tiles and splits begin at a row's first key wherever it stands, so that the items are the same. */
static void a_range_gives_the_bits_of_a_view_that_begins_with_it(void **state)
{
    enum { START = 5, STEP = 41, NUM_ROWS = 4, NUM_KEYS = BATCH_SEQ_LEN - START - (NUM_ROWS - 1) * STEP };
    static const clattn_window windows[] = {{-1, -1}, {60, 0}};
    static const int32_t num_keys[NUM_ROWS] = {NUM_KEYS, 1, 0, 93};
    int32_t starts[NUM_ROWS], ends[NUM_ROWS];
    support_attention_case problem = batch_dense(70);

    for (int32_t s = 0; s < NUM_ROWS; s++) {
        starts[s] = START + s * STEP;
        ends[s] = starts[s] + num_keys[s];
    }
    problem.num_seqs = NUM_ROWS;
    problem.kv_starts = starts;
    problem.context_lens = ends;
    for (int32_t i = 0; i < COUNT(windows) * NUM_WAYS_TO_SPLIT; i++) {
        problem.window = &windows[i / NUM_WAYS_TO_SPLIT];
        problem.strided = i % 2 == 1;
        batch_set_splits(&problem, i % NUM_WAYS_TO_SPLIT);
        support_attention *range = batch_run(*state, &problem);
        support_attention *view = support_attention_create(*state, &problem);
        clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(view, NULL);
        params.key = view_from(&view->keys, START, STEP, NUM_KEYS);
        params.value = view_from(&view->values, START, STEP, NUM_KEYS);
        params.sequence_start = NULL;
        params.sequence_end = num_keys;
        support_attention_reset(view, *state);
        batch_require_ok(view, *state,
                         clattn_ragged_decode_attention(((support_device *)*state)->ctx, &params, 0, NULL, NULL));
        support_attention_read(view, *state);
        support_attention_expect_same_bytes(range, view);
        support_attention_destroy(&range);
        support_attention_destroy(&view);
    }
}

static void ragged_attention_gives_the_bits_of_ragged_decode_with_scale_1(void **state)
{
    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case statistics = batch_statistics(80);
        statistics.softmax_scale = 0.0f;
        statistics.kv_starts = batch_starts;
        batch_set_splits(&statistics, way);
        support_attention_case decode = batch_dense(80);
        decode.softmax_scale = 1.0f;
        decode.kv_starts = batch_starts;
        batch_set_splits(&decode, way);
        support_attention *a = batch_run(*state, &statistics);
        support_attention *b = batch_run(*state, &decode);
        support_image_expect_close(&a->out, &b->out, BITWISE);
        support_attention_destroy(&a);
        support_attention_destroy(&b);
    }
}

/* Replaces the numerators of a problem by their quotients, and its maxima by log-sum-exps, on the host. */
static void normalise(support_attention *attention)
{
    const support_attention_case *description = &attention->description;

    for (int32_t s = 0; s < description->num_seqs; s++) {
        for (int32_t head = 0; head < description->num_q_heads; head++) {
            const int64_t index[3] = {s, head, 0};
            const int64_t row = support_image_at(&attention->out, index);
            const int64_t at = support_image_at(&attention->max, index);
            const float denominator =
                support_image_get(&attention->denominator, support_image_at(&attention->denominator, index));
            const double max = (double)support_image_get(&attention->max, at);
            support_image_set(&attention->max, at, (float)(max + log((double)denominator)));
            for (int32_t d = 0; d < description->head_dim_v && denominator > 0.0f; d++)
                support_image_set(&attention->out, row + d, support_image_get(&attention->out, row + d) / denominator);
        }
    }
}

/* A kernel multiplies by the reciprocal and takes the logarithm in base 2, the host does neither. */
static void numerator_max_and_denominator_agree_with_the_quotient_and_its_lse(void **state)
{
    for (int32_t way = 0; way < NUM_WAYS_TO_SPLIT; way++) {
        support_attention_case problem = batch_statistics(90 + (uint64_t)way);
        problem.kv_starts = batch_starts;
        batch_set_splits(&problem, way);
        support_attention *quotient = batch_run(*state, &problem);
        problem.numerator = true;
        support_attention *numerator = batch_run(*state, &problem);
        support_attention_case with_lse = batch_dense(90 + (uint64_t)way);
        with_lse.kv_starts = batch_starts;
        batch_set_splits(&with_lse, way);
        support_attention *decode = batch_run(*state, &with_lse);
        support_image_expect_close(&quotient->max, &numerator->max, BITWISE);
        support_image_expect_close(&quotient->denominator, &numerator->denominator, BITWISE);
        normalise(numerator);
        support_image_expect_close(&quotient->out, &numerator->out, TOLERANCE);
        support_image_expect_close(&decode->lse, &numerator->max, TOLERANCE);
        support_attention_destroy(&quotient);
        support_attention_destroy(&numerator);
        support_attention_destroy(&decode);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_attention_gives_the_bits_of_ragged_page_attention),
        cmocka_unit_test(combined_pages_give_the_bits_of_separate_ones),
        cmocka_unit_test(a_dense_cache_gives_the_bits_of_its_pages),
        cmocka_unit_test(a_range_gives_the_bits_of_a_view_that_begins_with_it),
        cmocka_unit_test(ragged_attention_gives_the_bits_of_ragged_decode_with_scale_1),
        cmocka_unit_test(numerator_max_and_denominator_agree_with_the_quotient_and_its_lse),
    };

    support_select_family(argc, argv);
    return support_run_tests("operation_properties", tests, sizeof(tests) / sizeof(tests[0]));
}
