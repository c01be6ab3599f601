/* SPDX-License-Identifier: Apache-2.0 */
/* Why tiles of a task are left out without being built. */
#ifndef TUNE_REASONS_H
#define TUNE_REASONS_H

#include "tune/task.h"

#define TUNE_MAX_REASONS 32

/* One reason for all sentences that differ in numbers only. */
typedef struct tune_reasons {
    int count;
    int64_t num_points[TUNE_MAX_REASONS];
    char kinds[TUNE_MAX_REASONS][CLATTN_SENTENCE_BYTES];
    char examples[TUNE_MAX_REASONS][CLATTN_SENTENCE_BYTES];
} tune_reasons;

void tune_reasons_find(tune_reasons *found, const tune_task *task);

/* Adds an array "left_out" to an object; false for want of memory. */
bool tune_reasons_add(const tune_reasons *found, cJSON *object);

#endif
