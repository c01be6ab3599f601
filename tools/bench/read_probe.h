/* SPDX-License-Identifier: Apache-2.0 */
/* A probe that reads the chunks of a list, whatever is in them. The kernel is in probes.cl. */
#ifndef BENCH_READ_PROBE_H
#define BENCH_READ_PROBE_H

#include "bench/chunks.h"
#include "bench/probe.h"

/* Builds the probe; its work is the bytes of the chunks, which it copies. The probe is to be bound before it runs. */
bool bench_read_probe_init(bench_probe *probe, clattn_context *ctx, const bench_probe_form *form,
                           const bench_chunks *chunks);

/* From now on it reads these buffers; `values` may be NULL if no chunk lies there. */
bool bench_read_probe_bind(const bench_probe *probe, cl_mem keys, cl_mem values);

/* Launches the probe and checks that the words it reads have this sum, modulo 2^32. */
bool bench_read_probe_check(const bench_probe *probe, cl_command_queue queue, uint32_t sum);

#endif
