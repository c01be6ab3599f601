/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the first call of a process takes: with every cache empty, and with what the process before it left on disk.
 * Each is measured in a child process, since drivers keep what they have built and read the places of their caches
 * once.
 */
#ifndef BENCH_FIRST_CALL_H
#define BENCH_FIRST_CALL_H

#include "bench/problem.h"

/* Seconds from the call to the end of its work; making the context and the plan is not in it. */
typedef struct bench_first_call {
    double cold_s;
    double warm_s;
    int32_t num_built;     /* programs of the cold call that were built from source */
    int32_t num_disk_hits; /* of the warm call that came from clattn's cache */
} bench_first_call;

/* Whose first call. */
typedef struct bench_first_call_params {
    const char *device; /* as clattn_context_params */
    clattn_family family;
    const char *tuning_file; /* as in clattn_context_params */
    const bench_problem *problem;
    const bench_operation *operation;
} bench_first_call_params;

/* Has to come before this process has called OpenCL. Caches are made in a folder of their own and removed. */
bool bench_first_call_measure(const bench_first_call_params *params, bench_first_call *calls);

#endif
