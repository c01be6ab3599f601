/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL layer that plays a driver with faults, for programs whose build options contain a text:
 *
 *     OPENCL_LAYERS=.../libfault_layer.so CLATTN_FAULTS="BLOCK_KV=32:crash;LANES=8 -DBLOCK_KV=64:hang" ./program
 *
 * crash: the build ends the process by a signal; exit: by ending it; kill: as the system does for want of memory; hang:
 * the build never returns; memory, refuse: it fails with an error; wrong: the program's kernels do nothing; slow: they
 * run three times; dead: from then on every build crashes, in other processes as well, until the file that
 * CLATTN_FAULT_MARK names is removed.
 */
#include "support/opencl_layer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MARKED 64
#define SLOWNESS 3

const char opencl_layer_name[] = "clattn faults";

/* Programs, and kernels made from them. */
typedef struct marked_list {
    int count;
    const void *objects[MAX_MARKED];
} marked_list;

static marked_list wrong, slow;

static void mark(marked_list *list, const void *object)
{
    if (list->count == MAX_MARKED)
        abort();
    list->objects[list->count++] = object;
}

static bool is_marked(const marked_list *list, const void *object)
{
    for (int i = 0; i < list->count; i++)
        if (list->objects[i] == object)
            return true;
    return false;
}

/* What follows the text of the first fault that the options contain; NULL = none. */
static const char *find_fault(const char *options)
{
    const char *fault = getenv("CLATTN_FAULTS");
    while (fault && *fault) {
        char text[128];
        int length = 0;
        if (sscanf(fault, "%127[^:]:%n", text, &length) != 1 || length == 0)
            return NULL;
        strcat(text, " "); /* 16 is not 160 */
        char padded[4096];
        snprintf(padded, sizeof padded, "%s ", options ? options : "");
        if (strstr(padded, text))
            return fault + length;
        fault = strchr(fault, ';');
        fault += fault != NULL;
    }
    return NULL;
}

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Leaves a mark that later processes see. */
static void leave_mark(void)
{
    FILE *file = fopen(getenv("CLATTN_FAULT_MARK"), "w");
    if (file)
        fclose(file);
}

static cl_int CL_API_CALL fault_clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *devices,
                                               const char *options, void(CL_CALLBACK *notify)(cl_program, void *user),
                                               void *user)
{
    const char *fault = find_fault(options);
    const char *dead = getenv("CLATTN_FAULT_MARK");
    if (fault && starts_with(fault, "dead"))
        leave_mark();
    if ((fault && starts_with(fault, "crash")) || (dead && access(dead, F_OK) == 0)) {
        fputs("the compiler of the fault layer gives up\n", stderr);
        abort();
    }
    if (fault && starts_with(fault, "exit"))
        _exit(3);
    if (fault && starts_with(fault, "kill"))
        raise(SIGKILL);
    while (fault && starts_with(fault, "hang"))
        pause();
    if (fault && starts_with(fault, "memory"))
        return CL_OUT_OF_HOST_MEMORY;
    if (fault && starts_with(fault, "refuse"))
        return CL_BUILD_PROGRAM_FAILURE;
    if (fault && starts_with(fault, "wrong"))
        mark(&wrong, program);
    if (fault && starts_with(fault, "slow"))
        mark(&slow, program);
    return opencl_layer_target->clBuildProgram(program, num_devices, devices, options, notify, user);
}

static cl_kernel CL_API_CALL fault_clCreateKernel(cl_program program, const char *name, cl_int *result)
{
    cl_kernel kernel = opencl_layer_target->clCreateKernel(program, name, result);
    if (kernel && is_marked(&wrong, program))
        mark(&wrong, kernel);
    if (kernel && is_marked(&slow, program))
        mark(&slow, kernel);
    return kernel;
}

static cl_int CL_API_CALL fault_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions,
                                                       const size_t *offset, const size_t *global, const size_t *local,
                                                       cl_uint num_events, const cl_event *events, cl_event *event)
{
    for (int i = 1; is_marked(&slow, kernel) && i < SLOWNESS; i++)
        opencl_layer_target->clEnqueueNDRangeKernel(queue, kernel, num_dimensions, offset, global, local, num_events,
                                                    events, NULL);
    if (is_marked(&wrong, kernel))
        return opencl_layer_target->clEnqueueMarkerWithWaitList(queue, num_events, events, event);
    return opencl_layer_target->clEnqueueNDRangeKernel(queue, kernel, num_dimensions, offset, global, local, num_events,
                                                       events, event);
}

bool opencl_layer_start(struct _cl_icd_dispatch *functions)
{
    functions->clBuildProgram = fault_clBuildProgram;
    functions->clCreateKernel = fault_clCreateKernel;
    functions->clEnqueueNDRangeKernel = fault_clEnqueueNDRangeKernel;
    return true;
}
