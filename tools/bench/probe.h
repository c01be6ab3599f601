/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel of probes.cl whose launches are timed. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* How a device is made to run a probe. */
typedef struct bench_probe_form {
    int lanes;
    size_t work_group_size;
    size_t items_per_reader; /* that read neighbouring vectors: a power of two, divides work_group_size */
    int streams;             /* chunks that a reader reads in step */
    int ahead;               /* chunks from one that a reader reads to the one that it asks for meanwhile; 0 = none */
} bench_probe_form;

typedef struct bench_probe {
    cl_kernel kernel;
    cl_mem out;    /* 4 bytes for each work-item */
    cl_mem chunks; /* what a read probe reads; NULL otherwise */
    size_t global_size;
    size_t local_size;
    double work;      /* flops or bytes per launch */
    int num_launches; /* per sample */
} bench_probe;

/* Builds a kernel of probes.cl. */
bool bench_probe_build(const clattn_context *ctx, const bench_probe_form *form, const char *name, cl_kernel *kernel);

/* The buffer that receives a number from each work-item, as the kernel's first argument; global_size is set. */
bool bench_probe_make_out(const clattn_context *ctx, bench_probe *probe);

/* Reads what the last launch wrote into new memory, to be freed; NULL after saying why not. */
void *bench_probe_results(const bench_probe *probe, cl_command_queue queue);

/* Enqueues the kernel once. */
bool bench_probe_launch(const bench_probe *probe, cl_command_queue queue);

/* Accepts a half-made or zeroed object. */
void bench_probe_finish(bench_probe *probe);

#endif
