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

static void run(cl_context context, cl_command_queue queue, cl_kernel kernel)
{
    const size_t num_items = NUM_ITEMS;
    int numbers[NUM_ITEMS];
    cl_int result;

    for (int i = 0; i < NUM_ITEMS; i++)
        numbers[i] = 1000 + i;
    const cl_mem from =
        clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof(numbers), numbers, &result);
    require(result, "clCreateBuffer");
    const cl_mem to = clCreateBuffer(context, CL_MEM_WRITE_ONLY, sizeof(numbers), NULL, &result);
    require(result, "clCreateBuffer");
    require(clSetKernelArg(kernel, 0, sizeof(to), &to), "clSetKernelArg");
    require(clSetKernelArg(kernel, 1, sizeof(from), &from), "clSetKernelArg");
    require(clSetKernelArg(kernel, 2, sizeof(numbers), NULL), "clSetKernelArg");
    require(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &num_items, &num_items, 0, NULL, NULL),
            "clEnqueueNDRangeKernel");
    require(clFinish(queue), "clFinish");
    require(clReleaseMemObject(from), "clReleaseMemObject");
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
    run(clattn_context_cl_context(ctx), clattn_context_cl_queue(ctx), kernel);
    require(clReleaseKernel(kernel), "clReleaseKernel");
    clattn_context_destroy(&ctx);
    return EXIT_SUCCESS;
}
