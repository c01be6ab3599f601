/* SPDX-License-Identifier: Apache-2.0 */
/* Measures what a device can do: float32 multiply-adds per second, and bytes read per second. */
#ifndef BENCH_PROBES_H
#define BENCH_PROBES_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* One kernel whose launches are timed. */
typedef struct bench_probe {
    cl_kernel kernel;
    cl_mem out;
    size_t global_size;
    size_t local_size;
    double work;      /* flops or bytes per launch */
    int num_launches; /* per sample, so that a sample takes 50 ms or more */
} bench_probe;

/* The two probes of a context's device, in the form that the device runs fastest. */
typedef struct bench_probes {
    cl_command_queue queue; /* the context's */
    cl_mem data;            /* what the read probe reads */
    bench_probe fma;
    bench_probe read;
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
