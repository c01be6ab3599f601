/* SPDX-License-Identifier: Apache-2.0 */
/* Device buffers and what is in them. */
#ifndef BENCH_BUFFERS_H
#define BENCH_BUFFERS_H

#include "bench/random.h"

#include <clattn/clattn.h>
#include <stdbool.h>

/* A device buffer of `count` elements; refuses what the device cannot hold in one buffer. */
bool bench_make_buffer(const clattn_context *ctx, const char *what, clattn_dtype dtype, double count, cl_mem *buffer);

/* Writes `count` random elements from a byte offset on; after a million they begin again, which no device notices. */
bool bench_fill_buffer(const clattn_context *ctx, bench_random *random, cl_mem buffer, uint64_t offset_bytes,
                       clattn_dtype dtype, uint64_t count);

/* A device buffer with a copy of so many bytes. */
bool bench_upload(const clattn_context *ctx, const void *values, size_t num_bytes, cl_mem *buffer);

/* Reads from a byte offset on, when all that was enqueued has been done. */
bool bench_download(const clattn_context *ctx, cl_mem buffer, uint64_t offset_bytes, size_t num_bytes, void *values);

/* Accepts NULL. */
void bench_release_buffer(cl_mem buffer);

#endif
