/* SPDX-License-Identifier: Apache-2.0 */
/* Double-buffered uploads; see upload.h. */
#include "runtime/upload.h"

#include <stdlib.h>

static void release_event(clattn_staging *staging)
{
    if (staging->written != NULL) {
        clWaitForEvents(1, &staging->written);
        clReleaseEvent(staging->written);
        staging->written = NULL;
    }
}

void clattn_upload_finish(clattn_upload *upload)
{
    for (int i = 0; i < 2; ++i) {
        release_event(&upload->staging[i]);
        free(upload->staging[i].memory);
    }
    if (upload->buffer != NULL)
        clReleaseMemObject(upload->buffer);
    *upload = (clattn_upload){0};
}

/* A half that no write reads any more, with room for num_bytes. */
static clattn_status reserve_staging(clattn_context *ctx, clattn_staging *staging, uint64_t num_bytes)
{
    release_event(staging);
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

clattn_status clattn_upload_commit(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes)
{
    cl_mem buffer = upload->buffer;
    uint64_t capacity = upload->capacity;
    if (num_bytes > capacity) {
        cl_int result = CL_SUCCESS;
        capacity = num_bytes + num_bytes / 2; /* a growing batch reallocates seldom */
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
