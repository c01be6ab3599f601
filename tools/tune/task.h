/* SPDX-License-Identifier: Apache-2.0 */
/* What gets a row of its own: a phase and a class of batches, with its problem, space and default tile. */
#ifndef TUNE_TASK_H
#define TUNE_TASK_H

#include "tune/device.h"
#include "tune/options.h"
#include "tune/space.h"

#include <cjson/cJSON.h>

#define TUNE_TASK_NAME_BYTES 32
#define TUNE_NUM_OTHERS 2
#define TUNE_MAX_TASKS (CLATTN_NUM_PHASES * CLATTN_NUM_BATCH_CLASSES)

typedef struct tune_task {
    char name[TUNE_TASK_NAME_BYTES]; /* "decode/small" */
    clattn_phase phase;
    clattn_batch_class batch;
    const bench_operation *operation;
    bench_workload workload;
    bench_problem problem; /* on that workload */
    bench_workload other_workloads[TUNE_NUM_OTHERS];
    bench_problem others[TUNE_NUM_OTHERS]; /* of the same class: a row has to do for those as well */
    tune_space space;
    bool *usable; /* [space.num_points]: what the device can run */
    int64_t num_usable;
} tune_task;

/* The batch that stands for a class in a phase; false for want of memory. */
bool tune_task_batch(bench_workload *workload, clattn_phase phase, clattn_batch_class batch);

/* False after saying what is wrong. */
bool tune_task_init(tune_task *task, const tune_options *options, const tune_device *device, clattn_phase phase,
                    clattn_batch_class batch);

/* Accepts a half-made or zeroed object. */
void tune_task_finish(tune_task *task);

/* The tunables of a tile as an object; NULL for want of memory. */
cJSON *tune_task_parameters(const tune_task *task, const clattn_tile *tile);

/* The point of such an object, the default's values in place of missing ones; -1 = it is none of the space. */
int64_t tune_task_point(const tune_task *task, const cJSON *parameters);

/* The kernel and what it is built for, device, driver and version included; NULL for want of memory. */
cJSON *tune_task_kernel(const tune_task *task);

/* A row of the tuning file without what was measured; NULL for want of memory. */
cJSON *tune_task_row(const tune_task *task, const clattn_tile *tile);

#endif
