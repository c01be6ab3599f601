/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device buffer that the host rewrites step after step without waiting: what is written is composed in one of two
 * staging halves, taken in turns, and a half is reused only when its write has completed.
 */
#ifndef CLATTN_RUNTIME_UPLOAD_H
#define CLATTN_RUNTIME_UPLOAD_H

#include "runtime/context.h"

typedef struct clattn_staging {
    void *memory;
    uint64_t capacity; /* bytes */
    cl_event written;  /* NULL = no write reads the memory */
} clattn_staging;

/* All zero = empty. */
typedef struct clattn_upload {
    clattn_staging staging[2];
    int next;
    cl_mem buffer;     /* NULL until the first commit */
    uint64_t capacity; /* bytes of the buffer */
} clattn_upload;

/* Waits for writes that still read staging memory, and releases everything. */
void clattn_upload_finish(clattn_upload *upload);

/*
 * Gives num_bytes (> 0) of host memory to compose in; its contents are undefined. The device buffer is untouched. Fails
 * also where it cannot be known that the last write has read the memory.
 */
clattn_status clattn_upload_begin(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes, void **memory);

/*
 * Enqueues the write of the first num_bytes composed since clattn_upload_begin(), growing the device buffer if need
 * be. After a failure the device buffer is the old one with its old contents.
 */
clattn_status clattn_upload_commit(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes);

/*
 * Makes room for staging_bytes to compose in and buffer_bytes on the device, so that no later call of that size
 * allocates. What the device buffer holds is kept; after a failure some room may have been made.
 */
clattn_status clattn_upload_reserve(clattn_context *ctx, clattn_upload *upload, uint64_t staging_bytes,
                                    uint64_t buffer_bytes);

#endif
