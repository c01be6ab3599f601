/* SPDX-License-Identifier: Apache-2.0 */
/* One problem to measure: a model's layer on a workload, stored in one way. */
#ifndef BENCH_PROBLEM_H
#define BENCH_PROBLEM_H

#include "bench/model.h"
#include "bench/operation.h"
#include "bench/workloads.h"
#include "common/shapes.h"

#include <clattn/clattn.h>

typedef struct bench_problem {
    tool_shape shape;               /* options that were given replace its own */
    const char *layer;              /* "all" if the model's layers are alike, else "full" or "sliding" */
    const bench_workload *workload; /* borrowed; NULL = none yet */
    clattn_dtype dtype;             /* of queries and results */
    clattn_dtype kv_dtype;
    int32_t page_size;       /* of the operations that have pages */
    clattn_kv_layout layout; /* likewise */
    int32_t num_splits;
    bool lse;           /* also asks for the log-sum-exp of each row, of operations without other statistics */
    int32_t num_layers; /* of K and V, that calls read in turn; 0 = more than a cache keeps */
} bench_problem;

/* For counting: sequences of these lengths, out stored like queries. */
bench_batch bench_batch_of(const bench_problem *problem, const bench_workload *lengths);

/* What the tuning rows are asked for; without a workload for batches of any size. */
clattn_tuning_query_params bench_tuning_question(const bench_problem *problem, const bench_operation *operation);

/* Whether the problem and all operations can have the layout, and each operation the rest; false after saying why not.
 */
bool bench_problem_check(const bench_problem *problem, const bench_operations *operations);

#endif
