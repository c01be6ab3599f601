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

clattn_status clattn_upload_begin(clattn_context *ctx, clattn_upload *upload, uint64_t num_bytes, void **memory)
{
    clattn_staging *staging = &upload->staging[upload->next];
    release_event(staging);
    if (num_bytes > staging->capacity) {
        void *larger = num_bytes <= SIZE_MAX ? malloc((size_t)num_bytes) : NULL;
        CLATTN_REQUIRE(&ctx->error, larger != NULL, CLATTN_OUT_OF_MEMORY, "no host memory for %llu bytes of metadata",
                       (unsigned long long)num_bytes);
        free(staging->memory);
        staging->memory = larger;
        staging->capacity = num_bytes;
    }
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
