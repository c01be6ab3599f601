/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of every measurement. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <time.h>

static inline double bench_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds from some fixed moment. */
static inline double bench_now(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

/* Seconds that all threads of the process have run. */
static inline double bench_process_time(void)
{
    return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
