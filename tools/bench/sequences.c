/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of a whole batch, and of a part of it. */
#include "bench/sequences.h"

#include "bench/model.h"
#include "common/message.h"

#include <stdlib.h>
#include <string.h>

static int32_t pages_of(int32_t context_len, int32_t page_size)
{
    return context_len / page_size + (context_len % page_size > 0);
}

/* Offsets and the longest context of lengths that are there already. */
static bool make_offsets(bench_sequences *sequences)
{
    const bench_workload *lengths = &sequences->lengths;
    sequences->query_start_loc = calloc((size_t)lengths->num_seqs + 1, sizeof *sequences->query_start_loc);
    if (!sequences->query_start_loc)
        return tool_error("out of memory");
    for (int32_t seq = 0; seq < lengths->num_seqs; seq++)
        sequences->query_start_loc[seq + 1] = sequences->query_start_loc[seq] + lengths->q_lens[seq];
    sequences->max_context_len = bench_workload_longest(lengths);
    return true;
}

static bool reserve_tables(bench_sequences *sequences)
{
    const size_t num_seqs = (size_t)sequences->lengths.num_seqs;
    sequences->block_tables = calloc(num_seqs * (size_t)sequences->pages_per_seq, sizeof *sequences->block_tables);
    return sequences->block_tables || tool_error("out of memory");
}

/* Pages of a sequence that lie before the window of all its queries. */
static int32_t hidden_pages_of(const bench_workload *lengths, int32_t seq, int32_t page_size, int32_t sliding_window)
{
    const int32_t context_len = lengths->context_lens[seq];
    return (context_len - bench_count_visible_keys(lengths->q_lens[seq], context_len, sliding_window)) / page_size;
}

static bool count_pages(bench_sequences *sequences, int32_t page_size, int32_t sliding_window)
{
    const bench_workload *lengths = &sequences->lengths;
    int64_t num_pages = 0;
    bool hides = false;
    for (int32_t seq = 0; seq < lengths->num_seqs; seq++) {
        const int32_t num_hidden = hidden_pages_of(lengths, seq, page_size, sliding_window);
        num_pages += pages_of(lengths->context_lens[seq], page_size) - num_hidden;
        hides = hides || num_hidden > 0;
    }
    num_pages += hides; /* the last one stands for all that are hidden */
    if (num_pages > INT32_MAX)
        return tool_error("the batch takes more than %d pages", INT32_MAX);
    sequences->num_pages = (int32_t)num_pages;
    sequences->pages_per_seq = pages_of(sequences->max_context_len, page_size);
    return true;
}

/* Block tables over shuffled pages. */
static bool make_tables(bench_sequences *sequences, int32_t page_size, int32_t sliding_window, bench_random *random)
{
    if (!count_pages(sequences, page_size, sliding_window) || !reserve_tables(sequences))
        return false;
    int32_t *order = malloc((size_t)sequences->num_pages * sizeof *order);
    if (!order)
        return tool_error("out of memory");
    bench_random_permutation(random, order, sequences->num_pages);
    const int32_t hidden_page = order[sequences->num_pages - 1];
    const int32_t *next = order;
    for (int32_t seq = 0; seq < sequences->lengths.num_seqs; seq++) {
        int32_t *table = sequences->block_tables + (size_t)seq * (size_t)sequences->pages_per_seq;
        const int32_t num_hidden = hidden_pages_of(&sequences->lengths, seq, page_size, sliding_window);
        const int32_t used = pages_of(sequences->lengths.context_lens[seq], page_size);
        for (int32_t page = 0; page < sequences->pages_per_seq; page++)
            table[page] = page < num_hidden ? hidden_page : page < used ? *next++ : -1;
    }
    free(order);
    return true;
}

bool bench_sequences_init(bench_sequences *sequences, const bench_workload *workload, int32_t page_size,
                          int32_t sliding_window, bench_random *random)
{
    *sequences = (bench_sequences){0};
    if (bench_workload_init_part(&sequences->lengths, workload, BENCH_ALL_PHASES) && make_offsets(sequences) &&
        (page_size == 0 || make_tables(sequences, page_size, sliding_window, random)))
        return true;
    bench_sequences_finish(sequences);
    return false;
}

bool bench_sequences_init_part(bench_sequences *part, const bench_sequences *whole, bench_phases phases)
{
    *part = (bench_sequences){.num_pages = whole->num_pages, .pages_per_seq = whole->pages_per_seq};
    if (!bench_workload_init_part(&part->lengths, &whole->lengths, phases) || !make_offsets(part) ||
        (part->pages_per_seq > 0 && !reserve_tables(part))) {
        bench_sequences_finish(part);
        return false;
    }
    const size_t row_entries = (size_t)whole->pages_per_seq;
    int32_t *next = part->block_tables;
    for (int32_t seq = 0; row_entries > 0 && seq < whole->lengths.num_seqs; seq++) {
        if (!bench_workload_has(&whole->lengths, seq, phases))
            continue;
        memcpy(next, whole->block_tables + (size_t)seq * row_entries, row_entries * sizeof *next);
        next += row_entries;
    }
    return true;
}

void bench_sequences_finish(bench_sequences *sequences)
{
    bench_workload_finish(&sequences->lengths);
    free(sequences->query_start_loc);
    free(sequences->block_tables);
    *sequences = (bench_sequences){0};
}
