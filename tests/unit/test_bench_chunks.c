/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks that cl-bench's read probe reads, against every row looked up by itself. */
#include "bench/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NUM_PAGES 11
#define PAGES_PER_SEQ 4

/* A decode behind a partial page, a prefill, a page that is full to the last slot, and one token. */
static int32_t q_lens[] = {1, 3, 1, 1};
static int32_t context_lens[] = {17, 20, 10, 1};
static const bench_workload lengths = {
    .num_seqs = 4, .total_tokens = 6, .q_lens = q_lens, .context_lens = context_lens};
static const int32_t block_tables[] = {7, 2, 9, 4, 0, 10, 3, 6, 8, 5, -1, -1, 1, -1, -1, -1};

/* How often each unit of the two buffers is wanted or read. */
typedef struct tally {
    int64_t num_units[2];
    int *times[2];
} tally;

/* Index of a row in buffers of the layouts' shapes; v: of V, where K and V lie together. */
static int64_t row_index(const bench_pages *pages, int v, int64_t page, int64_t slot, int64_t head)
{
    const int64_t slots = pages->page_size;
    const int64_t heads = pages->num_kv_heads;
    switch (pages->layout) {
    case CLATTN_KV_COMBINED:
        return ((page * slots + slot) * heads + head) * 2 + v;
    case CLATTN_KV_NHD:
        return (page * slots + slot) * heads + head;
    case CLATTN_KV_HND:
        return (page * heads + head) * slots + slot;
    case CLATTN_KV_HEADS_FIRST:
        return (head * pages->num_pages + page) * slots + slot;
    case CLATTN_NUM_KV_LAYOUTS:
        break;
    }
    fail_msg("layout %d", (int)pages->layout);
    return 0;
}

static tally make_tally(const bench_cache_view *view)
{
    const bench_pages *pages[2] = {&view->keys, &view->values};
    tally units = {{0, 0}, {NULL, NULL}};
    for (int i = 0; i < 2; i++) {
        units.num_units[i] = bench_pages_num_elements(pages[i]) * (int64_t)view->element_bytes / BENCH_UNIT_BYTES;
        units.times[i] = calloc((size_t)units.num_units[i], sizeof *units.times[i]);
        assert_non_null(units.times[i]);
    }
    return units;
}

static void free_tally(tally *units)
{
    free(units->times[0]);
    free(units->times[1]);
}

static bool is_visible(const bench_cache_view *view, int32_t seq, int32_t token)
{
    for (int32_t position = context_lens[seq] - q_lens[seq]; position < context_lens[seq]; position++) {
        if (token <= position && (view->sliding_window == 0 || token > position - view->sliding_window))
            return true;
    }
    return false;
}

static void want_row(const bench_cache_view *view, int v, int64_t page, int64_t slot, int64_t head, tally *units)
{
    const bench_pages *pages = v ? &view->values : &view->keys;
    const int buffer = view->keys.layout == CLATTN_KV_COMBINED ? 0 : v;
    const int64_t row_units = pages->width * (int64_t)view->element_bytes / BENCH_UNIT_BYTES;
    const int64_t first = row_index(pages, v, page, slot, head) * row_units;
    for (int64_t unit = first; unit < first + row_units; unit++)
        units->times[buffer][unit]++;
}

static void want_visible_rows(const bench_cache_view *view, tally *units)
{
    for (int32_t seq = 0; seq < lengths.num_seqs; seq++) {
        for (int32_t token = 0; token < context_lens[seq]; token++) {
            const int64_t index = token / view->keys.page_size;
            const int64_t page = view->block_tables ? view->block_tables[seq * view->pages_per_seq + index] : seq;
            for (int64_t head = 0; is_visible(view, seq, token) && head < view->keys.num_kv_heads; head++) {
                want_row(view, 0, page, token % view->keys.page_size, head, units);
                want_row(view, 1, page, token % view->keys.page_size, head, units);
            }
        }
    }
}

/* Takes what the chunks read off the tally, and counts it. */
static uint64_t take_chunks(const bench_chunks *chunks, tally *units)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < chunks->count; i++) {
        const int buffer = (chunks->at[i].size & BENCH_CHUNK_IN_VALUES) != 0;
        const int64_t size = chunks->at[i].size & ~BENCH_CHUNK_IN_VALUES;
        assert_in_range(size, 1, BENCH_CHUNK_BYTES / BENCH_UNIT_BYTES);
        assert_true(chunks->at[i].first + size <= units->num_units[buffer]);
        for (int64_t unit = chunks->at[i].first; unit < chunks->at[i].first + size; unit++)
            units->times[buffer][unit]--;
        bytes += (uint64_t)size * BENCH_UNIT_BYTES;
    }
    return bytes;
}

static void check_chunks(const bench_cache_view *view, const char *what)
{
    bench_chunks chunks;
    tally units = make_tally(view);
    want_visible_rows(view, &units);
    assert_true(bench_chunks_init_visible(&chunks, view));
    assert_int_equal(take_chunks(&chunks, &units), chunks.bytes);
    for (int buffer = 0; buffer < 2; buffer++) {
        for (int64_t unit = 0; unit < units.num_units[buffer]; unit++) {
            if (units.times[buffer][unit] != 0)
                fail_msg("%s layout=%d window=%d: unit %lld of buffer %d is read %d times too %s", what,
                         (int)view->keys.layout, (int)view->sliding_window, (long long)unit, buffer,
                         abs(units.times[buffer][unit]), units.times[buffer][unit] > 0 ? "seldom" : "often");
        }
    }
    bench_chunks_finish(&chunks);
    free_tally(&units);
}

static bench_cache_view paged_view(clattn_kv_layout layout, int64_t width, int64_t value_width)
{
    const bench_pages keys = {layout, NUM_PAGES, 5, 3, width};
    const bench_pages values = {layout, NUM_PAGES, 5, 3, value_width};
    return (bench_cache_view){&lengths, block_tables, PAGES_PER_SEQ, 0, keys, values, 2};
}

static void chunks_are_the_visible_rows_of_every_layout_once(void **state)
{
    static const int32_t windows[] = {0, 1, 6, 7, 100};
    (void)state;
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        for (int i = 0; i < COUNT(windows); i++) {
            bench_cache_view view = paged_view((clattn_kv_layout)layout, 8, 8);
            view.sliding_window = windows[i];
            check_chunks(&view, "width 8");
            view.keys.width = view.values.width = 512;
            view.element_bytes = 4;
            check_chunks(&view, "width 512");
            if (layout == CLATTN_KV_COMBINED)
                continue;
            view.values.width = 24;
            check_chunks(&view, "widths 512 and 24");
        }
    }
}

static void chunks_of_a_dense_cache_are_its_first_rows(void **state)
{
    bench_cache_view view = paged_view(CLATTN_KV_NHD, 16, 8);
    (void)state;
    view.block_tables = NULL;
    view.keys.num_pages = view.values.num_pages = lengths.num_seqs;
    view.keys.page_size = view.values.page_size = 20;
    check_chunks(&view, "dense");
    view.sliding_window = 6;
    check_chunks(&view, "dense");
}

/* Two sequences of two pages of 16 tokens and 4 heads of 128 halfs: pages of 16 KiB, those of a head of 4 KiB. */
static void chunks_stand_page_after_page(void **state)
{
    static int32_t one[] = {1, 1};
    static int32_t full[] = {32, 32};
    static const int32_t tables[] = {3, 0, 1, 2};
    const bench_workload decodes = {.num_seqs = 2, .q_lens = one, .context_lens = full};
    const bench_pages pages = {CLATTN_KV_HND, 4, 16, 4, 128};
    bench_cache_view view = {&decodes, tables, 2, 0, pages, pages, 2};
    const uint32_t units = BENCH_CHUNK_BYTES / BENCH_UNIT_BYTES;
    (void)state;
    for (int heads_first = 0; heads_first < 2; heads_first++) {
        bench_chunks chunks;
        view.keys.layout = view.values.layout = heads_first ? CLATTN_KV_HEADS_FIRST : CLATTN_KV_HND;
        assert_true(bench_chunks_init_visible(&chunks, &view));
        assert_int_equal(chunks.count, 4 * 4 * 2);
        for (int32_t i = 0; i < chunks.count; i++) {
            const uint32_t page = (uint32_t)tables[i / 8];
            const uint32_t head = (uint32_t)i % 4;
            const uint32_t flag = i % 8 >= 4 ? BENCH_CHUNK_IN_VALUES : 0;
            assert_int_equal(chunks.at[i].first, (heads_first ? head * 4 + page : page * 4 + head) * units);
            assert_int_equal(chunks.at[i].size, units | flag);
        }
        bench_chunks_finish(&chunks);
    }
}

static void chunks_of_a_line_cover_it(void **state)
{
    static const uint64_t sizes[] = {16, 4096, 4112, 12288, 1000 * 16};
    (void)state;
    for (int i = 0; i < COUNT(sizes); i++) {
        bench_chunks chunks;
        uint64_t next = 0;
        assert_true(bench_chunks_init_line(&chunks, sizes[i]));
        assert_int_equal(chunks.bytes, sizes[i]);
        assert_int_equal(chunks.count, (sizes[i] + BENCH_CHUNK_BYTES - 1) / BENCH_CHUNK_BYTES);
        for (int32_t c = 0; c < chunks.count; c++) {
            assert_int_equal(chunks.at[c].first, next);
            assert_in_range(chunks.at[c].size, 1, BENCH_CHUNK_BYTES / BENCH_UNIT_BYTES);
            next += chunks.at[c].size;
        }
        assert_int_equal(next * BENCH_UNIT_BYTES, sizes[i]);
        bench_chunks_finish(&chunks);
    }
}

static void chunks_beyond_their_numbers_are_refused(void **state)
{
    bench_chunks chunks;
    (void)state;
    assert_false(bench_chunks_init_line(&chunks, (uint64_t)BENCH_UNIT_BYTES << 32));
    assert_null(chunks.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_the_visible_rows_of_every_layout_once),
        cmocka_unit_test(chunks_of_a_dense_cache_are_its_first_rows),
        cmocka_unit_test(chunks_stand_page_after_page),
        cmocka_unit_test(chunks_of_a_line_cover_it),
        cmocka_unit_test(chunks_beyond_their_numbers_are_refused),
    };
    return cmocka_run_group_tests_name("bench_chunks", tests, NULL, NULL);
}
