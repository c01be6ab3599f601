/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wrappers of OpenCL. Each call that is to fail does nothing and gives a code that drivers really give there;
 * CL_OUT_OF_RESOURCES is what most of them say when the device is in trouble.
 */
#include "fault.h"

#define FAILS(function, status) fault_strikes(FAULT_OPENCL, #function, CLATTN_##status)

/* A function that gives an error code and nothing to be given back. */
#define WRAP(function, code, status, parameters, arguments)                                                            \
    cl_int __real_##function parameters;                                                                               \
    cl_int __wrap_##function parameters;                                                                               \
    cl_int __wrap_##function parameters                                                                                \
    {                                                                                                                  \
        return FAILS(function, status) ? (code) : __real_##function arguments;                                         \
    }

/* One that creates an object and writes its code to *result. */
#define WRAP_CREATE(type, function, object, code, status, parameters, arguments)                                       \
    type __real_##function parameters;                                                                                 \
    type __wrap_##function parameters;                                                                                 \
    type __wrap_##function parameters                                                                                  \
    {                                                                                                                  \
        if (FAILS(function, status)) {                                                                                 \
            *result = (code);                                                                                          \
            return NULL;                                                                                               \
        }                                                                                                              \
        type created = __real_##function arguments;                                                                    \
        fault_count(FAULT_OBJECT_##object, created != NULL);                                                           \
        return created;                                                                                                \
    }

/* One that retains an object. */
#define WRAP_RETAIN(function, object, type)                                                                            \
    cl_int __real_##function(type retained);                                                                           \
    cl_int __wrap_##function(type retained);                                                                           \
    cl_int __wrap_##function(type retained)                                                                            \
    {                                                                                                                  \
        if (FAILS(function, OPENCL_ERROR))                                                                             \
            return CL_OUT_OF_RESOURCES;                                                                                \
        const cl_int result = __real_##function(retained);                                                             \
        fault_count(FAULT_OBJECT_##object, result == CL_SUCCESS);                                                      \
        return result;                                                                                                 \
    }

/* One that releases an object: if it fails, the object is gone all the same. */
#define WRAP_RELEASE(function, object, type)                                                                           \
    cl_int __real_##function(type released);                                                                           \
    cl_int __wrap_##function(type released);                                                                           \
    cl_int __wrap_##function(type released)                                                                            \
    {                                                                                                                  \
        const bool fails = fault_strikes(FAULT_RELEASE, #function, CLATTN_OK);                                         \
        const cl_int result = __real_##function(released);                                                             \
        fault_count(FAULT_OBJECT_##object, -(result == CL_SUCCESS));                                                   \
        return fails ? CL_OUT_OF_RESOURCES : result;                                                                   \
    }

/* One that enqueues a command; the event is an object to be given back. */
#define WRAP_ENQUEUE(function, parameters, arguments)                                                                  \
    cl_int __real_##function parameters;                                                                               \
    cl_int __wrap_##function parameters;                                                                               \
    cl_int __wrap_##function parameters                                                                                \
    {                                                                                                                  \
        if (FAILS(function, OPENCL_ERROR))                                                                             \
            return CL_OUT_OF_RESOURCES;                                                                                \
        const cl_int result = __real_##function arguments;                                                             \
        fault_count(FAULT_OBJECT_EVENT, result == CL_SUCCESS && event != NULL);                                        \
        return result;                                                                                                 \
    }

WRAP(clGetPlatformIDs, CL_OUT_OF_HOST_MEMORY, OUT_OF_MEMORY,
     (cl_uint num_entries, cl_platform_id *platforms, cl_uint *num_platforms), (num_entries, platforms, num_platforms))
WRAP(clGetPlatformInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_platform_id platform, cl_platform_info what, size_t size, void *value, size_t *num_bytes),
     (platform, what, size, value, num_bytes))
WRAP(clGetDeviceIDs, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_platform_id platform, cl_device_type type, cl_uint num_entries, cl_device_id *devices, cl_uint *num_devices),
     (platform, type, num_entries, devices, num_devices))
WRAP(clGetDeviceInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_device_id device, cl_device_info what, size_t size, void *value, size_t *num_bytes),
     (device, what, size, value, num_bytes))
WRAP(clGetCommandQueueInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_command_queue queue, cl_command_queue_info what, size_t size, void *value, size_t *num_bytes),
     (queue, what, size, value, num_bytes))
WRAP(clGetMemObjectInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_mem buffer, cl_mem_info what, size_t size, void *value, size_t *num_bytes),
     (buffer, what, size, value, num_bytes))
WRAP(clGetProgramInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_program program, cl_program_info what, size_t size, void *value, size_t *num_bytes),
     (program, what, size, value, num_bytes))
WRAP(clGetProgramBuildInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_program program, cl_device_id device, cl_program_build_info what, size_t size, void *value, size_t *num_bytes),
     (program, device, what, size, value, num_bytes))
WRAP(clGetEventInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_event event, cl_event_info what, size_t size, void *value, size_t *num_bytes),
     (event, what, size, value, num_bytes))
WRAP(clGetKernelWorkGroupInfo, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what, size_t size, void *value,
      size_t *num_bytes),
     (kernel, device, what, size, value, num_bytes))
WRAP(clBuildProgram, CL_BUILD_PROGRAM_FAILURE, BUILD_FAILED,
     (cl_program program, cl_uint num_devices, const cl_device_id *devices, const char *options,
      void(CL_CALLBACK *notify)(cl_program, void *), void *user),
     (program, num_devices, devices, options, notify, user))
WRAP(clSetKernelArg, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
     (cl_kernel kernel, cl_uint index, size_t size, const void *value), (kernel, index, size, value))
WRAP(clWaitForEvents, CL_OUT_OF_RESOURCES, OPENCL_ERROR, (cl_uint num_events, const cl_event *events),
     (num_events, events))

WRAP_CREATE(cl_context, clCreateContext, CONTEXT, CL_OUT_OF_HOST_MEMORY, OUT_OF_MEMORY,
            (const cl_context_properties *properties, cl_uint num_devices, const cl_device_id *devices,
             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *result),
            (properties, num_devices, devices, notify, user, result))
WRAP_CREATE(cl_command_queue, clCreateCommandQueue, QUEUE, CL_OUT_OF_RESOURCES, OPENCL_ERROR,
            (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *result),
            (context, device, properties, result))
WRAP_CREATE(cl_mem, clCreateBuffer, BUFFER, CL_MEM_OBJECT_ALLOCATION_FAILURE, OUT_OF_DEVICE_MEMORY,
            (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result),
            (context, flags, size, host, result))
WRAP_CREATE(cl_program, clCreateProgramWithSource, PROGRAM, CL_OUT_OF_HOST_MEMORY, OUT_OF_MEMORY,
            (cl_context context, cl_uint count, const char **parts, const size_t *lengths, cl_int *result),
            (context, count, parts, lengths, result))
WRAP_CREATE(cl_program, clCreateProgramWithBinary, PROGRAM, CL_INVALID_BINARY, OPENCL_ERROR,
            (cl_context context, cl_uint num_devices, const cl_device_id *devices, const size_t *sizes,
             const unsigned char **binaries, cl_int *statuses, cl_int *result),
            (context, num_devices, devices, sizes, binaries, statuses, result))
WRAP_CREATE(cl_kernel, clCreateKernel, KERNEL, CL_OUT_OF_RESOURCES, BUILD_FAILED,
            (cl_program program, const char *name, cl_int *result), (program, name, result))

WRAP_RETAIN(clRetainDevice, DEVICE, cl_device_id)
WRAP_RETAIN(clRetainContext, CONTEXT, cl_context)
WRAP_RETAIN(clRetainCommandQueue, QUEUE, cl_command_queue)

WRAP_RELEASE(clReleaseDevice, DEVICE, cl_device_id)
WRAP_RELEASE(clReleaseContext, CONTEXT, cl_context)
WRAP_RELEASE(clReleaseCommandQueue, QUEUE, cl_command_queue)
WRAP_RELEASE(clReleaseMemObject, BUFFER, cl_mem)
WRAP_RELEASE(clReleaseProgram, PROGRAM, cl_program)
WRAP_RELEASE(clReleaseKernel, KERNEL, cl_kernel)
WRAP_RELEASE(clReleaseEvent, EVENT, cl_event)

WRAP_ENQUEUE(clEnqueueReadBuffer,
             (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, void *to,
              cl_uint num_events, const cl_event *events, cl_event *event),
             (queue, buffer, blocking, offset, size, to, num_events, events, event))
WRAP_ENQUEUE(clEnqueueWriteBuffer,
             (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, const void *from,
              cl_uint num_events, const cl_event *events, cl_event *event),
             (queue, buffer, blocking, offset, size, from, num_events, events, event))
WRAP_ENQUEUE(clEnqueueCopyBuffer,
             (cl_command_queue queue, cl_mem source, cl_mem target, size_t source_offset, size_t target_offset,
              size_t size, cl_uint num_events, const cl_event *events, cl_event *event),
             (queue, source, target, source_offset, target_offset, size, num_events, events, event))
WRAP_ENQUEUE(clEnqueueCopyBufferRect,
             (cl_command_queue queue, cl_mem source, cl_mem target, const size_t *source_origin,
              const size_t *target_origin, const size_t *region, size_t source_row, size_t source_slice,
              size_t target_row, size_t target_slice, cl_uint num_events, const cl_event *events, cl_event *event),
             (queue, source, target, source_origin, target_origin, region, source_row, source_slice, target_row,
              target_slice, num_events, events, event))
WRAP_ENQUEUE(clEnqueueMarkerWithWaitList,
             (cl_command_queue queue, cl_uint num_events, const cl_event *events, cl_event *event),
             (queue, num_events, events, event))

cl_int __real_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions,
                                     const size_t *offset, const size_t *global, const size_t *local,
                                     cl_uint num_events, const cl_event *events, cl_event *event);
cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions,
                                     const size_t *offset, const size_t *global, const size_t *local,
                                     cl_uint num_events, const cl_event *events, cl_event *event);

cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions,
                                     const size_t *offset, const size_t *global, const size_t *local,
                                     cl_uint num_events, const cl_event *events, cl_event *event)
{
    if (FAILS(clEnqueueNDRangeKernel, OPENCL_ERROR))
        return CL_OUT_OF_RESOURCES;
    const cl_int result =
        __real_clEnqueueNDRangeKernel(queue, kernel, num_dimensions, offset, global, local, num_events, events, event);
    fault_count(FAULT_OBJECT_EVENT, result == CL_SUCCESS && event != NULL);
    if (result == CL_SUCCESS)
        fault_note_kernel();
    return result;
}
