/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL layer that keeps every buffer until the program ends, for Oclgrind's check for uninitialised memory.
 *
 * Oclgrind 21.10 gives the address of a released buffer to a later one, and with it the released buffer's record of
 * what was written (Uninitialized::kernelBegin() makes a record only where there is none at the buffer's first byte). A
 * larger buffer's end then counts as unwritten whatever is written there, and one of the same size as written from the
 * beginning. No address is used twice while no buffer is released.
 */
#include "support/opencl_layer.h"

const char opencl_layer_name[] = "clattn fresh buffers";

static cl_mem CL_API_CALL create_and_keep(cl_context context, cl_mem_flags flags, size_t size, void *host,
                                          cl_int *result)
{
    const cl_mem created = opencl_layer_target->clCreateBuffer(context, flags, size, host, result);
    if (created != NULL)
        (void)opencl_layer_target->clRetainMemObject(created);
    return created;
}

bool opencl_layer_start(struct _cl_icd_dispatch *functions)
{
    functions->clCreateBuffer = create_and_keep;
    return true;
}
