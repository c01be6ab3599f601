/* SPDX-License-Identifier: Apache-2.0 */
/* From source to kernel. */
#include "bench/program.h"

#include "common/message.h"

bool bench_build_kernel(const clattn_context *ctx, const char *source, const char *options, const char *name,
                        cl_kernel *kernel)
{
    cl_int result = CL_SUCCESS;
    cl_device_id device = clattn_context_cl_device(ctx);
    cl_program program = clCreateProgramWithSource(clattn_context_cl_context(ctx), 1, &source, NULL, &result);
    if (!tool_check_cl(result, "clCreateProgramWithSource"))
        return false;
    const bool built = tool_check_cl(clBuildProgram(program, 1, &device, options, NULL, NULL), "clBuildProgram");
    if (built)
        *kernel = clCreateKernel(program, name, &result);
    clReleaseProgram(program);
    return built && tool_check_cl(result, "clCreateKernel");
}
