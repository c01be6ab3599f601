/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the kernel of planted.cl with one mistake, or with none, and succeeds: what a checking implementation reports is
 * all that tells them apart.
 */
#include "support/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_ITEMS = 16, MOST_SOURCE_BYTES = 4096 };

static void require(cl_int result, const char *call)
{
    if (result != CL_SUCCESS) {
        fprintf(stderr, "%s: %d\n", call, (int)result);
        exit(EXIT_FAILURE);
    }
}

static cl_program create_program(cl_context context, const char *path)
{
    char source[MOST_SOURCE_BYTES];
    const char *text = source;
    FILE *file = fopen(path, "rb");
    cl_int result;

    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    const size_t length = fread(source, 1, sizeof(source), file);
    fclose(file);
    const cl_program program = clCreateProgramWithSource(context, 1, &text, &length, &result);
    require(result, "clCreateProgramWithSource");
    return program;
}

static cl_kernel build(cl_program program, cl_device_id device, const char *mistake)
{
    char options[64] = "";
    cl_int result;

    if (strcmp(mistake, "NONE") != 0)
        snprintf(options, sizeof(options), "-D%s", mistake);
    require(clBuildProgram(program, 1, &device, options, NULL, NULL), "clBuildProgram");
    const cl_kernel kernel = clCreateKernel(program, "planted", &result);
    require(result, "clCreateKernel");
    require(clReleaseProgram(program), "clReleaseProgram");
    return kernel;
}

/* As many numbers as there are work-items, initialised or not. */
static cl_mem create_numbers(cl_context context, size_t num_items, const int *initial)
{
    const cl_mem_flags flags = CL_MEM_READ_WRITE | (initial ? CL_MEM_COPY_HOST_PTR : 0);
    cl_int result;
    const cl_mem buffer = clCreateBuffer(context, flags, num_items * sizeof(int), (void *)initial, &result);

    require(result, "clCreateBuffer");
    return buffer;
}

static void run(cl_command_queue queue, cl_kernel kernel, size_t num_items, cl_mem to, cl_mem from)
{
    require(clSetKernelArg(kernel, 0, sizeof(to), &to), "clSetKernelArg");
    require(clSetKernelArg(kernel, 1, sizeof(from), &from), "clSetKernelArg");
    require(clSetKernelArg(kernel, 2, num_items * sizeof(int), NULL), "clSetKernelArg");
    require(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &num_items, &num_items, 0, NULL, NULL),
            "clEnqueueNDRangeKernel");
    require(clFinish(queue), "clFinish");
}

/* The kernel, and then the kernel over what it wrote, in buffers of their own. */
static void run_twice(cl_context context, cl_command_queue queue, cl_kernel kernel, size_t num_items)
{
    int numbers[NUM_ITEMS];

    for (int i = 0; i < NUM_ITEMS; i++)
        numbers[i] = 1000 + i;
    const cl_mem from = create_numbers(context, num_items, numbers);
    const cl_mem sums = create_numbers(context, num_items, NULL);
    const cl_mem to = create_numbers(context, num_items, NULL);
    run(queue, kernel, num_items, sums, from);
    run(queue, kernel, num_items, to, sums);
    require(clReleaseMemObject(from), "clReleaseMemObject");
    require(clReleaseMemObject(sums), "clReleaseMemObject");
    require(clReleaseMemObject(to), "clReleaseMemObject");
}

int main(int argc, char **argv)
{
    clattn_context *ctx = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: %s PLANTED_CL NONE|MISTAKE\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (clattn_context_create(&(clattn_context_params){.cache_dir = ""}, &ctx) != CLATTN_OK) {
        fprintf(stderr, "no OpenCL device\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    const cl_kernel kernel =
        build(create_program(clattn_context_cl_context(ctx), argv[1]), clattn_context_cl_device(ctx), argv[2]);
    /* Larger buffers take the place of smaller ones: Oclgrind must not mistake them for these. */
    for (size_t num_items = NUM_ITEMS / 2; num_items <= NUM_ITEMS; num_items *= 2)
        run_twice(clattn_context_cl_context(ctx), clattn_context_cl_queue(ctx), kernel, num_items);
    require(clReleaseKernel(kernel), "clReleaseKernel");
    clattn_context_destroy(&ctx);
    return EXIT_SUCCESS;
}
