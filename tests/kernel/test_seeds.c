/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the operations differ from the JAX kernels that they follow, docs/seeds.md, computed by hand: the queries are
 * 0, so that a row gives every key that it sees the same weight, and the values are powers of two, so that the mean
 * tells which keys those were. Nothing here uses the reference.
 */
#include "support/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

enum { HEAD_DIM = 8, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, GROUP_SIZE = 2, PAGE_SIZE = 4, TABLE_LENGTH = 100 };

/* The values repeat after so many keys, or they would be too large: no row of a test may see more. */
enum { PERIOD = 20 };

/* One sequence, in pages in reverse order or in a dense cache, whose queries are its last tokens. */
typedef struct hand_problem {
    const support_device *device;
    bool dense;
    clattn_kv_layout kv_layout;
    int32_t num_pages;
    int32_t query_start_loc[2];
    int32_t context_len;
    int32_t block_table[TABLE_LENGTH]; /* -1 behind the used entries */
    support_image queries;
    support_image keys; /* K and V in combined pages */
    support_image values;
    support_image out;
    support_image lse;
    support_image max;
    support_image denominator;
} hand_problem;

static double value_of(int32_t key)
{
    return ldexp(1.0, key % PERIOD);
}

/* The first element of K or V of a token. */
static int64_t token_at(const hand_problem *problem, const support_image *image, int32_t key, int32_t kv_head,
                        bool is_value)
{
    const int64_t page = problem->dense ? 0 : problem->block_table[key / PAGE_SIZE];
    const int64_t slot = problem->dense ? key : key % PAGE_SIZE;
    const bool combined = !problem->dense && problem->kv_layout == CLATTN_KV_COMBINED;
    const int64_t heads_inside[] = {page, slot, combined ? 2 * kv_head + is_value : kv_head, 0};
    const int64_t slots_inside[] = {page, kv_head, slot, 0};
    const int64_t heads_first[] = {kv_head, page, slot, 0};

    if (problem->dense || combined || problem->kv_layout == CLATTN_KV_NHD)
        return support_image_at(image, heads_inside);
    return support_image_at(image, problem->kv_layout == CLATTN_KV_HND ? slots_inside : heads_first);
}

/* Writes the first element of a key, and a value of one number; those of kv head 1 are negative. */
static void set_token(hand_problem *problem, int32_t key, float first_element, double value)
{
    support_image *values = problem->values.tensor.rank ? &problem->values : &problem->keys;

    for (int32_t kv_head = 0; kv_head < NUM_KV_HEADS; kv_head++) {
        const int64_t key_at = token_at(problem, &problem->keys, key, kv_head, false);
        const int64_t value_at = token_at(problem, values, key, kv_head, true);
        for (int32_t d = 0; d < HEAD_DIM; d++) {
            support_image_set(&problem->keys, key_at + d, d == 0 ? first_element : 1000.0f);
            support_image_set(values, value_at + d, (float)(kv_head ? -value : value));
        }
    }
}

static support_image result_image(int32_t rank, int32_t num_rows)
{
    return support_image_create(CLATTN_FLOAT32, rank, (int64_t[]){num_rows, NUM_Q_HEADS, HEAD_DIM}, false);
}

static void create_images(hand_problem *problem, int32_t num_rows)
{
    const int64_t pages = problem->dense ? 1 : problem->num_pages;
    const int64_t slots = problem->dense ? problem->context_len : PAGE_SIZE;
    const bool combined = !problem->dense && problem->kv_layout == CLATTN_KV_COMBINED;
    const int64_t shapes[CLATTN_NUM_KV_LAYOUTS][4] = {
        [CLATTN_KV_COMBINED] = {pages, slots, 2 * NUM_KV_HEADS, HEAD_DIM},
        [CLATTN_KV_NHD] = {pages, slots, NUM_KV_HEADS, HEAD_DIM},
        [CLATTN_KV_HND] = {pages, NUM_KV_HEADS, slots, HEAD_DIM},
        [CLATTN_KV_HEADS_FIRST] = {NUM_KV_HEADS, pages, slots, HEAD_DIM},
    };
    const int64_t *shape = shapes[problem->dense ? CLATTN_KV_NHD : problem->kv_layout];

    problem->queries = result_image(3, num_rows);
    support_image_fill(&problem->queries, 0.0f);
    problem->keys = support_image_create(CLATTN_FLOAT32, 4, shape, false);
    support_image_fill(&problem->keys, NAN);
    if (!combined) {
        problem->values = support_image_create(CLATTN_FLOAT32, 4, shape, false);
        support_image_fill(&problem->values, NAN);
    }
    problem->out = result_image(3, num_rows);
    problem->lse = result_image(2, num_rows);
    problem->max = result_image(2, num_rows);
    problem->denominator = result_image(2, num_rows);
}

static void upload(hand_problem *problem)
{
    support_image *const images[] = {&problem->queries, &problem->keys, &problem->values,     &problem->out,
                                     &problem->lse,     &problem->max,  &problem->denominator};

    for (int32_t i = 0; i < COUNT(images); i++)
        if (images[i]->tensor.rank)
            support_image_upload(images[i], problem->device);
}

static hand_problem create(const support_device *device, bool dense, clattn_kv_layout kv_layout, int32_t num_rows,
                           int32_t context_len)
{
    hand_problem problem = {.device = device, .dense = dense, .kv_layout = kv_layout, .context_len = context_len};

    problem.query_start_loc[1] = num_rows;
    problem.num_pages = (context_len + PAGE_SIZE - 1) / PAGE_SIZE;
    assert_true(problem.num_pages < TABLE_LENGTH);
    for (int32_t page = 0; page < TABLE_LENGTH; page++)
        problem.block_table[page] = page < problem.num_pages ? problem.num_pages - 1 - page : -1;
    create_images(&problem, num_rows);
    for (int32_t key = 0; key < context_len; key++)
        set_token(&problem, key, 1000.0f, value_of(key));
    support_image_fill_canary(&problem.out);
    support_image_fill_canary(&problem.lse);
    support_image_fill_canary(&problem.max);
    support_image_fill_canary(&problem.denominator);
    upload(&problem);
    return problem;
}

static hand_problem create_pages(const support_device *device, clattn_kv_layout kv_layout, int32_t num_rows,
                                 int32_t context_len)
{
    return create(device, false, kv_layout, num_rows, context_len);
}

static hand_problem create_dense(const support_device *device, int32_t seq_len)
{
    return create(device, true, CLATTN_KV_NHD, 1, seq_len);
}

static void destroy(hand_problem *problem)
{
    support_image_destroy(&problem->queries);
    support_image_destroy(&problem->keys);
    support_image_destroy(&problem->values);
    support_image_destroy(&problem->out);
    support_image_destroy(&problem->lse);
    support_image_destroy(&problem->max);
    support_image_destroy(&problem->denominator);
}

static clattn_ragged_page_attention_params ragged_page_params(const hand_problem *problem)
{
    clattn_ragged_page_attention_params params = {
        .queries = problem->queries.tensor,
        .kv_layout = problem->kv_layout,
        .out = problem->out.tensor,
        .lse = problem->lse.tensor,
        .num_seqs = 1,
        .query_start_loc = problem->query_start_loc,
        .context_lens = &problem->context_len,
        .block_tables = problem->block_table,
        .pages_per_seq = TABLE_LENGTH,
    };

    if (problem->kv_layout == CLATTN_KV_COMBINED) {
        params.kv_pages = problem->keys.tensor;
    } else {
        params.key_pages = problem->keys.tensor;
        params.value_pages = problem->values.tensor;
    }
    return params;
}

static clattn_page_attention_params page_params(const hand_problem *problem)
{
    return (clattn_page_attention_params){
        .query = problem->queries.tensor,
        .key_cache = problem->keys.tensor,
        .value_cache = problem->values.tensor,
        .kv_layout = problem->kv_layout,
        .out = problem->out.tensor,
        .lse = problem->lse.tensor,
        .context_lens = &problem->context_len,
        .block_tables = problem->block_table,
        .pages_per_seq = TABLE_LENGTH,
    };
}

static clattn_ragged_decode_attention_params decode_params(const hand_problem *problem, const int32_t *end)
{
    return (clattn_ragged_decode_attention_params){
        .query = problem->queries.tensor,
        .key = problem->keys.tensor,
        .value = problem->values.tensor,
        .out = problem->out.tensor,
        .lse = problem->lse.tensor,
        .sequence_end = end,
    };
}

static clattn_ragged_attention_params statistics_params(const hand_problem *problem, const int32_t *start,
                                                        const int32_t *end)
{
    return (clattn_ragged_attention_params){
        .query = problem->queries.tensor,
        .key = problem->keys.tensor,
        .value = problem->values.tensor,
        .out = problem->out.tensor,
        .max = problem->max.tensor,
        .denominator = problem->denominator.tensor,
        .starts = start,
        .lengths = end,
    };
}

static void read_results(hand_problem *problem, clattn_status status)
{
    if (status != CLATTN_OK)
        fail_msg("status=%s error=\"%s\"", clattn_status_name(status), clattn_context_last_error(problem->device->ctx));
    support_image_download(&problem->out, problem->device);
    support_image_download(&problem->lse, problem->device);
    support_image_download(&problem->max, problem->device);
    support_image_download(&problem->denominator, problem->device);
}

static void run_ragged_page(hand_problem *problem, const clattn_ragged_page_attention_params *params)
{
    read_results(problem, clattn_ragged_page_attention(problem->device->ctx, params, 0, NULL, NULL));
}

static void run_page(hand_problem *problem, const clattn_page_attention_params *params)
{
    read_results(problem, clattn_page_attention(problem->device->ctx, params, 0, NULL, NULL));
}

static void run_decode(hand_problem *problem, const clattn_ragged_decode_attention_params *params)
{
    read_results(problem, clattn_ragged_decode_attention(problem->device->ctx, params, 0, NULL, NULL));
}

static void run_statistics(hand_problem *problem, const clattn_ragged_attention_params *params)
{
    read_results(problem, clattn_ragged_attention(problem->device->ctx, params, 0, NULL, NULL));
}

static void expect_number(const support_image *image, int64_t element, double expected)
{
    const double actual = (double)support_image_get(image, element);

    if (!(fabs(actual - expected) <= 2e-6 * fabs(expected)))
        fail_msg("element=%lld actual=%.9g expected=%.9g", (long long)element, actual, expected);
}

/* All heads of a row of out hold a number, negative in the second kv head. */
static void expect_out(const hand_problem *problem, int32_t row, double expected)
{
    for (int32_t head = 0; head < NUM_Q_HEADS; head++)
        for (int32_t d = 0; d < HEAD_DIM; d++)
            expect_number(&problem->out, ((int64_t)row * NUM_Q_HEADS + head) * HEAD_DIM + d,
                          head < GROUP_SIZE ? expected : -expected);
}

static void expect_statistic(const support_image *image, int32_t row, double expected)
{
    for (int32_t head = 0; head < NUM_Q_HEADS; head++)
        expect_number(image, (int64_t)row * NUM_Q_HEADS + head, expected);
}

static double sum_of_values(int32_t first, int32_t end)
{
    double sum = 0.0;

    assert_true(end - first <= PERIOD);
    for (int32_t key = first; key < end; key++)
        sum += value_of(key);
    return sum;
}

/* The row sees the keys [first, end), all with the same logit 0. */
static void expect_keys(const hand_problem *problem, int32_t row, int32_t first, int32_t end)
{
    expect_out(problem, row, sum_of_values(first, end) / (end - first));
    expect_statistic(&problem->lse, row, log((double)(end - first)));
}

static void a_window_of_w_keys_counts_the_query_itself(void **state)
{
    static const int32_t windows[][2] = {{0, 0}, {4, 7}, {1, 10}, {11, 0}, {10, 1}}; /* and the first key seen */
    hand_problem combined = create_pages(*state, CLATTN_KV_COMBINED, 1, 11);
    hand_problem separate = create_pages(*state, CLATTN_KV_HND, 1, 11);

    for (int32_t i = 0; i < COUNT(windows); i++) {
        clattn_ragged_page_attention_params ragged = ragged_page_params(&combined);
        clattn_page_attention_params page = page_params(&separate);
        ragged.sliding_window = page.sliding_window = windows[i][0];
        run_ragged_page(&combined, &ragged);
        expect_keys(&combined, 0, windows[i][1], 11);
        run_page(&separate, &page);
        expect_keys(&separate, 0, windows[i][1], 11);
    }
    destroy(&combined);
    destroy(&separate);
}

static void the_rows_of_a_sequence_are_its_last_tokens(void **state)
{
    hand_problem problem = create_pages(*state, CLATTN_KV_COMBINED, 3, 11);
    clattn_ragged_page_attention_params params = ragged_page_params(&problem);

    run_ragged_page(&problem, &params);
    for (int32_t row = 0; row < 3; row++)
        expect_keys(&problem, row, 0, 9 + row);
    params.sliding_window = 4;
    run_ragged_page(&problem, &params);
    for (int32_t row = 0; row < 3; row++)
        expect_keys(&problem, row, 5 + row, 9 + row);
    destroy(&problem);
}

/* The window begins in the 90th of 99 pages; the table has 100 entries. */
static void a_window_may_begin_behind_any_number_of_pages(void **state)
{
    hand_problem combined = create_pages(*state, CLATTN_KV_COMBINED, 1, 393);
    hand_problem separate = create_pages(*state, CLATTN_KV_HND, 1, 393);
    clattn_ragged_page_attention_params ragged = ragged_page_params(&combined);
    clattn_page_attention_params page = page_params(&separate);

    ragged.sliding_window = page.sliding_window = PERIOD - 1;
    run_ragged_page(&combined, &ragged);
    expect_keys(&combined, 0, 374, 393);
    run_page(&separate, &page);
    expect_keys(&separate, 0, 374, 393);
    destroy(&combined);
    destroy(&separate);
}

/* There are as many pages as kv heads: read in the other order, every page of one sign meets the same of the other. */
static void the_layout_is_the_one_that_is_named(void **state)
{
    static const clattn_kv_layout layouts[] = {CLATTN_KV_HND, CLATTN_KV_HEADS_FIRST};

    for (int32_t i = 0; i < COUNT(layouts); i++) {
        hand_problem problem = create_pages(*state, layouts[i], 1, 2 * PAGE_SIZE);
        clattn_page_attention_params params = page_params(&problem);
        run_page(&problem, &params);
        expect_keys(&problem, 0, 0, 2 * PAGE_SIZE);
        params.kv_layout = layouts[1 - i];
        run_page(&problem, &params);
        expect_out(&problem, 0, 0.0);
        destroy(&problem);
    }
}

static void a_row_without_keys_is_zero_and_no_mean(void **state)
{
    static const int32_t start = 5;
    static const int32_t end = 5;
    static const int32_t no_context = 0;
    hand_problem pages = create_pages(*state, CLATTN_KV_HND, 1, 11);
    hand_problem dense = create_dense(*state, 11);
    clattn_page_attention_params page = page_params(&pages);
    clattn_ragged_decode_attention_params decode = decode_params(&dense, &end);
    const clattn_ragged_attention_params statistics = statistics_params(&dense, &start, &end);

    page.context_lens = &no_context;
    run_page(&pages, &page);
    expect_out(&pages, 0, 0.0);
    decode.sequence_start = &start;
    run_decode(&dense, &decode);
    expect_out(&dense, 0, 0.0);
    for (int32_t head = 0; head < NUM_Q_HEADS; head++) {
        assert_true(support_image_get(&pages.lse, head) == -INFINITY);
        assert_true(support_image_get(&dense.lse, head) == -INFINITY);
    }
    run_statistics(&dense, &statistics);
    expect_out(&dense, 0, 0.0);
    expect_statistic(&dense.denominator, 0, 0.0);
    expect_statistic(&dense.max, 0, -2.381976426469702e38);
    destroy(&pages);
    destroy(&dense);
}

/* A key that is hidden has no logit at all, so that this one cannot matter to a row that sees others. */
static void a_row_with_keys_does_not_show_the_mask_value(void **state)
{
    static const int32_t start = 2;
    static const int32_t end = 9;
    hand_problem combined = create_pages(*state, CLATTN_KV_COMBINED, 1, 11);
    hand_problem dense = create_dense(*state, 11);
    clattn_ragged_page_attention_params ragged = ragged_page_params(&combined);
    clattn_ragged_attention_params statistics = statistics_params(&dense, &start, &end);

    ragged.sliding_window = 4;
    ragged.mask_value = statistics.mask_value = -1e30f;
    run_ragged_page(&combined, &ragged);
    expect_keys(&combined, 0, 7, 11);
    run_statistics(&dense, &statistics);
    expect_out(&dense, 0, sum_of_values(start, end) / (end - start));
    expect_statistic(&dense.max, 0, 0.0);
    expect_statistic(&dense.denominator, 0, end - start);
    destroy(&combined);
    destroy(&dense);
}

static void a_window_pair_includes_both_its_ends(void **state)
{
    static const int32_t end = 11;
    static const struct {
        clattn_window window;
        int32_t first;
    } cases[] = {{{4, 0}, 6}, {{4, 3}, 6}, {{4, -1}, 6}, {{0, 0}, 10}, {{-1, 0}, 0}, {{-1, -1}, 0}, {{9, 0}, 1}};
    hand_problem problem = create_dense(*state, 13);

    for (int32_t i = 0; i < COUNT(cases); i++) {
        clattn_ragged_decode_attention_params params = decode_params(&problem, &end);
        params.sliding_window = &cases[i].window;
        run_decode(&problem, &params);
        expect_keys(&problem, 0, cases[i].first, 11);
    }
    destroy(&problem);
}

/* A weight of 11 + 1 + 1 + 5 over 11 keys: neither the scale nor the cap of 0.5 reaches the sink of log(5). */
static void sinks_are_logits_without_a_value(void **state)
{
    static const int32_t end = 11;
    static const int32_t first_sink[] = {0, 2};
    hand_problem problem = create_dense(*state, 11);
    clattn_ragged_decode_attention_params params = decode_params(&problem, &end);

    params.softmax_scale = 8.0f;
    params.logits_soft_cap = 0.5f;
    for (int32_t i = 0; i < COUNT(first_sink); i++) {
        const bool shared = first_sink[i] == 0;
        support_image sinks = support_image_create(CLATTN_FLOAT32, shared ? 1 : 2,
                                                   shared ? (int64_t[]){3, 0} : (int64_t[]){NUM_KV_HEADS, 3}, false);
        for (int32_t sink = 0; sink < (shared ? 3 : 3 * NUM_KV_HEADS); sink++)
            support_image_set(&sinks, sink, sink % 3 == first_sink[i] ? logf(5.0f) : 0.0f);
        support_image_upload(&sinks, *state);
        params.softmax_aux = sinks.tensor;
        run_decode(&problem, &params);
        expect_out(&problem, 0, sum_of_values(0, 11) / 18.0);
        expect_statistic(&problem.lse, 0, log(18.0));
        support_image_destroy(&sinks);
    }
    destroy(&problem);
}

/* One for each query head, with the weights 1, 2, 3 and 4. */
static void a_sink_of_pages_belongs_to_its_query_head(void **state)
{
    support_image sinks = support_image_create(CLATTN_FLOAT32, 1, (int64_t[]){NUM_Q_HEADS}, false);
    hand_problem combined = create_pages(*state, CLATTN_KV_COMBINED, 1, 11);
    hand_problem separate = create_pages(*state, CLATTN_KV_HND, 1, 11);
    clattn_ragged_page_attention_params ragged = ragged_page_params(&combined);
    clattn_page_attention_params page = page_params(&separate);

    for (int32_t head = 0; head < NUM_Q_HEADS; head++)
        support_image_set(&sinks, head, logf((float)(head + 1)));
    support_image_upload(&sinks, *state);
    ragged.softmax_aux = page.softmax_aux = sinks.tensor;
    run_ragged_page(&combined, &ragged);
    run_page(&separate, &page);
    for (int32_t head = 0; head < NUM_Q_HEADS; head++) {
        const double expected = (head < GROUP_SIZE ? 1.0 : -1.0) * sum_of_values(0, 11) / (12.0 + head);
        expect_number(&combined.out, (int64_t)head * HEAD_DIM, expected);
        expect_number(&separate.out, (int64_t)head * HEAD_DIM, expected);
    }
    support_image_destroy(&sinks);
    destroy(&combined);
    destroy(&separate);
}

/* None of the numbers is a multiple of a tile. */
static void ranges_are_exact_at_both_ends(void **state)
{
    static const int32_t ranges[][2] = {{0, 19}, {1, 19}, {3, 18}, {18, 19}, {7, 8}};
    hand_problem problem = create_dense(*state, 19);

    for (int32_t i = 0; i < COUNT(ranges); i++) {
        const int32_t first = ranges[i][0];
        const int32_t end = ranges[i][1];
        clattn_ragged_decode_attention_params decode = decode_params(&problem, &end);
        clattn_ragged_attention_params statistics = statistics_params(&problem, &first, &end);
        decode.sequence_start = &first;
        run_decode(&problem, &decode);
        expect_keys(&problem, 0, first, end);
        run_statistics(&problem, &statistics);
        expect_out(&problem, 0, sum_of_values(first, end) / (end - first));
        expect_statistic(&problem.max, 0, 0.0);
        expect_statistic(&problem.denominator, 0, end - first);
        statistics.numerator = true;
        run_statistics(&problem, &statistics);
        expect_out(&problem, 0, sum_of_values(first, end));
        expect_statistic(&problem.max, 0, 0.0);
        expect_statistic(&problem.denominator, 0, end - first);
    }
    destroy(&problem);
}

/* The queries are (1, 0, ..., 0), the first elements of the two keys log(2) and 0. */
static void the_scale_left_out_is_one_with_statistics_only(void **state)
{
    static const int32_t end = 2;
    const double weight = exp(log(2.0) / sqrt(HEAD_DIM));
    hand_problem problem = create_dense(*state, 2);
    const clattn_ragged_decode_attention_params decode = decode_params(&problem, &end);
    const clattn_ragged_attention_params statistics = statistics_params(&problem, NULL, &end);

    for (int32_t head = 0; head < NUM_Q_HEADS; head++)
        support_image_set(&problem.queries, (int64_t)head * HEAD_DIM, 1.0f);
    set_token(&problem, 0, logf(2.0f), 3.0);
    set_token(&problem, 1, 0.0f, 12.0);
    upload(&problem);
    run_decode(&problem, &decode);
    expect_out(&problem, 0, (3.0 * weight + 12.0) / (weight + 1.0));
    run_statistics(&problem, &statistics);
    expect_out(&problem, 0, 6.0);
    expect_statistic(&problem.max, 0, log(2.0));
    expect_statistic(&problem.denominator, 0, 1.5);
    destroy(&problem);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_of_w_keys_counts_the_query_itself),
        cmocka_unit_test(the_rows_of_a_sequence_are_its_last_tokens),
        cmocka_unit_test(a_window_may_begin_behind_any_number_of_pages),
        cmocka_unit_test(the_layout_is_the_one_that_is_named),
        cmocka_unit_test(a_row_without_keys_is_zero_and_no_mean),
        cmocka_unit_test(a_row_with_keys_does_not_show_the_mask_value),
        cmocka_unit_test(a_window_pair_includes_both_its_ends),
        cmocka_unit_test(sinks_are_logits_without_a_value),
        cmocka_unit_test(a_sink_of_pages_belongs_to_its_query_head),
        cmocka_unit_test(ranges_are_exact_at_both_ends),
        cmocka_unit_test(the_scale_left_out_is_one_with_statistics_only),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("seeds", tests, support_device_setup, support_device_teardown);
}
