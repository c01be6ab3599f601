/* SPDX-License-Identifier: Apache-2.0 */
/* What a new batch costs the host: updating the plan of 64 sequences of wildly different lengths. */
#ifndef BENCH_PLAN_UPDATE_H
#define BENCH_PLAN_UPDATE_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* Median and interquartile range over median. */
typedef struct bench_plan_update {
    int32_t num_seqs;
    double update_s; /* from call to return, the queue drained between */
    double spread;
} bench_plan_update;

/* `runs` updates with the batch of the workload "ragged", for the heads of the first model. */
bool bench_plan_update_measure(clattn_context *ctx, int runs, bench_plan_update *update);

#endif
