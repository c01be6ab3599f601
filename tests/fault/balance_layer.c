/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL layer that counts references: those that a program gets by creating and retaining, and those that it
 * releases. It works on every implementation behind a loader that knows layers:
 *
 *     OPENCL_LAYERS=.../libbalance_layer.so CLATTN_BALANCE_REPORT=report ./program
 *
 * writes one line for each kind of object when the program ends: its name, how many were got, how many released.
 */
#include "support/opencl_layer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum object_kind { DEVICE, CONTEXT, QUEUE, BUFFER, PROGRAM, KERNEL, EVENT, NUM_KINDS } object_kind;

static const char *const names[NUM_KINDS] = {"device", "context", "queue", "buffer", "program", "kernel", "event"};

static atomic_int got[NUM_KINDS];
static atomic_int released[NUM_KINDS];

const char opencl_layer_name[] = "clattn balance";

/* A function that creates an object. */
#define CREATE(type, function, kind, parameters, arguments)                                                            \
    static type CL_API_CALL balance_##function parameters                                                              \
    {                                                                                                                  \
        type created = opencl_layer_target->function arguments;                                                        \
        got[kind] += created != NULL;                                                                                  \
        return created;                                                                                                \
    }

/* One that retains or releases an object. */
#define COUNT(function, counts, kind, type)                                                                            \
    static cl_int CL_API_CALL balance_##function(type object)                                                          \
    {                                                                                                                  \
        const cl_int result = opencl_layer_target->function(object);                                                   \
        counts[kind] += result == CL_SUCCESS;                                                                          \
        return result;                                                                                                 \
    }

/* One that enqueues a command and may give an event. */
#define ENQUEUE(function, parameters, arguments)                                                                       \
    static cl_int CL_API_CALL balance_##function parameters                                                            \
    {                                                                                                                  \
        const cl_int result = opencl_layer_target->function arguments;                                                 \
        got[EVENT] += result == CL_SUCCESS && event != NULL;                                                           \
        return result;                                                                                                 \
    }

CREATE(cl_context, clCreateContext, CONTEXT,
       (const cl_context_properties *properties, cl_uint num_devices, const cl_device_id *devices,
        void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *result),
       (properties, num_devices, devices, notify, user, result))
CREATE(cl_command_queue, clCreateCommandQueue, QUEUE,
       (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *result),
       (context, device, properties, result))
CREATE(cl_mem, clCreateBuffer, BUFFER,
       (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result),
       (context, flags, size, host, result))
CREATE(cl_mem, clCreateSubBuffer, BUFFER,
       (cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *result),
       (buffer, flags, type, info, result))
CREATE(cl_program, clCreateProgramWithSource, PROGRAM,
       (cl_context context, cl_uint count, const char **parts, const size_t *lengths, cl_int *result),
       (context, count, parts, lengths, result))
CREATE(cl_program, clCreateProgramWithBinary, PROGRAM,
       (cl_context context, cl_uint num_devices, const cl_device_id *devices, const size_t *sizes,
        const unsigned char **binaries, cl_int *statuses, cl_int *result),
       (context, num_devices, devices, sizes, binaries, statuses, result))
CREATE(cl_kernel, clCreateKernel, KERNEL, (cl_program program, const char *name, cl_int *result),
       (program, name, result))
CREATE(cl_event, clCreateUserEvent, EVENT, (cl_context context, cl_int *result), (context, result))

COUNT(clRetainDevice, got, DEVICE, cl_device_id)
COUNT(clRetainContext, got, CONTEXT, cl_context)
COUNT(clRetainCommandQueue, got, QUEUE, cl_command_queue)
COUNT(clRetainMemObject, got, BUFFER, cl_mem)
COUNT(clRetainProgram, got, PROGRAM, cl_program)
COUNT(clRetainKernel, got, KERNEL, cl_kernel)
COUNT(clRetainEvent, got, EVENT, cl_event)
COUNT(clReleaseDevice, released, DEVICE, cl_device_id)
COUNT(clReleaseContext, released, CONTEXT, cl_context)
COUNT(clReleaseCommandQueue, released, QUEUE, cl_command_queue)
COUNT(clReleaseMemObject, released, BUFFER, cl_mem)
COUNT(clReleaseProgram, released, PROGRAM, cl_program)
COUNT(clReleaseKernel, released, KERNEL, cl_kernel)
COUNT(clReleaseEvent, released, EVENT, cl_event)

ENQUEUE(clEnqueueReadBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, void *to,
         cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, buffer, blocking, offset, size, to, num_events, events, event))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, const void *from,
         cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, buffer, blocking, offset, size, from, num_events, events, event))
ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t pattern_size, size_t offset, size_t size,
         cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, buffer, pattern, pattern_size, offset, size, num_events, events, event))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem source, cl_mem to, size_t source_offset, size_t target_offset, size_t size,
         cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, source, to, source_offset, target_offset, size, num_events, events, event))
ENQUEUE(clEnqueueCopyBufferRect,
        (cl_command_queue queue, cl_mem source, cl_mem to, const size_t *source_origin, const size_t *target_origin,
         const size_t *region, size_t source_row, size_t source_slice, size_t target_row, size_t target_slice,
         cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, source, to, source_origin, target_origin, region, source_row, source_slice, target_row, target_slice,
         num_events, events, event))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions, const size_t *offset, const size_t *global,
         const size_t *local, cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, kernel, num_dimensions, offset, global, local, num_events, events, event))
ENQUEUE(clEnqueueMarkerWithWaitList,
        (cl_command_queue queue, cl_uint num_events, const cl_event *events, cl_event *event),
        (queue, num_events, events, event))

#define USE(function) functions->function = balance_##function

static void fill(struct _cl_icd_dispatch *functions)
{
    USE(clCreateContext);
    USE(clCreateCommandQueue);
    USE(clCreateBuffer);
    USE(clCreateSubBuffer);
    USE(clCreateProgramWithSource);
    USE(clCreateProgramWithBinary);
    USE(clCreateKernel);
    USE(clCreateUserEvent);
    USE(clRetainDevice);
    USE(clRetainContext);
    USE(clRetainCommandQueue);
    USE(clRetainMemObject);
    USE(clRetainProgram);
    USE(clRetainKernel);
    USE(clRetainEvent);
    USE(clReleaseDevice);
    USE(clReleaseContext);
    USE(clReleaseCommandQueue);
    USE(clReleaseMemObject);
    USE(clReleaseProgram);
    USE(clReleaseKernel);
    USE(clReleaseEvent);
    USE(clEnqueueReadBuffer);
    USE(clEnqueueWriteBuffer);
    USE(clEnqueueFillBuffer);
    USE(clEnqueueCopyBuffer);
    USE(clEnqueueCopyBufferRect);
    USE(clEnqueueNDRangeKernel);
    USE(clEnqueueMarkerWithWaitList);
}

static void write_report(void)
{
    const char *path = getenv("CLATTN_BALANCE_REPORT");
    FILE *report = path != NULL ? fopen(path, "w") : NULL;
    if (report == NULL)
        return;
    for (int kind = 0; kind < NUM_KINDS; kind++)
        fprintf(report, "%s %d %d\n", names[kind], got[kind], released[kind]);
    fclose(report);
}

bool opencl_layer_start(struct _cl_icd_dispatch *functions)
{
    fill(functions);
    return atexit(write_report) == 0;
}
