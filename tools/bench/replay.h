/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a trace of requests as a continuous batch: the attention calls of one layer, step by step, over a KV cache
 * whose pages the requests take and give back.
 */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "bench/batcher.h"
#include "bench/probes.h"
#include "bench/problem.h"
#include "bench/result.h"

typedef struct bench_replay_params {
    bench_trace trace;
    double step_s; /* as bench_batcher_params */
    int32_t token_budget;
    int32_t max_seqs;
    int32_t kv_tokens; /* that the cache holds */
} bench_replay_params;

/* `runs` rounds of FMA probe, read probe and the whole replay, behind one that warms up. */
bool bench_replay_measure(const bench_probes *probes, clattn_context *ctx, const bench_problem *problem,
                          const bench_replay_params *params, int runs, bench_result *result);

#endif
