/* SPDX-License-Identifier: Apache-2.0 */
/* Making and filling device buffers. */
#include "bench/buffers.h"

#include "common/message.h"

#include <stdlib.h>

#define FILL_ELEMENTS ((size_t)1 << 20)

bool bench_make_buffer(const clattn_context *ctx, const char *what, clattn_dtype dtype, double count, cl_mem *buffer)
{
    const uint64_t limit = clattn_context_device(ctx)->max_allocation_bytes;
    const double bytes = count * (double)clattn_dtype_size(dtype);
    if (bytes > (double)limit)
        return tool_error("%s takes %.0f MiB, but the device's largest buffer is %.0f MiB", what, bytes / 1048576.0,
                          (double)limit / 1048576.0);
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_WRITE, (size_t)bytes, NULL, &result);
    return tool_check_cl(result, "clCreateBuffer");
}

bool bench_fill_buffer(const clattn_context *ctx, bench_random *random, cl_mem buffer, uint64_t offset_bytes,
                       clattn_dtype dtype, uint64_t count)
{
    const size_t element_bytes = clattn_dtype_size(dtype);
    void *block = malloc(FILL_ELEMENTS * element_bytes);
    if (!block)
        return tool_error("out of memory");
    bool good = true;
    bench_random_fill(random, dtype, block, count < FILL_ELEMENTS ? (size_t)count : FILL_ELEMENTS);
    for (uint64_t done = 0; good && done < count; done += FILL_ELEMENTS) {
        const size_t now = count - done < FILL_ELEMENTS ? (size_t)(count - done) : FILL_ELEMENTS;
        const size_t offset = (size_t)(offset_bytes + done * element_bytes);
        good = tool_check_cl(clEnqueueWriteBuffer(clattn_context_cl_queue(ctx), buffer, CL_TRUE, offset,
                                                  now * element_bytes, block, 0, NULL, NULL),
                             "clEnqueueWriteBuffer");
    }
    free(block);
    return good;
}

bool bench_upload(const clattn_context *ctx, const void *values, size_t num_bytes, cl_mem *buffer)
{
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_WRITE, num_bytes, NULL, &result);
    return tool_check_cl(result, "clCreateBuffer") &&
           tool_check_cl(clEnqueueWriteBuffer(clattn_context_cl_queue(ctx), *buffer, CL_TRUE, 0, num_bytes, values, 0,
                                              NULL, NULL),
                         "clEnqueueWriteBuffer");
}

bool bench_download(const clattn_context *ctx, cl_mem buffer, uint64_t offset_bytes, size_t num_bytes, void *values)
{
    return tool_check_cl(clEnqueueReadBuffer(clattn_context_cl_queue(ctx), buffer, CL_TRUE, offset_bytes, num_bytes,
                                             values, 0, NULL, NULL),
                         "clEnqueueReadBuffer");
}

void bench_release_buffer(cl_mem buffer)
{
    if (buffer)
        clReleaseMemObject(buffer);
}
