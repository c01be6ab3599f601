/* SPDX-License-Identifier: Apache-2.0 */
/* A problem in words: indented lines of a report. */
#ifndef BENCH_DESCRIBE_H
#define BENCH_DESCRIBE_H

#include "bench/problem.h"

#include <stdio.h>

/* The heads and options of the model. */
void bench_describe_model(const bench_problem *problem, FILE *file);

/* The lengths of the batch, without the end of the line. */
void bench_describe_batch(const bench_workload *workload, FILE *file);

/* How an operation finds queries, K and V stored. */
void bench_describe_storage(const bench_problem *problem, const bench_operation *operation, FILE *file);

#endif
