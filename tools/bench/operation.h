/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that cl-bench times, and what of the command line each of them can honour. */
#ifndef BENCH_OPERATION_H
#define BENCH_OPERATION_H

#include "common/options.h"

typedef enum bench_operation_id {
    BENCH_RAGGED_PAGE_ATTENTION,
    BENCH_PAGE_ATTENTION,
    BENCH_RAGGED_DECODE_ATTENTION,
    BENCH_RAGGED_ATTENTION,
    BENCH_NUM_OPERATIONS
} bench_operation_id;

typedef struct bench_operation {
    bench_operation_id id;
    const char *name;
    bool dense;       /* reads K and V [num_seqs, seq_len, num_kv_heads, head_dim] instead of pages */
    bool decode_only; /* one new token for each sequence */
    bool combined;    /* takes pages that hold K and V together */
    bool window;
    bool soft_cap;
    bool sinks;
    bool statistics; /* writes max and denominator, and these and out as float32 */
} bench_operation;

/* What a run measures in turns. */
typedef struct bench_operations {
    int count;
    const bench_operation *at[TOOL_MAX_CHOICES];
} bench_operations;

/* `id` in [0, BENCH_NUM_OPERATIONS). */
const bench_operation *bench_operation_at(int id);

/* A tool_name_at. */
const char *bench_operation_name_at(int id);

/* Whether one of them reads pages, or a dense cache; and one that reads K and V from separate pages only, or NULL. */
bool bench_operations_have_pages(const bench_operations *operations);
bool bench_operations_have_dense(const bench_operations *operations);
const bench_operation *bench_operations_separate(const bench_operations *operations);

#endif
