/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the random batch that cl-bench measures; what an operation makes of it is call.c's. */
#include "bench/operands.h"

#include "bench/buffers.h"
#include "bench/footprint.h"
#include "bench/model.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>

#define SEED 20240607

static bool make_random_buffer(bench_operands *operands, bench_random *random, const char *what, clattn_dtype dtype,
                               double count, cl_mem *buffer)
{
    return bench_make_buffer(operands->ctx, what, dtype, count, buffer) &&
           bench_fill_buffer(operands->ctx, random, *buffer, 0, dtype, (uint64_t)count);
}

/* Those of the problem, or as many as no cache keeps. */
static int32_t count_layers(const bench_operands *operands)
{
    const bench_problem *problem = operands->problem;
    const bench_batch batch = bench_batch_of(problem, &operands->sequences.lengths);
    const uint64_t kv_bytes = bench_count_kv_bytes(&batch);
    const uint64_t footprint = bench_footprint_bytes(clattn_context_device(operands->ctx));
    const uint64_t wanted = (footprint + kv_bytes - 1) / kv_bytes;
    if (problem->num_layers > 0)
        return problem->num_layers;
    return wanted < BENCH_MAX_LAYERS ? (int32_t)wanted : BENCH_MAX_LAYERS;
}

/* K and V of every layer, as large as the operation that reads most needs them. */
static bool make_layers(bench_operands *operands, const bench_operations *operations, bench_random *random)
{
    const bench_problem *problem = operands->problem;
    const tool_shape *shape = &problem->shape;
    const bench_sequences *sequences = &operands->sequences;
    const bool dense = bench_operations_have_dense(operations);
    const bool combined = bench_operations_have_pages(operations) && problem->layout == CLATTN_KV_COMBINED;
    const double page_rows = (double)sequences->num_pages * problem->page_size;
    const double dense_rows = dense ? (double)sequences->lengths.num_seqs * sequences->max_context_len : 0.0;
    const double key_rows = fmax(page_rows * (combined ? 2.0 : 1.0), dense_rows) * shape->num_kv_heads;
    const double value_rows = fmax(combined ? 0.0 : page_rows, dense_rows) * shape->num_kv_heads;
    operands->num_layers = count_layers(operands);
    for (int32_t layer = 0; layer < operands->num_layers; layer++) {
        if (!make_random_buffer(operands, random, combined ? "the KV cache" : "the K cache", problem->kv_dtype,
                                key_rows * shape->head_dim, &operands->keys[layer]))
            return false;
        if (value_rows > 0.0 && !make_random_buffer(operands, random, "the V cache", problem->kv_dtype,
                                                    value_rows * shape->head_dim_v, &operands->values[layer]))
            return false;
    }
    return true;
}

static bool make_rows(bench_operands *operands, bench_random *random)
{
    const tool_shape *shape = &operands->problem->shape;
    const double num_rows = (double)operands->sequences.lengths.total_tokens * shape->num_q_heads;
    return make_random_buffer(operands, random, "queries", operands->problem->dtype, num_rows * shape->head_dim,
                              &operands->queries) &&
           (!shape->sinks || make_random_buffer(operands, random, "softmax_aux", CLATTN_FLOAT32,
                                                (double)shape->num_q_heads, &operands->sinks));
}

bool bench_operands_init(bench_operands *operands, clattn_context *ctx, const bench_problem *problem,
                         const bench_operations *operations)
{
    bench_random random;
    bench_random_init(&random, SEED);
    *operands = (bench_operands){.ctx = ctx, .problem = problem};
    const int32_t page_size = bench_operations_have_pages(operations) ? problem->page_size : 0;
    if (bench_sequences_init(&operands->sequences, problem->workload, page_size, problem->shape.sliding_window,
                             &random) &&
        make_layers(operands, operations, &random) && make_rows(operands, &random))
        return true;
    bench_operands_finish(operands);
    return false;
}

void bench_operands_finish(bench_operands *operands)
{
    for (int32_t layer = 0; layer < BENCH_MAX_LAYERS; layer++) {
        bench_release_buffer(operands->keys[layer]);
        bench_release_buffer(operands->values[layer]);
    }
    bench_release_buffer(operands->queries);
    bench_release_buffer(operands->sinks);
    bench_sequences_finish(&operands->sequences);
    *operands = (bench_operands){0};
}
