/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of the read probe's kernel, its grid, and its check. */
#include "bench/read_probe.h"

#include "common/message.h"

#include <stdlib.h>

/*
 * Bytes for a reader: on a CPU a work-item of its own, long enough that its first chunks, which nobody asked for ahead,
 * do not count, and short enough to balance; elsewhere a few chunks, so that there are as many readers as a GPU holds.
 */
#define CPU_READER_BYTES ((uint64_t)512 << 10)
#define GPU_READER_BYTES ((uint64_t)16 << 10)

/* Whole work-groups, and as many for each compute unit. */
static size_t count_items(const clattn_device_facts *facts, const bench_probe_form *form, uint64_t bytes)
{
    const uint64_t reader_bytes = form->items_per_reader > 1 ? GPU_READER_BYTES : CPU_READER_BYTES;
    const uint64_t group_bytes = reader_bytes * (form->work_group_size / form->items_per_reader);
    const uint64_t num_units = (uint64_t)facts->num_compute_units;
    const uint64_t groups_per_unit = (bytes + group_bytes * num_units - 1) / (group_bytes * num_units);
    return (size_t)(groups_per_unit * num_units) * form->work_group_size;
}

static bool copy_chunks(const clattn_context *ctx, const bench_chunks *chunks, int ahead, bench_probe *probe)
{
    cl_int result = CL_SUCCESS;
    const cl_int num_chunks = chunks->count;
    probe->chunks = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                   (size_t)chunks->count * sizeof *chunks->at, chunks->at, &result);
    if (!tool_check_cl(result, "clCreateBuffer"))
        return false;
    result = clSetKernelArg(probe->kernel, 3, sizeof probe->chunks, &probe->chunks);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 4, sizeof num_chunks, &num_chunks);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 5, sizeof ahead, &ahead);
    return tool_check_cl(result, "clSetKernelArg");
}

bool bench_read_probe_init(bench_probe *probe, clattn_context *ctx, const bench_probe_form *form,
                           const bench_chunks *chunks)
{
    *probe = (bench_probe){
        .local_size = form->work_group_size,
        .global_size = count_items(clattn_context_device(ctx), form, chunks->bytes),
        .work = (double)chunks->bytes,
        .num_launches = 1,
    };
    if (bench_probe_build(ctx, form, "probe_read", &probe->kernel) && bench_probe_make_out(ctx, probe) &&
        copy_chunks(ctx, chunks, form->ahead, probe))
        return true;
    bench_probe_finish(probe);
    return false;
}

bool bench_read_probe_bind(const bench_probe *probe, cl_mem keys, cl_mem values)
{
    cl_int result = clSetKernelArg(probe->kernel, 1, sizeof keys, &keys);
    if (result == CL_SUCCESS)
        result = clSetKernelArg(probe->kernel, 2, sizeof(cl_mem), values ? &values : &keys);
    return tool_check_cl(result, "clSetKernelArg");
}

bool bench_read_probe_check(const bench_probe *probe, cl_command_queue queue, uint32_t sum)
{
    uint32_t *sums = bench_probe_launch(probe, queue) ? bench_probe_results(probe, queue) : NULL;
    if (!sums)
        return false;
    uint32_t found = 0;
    for (size_t i = 0; i < probe->global_size; i++)
        found += sums[i];
    free(sums);
    return found == sum ||
           tool_error("the device summed words to %u instead of %u in the read probe", (unsigned)found, (unsigned)sum);
}
