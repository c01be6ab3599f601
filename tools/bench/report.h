/* SPDX-License-Identifier: Apache-2.0 */
/* The results as tables for people and as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/options.h"
#include "bench/result.h"

#include <stdio.h>

/* All that a report says; borrowed. */
typedef struct bench_report {
    const bench_options *options;
    const clattn_device_facts *device;
    int num_results;
    const bench_result *results; /* one for each problem and operation, in the options' order */
} bench_report;

/* Times or, if the options ask for it, overheads. */
void bench_report_print(const bench_report *report, FILE *file);

#endif
