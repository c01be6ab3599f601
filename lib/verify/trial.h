/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every trial needs: a queue of its own, since the caller's is never waited for; arrays that lie on the host and
 * on the device; and the verdict, which gets worse with every wrong number.
 */
#ifndef CLATTN_VERIFY_TRIAL_H
#define CLATTN_VERIFY_TRIAL_H

#include "attention/kernel.h"

#include <clattn/verdict.h>

/* Elements before the first and behind the last one that a kernel is told of: it must leave them alone. */
#define CLATTN_TRIAL_GUARD 64

#define CLATTN_TRIAL_MAX_ARRAYS 12

/* Starts as NaN of a kind that no computation makes. */
typedef struct clattn_trial_array {
    clattn_dtype dtype;
    size_t num_elements;
    void *elements;
    cl_mem buffer; /* NULL until uploaded */
} clattn_trial_array;

typedef struct clattn_trial {
    clattn_context ctx; /* the caller's but for the queue and the error */
    clattn_verdict *verdict;
    clattn_trial_array arrays[CLATTN_TRIAL_MAX_ARRAYS];
    int num_arrays;
} clattn_trial;

/* Opens the queue. On failure the trial is to be finished as well. */
clattn_status clattn_trial_init(clattn_trial *trial, const clattn_context *ctx, clattn_verdict *verdict);
void clattn_trial_finish(clattn_trial *trial);

/* An array of the trial's; integers of 32 bits count as float32. */
clattn_status clattn_trial_new_array(clattn_trial *trial, clattn_dtype dtype, size_t num_elements,
                                     clattn_trial_array **array);

void clattn_trial_set(clattn_trial_array *array, size_t index, double value);
double clattn_trial_get(const clattn_trial_array *array, size_t index);

/* Takes a result out of the array: what stands there afterwards is what stood there before the kernel ran. */
double clattn_trial_take(clattn_trial_array *array, size_t index);

/* The buffer of an array, NULL for no array. */
cl_mem clattn_trial_buffer(const clattn_trial_array *array);

/* Makes the buffers of all arrays. */
clattn_status clattn_trial_upload(clattn_trial *trial);

/* Reads an array back; waits for it. */
clattn_status clattn_trial_download(clattn_trial *trial, clattn_trial_array *array);

/*
 * Whether a kernel could be enqueued and its results read. A failure of the host's own memory is passed on through
 * `status`; any other is the kernel's, and the verdict.
 */
bool clattn_trial_has_run(clattn_trial *trial, clattn_status *status);

/* Compares a number; `allowed` > 0 is what rounding explains. `what` and `index` name it. */
void clattn_trial_judge(clattn_trial *trial, const char *what, size_t index, double got, double wanted, double allowed);

/* Nothing may have been written but what was taken. */
void clattn_trial_judge_rest(clattn_trial *trial, const char *what, const clattn_trial_array *array);

#endif
