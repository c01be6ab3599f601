/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call costs its caller: the host time of an operation with a plan, against that of setting the arguments of as
 * many empty kernels and enqueueing them.
 */
#ifndef BENCH_OVERHEAD_H
#define BENCH_OVERHEAD_H

#include "bench/call.h"

/* Medians over the calls, and interquartile range over median. */
typedef struct bench_overhead {
    int num_calls;     /* of either kind */
    int num_kernels;   /* that the operation enqueues */
    int num_arguments; /* of each of the empty kernels */
    double call_s;     /* from call to return */
    double call_spread;
    double bare_s; /* the same of clSetKernelArg and clEnqueueNDRangeKernel */
    double bare_spread;
    double overhead_s; /* median of the difference between a call and the bare launch beside it */
} bench_overhead;

/* Calls and bare launches in turns; the queue is drained, untimed, behind every one. */
bool bench_overhead_measure(bench_call *call, int num_calls, bench_overhead *overhead);

#endif
