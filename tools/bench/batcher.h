/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous batching: which requests of a trace compute how many tokens in each step of an engine. Plain host code
 * without OpenCL and without a clock: the same trace gives the same steps on every machine.
 *
 * A step happens every step_s seconds of the trace's time. Requests are admitted in order of arrival, when a place and
 * pages for all their tokens are free, and keep both until they end. In each step those that generate compute one token
 * each; the rest of the token budget goes to prompts, in order of admission, a prompt in several pieces if need be.
 */
#ifndef BENCH_BATCHER_H
#define BENCH_BATCHER_H

#include "bench/trace.h"

typedef struct bench_batcher_params {
    const bench_trace *trace; /* borrowed */
    double step_s;            /* of the trace's time; 0 = all requests are there at the beginning */
    int32_t token_budget;     /* new tokens of a step, >= max_seqs */
    int32_t max_seqs;         /* requests at once */
    int32_t num_pages;
    int32_t page_size;
} bench_batcher_params;

/* A request's part in a step. */
typedef struct bench_share {
    int32_t request;      /* its number in the trace */
    int32_t new_tokens;   /* >= 0: a prompt that the budget does not reach waits */
    int32_t total_tokens; /* with the new ones */
    bool first;           /* has been admitted in this step */
    bool last;            /* ends with this step */
} bench_share;

/* All zero = nothing to finish. */
typedef struct bench_batcher {
    bench_batcher_params params;
    int64_t step;         /* of the trace's time */
    int32_t next_request; /* the first one that has not been admitted */
    int32_t num_shares;
    bench_share *shares; /* [max_seqs], of the step, in order of admission */
    int32_t free_pages;
    int32_t most_shares; /* most requests and pages at once */
    int32_t most_pages;
    int64_t prompt_tokens, decode_tokens; /* computed up to now, this step's included */
} bench_batcher;

/* False after naming a request that can never be admitted, or for want of memory. */
bool bench_batcher_init(bench_batcher *batcher, const bench_batcher_params *params);

/* Makes the shares of the next step in which there is something to do; false when all requests have ended. */
bool bench_batcher_next(bench_batcher *batcher);

void bench_batcher_finish(bench_batcher *batcher);

#endif
