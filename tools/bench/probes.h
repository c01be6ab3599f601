/* SPDX-License-Identifier: Apache-2.0 */
/* Measures what a device can do: float32 multiply-adds per second, and bytes read per second. */
#ifndef BENCH_PROBES_H
#define BENCH_PROBES_H

#include "bench/probe.h"

/* The two probes of a context's device, in the form that the device runs fastest. */
typedef struct bench_probes {
    cl_command_queue queue; /* the context's */
    cl_mem data;            /* what the read probe reads */
    bench_probe fma;
    bench_probe read;
    bench_probe_form read_form; /* the one in which it reads fastest */
} bench_probes;

/*
 * Builds the probes' variants, checks that they compute what they should and keeps the fastest. The read probe reads
 * as much as layers of KV data in turn come to (footprint.h), so that caches help both alike.
 */
bool bench_probes_init(bench_probes *probes, clattn_context *ctx);

/* Accepts a half-made or zeroed object. */
void bench_probes_finish(bench_probes *probes);

/* Runs one sample of a probe; *rate is in 1e9 flops or bytes per second. */
bool bench_probe_sample(const bench_probes *probes, const bench_probe *probe, double *rate);

#endif
