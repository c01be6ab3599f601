/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a ragged batch, and the spans and the page list made from it. */
#include "attention/batch.h"

#include "support/random.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { UNTOUCHED = -77, MAX_SEQS = 40 };

/* Three sequences in pages of 4 tokens: 3 queries on 11 keys, none on none, 1 on exactly one page. */
typedef struct sample {
    int32_t query_start_loc[4];
    int32_t context_lens[3];
    int32_t block_tables[3][4];
    clattn_batch batch;
} sample;

static void init_sample(sample *s)
{
    *s = (sample){
        .query_start_loc = {0, 3, 3, 4},
        .context_lens = {11, 0, 4},
        .block_tables = {{6, 0, 2, -1}, {INT32_MIN, 99, -1, 7}, {1, INT32_MAX, -5, 7}},
    };
    s->batch = (clattn_batch){
        .num_seqs = 3,
        .total_tokens = 4,
        .query_start_loc = s->query_start_loc,
        .context_lens = s->context_lens,
        .block_tables = &s->block_tables[0][0],
        .pages_per_seq = 4,
        .page_size = 4,
        .num_pages = 7,
    };
}

static void accept(const clattn_batch *batch, int64_t num_used_pages)
{
    clattn_error error = {.text = ""};
    int64_t num_used = UNTOUCHED;
    if (clattn_batch_check(batch, &num_used, &error) != CLATTN_OK)
        fail_msg("refused: %s", error.text);
    assert_int_equal(num_used, num_used_pages);
}

/* Refused with this status and a sentence that has these words; the count is not written. */
static void refuse(const clattn_batch *batch, clattn_status status, const char *words)
{
    clattn_error error = {.text = ""};
    int64_t num_used = UNTOUCHED;
    const clattn_status given = clattn_batch_check(batch, &num_used, &error);
    if (given != status || strstr(error.text, words) == NULL)
        fail_msg("status=%s sentence=\"%s\", expected %s and \"%s\"", clattn_status_name(given), error.text,
                 clattn_status_name(status), words);
    assert_int_equal(num_used, UNTOUCHED);
}

static void plain_batch_is_accepted(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    accept(&s.batch, 4);
}

static void batch_without_sequences_is_accepted(void **state)
{
    const clattn_batch batch = {.page_size = 1};
    const clattn_batch with_tokens = {.total_tokens = INT32_MAX, .pages_per_seq = 5, .page_size = 16, .num_pages = 3};
    (void)state;
    accept(&batch, 0);
    accept(&with_tokens, 0);
    assert_int_equal(clattn_batch_num_query_tokens(&with_tokens), 0);
    clattn_batch_fill_spans(&with_tokens, NULL);
    clattn_batch_fill_pages(&with_tokens, NULL);
}

static void negative_counts_are_refused_by_name(void **state)
{
    static const struct {
        size_t field;
        int32_t refused;
        const char *words;
    } cases[] = {
        {offsetof(clattn_batch, num_seqs), -1, "num_seqs is -1"},
        {offsetof(clattn_batch, total_tokens), -1, "total_tokens is -1"},
        {offsetof(clattn_batch, pages_per_seq), -2, "pages_per_seq is -2"},
        {offsetof(clattn_batch, page_size), 0, "page_size is 0"},
        {offsetof(clattn_batch, page_size), INT32_MIN, "page_size is -2147483648"},
        {offsetof(clattn_batch, num_pages), -1, "num_pages is -1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sample s;
        init_sample(&s);
        memcpy((char *)&s.batch + cases[i].field, &cases[i].refused, sizeof cases[i].refused);
        refuse(&s.batch, CLATTN_INVALID_ARGUMENT, cases[i].words);
    }
}

static void smallest_counts_are_accepted(void **state)
{
    const int32_t query_start_loc[] = {0, 0};
    const int32_t context_lens[] = {0};
    const clattn_batch batch = {
        .num_seqs = 1, .query_start_loc = query_start_loc, .context_lens = context_lens, .page_size = 1};
    (void)state;
    accept(&batch, 0); /* no table either: no page of it is used */
}

static void missing_arrays_are_refused_by_name(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.batch.context_lens = NULL;
    refuse(&s.batch, CLATTN_INVALID_ARGUMENT, "context_lens is NULL");
    init_sample(&s);
    s.batch.block_tables = NULL;
    refuse(&s.batch, CLATTN_INVALID_ARGUMENT, "block_tables is NULL");
    s.batch.pages_per_seq = 0;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "sequence 0 needs 3 pages");
}

static void query_start_loc_begins_at_zero(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.query_start_loc[0] = 1;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "query_start_loc[0] is 1");
    s.query_start_loc[0] = -1;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "query_start_loc[0] is -1");
}

static void decreasing_query_start_loc_is_refused(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.query_start_loc[2] = 2;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "query_start_loc decreases from 3 to 2 behind sequence 1");
    s.query_start_loc[2] = INT32_MIN;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "query_start_loc decreases from 3 to -2147483648 behind sequence 1");
}

static void more_queries_than_tokens_are_refused(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.batch.total_tokens = 3;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "query_start_loc ends at 4, but there are 3 query tokens");
    s.batch.total_tokens = 5;
    accept(&s.batch, 4);
    assert_int_equal(clattn_batch_num_query_tokens(&s.batch), 4);
}

static void negative_context_is_refused(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.context_lens[1] = -1;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "context_lens[1] is -1");
}

static void more_queries_than_keys_are_refused(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.context_lens[0] = 3; /* as many as queries */
    accept(&s.batch, 2);
    s.context_lens[0] = 2;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "sequence 0 has 3 query tokens, but a context_len of 2");
}

static void table_too_short_for_its_context_is_refused(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    s.block_tables[0][3] = 3;
    s.context_lens[0] = 16;
    accept(&s.batch, 5);
    s.context_lens[0] = 17;
    refuse(&s.batch, CLATTN_INVALID_BATCH,
           "sequence 0 needs 5 pages for its context_len of 17, but pages_per_seq is 4");
    s.context_lens[0] = INT32_MAX;
    refuse(&s.batch, CLATTN_INVALID_BATCH, "sequence 0 needs 536870912 pages");
}

static void page_outside_the_cache_is_refused_by_place(void **state)
{
    sample s;
    (void)state;
    init_sample(&s); /* the largest page, 6, is used: the limit of 7 pages */
    s.batch.num_pages = 6;
    refuse(&s.batch, CLATTN_INVALID_PAGE, "sequence 0, logical page 0 holds 6, expected 0..5");
    init_sample(&s);
    s.block_tables[0][2] = -1;
    refuse(&s.batch, CLATTN_INVALID_PAGE, "sequence 0, logical page 2 holds -1");
    init_sample(&s);
    s.block_tables[2][0] = 7;
    refuse(&s.batch, CLATTN_INVALID_PAGE, "sequence 2, logical page 0 holds 7");
    s.block_tables[2][0] = 0; /* two sequences may share a page */
    accept(&s.batch, 4);
}

static void one_page_may_hold_the_longest_context(void **state)
{
    const int32_t query_start_loc[] = {0, 1};
    int32_t context_lens[] = {CLATTN_MOST_KEYS};
    const int32_t table[] = {INT32_MAX - 1};
    clattn_batch batch = {
        .num_seqs = 1,
        .total_tokens = 1,
        .query_start_loc = query_start_loc,
        .context_lens = context_lens,
        .block_tables = table,
        .pages_per_seq = 1,
        .page_size = INT32_MAX,
        .num_pages = INT32_MAX,
    };
    clattn_span span;
    (void)state;
    accept(&batch, 1);
    clattn_batch_fill_spans(&batch, &span);
    assert_int_equal(span.first_position, CLATTN_MOST_KEYS - 1);
    assert_int_equal(span.kv_end, CLATTN_MOST_KEYS);
    batch.page_size = CLATTN_MOST_KEYS - 1;
    refuse(&batch, CLATTN_INVALID_BATCH, "sequence 0 needs 2 pages");
    batch.page_size = INT32_MAX;
    context_lens[0]++;
    refuse(&batch, CLATTN_SIZE_OVERFLOW, "sequence 0 has 2147467264 keys, more than 2147467263");
    context_lens[0] = INT32_MAX;
    refuse(&batch, CLATTN_SIZE_OVERFLOW, "sequence 0 has 2147483647 keys");
}

/* Past the last key a kernel looks for the next tile: that place must be an int too. */
static void dense_row_of_more_keys_than_kernels_count_is_refused(void **state)
{
    const int32_t ends[] = {INT32_MAX, CLATTN_MOST_KEYS};
    clattn_batch batch = {.num_seqs = 2,
                          .total_tokens = 2,
                          .context_lens = ends,
                          .dense = true,
                          .page_size = CLATTN_MOST_KEYS,
                          .num_pages = 2};
    (void)state;
    accept(&batch, 2);
    batch.page_size++;
    refuse(&batch, CLATTN_SIZE_OVERFLOW, "sequence 0 has 2147467264 keys, more than 2147467263");
    batch.num_seqs = batch.total_tokens = 0; /* pages of any size, as long as nobody reaches so far into one */
    accept(&batch, 0);
}

/* 2^31 table entries, all page 0, that take no memory: /dev/zero mapped for reading. */
static void more_pages_than_int32_counts_are_refused(void **state)
{
    const size_t num_bytes = ((size_t)1 << 31) * sizeof(int32_t);
    const int32_t query_start_loc[] = {0, 0, 0};
    int32_t context_lens[] = {1 << 30, (1 << 30) - 1};
    const int file = open("/dev/zero", O_RDONLY);
    void *zeros = file >= 0 ? mmap(NULL, num_bytes, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    const clattn_batch batch = {
        .num_seqs = 2,
        .query_start_loc = query_start_loc,
        .context_lens = context_lens,
        .block_tables = zeros,
        .pages_per_seq = 1 << 30,
        .page_size = 1,
        .num_pages = 1,
    };
    (void)state;
    if (file >= 0)
        close(file);
    if (zeros == MAP_FAILED)
        skip();
    accept(&batch, INT32_MAX);
    context_lens[1] = 1 << 30;
    refuse(&batch, CLATTN_SIZE_OVERFLOW, "2147483648 pages");
    munmap(zeros, num_bytes);
}

/* A random batch whose table ends with its last used entry, so that a checked memory sees a read past it. */
typedef struct random_batch {
    int32_t query_start_loc[MAX_SEQS + 1];
    int32_t context_lens[MAX_SEQS];
    int32_t *block_tables;
    clattn_batch batch;
} random_batch;

static int32_t used_pages(const random_batch *r, int32_t s)
{
    return (r->context_lens[s] + r->batch.page_size - 1) / r->batch.page_size;
}

static void draw_lengths(random_batch *r, support_random *random)
{
    const int32_t longest = support_random_between(random, 0, 1) ? 9 : 93;
    r->query_start_loc[0] = 0;
    for (int32_t s = 0; s < r->batch.num_seqs; s++) {
        r->context_lens[s] = support_random_between(random, 0, longest);
        r->query_start_loc[s + 1] = r->query_start_loc[s] + support_random_between(random, 0, r->context_lens[s]);
        if (used_pages(r, s) > r->batch.pages_per_seq)
            r->batch.pages_per_seq = used_pages(r, s);
    }
    r->batch.pages_per_seq += support_random_between(random, 0, 3);
    r->batch.total_tokens = r->query_start_loc[r->batch.num_seqs] + support_random_between(random, 0, 5);
}

static void draw(random_batch *r, support_random *random)
{
    memset(r, 0, sizeof *r);
    r->batch.num_seqs = support_random_between(random, 1, MAX_SEQS);
    r->batch.page_size = support_random_between(random, 1, 17);
    r->batch.num_pages = support_random_between(random, 1, 50);
    r->batch.query_start_loc = r->query_start_loc;
    r->batch.context_lens = r->context_lens;
    draw_lengths(r, random);
    const int32_t last = r->batch.num_seqs - 1;
    const size_t num_entries = (size_t)last * (size_t)r->batch.pages_per_seq + (size_t)used_pages(r, last);
    r->block_tables = malloc(num_entries * sizeof *r->block_tables);
    assert_true(r->block_tables != NULL || num_entries == 0);
    r->batch.block_tables = r->block_tables;
    for (size_t i = 0; i < num_entries; i++) {
        const int32_t column = (int32_t)(i % (size_t)r->batch.pages_per_seq);
        const int32_t s = (int32_t)(i / (size_t)r->batch.pages_per_seq);
        const bool used = column < used_pages(r, s);
        r->block_tables[i] =
            used ? support_random_between(random, 0, r->batch.num_pages - 1) : (int32_t)support_random_next(random);
    }
}

static void check_random_batch(const random_batch *r, const clattn_span *spans, const int32_t *pages)
{
    int32_t pages_at = 0;
    for (int32_t s = 0; s < r->batch.num_seqs; s++) {
        const int32_t num_queries = r->query_start_loc[s + 1] - r->query_start_loc[s];
        assert_int_equal(spans[s].first_token, r->query_start_loc[s]);
        assert_int_equal(spans[s].num_tokens, num_queries);
        assert_int_equal(spans[s].first_position + num_queries, r->context_lens[s]);
        assert_int_equal(spans[s].kv_start, 0);
        assert_int_equal(spans[s].kv_end, r->context_lens[s]);
        assert_int_equal(spans[s].pages_at, pages_at);
        for (int32_t token = 0; token < r->context_lens[s]; token++) {
            const int32_t logical = token / r->batch.page_size;
            assert_int_equal(pages[spans[s].pages_at + logical], r->block_tables[s * r->batch.pages_per_seq + logical]);
        }
        pages_at += used_pages(r, s);
    }
}

static void spans_and_pages_match_random_batches(void **state)
{
    support_random random = support_random_seeded(11);
    (void)state;
    for (int step = 0; step < 500; step++) {
        random_batch r;
        clattn_span spans[MAX_SEQS + 1];
        int64_t num_used = 0;
        draw(&r, &random);
        for (int32_t s = 0; s < r.batch.num_seqs; s++)
            num_used += used_pages(&r, s);
        accept(&r.batch, num_used);

        int32_t *pages = malloc((size_t)(num_used + 1) * sizeof *pages);
        assert_non_null(pages);
        pages[num_used] = UNTOUCHED;
        memset(spans, 0x5a, sizeof spans);
        clattn_batch_fill_spans(&r.batch, spans);
        clattn_batch_fill_pages(&r.batch, pages);
        assert_int_equal(pages[num_used], UNTOUCHED);
        assert_int_equal(spans[r.batch.num_seqs].first_token, 0x5a5a5a5a);
        check_random_batch(&r, spans, pages);
        assert_int_equal(clattn_batch_num_query_tokens(&r.batch), r.query_start_loc[r.batch.num_seqs]);
        free(pages);
        free(r.block_tables);
    }
}

/* Without query_start_loc: two sequences of one query each, one of them without a key. */
static void one_query_each_needs_no_query_start_loc(void **state)
{
    const int32_t context_lens[] = {0, 9};
    const int32_t block_tables[] = {-1, -1, -1, 2, 0, 1};
    clattn_batch batch = {.num_seqs = 2,
                          .total_tokens = 2,
                          .context_lens = context_lens,
                          .block_tables = block_tables,
                          .pages_per_seq = 3,
                          .page_size = 4,
                          .num_pages = 3};
    clattn_span spans[2];
    (void)state;
    accept(&batch, 3);
    assert_int_equal(clattn_batch_num_query_tokens(&batch), 2);
    assert_true(clattn_batch_has_one_query_each(&batch));
    assert_int_equal(clattn_batch_longest_context(&batch), 9);
    clattn_batch_fill_spans(&batch, spans);
    assert_int_equal(spans[0].first_position, -1);
    assert_int_equal(spans[0].kv_end, 0);
    assert_int_equal(spans[1].first_token, 1);
    assert_int_equal(spans[1].num_tokens, 1);
    assert_int_equal(spans[1].first_position, 8);
    assert_int_equal(spans[1].kv_end, 9);
    batch.total_tokens = 3;
    refuse(&batch, CLATTN_INVALID_BATCH, "total_tokens is 3");
}

static void a_query_for_each_sequence_is_seen_in_query_start_loc(void **state)
{
    sample s;
    (void)state;
    init_sample(&s);
    assert_false(clattn_batch_has_one_query_each(&s.batch));
    memcpy(s.query_start_loc, (const int32_t[]){0, 1, 2, 3}, sizeof s.query_start_loc);
    s.batch.total_tokens = 3;
    assert_true(clattn_batch_has_one_query_each(&s.batch));
    s.batch.total_tokens = 4;
    assert_false(clattn_batch_has_one_query_each(&s.batch));
    memcpy(s.query_start_loc, (const int32_t[]){0, 1, 1, 3}, sizeof s.query_start_loc);
    s.batch.total_tokens = 3;
    assert_false(clattn_batch_has_one_query_each(&s.batch));
}

/* A dense row's keys are [max(0, start), min(end, seq_len)), its query stands at end - 1. */
static void dense_rows_take_any_two_numbers(void **state)
{
    static const struct {
        int32_t start, end, kv_start, kv_end, position;
    } rows[] = {
        {0, 10, 0, 10, 9},
        {3, 7, 3, 7, 6},
        {-5, 4, 0, 4, 3},
        {9, 11, 9, 10, 10}, /* behind seq_len the query stands where it was put */
        {INT32_MIN, INT32_MAX, 0, 10, INT32_MAX - 1},
        {4, 4, 0, 0, 3},
        {7, 2, 0, 0, 1},
        {10, 12, 0, 0, 11},
        {0, 0, 0, 0, 0},
        {INT32_MAX, INT32_MIN, 0, 0, 0},
    };
    enum { NUM_ROWS = sizeof rows / sizeof rows[0] };
    int32_t starts[NUM_ROWS], ends[NUM_ROWS], pages[NUM_ROWS];
    clattn_span spans[NUM_ROWS];
    clattn_batch batch = {.num_seqs = NUM_ROWS,
                          .total_tokens = NUM_ROWS,
                          .context_lens = ends,
                          .sequence_start = starts,
                          .dense = true,
                          .page_size = 10,
                          .num_pages = NUM_ROWS};
    (void)state;
    for (int32_t s = 0; s < NUM_ROWS; s++) {
        starts[s] = rows[s].start;
        ends[s] = rows[s].end;
    }
    accept(&batch, NUM_ROWS);
    clattn_batch_fill_spans(&batch, spans);
    clattn_batch_fill_pages(&batch, pages);
    for (int32_t s = 0; s < NUM_ROWS; s++) {
        assert_int_equal(spans[s].kv_start, rows[s].kv_start);
        assert_int_equal(spans[s].kv_end, rows[s].kv_end);
        assert_int_equal(spans[s].first_position, rows[s].position);
        assert_int_equal(spans[s].pages_at, s);
        assert_int_equal(pages[s], s);
    }
    batch.sequence_start = NULL;
    clattn_batch_fill_spans(&batch, spans);
    assert_int_equal(spans[1].kv_start, 0);
    assert_int_equal(spans[1].kv_end, 7);
}

static void what_a_dense_cache_has_not_is_refused(void **state)
{
    const int32_t ends[] = {1, 2}, some[] = {0, 1, 2};
    const clattn_batch dense = {
        .num_seqs = 2, .total_tokens = 2, .context_lens = ends, .dense = true, .page_size = 2, .num_pages = 2};
    sample s;
    clattn_batch batch = dense;
    (void)state;
    accept(&batch, 2);
    batch.query_start_loc = some;
    refuse(&batch, CLATTN_INVALID_ARGUMENT, "query_start_loc is given");
    batch = dense;
    batch.block_tables = some;
    refuse(&batch, CLATTN_INVALID_ARGUMENT, "block_tables or pages_per_seq is given");
    batch = dense;
    batch.pages_per_seq = 1;
    refuse(&batch, CLATTN_INVALID_ARGUMENT, "block_tables or pages_per_seq is given");
    batch = dense;
    batch.num_pages = 1;
    refuse(&batch, CLATTN_INVALID_ARGUMENT, "num_pages is 1");
    init_sample(&s);
    s.batch.sequence_start = some;
    refuse(&s.batch, CLATTN_INVALID_ARGUMENT, "sequence_start is given");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_batch_is_accepted),
        cmocka_unit_test(batch_without_sequences_is_accepted),
        cmocka_unit_test(negative_counts_are_refused_by_name),
        cmocka_unit_test(smallest_counts_are_accepted),
        cmocka_unit_test(missing_arrays_are_refused_by_name),
        cmocka_unit_test(query_start_loc_begins_at_zero),
        cmocka_unit_test(decreasing_query_start_loc_is_refused),
        cmocka_unit_test(more_queries_than_tokens_are_refused),
        cmocka_unit_test(negative_context_is_refused),
        cmocka_unit_test(more_queries_than_keys_are_refused),
        cmocka_unit_test(table_too_short_for_its_context_is_refused),
        cmocka_unit_test(page_outside_the_cache_is_refused_by_place),
        cmocka_unit_test(one_page_may_hold_the_longest_context),
        cmocka_unit_test(dense_row_of_more_keys_than_kernels_count_is_refused),
        cmocka_unit_test(more_pages_than_int32_counts_are_refused),
        cmocka_unit_test(spans_and_pages_match_random_batches),
        cmocka_unit_test(one_query_each_needs_no_query_start_loc),
        cmocka_unit_test(a_query_for_each_sequence_is_seen_in_query_start_loc),
        cmocka_unit_test(dense_rows_take_any_two_numbers),
        cmocka_unit_test(what_a_dense_cache_has_not_is_refused),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
