/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random batch of attention on the device: queries and layers of K and V, and the shuffled pages that hold them. All
 * operations of a run read the same buffers, each in its own shape.
 */
#ifndef BENCH_OPERANDS_H
#define BENCH_OPERANDS_H

#include "bench/problem.h"
#include "bench/sequences.h"

#define BENCH_MAX_LAYERS 512

typedef struct bench_operands {
    clattn_context *ctx;          /* borrowed */
    const bench_problem *problem; /* borrowed */
    bench_sequences sequences;
    int32_t num_layers;
    cl_mem keys[BENCH_MAX_LAYERS];   /* with the combined layout K and V together */
    cl_mem values[BENCH_MAX_LAYERS]; /* NULL if every operation reads combined pages */
    cl_mem queries, sinks;           /* sinks NULL without */
} bench_operands;

/* Makes what the operations need; the problem outlives the operands. */
bool bench_operands_init(bench_operands *operands, clattn_context *ctx, const bench_problem *problem,
                         const bench_operations *operations);

/* Accepts a half-made or zeroed object. */
void bench_operands_finish(bench_operands *operands);

#endif
