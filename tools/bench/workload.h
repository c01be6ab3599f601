/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random batch of attention on the device: queries and layers of K and V, and the shuffled pages that hold them. All
 * operations of a run read the same buffers, each in its own shape.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/model.h"
#include "bench/options.h"

#define BENCH_MAX_LAYERS 64

typedef struct bench_workload {
    clattn_context *ctx;          /* borrowed */
    const bench_options *options; /* borrowed */
    bench_batch batch;            /* for counting; its lists are the options' */
    int32_t total_tokens;
    int32_t max_context_len;  /* seq_len of a dense cache */
    int32_t num_pages;        /* 0 if no operation reads pages */
    int32_t pages_per_seq;    /* likewise */
    int32_t *query_start_loc; /* [num_seqs+1] */
    int32_t *block_tables;    /* [num_seqs, pages_per_seq] */
    int32_t num_layers;
    cl_mem keys[BENCH_MAX_LAYERS];   /* with the combined layout K and V together */
    cl_mem values[BENCH_MAX_LAYERS]; /* NULL if every operation reads combined pages */
    cl_mem queries, sinks;           /* sinks NULL without */
} bench_workload;

/* Builds everything the options ask for; options outlive the workload. */
bool bench_workload_init(bench_workload *workload, clattn_context *ctx, const bench_options *options);

/* Accepts a half-made or zeroed object. */
void bench_workload_finish(bench_workload *workload);

/* A device buffer of `count` elements; refuses what the device cannot hold in one buffer. */
bool bench_make_buffer(const clattn_context *ctx, const char *what, clattn_dtype dtype, double count, cl_mem *buffer);

#endif
