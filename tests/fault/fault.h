/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls through which the library can be let down: allocations, files, OpenCL. The linker hands every one of them
 * to this layer (fault_linked_calls in meson.build), which numbers them, makes one of them fail, and counts what is
 * alive. One thread.
 */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* What a call asks for. */
typedef enum fault_kind {
    FAULT_MEMORY,  /* the host's */
    FAULT_FILE,    /* the system, for a file or directory */
    FAULT_OPENCL,  /* something that may be refused */
    FAULT_RELEASE, /* a reference given back: it is gone, whatever the call says */
} fault_kind;

/* A call that failed. */
typedef struct fault_event {
    fault_kind kind;
    const char *function;
    clattn_status status; /* what the library makes of it, unless it goes on without; OK = it always does */
} fault_event;

#define FAULT_MAX_EVENTS 64

/* What has happened since fault_arm(). */
typedef struct fault_report {
    int num_calls;
    int num_kernels; /* enqueued */
    int num_failed;
    fault_event failed[FAULT_MAX_EVENTS]; /* the first of them */
} fault_report;

/* One call that fails, or that one and all behind it but releases, as when memory or the device are gone for good. */
typedef enum fault_extent {
    FAULT_ONCE,
    FAULT_LASTING,
} fault_extent;

/* From now on the call of that number, from 0, fails. */
void fault_arm(int number, fault_extent extent);

/* Every call succeeds again. */
const fault_report *fault_disarm(void);

/* What somebody has to give back. */
typedef enum fault_object {
    FAULT_OBJECT_MEMORY, /* blocks of host memory */
    FAULT_OBJECT_FILE,   /* open files and directories */
    FAULT_OBJECT_DEVICE, /* references that were retained, as no device is created */
    FAULT_OBJECT_CONTEXT,
    FAULT_OBJECT_QUEUE,
    FAULT_OBJECT_BUFFER,
    FAULT_OBJECT_PROGRAM,
    FAULT_OBJECT_KERNEL,
    FAULT_OBJECT_EVENT,
    FAULT_NUM_OBJECTS
} fault_object;

typedef struct fault_balance {
    int alive[FAULT_NUM_OBJECTS];
} fault_balance;

/* The references of this program: those made and not yet given back. */
fault_balance fault_take_balance(void);

/* Fails the test unless two balances are equal. */
void fault_expect_balance(const fault_balance *expected);

/* For the wrappers: whether this call is the one to fail. Status as in fault_event. */
bool fault_strikes(fault_kind kind, const char *function, clattn_status status);

/* For the wrappers: a kernel has been enqueued. */
void fault_note_kernel(void);

/* For the wrappers: references made (positive) or given back (negative). */
void fault_count(fault_object object, int change);

#endif
