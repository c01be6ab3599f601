/* SPDX-License-Identifier: Apache-2.0 */
/* The named and listed batches of cl-bench, their parts and their pages. */
#include "bench/sequences.h"
#include "bench/workloads.h"
#include "common/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bench_workload named(const char *name)
{
    bench_workload workload;
    const int index = tool_name_find(bench_workload_name_at, name, strlen(name));
    assert_true(index >= 0);
    assert_true(bench_workload_init_named(&workload, index));
    return workload;
}

static void a_name_stands_for_its_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t num_seqs, q_len, context_len;
    } cases[] = {
        {"prefill-512", 1, 512, 512},      {"prefill-1024", 1, 1024, 1024}, {"prefill-4096", 1, 4096, 4096},
        {"chunked-prefill", 1, 256, 4352}, {"decode-1x16384", 1, 1, 16384}, {"decode-8x4096", 8, 1, 4096},
        {"decode-64x1024", 64, 1, 1024},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_workload workload = named(cases[i].name);
        assert_int_equal(workload.num_seqs, cases[i].num_seqs);
        assert_int_equal(workload.total_tokens, cases[i].num_seqs * cases[i].q_len);
        for (int32_t seq = 0; seq < workload.num_seqs; seq++) {
            assert_int_equal(workload.q_lens[seq], cases[i].q_len);
            assert_int_equal(workload.context_lens[seq], cases[i].context_len);
        }
        bench_workload_finish(&workload);
    }
}

static void mixed_is_one_prefill_among_decodes_from_512_to_8192(void **state)
{
    (void)state;
    bench_workload workload = named("mixed");
    assert_int_equal(workload.num_seqs, 33);
    assert_int_equal(bench_workload_count(&workload, BENCH_PREFILLS), 1);
    assert_int_equal(bench_workload_count(&workload, BENCH_DECODES), 32);
    assert_int_equal(workload.total_tokens, 1024 + 32);
    assert_int_equal(workload.context_lens[0], 512);
    assert_int_equal(workload.context_lens[32], 8192);
    assert_int_equal(workload.q_lens[16], 1024);
    assert_int_equal(workload.context_lens[16], 1024);
    for (int32_t seq = 1; seq < 33; seq++) {
        if (seq != 16 && seq != 17)
            assert_true(workload.context_lens[seq] > workload.context_lens[seq - 1]);
    }
    bench_workload_finish(&workload);
}

static void ragged_has_every_length_once(void **state)
{
    (void)state;
    bench_workload workload = named("ragged");
    assert_int_equal(workload.num_seqs, 64);
    assert_int_equal(workload.total_tokens, 64);
    int64_t tokens = 0;
    int num_falls = 0;
    for (int32_t seq = 0; seq < 64; seq++) {
        tokens += workload.context_lens[seq];
        num_falls += seq > 0 && workload.context_lens[seq] < workload.context_lens[seq - 1];
    }
    assert_true(num_falls > 10);
    assert_true(tokens > 82000 && tokens < 88000); /* 16 * (r^64 - 1) / (r - 1) with r = 512^(1/63) */
    bench_workload_finish(&workload);
}

static void lists_repeat_a_single_number(void **state)
{
    (void)state;
    bench_workload workload;
    assert_true(bench_workload_init_listed(&workload, 0, "2", "5,6,7"));
    assert_int_equal(workload.num_seqs, 3);
    assert_int_equal(workload.total_tokens, 6);
    assert_int_equal(workload.context_lens[2], 7);
    assert_null(workload.name);
    bench_workload_finish(&workload);
    assert_true(bench_workload_init_listed(&workload, 2, NULL, NULL));
    assert_int_equal(workload.num_seqs, 2);
    assert_int_equal(workload.q_lens[1], 1);
    assert_int_equal(workload.context_lens[1], 1024);
    bench_workload_finish(&workload);
}

static void lists_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        int32_t num_seqs;
        const char *q_lens, *context_lens;
    } cases[] = {{2, "1,1,1", "5"},      {0, "1,1", "5,5,5"}, {0, "6", "5"},
                 {0, "1,", "5"},         {0, "", "5"},        {0, "0", "5"},
                 {0, "1", "2147483648"}, {0, "1", "5x"},      {2, "2147483647", "2147483647"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_workload workload;
        assert_false(bench_workload_init_listed(&workload, cases[i].num_seqs, cases[i].q_lens, cases[i].context_lens));
        assert_null(workload.q_lens);
    }
}

static void a_part_keeps_its_sequences_and_their_pages(void **state)
{
    (void)state;
    bench_workload workload;
    bench_random random;
    bench_sequences whole;
    bench_sequences part;
    bench_random_init(&random, 1);
    assert_true(bench_workload_init_listed(&workload, 0, "1,3,1,2", "9,3,4,5"));
    assert_true(bench_sequences_init(&whole, &workload, 4, 0, &random));
    assert_int_equal(whole.num_pages, 3 + 1 + 1 + 2);
    assert_int_equal(whole.pages_per_seq, 3);
    assert_true(bench_sequences_init_part(&part, &whole, BENCH_PREFILLS));
    assert_int_equal(part.lengths.num_seqs, 2);
    assert_int_equal(part.lengths.total_tokens, 5);
    assert_int_equal(part.max_context_len, 5);
    assert_int_equal(part.num_pages, whole.num_pages);
    assert_int_equal(part.query_start_loc[1], 3);
    assert_int_equal(part.query_start_loc[2], 5);
    assert_memory_equal(part.block_tables, whole.block_tables + 3, 3 * sizeof(int32_t));
    assert_memory_equal(part.block_tables + 3, whole.block_tables + 9, 3 * sizeof(int32_t));
    bench_sequences_finish(&part);
    bench_sequences_finish(&whole);
    bench_workload_finish(&workload);
}

static void every_page_belongs_to_one_sequence(void **state)
{
    (void)state;
    bench_workload workload = named("ragged");
    bench_random random;
    bench_sequences sequences;
    bench_random_init(&random, 2);
    assert_true(bench_sequences_init(&sequences, &workload, 16, 0, &random));
    static bool seen[8192];
    assert_true(sequences.num_pages <= 8192);
    int32_t num_seen = 0;
    for (int32_t i = 0; i < 64 * sequences.pages_per_seq; i++) {
        const int32_t page = sequences.block_tables[i];
        if (page < 0)
            continue;
        assert_true(page < sequences.num_pages);
        assert_false(seen[page]);
        seen[page] = true;
        num_seen++;
    }
    assert_int_equal(num_seen, sequences.num_pages);
    bench_sequences_finish(&sequences);
    bench_workload_finish(&workload);
}

/* Of 23 tokens in pages of 4 the last two queries see from 21 - 5 + 1 and 22 - 5 + 1 on: pages 0 to 3 are hidden. */
static void pages_before_every_window_are_one(void **state)
{
    (void)state;
    bench_workload workload;
    bench_random random;
    bench_sequences sequences;
    bench_random_init(&random, 3);
    assert_true(bench_workload_init_listed(&workload, 0, "2,1,3", "23,24,5"));
    assert_true(bench_sequences_init(&sequences, &workload, 4, 5, &random));
    assert_int_equal(sequences.num_pages, 2 + 2 + 2 + 1);
    assert_int_equal(sequences.pages_per_seq, 6);
    const int32_t hidden_page = sequences.block_tables[0];
    bool seen[7] = {false};
    for (int32_t i = 0; i < 3 * 6; i++) {
        const int32_t page = sequences.block_tables[i];
        const bool hidden = i < 12 && i % 6 < 4;
        assert_int_equal(page == hidden_page, hidden);
        assert_int_equal(page < 0, i >= 12 + 2);
        assert_true(hidden || page < 0 || !seen[page]);
        if (page >= 0)
            seen[page] = true;
    }
    bench_sequences_finish(&sequences);
    bench_workload_finish(&workload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_stands_for_its_lengths),
        cmocka_unit_test(mixed_is_one_prefill_among_decodes_from_512_to_8192),
        cmocka_unit_test(ragged_has_every_length_once),
        cmocka_unit_test(lists_repeat_a_single_number),
        cmocka_unit_test(lists_that_do_not_fit_are_refused),
        cmocka_unit_test(a_part_keeps_its_sequences_and_their_pages),
        cmocka_unit_test(every_page_belongs_to_one_sequence),
        cmocka_unit_test(pages_before_every_window_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
