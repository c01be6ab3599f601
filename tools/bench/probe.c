/* SPDX-License-Identifier: Apache-2.0 */
/* Building, launching and releasing a probe. */
#include "bench/probe.h"

#include "bench/program.h"
#include "common/message.h"

#include <stdio.h>
#include <stdlib.h>

extern const char clattn_bench_probes[];

bool bench_probe_build(const clattn_context *ctx, const bench_probe_form *form, const char *name, cl_kernel *kernel)
{
    char options[128];
    snprintf(options, sizeof options, "-DLANES=%d -DWORK_GROUP_SIZE=%zu -DITEMS_PER_READER=%zu -DSTREAMS=%d",
             form->lanes, form->work_group_size, form->items_per_reader, form->streams);
    return bench_build_kernel(ctx, clattn_bench_probes, options, name, kernel);
}

bool bench_probe_make_out(const clattn_context *ctx, bench_probe *probe)
{
    cl_int result = CL_SUCCESS;
    probe->out = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_WRITE_ONLY, probe->global_size * sizeof(cl_uint),
                                NULL, &result);
    return tool_check_cl(result, "clCreateBuffer") &&
           tool_check_cl(clSetKernelArg(probe->kernel, 0, sizeof probe->out, &probe->out), "clSetKernelArg");
}

void *bench_probe_results(const bench_probe *probe, cl_command_queue queue)
{
    const size_t bytes = probe->global_size * sizeof(cl_uint);
    void *results = malloc(bytes);
    if (!results) {
        (void)tool_error("out of memory");
        return NULL;
    }
    if (tool_check_cl(clEnqueueReadBuffer(queue, probe->out, CL_TRUE, 0, bytes, results, 0, NULL, NULL),
                      "clEnqueueReadBuffer"))
        return results;
    free(results);
    return NULL;
}

bool bench_probe_launch(const bench_probe *probe, cl_command_queue queue)
{
    return tool_check_cl(
        clEnqueueNDRangeKernel(queue, probe->kernel, 1, NULL, &probe->global_size, &probe->local_size, 0, NULL, NULL),
        "clEnqueueNDRangeKernel");
}

void bench_probe_finish(bench_probe *probe)
{
    if (probe->kernel)
        clReleaseKernel(probe->kernel);
    if (probe->out)
        clReleaseMemObject(probe->out);
    if (probe->chunks)
        clReleaseMemObject(probe->chunks);
    *probe = (bench_probe){0};
}
