/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operations promise about each other: a problem that two of them can state, or one of them in two ways, has
 * one result. Equal bits where the same kernel does the same work, else equality within rounding. Merging:
 * test_merge_properties.c.
 */
#include "support/attention.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Two correct float32 results differ by no more: |a - b| <= TOLERANCE * (1 + |a|). */
#define TOLERANCE 3e-6
#define BITWISE (-1.0)

enum { SEQ_LEN = 288 };

/* Full, long enough to be split without being asked, around a tile, single, empty. */
static const int32_t mixed_lens[] = {SEQ_LEN, 93, 16, 17, 1, 0, 257};

static const int32_t split_counts[] = {0, 1, 3};

static support_attention_case paged_batch(uint64_t seed, clattn_kv_layout kv_layout)
{
    return (support_attention_case){
        .operation = SUPPORT_PAGE,
        .seed = seed,
        .num_seqs = COUNT(mixed_lens),
        .context_lens = mixed_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = kv_layout,
        .lse = true,
    };
}

static support_attention_case dense_batch(uint64_t seed)
{
    support_attention_case problem = paged_batch(seed, CLATTN_KV_COMBINED);

    problem.operation = SUPPORT_RAGGED_DECODE;
    problem.page_size = 0;
    problem.seq_len = SEQ_LEN;
    return problem;
}

/* The same keys with the statistics of their softmax; the scale is ragged_decode_attention's for head_dim 32. */
static support_attention_case statistics_batch(uint64_t seed)
{
    support_attention_case problem = dense_batch(seed);

    problem.operation = SUPPORT_RAGGED;
    problem.lse = false;
    problem.softmax_scale = 0.17677669f;
    return problem;
}

/* The ways to split a row: by each of split_counts, and by its own length. */
static const int32_t num_ways_to_split = COUNT(split_counts) + 1;

static void set_splits(support_attention_case *problem, int32_t way)
{
    problem->batch_invariant = way == COUNT(split_counts);
    problem->num_splits = problem->batch_invariant ? 0 : split_counts[way];
}

static support_attention *run(const support_device *device, const support_attention_case *problem)
{
    support_attention *attention = support_attention_create(device, problem);

    support_attention_run(attention, device);
    return attention;
}

static void require_ok(const support_attention *attention, const support_device *device, clattn_status status)
{
    if (status == CLATTN_OK)
        return;
    support_attention_print(attention);
    fail_msg("error=\"%s\"", clattn_context_last_error(device->ctx));
}

/* Every row of two problems of one batch. */
static void expect_rows_close(const support_attention *a, const support_attention *b, double tolerance)
{
    for (int32_t s = 0; s < a->description.num_seqs; s++)
        support_attention_expect_close(a, s, b, s, support_attention_first_position(a, s), a->description.q_lens[s],
                                       tolerance);
}

static void expect_same_results(const support_device *device, const support_attention_case *problem_a,
                                const support_attention_case *problem_b)
{
    support_attention *a = run(device, problem_a);
    support_attention *b = run(device, problem_b);

    support_attention_expect_same_bytes(a, b);
    support_attention_destroy(&a);
    support_attention_destroy(&b);
}

static void expect_close_results(const support_device *device, const support_attention_case *problem_a,
                                 const support_attention_case *problem_b)
{
    support_attention *a = run(device, problem_a);
    support_attention *b = run(device, problem_b);

    expect_rows_close(a, b, TOLERANCE);
    support_attention_destroy(&a);
    support_attention_destroy(&b);
}

static void set_options(support_attention_case *problem)
{
    problem->logits_soft_cap = 2.5f;
    problem->sinks = SUPPORT_SINKS_PER_HEAD;
    problem->sliding_window = 200;
    problem->softmax_scale = 0.25f;
}

/* A ragged batch knows no empty row with a query, so the context_len 0 is left out. */
static void page_attention_gives_the_bits_of_ragged_page_attention(void **state)
{
    static const clattn_kv_layout layouts[] = {CLATTN_KV_NHD, CLATTN_KV_HND, CLATTN_KV_HEADS_FIRST};
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};
    static const int32_t context_lens[] = {SEQ_LEN, 93, 16, 17, 1, 8, 257};

    for (int32_t layout = 0; layout < COUNT(layouts); layout++) {
        for (int32_t i = 0; i < COUNT(dtypes) * num_ways_to_split; i++) {
            support_attention_case page = paged_batch((uint64_t)i, layouts[layout]);
            page.context_lens = context_lens;
            page.query_dtype = dtypes[i / num_ways_to_split];
            page.kv_dtype = page.query_dtype;
            page.out_dtype = page.query_dtype;
            page.strided = i % 2 == 1;
            set_splits(&page, i % num_ways_to_split);
            if (i >= num_ways_to_split)
                set_options(&page);
            support_attention_case ragged = page;
            ragged.operation = SUPPORT_RAGGED_PAGE;
            expect_same_results(*state, &page, &ragged);
        }
    }
}

/* Both keep the heads of a token together, so that the tiles are the same. */
static void combined_pages_give_the_bits_of_separate_ones(void **state)
{
    static const int32_t context_lens[] = {SEQ_LEN, 93, 16, 17, 1, 8, 257};

    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case separate = paged_batch(30, CLATTN_KV_NHD);
        separate.context_lens = context_lens;
        set_splits(&separate, way);
        support_attention_case combined = separate;
        combined.operation = SUPPORT_RAGGED_PAGE;
        combined.kv_layout = CLATTN_KV_COMBINED;
        expect_same_results(*state, &separate, &combined);
    }
}

static void heads_first_gives_the_bits_of_blocks_first(void **state)
{
    for (int32_t i = 0; i < 2 * num_ways_to_split; i++) {
        support_attention_case blocks_first = paged_batch(40, CLATTN_KV_HND);
        blocks_first.strided = i >= num_ways_to_split;
        set_splits(&blocks_first, i % num_ways_to_split);
        support_attention_case heads_first = blocks_first;
        heads_first.kv_layout = CLATTN_KV_HEADS_FIRST;
        expect_same_results(*state, &blocks_first, &heads_first);
    }
}

static void token_major_pages_give_the_bits_of_head_major_ones_with_the_same_splits(void **state)
{
    for (int32_t way = 1; way < num_ways_to_split; way++) {
        support_attention_case token_major = paged_batch(50, CLATTN_KV_NHD);
        set_splits(&token_major, way);
        support_attention_case head_major = token_major;
        head_major.kv_layout = CLATTN_KV_HND;
        expect_same_results(*state, &token_major, &head_major);
    }
}

/* The vector family's item takes several heads of token-major pages, so the automatic splits of a long row differ. */
static void token_major_pages_agree_with_head_major_ones_with_automatic_splits(void **state)
{
    static const int32_t long_context_lens[] = {3000, 0, 700, 41};
    support_attention_case token_major = paged_batch(51, CLATTN_KV_NHD);
    token_major.num_seqs = COUNT(long_context_lens);
    token_major.context_lens = long_context_lens;
    support_attention_case head_major = token_major;

    head_major.kv_layout = CLATTN_KV_HND;
    expect_close_results(*state, &token_major, &head_major);
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
    require_ok(attention, device, clattn_page_attention(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(attention, device);
    if (params.softmax_aux.buffer)
        clReleaseMemObject(params.softmax_aux.buffer);
    free(block_tables);
}

static void expect_same_as_pages(const support_device *device, const support_attention_case *problem, int32_t page_size)
{
    support_attention *dense = run(device, problem);
    support_attention *pages = support_attention_create(device, problem);

    run_as_pages(pages, device, page_size);
    support_attention_expect_same_bytes(dense, pages);
    support_attention_destroy(&dense);
    support_attention_destroy(&pages);
}

static void a_dense_cache_gives_the_bits_of_its_pages(void **state)
{
    static const int32_t page_sizes[] = {1, 9, 32, 96, SEQ_LEN};
    static const clattn_window window = {199, 0};

    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case problem = dense_batch(60 + (uint64_t)way);
        set_splits(&problem, way);
        for (int32_t i = 0; i < COUNT(page_sizes); i++)
            expect_same_as_pages(*state, &problem, page_sizes[i]);
        problem.strided = true;
        expect_same_as_pages(*state, &problem, SEQ_LEN);
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
    enum { START = 5, STEP = 41, NUM_ROWS = 4, NUM_KEYS = SEQ_LEN - START - (NUM_ROWS - 1) * STEP };
    static const clattn_window windows[] = {{-1, -1}, {60, 0}};
    static const int32_t num_keys[NUM_ROWS] = {NUM_KEYS, 1, 0, 93};
    int32_t starts[NUM_ROWS], ends[NUM_ROWS];
    support_attention_case problem = dense_batch(70);

    for (int32_t s = 0; s < NUM_ROWS; s++) {
        starts[s] = START + s * STEP;
        ends[s] = starts[s] + num_keys[s];
    }
    problem.num_seqs = NUM_ROWS;
    problem.kv_starts = starts;
    problem.context_lens = ends;
    for (int32_t i = 0; i < COUNT(windows) * num_ways_to_split; i++) {
        problem.window = &windows[i / num_ways_to_split];
        problem.strided = i % 2 == 1;
        set_splits(&problem, i % num_ways_to_split);
        support_attention *range = run(*state, &problem);
        support_attention *view = support_attention_create(*state, &problem);
        clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(view, NULL);
        params.key = view_from(&view->keys, START, STEP, NUM_KEYS);
        params.value = view_from(&view->values, START, STEP, NUM_KEYS);
        params.sequence_start = NULL;
        params.sequence_end = num_keys;
        support_attention_reset(view, *state);
        require_ok(view, *state,
                   clattn_ragged_decode_attention(((support_device *)*state)->ctx, &params, 0, NULL, NULL));
        support_attention_read(view, *state);
        support_attention_expect_same_bytes(range, view);
        support_attention_destroy(&range);
        support_attention_destroy(&view);
    }
}

/* Rows that begin anywhere, also before the cache, and end anywhere. */
static const int32_t mixed_starts[] = {0, -5, 7, 17, 0, 200, 100};

_Static_assert(sizeof(mixed_starts) == sizeof(mixed_lens), "pairs");

static void ragged_attention_gives_the_bits_of_ragged_decode_with_scale_1(void **state)
{
    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case statistics = statistics_batch(80);
        statistics.softmax_scale = 0.0f;
        statistics.kv_starts = mixed_starts;
        set_splits(&statistics, way);
        support_attention_case decode = dense_batch(80);
        decode.softmax_scale = 1.0f;
        decode.kv_starts = mixed_starts;
        set_splits(&decode, way);
        support_attention *a = run(*state, &statistics);
        support_attention *b = run(*state, &decode);
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
    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case problem = statistics_batch(90 + (uint64_t)way);
        problem.kv_starts = mixed_starts;
        set_splits(&problem, way);
        support_attention *quotient = run(*state, &problem);
        problem.numerator = true;
        support_attention *numerator = run(*state, &problem);
        support_attention_case with_lse = dense_batch(90 + (uint64_t)way);
        with_lse.kv_starts = mixed_starts;
        set_splits(&with_lse, way);
        support_attention *decode = run(*state, &with_lse);
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

/*
 * Values of 64 columns at once, and 32 at a time. The softmax does not know the width. A simt work-group deals its
 * work-items out among columns and keys, so there the sum over the keys of a narrow V is ordered differently.
 */
static void wide_values_give_the_columns_of_narrow_ones(void **state)
{
    enum { WIDTH = 32, NUM_SLICES = 2 };
    const support_device *device = *state;
    const double tolerance = device->family == CLATTN_FAMILY_VECTOR ? BITWISE : TOLERANCE;

    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case problem = paged_batch(100, CLATTN_KV_HND);
        set_splits(&problem, way);
        support_attention *narrow = support_attention_create(device, &problem);
        problem.head_dim_v = NUM_SLICES * WIDTH;
        support_attention *wide = run(device, &problem);
        for (int32_t first = 0; first < NUM_SLICES * WIDTH; first += WIDTH) {
            clattn_page_attention_params params = support_attention_page_params(narrow, NULL);
            support_image slice = wide->out;
            params.value_cache = columns_of(&wide->values, first, WIDTH);
            support_attention_reset(narrow, device);
            require_ok(narrow, device, clattn_page_attention(device->ctx, &params, 0, NULL, NULL));
            support_attention_read(narrow, device);
            slice.tensor = columns_of(&wide->out, first, WIDTH);
            support_image_expect_close(&slice, &narrow->out, tolerance);
            support_image_expect_close(&wide->lse, &narrow->lse, BITWISE);
        }
        support_attention_destroy(&narrow);
        support_attention_destroy(&wide);
    }
}

/* The rows of a tile share its work-items, so that a row's sums are ordered differently in a tile of four rows. */
static void grouped_heads_agree_with_repeated_kv_heads(void **state)
{
    for (int32_t way = 0; way < num_ways_to_split; way++) {
        for (int32_t dense = 0; dense < 2; dense++) {
            support_attention_case grouped = dense ? dense_batch(110) : paged_batch(110, CLATTN_KV_HND);
            grouped.num_q_heads = 8;
            grouped.num_kv_heads = 2;
            set_splits(&grouped, way);
            support_attention_case repeated = grouped;
            repeated.num_kv_heads = 8;
            repeated.kv_head_repeats = 4;
            expect_close_results(*state, &grouped, &repeated);
        }
    }
}

/* The query stands on the last key of its row, or behind it. */
static void the_right_side_of_a_window_changes_no_bit(void **state)
{
    static const int32_t lefts[] = {-1, 0, 5, 40};
    static const int32_t rights[] = {0, 1, 40, INT32_MAX};
    static const int32_t ends[] = {SEQ_LEN, 93, SEQ_LEN + 3, 17, 1, 0, 257};

    for (int32_t i = 0; i < COUNT(lefts); i++) {
        for (int32_t k = 0; k < COUNT(rights); k++) {
            const clattn_window unlimited = {lefts[i], -1};
            const clattn_window limited = {lefts[i], rights[k]};
            support_attention_case a = dense_batch(120);
            a.context_lens = ends;
            a.kv_starts = mixed_starts;
            a.window = &unlimited;
            support_attention_case b = a;
            b.window = &limited;
            expect_same_results(*state, &a, &b);
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
    require_ok(attention, device, clattn_ragged_decode_attention(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(attention, device);
    clReleaseMemObject(buffer);
    return attention;
}

static void shared_sinks_give_the_bits_of_equal_rows_of_sinks(void **state)
{
    static const float shared[] = {0.5f, 3.0f, -1.25f};
    static const float per_kv_head[] = {0.5f, 3.0f, -1.25f, 0.5f, 3.0f, -1.25f};

    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case problem = dense_batch(130);
        problem.kv_starts = mixed_starts;
        set_splits(&problem, way);
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

    for (int32_t way = 0; way < num_ways_to_split; way++) {
        support_attention_case problem = dense_batch(131);
        set_splits(&problem, way);
        support_attention *two = run_with_sinks(*state, &problem, 2, (const int64_t[]){2, 2}, pairs);
        support_attention *one = run_with_sinks(*state, &problem, 2, (const int64_t[]){2, 1}, joined);
        expect_rows_close(two, one, TOLERANCE);
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

    for (int32_t i = 0; i < 2 * num_ways_to_split; i++) {
        support_attention_case problem = statistics_batch(140);
        problem.kv_starts = mixed_starts;
        problem.numerator = i >= num_ways_to_split;
        set_splits(&problem, i % num_ways_to_split);
        support_attention *plain = run(*state, &problem);
        problem.mask_value = mask_value;
        support_attention *masked = run(*state, &problem);
        restore_empty_maxima(masked, mask_value);
        support_attention_expect_same_bytes(plain, masked);
        support_attention_destroy(&plain);
        support_attention_destroy(&masked);
    }
}

static void mask_value_changes_no_bit_of_out_and_lse(void **state)
{
    const support_attention_case plain[] = {paged_batch(141, CLATTN_KV_HND), dense_batch(141)};

    for (int32_t i = 0; i < COUNT(plain); i++) {
        support_attention_case masked = plain[i];
        masked.mask_value = -1e30f;
        expect_same_results(*state, &plain[i], &masked);
    }
}

static void max_context_len_changes_no_bit(void **state)
{
    static const int32_t promises[] = {SEQ_LEN, SEQ_LEN + 1, INT32_MAX};

    for (int32_t i = 0; i < COUNT(promises) * num_ways_to_split; i++) {
        support_attention_case plain = paged_batch(150, CLATTN_KV_HND);
        set_splits(&plain, i % num_ways_to_split);
        support_attention_case promised = plain;
        promised.max_context_len = promises[i / num_ways_to_split];
        expect_same_results(*state, &plain, &promised);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_attention_gives_the_bits_of_ragged_page_attention),
        cmocka_unit_test(combined_pages_give_the_bits_of_separate_ones),
        cmocka_unit_test(heads_first_gives_the_bits_of_blocks_first),
        cmocka_unit_test(token_major_pages_give_the_bits_of_head_major_ones_with_the_same_splits),
        cmocka_unit_test(token_major_pages_agree_with_head_major_ones_with_automatic_splits),
        cmocka_unit_test(a_dense_cache_gives_the_bits_of_its_pages),
        cmocka_unit_test(a_range_gives_the_bits_of_a_view_that_begins_with_it),
        cmocka_unit_test(ragged_attention_gives_the_bits_of_ragged_decode_with_scale_1),
        cmocka_unit_test(numerator_max_and_denominator_agree_with_the_quotient_and_its_lse),
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
    return cmocka_run_group_tests_name("operation_properties", tests, support_device_setup, support_device_teardown);
}
