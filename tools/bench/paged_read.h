/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a call reads of K and V, page by page, and does nothing else: the rate that no call can exceed. */
#ifndef BENCH_PAGED_READ_H
#define BENCH_PAGED_READ_H

#include "bench/call.h"
#include "bench/probes.h"

/*
 * Ways to read them, all timed, of which the faster counts: on Zen 5 one chunk after the other is faster for pages of
 * 64 KiB, and four in step for pieces of 4 KiB.
 */
#define BENCH_NUM_PAGED_READS 2

typedef struct bench_paged_read {
    bench_call *call; /* borrowed; both take the layers in turn */
    cl_command_queue queue;
    bench_probe probe;
} bench_paged_read;

/*
 * Lists the rows that the call's queries see, where its block tables put them, and checks on the first layer that the
 * device reads them all, and nothing else: reads [BENCH_NUM_PAGED_READS]. The call outlives them.
 */
bool bench_paged_reads_init(bench_paged_read *reads, const bench_probes *probes, bench_call *call);

/* Accepts half-made or zeroed objects. */
void bench_paged_reads_finish(bench_paged_read *reads);

/* Reads the next layer once: a bench_enqueue over a bench_paged_read. */
bool bench_paged_read_enqueue(void *read);

#endif
