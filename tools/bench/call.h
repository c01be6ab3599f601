/* SPDX-License-Identifier: Apache-2.0 */
/* One operation on a workload: its plan, its results and the call itself. */
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include "bench/model.h"
#include "bench/operands.h"

typedef struct bench_call {
    const bench_operands *operands; /* borrowed */
    const bench_operation *operation;
    const clattn_tuning *tuning; /* borrowed; NULL = the device's row */
    bench_sequences sequences;   /* those of the operands, or a part of them */
    bench_batch batch;           /* for counting; its lists are the sequences' */
    clattn_dtype out_dtype;
    cl_mem out;
    cl_mem max, denominator; /* NULL if the operation does not write them */
    cl_mem lse;              /* NULL unless the problem asks for it */
    clattn_plan *plan;
    clattn_plan_info plan_info;
    double plan_s;        /* creating the plan and uploading it */
    double plan_update_s; /* replacing its batch by the same one, median */
    int32_t next_layer;   /* which K and V the next enqueue reads */
} bench_call;

/*
 * Plans the operation on those sequences of the operands that are of one of the phases, with a tuning of its own or,
 * for NULL, the device's row; operands and tuning outlive it.
 */
bool bench_call_init(bench_call *call, const bench_operands *operands, const bench_operation *operation,
                     bench_phases phases, const clattn_tuning *tuning);

/* Accepts a half-made or zeroed object. */
void bench_call_finish(bench_call *call);

/* Which K and V are next; the layers take turns. */
int32_t bench_call_next_layer(bench_call *call);

/* Fills in the operands and enqueues the operation once, on the next layer: a bench_enqueue over a bench_call. */
bool bench_call_enqueue(void *call);

#endif
