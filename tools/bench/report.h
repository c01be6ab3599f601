/* SPDX-License-Identifier: Apache-2.0 */
/* The results as a table for people and as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/rates.h"
#include "bench/workload.h"

#include <stdio.h>

/* All that a report says; borrowed. */
typedef struct bench_report {
    const bench_options *options;
    const bench_workload *workload;
    const clattn_device_facts *device;
    const bench_measurement *measurement;
    bench_rating rating;
    uint64_t flops, bytes; /* of one operation */
} bench_report;

void bench_report_print(const bench_report *report, FILE *file);

/* Writes {"results": [{...}]} to a path, or to standard output for "-". */
bool bench_report_write_json(const bench_report *report, const char *path);

#endif
