/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine has on the device and keeps from step to step: a KV cache of one layer, whose random contents are
 * never rewritten, the sequences that own its pages, a plan, queries and results.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "bench/batcher.h"
#include "bench/problem.h"

typedef struct bench_engine {
    clattn_context *ctx;           /* borrowed */
    const bench_problem *problem;  /* borrowed */
    bench_batcher_params batching; /* its trace is borrowed */
    clattn_kv_cache *cache;
    clattn_plan *plan;
    cl_mem queries, out, sinks;
    clattn_tensor key_pages, value_pages;
    clattn_sequence *sequences; /* [num_requests], 0 = not alive */
    clattn_sequence *batch;     /* [max_seqs], of a step */
    int32_t *new_tokens;        /* likewise */
} bench_engine;

/* What a step took. */
typedef struct bench_step {
    double attention_s; /* from the call to its end */
    double process_s;   /* processor time of all threads in it */
    double host_s;      /* extending sequences and updating the plan */
    uint64_t flops, bytes;
} bench_step;

bool bench_engine_init(bench_engine *engine, clattn_context *ctx, const bench_problem *problem,
                       const bench_batcher_params *batching);
void bench_engine_finish(bench_engine *engine);

/* Computes a step: makes the sequences that begin in it, and releases those that end. */
bool bench_engine_step(bench_engine *engine, const bench_batcher *batcher, bench_step *step);

/* Gives up the sequences that are still alive. */
bool bench_engine_release_all(bench_engine *engine);

#endif
