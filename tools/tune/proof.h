/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an operation computes what it should: a small batch of odd lengths over shuffled pages whose unused slots are
 * NaN, and its results in float64. The host's part is made once, for all tiles of a problem.
 */
#ifndef TUNE_PROOF_H
#define TUNE_PROOF_H

#include "bench/problem.h"
#include "bench/sequences.h"

typedef enum tune_result_kind { TUNE_OUT, TUNE_LSE, TUNE_MAX, TUNE_DENOMINATOR, TUNE_NUM_RESULTS } tune_result_kind;

/* What a result should be, and how far a naive float32 implementation is off at most. */
typedef struct tune_truth {
    int64_t width; /* elements of a row and head */
    double *exact; /* [total_tokens, Hq, width] in float64 */
    double naive_error;
} tune_truth;

typedef struct tune_proof {
    const bench_operation *operation;
    bench_problem problem; /* on the lengths below */
    bench_workload lengths;
    bench_sequences sequences;
    void *keys, *values;          /* as the device has them; with the combined layout keys has both */
    int64_t num_keys, num_values; /* elements */
    void *queries;                /* [total_tokens, Hq, D] */
    float *sinks;                 /* [Hq], NULL without */
    tune_truth truths[TUNE_NUM_RESULTS];
} tune_proof;

/* Makes the batch of a phase; false for want of memory. */
bool tune_proof_init(tune_proof *proof, const bench_problem *problem, const bench_operation *operation,
                     clattn_phase phase, uint64_t seed);

/* Accepts a half-made or zeroed object. */
void tune_proof_finish(tune_proof *proof);

/*
 * Computes the batch with a tuning (NULL = the device's row) and compares. False after saying what failed; *right tells
 * of the results, whose first wrong one is named on stderr.
 */
bool tune_proof_run(const tune_proof *proof, clattn_context *ctx, const clattn_tuning *tuning, bool *right);

#endif
