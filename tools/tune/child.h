/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that run in a process of their own, so that what kills or stalls a driver ends that process alone.
 *
 * The child is a fork without exec: it inherits random data and references that were made once. That needs a parent
 * that has never called OpenCL, since drivers have threads and device handles that no fork survives. So even the facts
 * of the device are asked for in a child.
 */
#ifndef TUNE_CHILD_H
#define TUNE_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#define TUNE_REASON_BYTES 512
#define TUNE_ANSWER_BYTES 2048 /* the most that a child can answer */

typedef enum tune_outcome {
    TUNE_OK,
    TUNE_WRONG,         /* the results are not those of the reference */
    TUNE_FAILED,        /* a call failed and said why */
    TUNE_OUT_OF_MEMORY, /* a call said so, or the system ended the process */
    TUNE_CRASHED,       /* the process ended by a signal or by itself */
    TUNE_HUNG,          /* the process did not end in time */
    TUNE_STOPPED,       /* the search ended while the process ran: says nothing about what it did */
    TUNE_NUM_OUTCOMES
} tune_outcome;

/* "ok", "wrong", "failed", "out_of_memory", "crashed", "hung", "stopped": a tool_name_at. */
const char *tune_outcome_name_at(int outcome);

/* The end of the line from a child to its parent. */
typedef struct tune_child tune_child;

/* Runs in the child. What it writes to stderr is its reason if the outcome is not TUNE_OK. */
typedef tune_outcome (*tune_child_function)(void *user, const tune_child *child, void *answer);

/* In the child: begins a stage, "building" for example, that may take limit_s seconds. */
void tune_child_enter(const tune_child *child, const char *stage, double limit_s);

typedef struct tune_child_params {
    tune_child_function function;
    void *user;
    void *answer; /* filled if the outcome is TUNE_OK; NULL with 0 bytes = none is expected */
    size_t answer_bytes;
    double start_limit_s; /* for the time before the first stage */
    double deadline;      /* of bench_now(): the process is stopped then; INFINITY = never */
    void (*wait)(void *); /* called several times a second meanwhile, with wait_user; NULL = nothing */
    void *wait_user;
} tune_child_params;

typedef struct tune_child_result {
    tune_outcome outcome;
    char reason[TUNE_REASON_BYTES]; /* "" for TUNE_OK */
    double limit_s;                 /* of TUNE_HUNG: that the process exceeded */
    bool lost;                      /* the process does not even end when it is killed */
} tune_child_result;

/* Runs a function in a child and waits for it, or for the deadline or a signal: see tune/interrupt.h. */
tune_child_result tune_child_run(const tune_child_params *params);

#endif
