/* SPDX-License-Identifier: Apache-2.0 */
/* What a problem runs with on a device, and how that compares with what the device can do. */
#ifndef TUNE_EXPLANATION_H
#define TUNE_EXPLANATION_H

#include "bench/measure.h"
#include "bench/problem.h"

#include <cjson/cJSON.h>

#define TUNE_MAX_KERNELS 8
#define TUNE_KERNEL_NAME_BYTES 64

/* A compiled kernel, by what the driver says of it. */
typedef struct tune_kernel {
    char program[TUNE_KERNEL_NAME_BYTES];
    bool is_loaded; /* from the cache of programs; false = built from source */
    uint64_t local_memory_bytes, private_memory_bytes;
    uint32_t max_work_group_size, preferred_multiple;
} tune_kernel;

typedef struct tune_explanation {
    const bench_problem *problem; /* borrowed */
    const bench_operation *operation;
    clattn_tuning_answer answer; /* nothing below it was found out if this is a refusal */
    clattn_plan_info plan;
    int num_kernels; /* that a call has run */
    tune_kernel kernels[TUNE_MAX_KERNELS];
    uint64_t flops, bytes; /* of one operation */
    bench_measurement measurement;
    bench_subject subject;
    bench_rating rating;
} tune_explanation;

/* Asks for the rows, calls once, and measures in `runs` rounds. False after saying what failed. */
bool tune_explanation_make(tune_explanation *explanation, clattn_context *ctx, const bench_problem *problem,
                           const bench_operation *operation, int runs);

/* To standard output. */
void tune_explanation_print(const tune_explanation *explanation);

/* Adds an object to an array; false for want of memory. */
bool tune_explanation_add(const tune_explanation *explanation, cJSON *array);

#endif
