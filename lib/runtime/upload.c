/* SPDX-License-Identifier: Apache-2.0 */
/* Double-buffered uploads; see upload.h. */
#include "runtime/upload.h"

#include <stdlib.h>

/*
 * Waits until no write reads the memory any more. A wait may fail because the write did, which is over then, or for
 * want of something, and is tried once more. An error if nothing is known after that: the memory must not be touched.
 */
static cl_int await_write(clattn_staging *staging)
{
    if (staging->written == NULL)
        return CL_SUCCESS;
    cl_int state = CL_QUEUED;
    cl_int result = clWaitForEvents(1, &staging->written);
    if (result != CL_SUCCESS &&
        clGetEventInfo(staging->written, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL) == CL_SUCCESS)
        result = state <= CL_COMPLETE ? CL_SUCCESS : clWaitForEvents(1, &staging->written);
    if (result != CL_SUCCESS)
        return result;
    clReleaseEvent(staging->written);
    staging->written = NULL;
    return CL_SUCCESS;
}

void clattn_upload_finish(clattn_upload *upload)
{
    for (int i = 0; i < 2; ++i) {
        /* Memory that a lost device may still read is not given back. */
        if (await_write(&upload->staging[i]) == CL_SUCCESS)
            free(upload->staging[i].memory);
        else
            clReleaseEvent(upload->staging[i].written);
    }
    if (upload->buffer != NULL)
        clReleaseMemObject(upload->buffer);
    *upload = (clattn_upload){0};
}

/* A half that no write reads any more, with room for num_bytes. */
static clattn_status reserve_staging(clattn_context *ctx, clattn_staging *staging, uint64_t num_bytes)
{
    CLATTN_TRY(clattn_context_check_cl(ctx, await_write(staging), "clWaitForEvents"));
    if (num_bytes > staging->capacity) {
        void *larger = num_bytes <= SIZE_MAX ? malloc((size_t)num_bytes) : NULL;
        CLATTN_REQUIRE(&ctx->error, larger != NULL, CLATTN_OUT_OF_MEMORY, "no host memory for %llu bytes of metadata",
                       (unsigned long long)num_bytes);
        free(staging->memory);
        staging->memory = larger;
        staging->capacity = num_bytes;
    }
    return CLATTN_OK;
}

clattn_status clattn_upload_begin(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes, void **memory)
{
    clattn_staging *staging = &upload->staging[upload->next];
    CLATTN_TRY(reserve_staging(ctx, staging, num_bytes));
    *memory = staging->memory;
    return CLATTN_OK;
}

/* Bytes of a larger buffer: more than are needed, since a growing batch should reallocate seldom. */
static uint64_t grown_capacity(const clattn_context *ctx, uint64_t num_bytes)
{
    const uint64_t generous = num_bytes + num_bytes / 2;
    return generous <= ctx->facts.max_allocation_bytes ? generous : num_bytes;
}

clattn_status clattn_upload_commit(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes)
{
    cl_mem buffer = upload->buffer;
    uint64_t capacity = upload->capacity;
    if (num_bytes > capacity) {
        cl_int result = CL_SUCCESS;
        capacity = grown_capacity(ctx, num_bytes);
        CLATTN_TRY(clattn_context_check_allocation(ctx, "the metadata", capacity));
        buffer = clCreateBuffer(ctx->cl, CL_MEM_READ_ONLY, (size_t)capacity, NULL, &result);
        CLATTN_TRY(clattn_context_check_cl(ctx, result, "clCreateBuffer"));
    }
    clattn_staging *staging = &upload->staging[upload->next];
    const cl_int result = clEnqueueWriteBuffer(ctx->queue, buffer, CL_FALSE, 0, (size_t)num_bytes, staging->memory, 0,
                                               NULL, &staging->written);
    if (result != CL_SUCCESS) {
        staging->written = NULL;
        if (buffer != upload->buffer)
            clReleaseMemObject(buffer);
        return clattn_context_check_cl(ctx, result, "clEnqueueWriteBuffer");
    }
    if (buffer != upload->buffer && upload->buffer != NULL)
        clReleaseMemObject(upload->buffer);
    upload->buffer = buffer;
    upload->capacity = capacity;
    upload->next = 1 - upload->next;
    return CLATTN_OK;
}

clattn_status clattn_upload_reserve(clattn_context *ctx, clattn_upload *upload, uint64_t staging_bytes,
                                    uint64_t buffer_bytes)
{
    for (int i = 0; i < 2; ++i)
        CLATTN_TRY(reserve_staging(ctx, &upload->staging[i], staging_bytes));
    if (buffer_bytes <= upload->capacity)
        return CLATTN_OK;
    CLATTN_TRY(clattn_context_check_allocation(ctx, "the metadata", buffer_bytes));
    cl_int result = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(ctx->cl, CL_MEM_READ_ONLY, (size_t)buffer_bytes, NULL, &result);
    CLATTN_TRY(clattn_context_check_cl(ctx, result, "clCreateBuffer"));
    if (upload->buffer != NULL) {
        result = clEnqueueCopyBuffer(ctx->queue, upload->buffer, buffer, 0, 0, (size_t)upload->capacity, 0, NULL, NULL);
        if (result != CL_SUCCESS) {
            clReleaseMemObject(buffer);
            return clattn_context_check_cl(ctx, result, "clEnqueueCopyBuffer");
        }
        clReleaseMemObject(upload->buffer);
    }
    upload->buffer = buffer;
    upload->capacity = buffer_bytes;
    return CLATTN_OK;
}
