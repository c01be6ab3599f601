/* SPDX-License-Identifier: Apache-2.0 */
/* The results as tables for people and as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/call.h"
#include "bench/overhead.h"
#include "bench/rates.h"

#include <stdio.h>

/* What one operation came to. */
typedef struct bench_result {
    const bench_call *call; /* borrowed */
    bench_subject subject;
    bench_rating rating;
    uint64_t flops, bytes;   /* of one operation */
    bench_overhead overhead; /* instead of the four above, if that is what the options ask for */
} bench_result;

/* All that a report says; borrowed. */
typedef struct bench_report {
    const bench_workload *workload;
    const clattn_device_facts *device;
    const bench_measurement *measurement; /* NULL if the overhead was measured */
    int num_results;
    const bench_result *results; /* one for each operation, in the options' order */
} bench_report;

/* Times or, if the options ask for it, overheads. */
void bench_report_print(const bench_report *report, FILE *file);

/* Writes {"results": [{...}]} to a path, or to standard output for "-": one object for each operation. */
bool bench_report_write_json(const bench_report *report, const char *path);

#endif
