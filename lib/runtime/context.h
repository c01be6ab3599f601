/* SPDX-License-Identifier: Apache-2.0 */
/* The context's inside. Only lib/ code that enqueues work or reports errors looks at it. */
#ifndef CLATTN_RUNTIME_CONTEXT_H
#define CLATTN_RUNTIME_CONTEXT_H

#include "runtime/cl_error.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/program.h"
#include "tuning/database.h"

#include <clattn/attention.h>

struct clattn_context {
    cl_context cl; /* all three retained */
    cl_device_id device;
    cl_command_queue queue; /* in-order */
    clattn_device_facts facts;
    clattn_family family;
    clattn_tuning_database tuning; /* the rows of the tuning file and the built-in ones */
    clattn_log log;
    clattn_error error;
    clattn_program_store *programs;
    clattn_plan *call_plan;                        /* made and updated by calls without a plan, NULL until then */
    void (*destroy_call_plan)(clattn_plan **plan); /* set by who makes it: plans lie above the context */
};

/* clattn_cl_check() into the context's last error. */
clattn_status clattn_context_check_cl(clattn_context *ctx, cl_int result, const char *call);

/* Whether the device can hold a buffer of that size; `what` names it in the sentence. */
clattn_status clattn_context_check_allocation(clattn_context *ctx, const char *what, uint64_t num_bytes);

/* The wait list and event that an operation was called with. */
typedef struct clattn_sync {
    cl_uint num_wait_events;
    const cl_event *wait_events;
    cl_event *event; /* may be NULL */
} clattn_sync;

/*
 * What every operation checks first: a context (NULL is refused), parameters, and a wait list whose count agrees and
 * that holds no NULL. Sets *event to NULL in any case.
 */
clattn_status clattn_call_begin(clattn_context *ctx, const void *params, const clattn_sync *sync);

/* For a call with nothing to do: enqueues a marker behind the wait list if an event is wanted. */
clattn_status clattn_sync_nothing(clattn_context *ctx, const clattn_sync *sync);

#endif
