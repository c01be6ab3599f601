/* SPDX-License-Identifier: Apache-2.0 */
/* What a read probe reads: a list of pieces of one buffer or two. Host code without OpenCL. */
#ifndef BENCH_CHUNKS_H
#define BENCH_CHUNKS_H

#include "bench/order.h"
#include "bench/workloads.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_UNIT_BYTES 16    /* every head_dim and dtype makes rows of whole units */
#define BENCH_CHUNK_BYTES 4096 /* at most */
#define BENCH_CHUNK_IN_VALUES ((uint32_t)1 << 31)

/* A piece of the K or the V buffer, as probes.cl takes it. */
typedef struct bench_chunk {
    uint32_t first; /* units before it */
    uint32_t size;  /* units, and BENCH_CHUNK_IN_VALUES if it is of the V buffer */
} bench_chunk;

typedef struct bench_chunks {
    int32_t count;
    int32_t capacity;
    bench_chunk *at;
    uint64_t bytes; /* of all */
} bench_chunks;

/* A cache of K and V, and what of it the queries of a batch see. */
typedef struct bench_cache_view {
    const bench_workload *lengths;
    const int32_t *block_tables; /* [num_seqs, pages_per_seq]; NULL = a page for each sequence, in their order */
    int32_t pages_per_seq;
    int32_t sliding_window; /* 0 = none */
    bench_pages keys;       /* with the combined layout K and V */
    bench_pages values;     /* not used with the combined layout */
    size_t element_bytes;
} bench_cache_view;

/*
 * Every row of K and V that some query sees, once for each sequence: sequence after sequence, page after page, first K
 * and then V of all heads, each in the order of memory. What lies side by side is one run, cut into chunks of about the
 * same size. False after saying why not.
 */
bool bench_chunks_init_visible(bench_chunks *chunks, const bench_cache_view *view);

/* The first `bytes`, whole units, of the K buffer in a line. */
bool bench_chunks_init_line(bench_chunks *chunks, uint64_t bytes);

/* Accepts a half-made or zeroed object. */
void bench_chunks_finish(bench_chunks *chunks);

#endif
