/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the device compiler, words its failures, and asks it for binaries and for what kernels need. */
#include "runtime/program_build.h"
#include "runtime/cl_error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHOWN_LOG_BYTES 2000 /* of a build log in an error sentence; the log callback gets all of it */

static double milliseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) * 1e-6;
}

/* The build log, malloc'ed; NULL if there is none. */
static char *build_log_of(cl_program program, cl_device_id device)
{
    size_t num_bytes = 0;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &num_bytes) != CL_SUCCESS)
        return NULL;
    char *text = calloc(num_bytes + 1, 1);
    if (text == NULL)
        return NULL;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, num_bytes, text, NULL) != CL_SUCCESS) {
        free(text);
        return NULL;
    }
    return text;
}

/* Gives the log callback one line at a time, as it expects; cuts `text` up. */
static void log_lines(const clattn_log *log, clattn_log_level level, char *text)
{
    char *position = NULL;
    for (char *line = strtok_r(text, "\r\n", &position); line != NULL; line = strtok_r(NULL, "\r\n", &position))
        clattn_log_write(log, level, "%s", line);
}

/* Words a failed build: program and options, what failed, and why if the compiler said so. */
static clattn_status report_failure(const clattn_build_target *target, const char *name, const char *options,
                                    cl_program program, cl_int result, const char *call, clattn_error *error)
{
    const clattn_status status = result == CL_OUT_OF_HOST_MEMORY ? CLATTN_OUT_OF_MEMORY : CLATTN_BUILD_FAILED;
    char *build_log = program != NULL ? build_log_of(program, target->device) : NULL;
    clattn_error_set(error, status, "program %s (%s): %s failed with %s (%d)%s%.*s", name, options, call,
                     clattn_cl_error_name(result), (int)result, build_log != NULL ? "; build log: " : "",
                     SHOWN_LOG_BYTES, build_log != NULL ? build_log : "");
    clattn_log_write(target->log, CLATTN_LOG_ERROR, "program %s (%s): %s failed with %s (%d)", name, options, call,
                     clattn_cl_error_name(result), (int)result);
    if (build_log != NULL)
        log_lines(target->log, CLATTN_LOG_ERROR, build_log);
    free(build_log);
    return status;
}

/* Builds a program and makes its kernel; *call is the function that the result came from. */
static cl_int build(const clattn_build_target *target, const char *kernel, const char *options,
                    clattn_built_program *built, const char **call)
{
    *call = "clBuildProgram";
    cl_int result = clBuildProgram(built->program, 1, &target->device, options, NULL, NULL);
    if (result != CL_SUCCESS)
        return result;
    *call = "clCreateKernel";
    built->kernel = clCreateKernel(built->program, kernel, &result);
    return result;
}

clattn_status clattn_build_from_source(const clattn_build_target *target, const clattn_program_source *source,
                                       const char *options, clattn_built_program *built, clattn_error *error)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* OpenCL takes an array of pointers to const, but C does not convert to it. */
    const char *parts[CLATTN_MAX_SOURCE_PARTS];
    memcpy(parts, source->parts, sizeof parts);
    const char *call = "clCreateProgramWithSource";
    cl_int result = CL_SUCCESS;
    built->program = clCreateProgramWithSource(target->cl, (cl_uint)source->num_parts, parts, NULL, &result);
    if (result == CL_SUCCESS)
        result = build(target, source->kernel, options, built, &call);
    if (result != CL_SUCCESS)
        return report_failure(target, source->name, options, built->program, result, call, error);
    clattn_log_write(target->log, CLATTN_LOG_INFO, "built %s in %.0f ms (%s)", source->name, milliseconds_since(&start),
                     options);
    return CLATTN_OK;
}

/*
 * Where among a program's `num_binaries` the one for the target's device stands: a caller's context may hold several
 * devices. One binary is ours, since we built for one device: PoCL lists only what was built, others list every device.
 * Not below num_binaries if the driver does not tell.
 */
static size_t find_binary(const clattn_build_target *target, cl_program program, size_t num_binaries)
{
    if (num_binaries == 1)
        return 0;
    size_t index = num_binaries;
    cl_device_id *devices = calloc(num_binaries + 1, sizeof *devices);
    const size_t num_bytes = num_binaries * sizeof *devices;
    if (devices != NULL && clGetProgramInfo(program, CL_PROGRAM_DEVICES, num_bytes, devices, NULL) == CL_SUCCESS) {
        index = 0;
        while (index < num_binaries && devices[index] != target->device)
            index++;
    }
    free(devices);
    return index;
}

void *clattn_build_read_binary(const clattn_build_target *target, cl_program program, size_t *binary_bytes)
{
    size_t list_bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, 0, NULL, &list_bytes) != CL_SUCCESS)
        return NULL;
    const size_t num_binaries = list_bytes / sizeof(size_t);
    const size_t index = find_binary(target, program, num_binaries);
    if (index >= num_binaries)
        return NULL;
    void *binary = NULL;
    size_t *sizes = calloc(num_binaries, sizeof *sizes);
    unsigned char **binaries = calloc(num_binaries, sizeof *binaries);
    if (sizes == NULL || binaries == NULL)
        goto done;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, list_bytes, sizes, NULL) != CL_SUCCESS)
        goto done;
    *binary_bytes = sizes[index];
    binary = *binary_bytes > 0 ? malloc(*binary_bytes) : NULL;
    if (binary == NULL)
        goto done;
    /* Devices whose entry is NULL are left out. */
    binaries[index] = binary;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, num_binaries * sizeof *binaries, binaries, NULL) != CL_SUCCESS) {
        free(binary);
        binary = NULL;
    }
done:
    free(binaries);
    free(sizes);
    return binary;
}

bool clattn_build_from_binary(const clattn_build_target *target, const clattn_program_source *source,
                              const char *options, const void *binary, size_t num_bytes, clattn_built_program *built)
{
    const unsigned char *bytes = binary;
    cl_int result = CL_SUCCESS;
    built->program = clCreateProgramWithBinary(target->cl, 1, &target->device, &num_bytes, &bytes, NULL, &result);
    const char *call;
    if (result == CL_SUCCESS)
        result = build(target, source->kernel, options, built, &call);
    if (result == CL_SUCCESS)
        return true;
    clattn_built_program_finish(built);
    return false;
}

clattn_status clattn_build_read_needs(const clattn_build_target *target, cl_kernel kernel, clattn_program_info *info,
                                      clattn_error *error)
{
    cl_ulong local_bytes = 0;
    cl_ulong private_bytes = 0;
    size_t max_size = 0;
    size_t multiple = 0;
    const struct {
        cl_kernel_work_group_info what;
        size_t num_bytes;
        void *value;
        const char *call;
    } questions[] = {
        {CL_KERNEL_LOCAL_MEM_SIZE, sizeof local_bytes, &local_bytes,
         "clGetKernelWorkGroupInfo(CL_KERNEL_LOCAL_MEM_SIZE)"},
        {CL_KERNEL_PRIVATE_MEM_SIZE, sizeof private_bytes, &private_bytes,
         "clGetKernelWorkGroupInfo(CL_KERNEL_PRIVATE_MEM_SIZE)"},
        {CL_KERNEL_WORK_GROUP_SIZE, sizeof max_size, &max_size, "clGetKernelWorkGroupInfo(CL_KERNEL_WORK_GROUP_SIZE)"},
        {CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple, &multiple,
         "clGetKernelWorkGroupInfo(CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE)"},
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const cl_int result = clGetKernelWorkGroupInfo(kernel, target->device, questions[i].what,
                                                       questions[i].num_bytes, questions[i].value, NULL);
        CLATTN_TRY(clattn_cl_check(error, result, questions[i].call));
    }
    info->local_memory_bytes = local_bytes;
    info->private_memory_bytes = private_bytes;
    info->max_work_group_size = (uint32_t)max_size;
    info->preferred_multiple = (uint32_t)multiple;
    return CLATTN_OK;
}

void clattn_built_program_finish(clattn_built_program *built)
{
    if (built->kernel != NULL)
        clReleaseKernel(built->kernel);
    if (built->program != NULL)
        clReleaseProgram(built->program);
    *built = (clattn_built_program){.program = NULL};
}
