/* SPDX-License-Identifier: Apache-2.0 */
/* The host arrays of a batch, as the operations take them: lengths, offsets and block tables. */
#ifndef BENCH_SEQUENCES_H
#define BENCH_SEQUENCES_H

#include "bench/random.h"
#include "bench/workloads.h"

typedef struct bench_sequences {
    bench_workload lengths;
    int32_t max_context_len;
    int32_t num_pages; /* 0 without pages, as the two below */
    int32_t pages_per_seq;
    int32_t *query_start_loc; /* [num_seqs+1] */
    int32_t *block_tables;    /* [num_seqs, pages_per_seq], -1 behind the used ones */
} bench_sequences;

/*
 * A workload's arrays; its pages in random order, or no pages for a page_size of 0. What lies before the window of
 * every query (sliding_window 0 = nothing) is one page for all, as in an engine that gives such pages back.
 */
bool bench_sequences_init(bench_sequences *sequences, const bench_workload *workload, int32_t page_size,
                          int32_t sliding_window, bench_random *random);

/* Those sequences of `whole` that are of one of the phases, with their pages. */
bool bench_sequences_init_part(bench_sequences *part, const bench_sequences *whole, bench_phases phases);

/* Accepts a half-made or zeroed object. */
void bench_sequences_finish(bench_sequences *sequences);

#endif
