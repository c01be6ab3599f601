/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenCL calls that the library makes, for one device without a machine behind it; see fake_opencl.h. */
#include "fake_opencl.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#ifndef CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE /* of OpenCL 3.0 */
#define CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE 0x1067
#endif

/* The handles of OpenCL point to structs that each implementation defines. */
struct _cl_platform_id {
    char unused;
};

struct _cl_device_id {
    clattn_device_facts facts;
};

struct _cl_context {
    char unused;
};

struct _cl_command_queue {
    char unused;
};

struct _cl_event {
    int num_references;
};

struct _cl_mem {
    int num_references;
    uint64_t num_bytes;
    unsigned char *written;
    uint64_t num_written;
};

struct _cl_program {
    int num_references;
    char *options;
};

struct _cl_kernel {
    int num_references;
    char *name;
    char *options;
    fake_argument arguments[FAKE_MAX_ARGUMENTS];
};

static struct _cl_platform_id the_platform;
static struct _cl_device_id the_device;
static struct _cl_context the_context;
static struct _cl_command_queue the_queue;
static fake_launch_visitor the_visitor;
static void *the_visitor_user;
static int64_t num_objects;

void fake_opencl_set_device(const clattn_device_facts *facts)
{
    the_device.facts = *facts;
}

void fake_opencl_set_visitor(fake_launch_visitor visitor, void *user)
{
    the_visitor = visitor;
    the_visitor_user = user;
}

clattn_context_params fake_opencl_context_params(void)
{
    return (clattn_context_params){
        .cl_context_handle = &the_context, .cl_device = &the_device, .cl_queue = &the_queue, .cache_dir = ""};
}

int64_t fake_opencl_num_objects(void)
{
    return num_objects;
}

static void *allocate(size_t num_bytes)
{
    void *memory = calloc(1, num_bytes);
    FUZZ_REQUIRE(memory != NULL, "the fake OpenCL has no memory");
    return memory;
}

static char *copy_text(const char *text)
{
    char *copy = allocate(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

/* One less reference; true if it was the last. */
static bool drop(int *num_references)
{
    FUZZ_REQUIRE(*num_references > 0, "an object is released once too often");
    if (--*num_references > 0)
        return false;
    num_objects--;
    return true;
}

/* ---- what a device says of itself ---- */

static cl_int answer(const void *data, size_t num_bytes, size_t size, void *value, size_t *size_ret)
{
    if (size_ret != NULL)
        *size_ret = num_bytes;
    if (value == NULL)
        return CL_SUCCESS;
    if (size < num_bytes)
        return CL_INVALID_VALUE;
    memcpy(value, data, num_bytes);
    return CL_SUCCESS;
}

#define ANSWER(type, expression)                                                                                       \
    do {                                                                                                               \
        const type answer_ = (type)(expression);                                                                       \
        return answer(&answer_, sizeof answer_, size, value, size_ret);                                                \
    } while (0)

static cl_device_type type_of(const clattn_device_facts *facts)
{
    return facts->type == CLATTN_DEVICE_CPU ? CL_DEVICE_TYPE_CPU : CL_DEVICE_TYPE_GPU;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info name, size_t size, void *value, size_t *size_ret)
{
    const clattn_device_facts *facts = &device->facts;
    const size_t work_items[3] = {facts->max_work_group_size, 1, 1};
    switch (name) {
    case CL_DEVICE_NAME:
        return answer(facts->name, strlen(facts->name) + 1, size, value, size_ret);
    case CL_DEVICE_VENDOR:
    case CL_DRIVER_VERSION:
        return answer("fake", sizeof "fake", size, value, size_ret);
    case CL_DEVICE_VERSION:
        return answer("OpenCL 1.2 fake", sizeof "OpenCL 1.2 fake", size, value, size_ret);
    case CL_DEVICE_EXTENSIONS:
        return answer("", sizeof "", size, value, size_ret);
    case CL_DEVICE_PLATFORM:
        ANSWER(cl_platform_id, &the_platform);
    case CL_DEVICE_TYPE:
        ANSWER(cl_device_type, type_of(facts));
    case CL_DEVICE_COMPILER_AVAILABLE:
    case CL_DEVICE_ENDIAN_LITTLE:
        ANSWER(cl_bool, CL_TRUE);
    case CL_DEVICE_MAX_COMPUTE_UNITS:
        ANSWER(cl_uint, facts->num_compute_units);
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
        ANSWER(cl_uint, facts->float_vector_width);
    case CL_DEVICE_LOCAL_MEM_SIZE:
        ANSWER(cl_ulong, facts->local_memory_bytes);
    case CL_DEVICE_GLOBAL_MEM_SIZE:
        ANSWER(cl_ulong, facts->global_memory_bytes);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
        ANSWER(cl_ulong, facts->max_allocation_bytes);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
        ANSWER(size_t, facts->max_work_group_size);
    case CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS:
        ANSWER(cl_uint, 3);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES:
        return answer(work_items, sizeof work_items, size, value, size_ret);
    case CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE:
        ANSWER(size_t, facts->preferred_multiple);
    default:
        return CL_INVALID_VALUE;
    }
}

cl_int clGetPlatformInfo(cl_platform_id platform, cl_platform_info name, size_t size, void *value, size_t *size_ret)
{
    (void)platform;
    (void)name;
    return answer("fake", sizeof "fake", size, value, size_ret);
}

cl_int clGetCommandQueueInfo(cl_command_queue queue, cl_command_queue_info name, size_t size, void *value,
                             size_t *size_ret)
{
    (void)queue;
    switch (name) {
    case CL_QUEUE_CONTEXT:
        ANSWER(cl_context, &the_context);
    case CL_QUEUE_DEVICE:
        ANSWER(cl_device_id, &the_device);
    case CL_QUEUE_PROPERTIES:
        ANSWER(cl_command_queue_properties, 0);
    default:
        return CL_INVALID_VALUE;
    }
}

cl_int clRetainDevice(cl_device_id device)
{
    (void)device;
    return CL_SUCCESS;
}

cl_int clReleaseDevice(cl_device_id device)
{
    (void)device;
    return CL_SUCCESS;
}

cl_int clRetainContext(cl_context context)
{
    (void)context;
    return CL_SUCCESS;
}

cl_int clReleaseContext(cl_context context)
{
    (void)context;
    return CL_SUCCESS;
}

cl_int clRetainCommandQueue(cl_command_queue queue)
{
    (void)queue;
    return CL_SUCCESS;
}

cl_int clReleaseCommandQueue(cl_command_queue queue)
{
    (void)queue;
    return CL_SUCCESS;
}

/* ---- buffers ---- */

cl_mem fake_opencl_create_buffer(uint64_t num_bytes)
{
    cl_mem buffer = allocate(sizeof *buffer);
    *buffer = (struct _cl_mem){.num_references = 1, .num_bytes = num_bytes};
    num_objects++;
    return buffer;
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result)
{
    (void)context;
    (void)flags;
    (void)host;
    *result = size > 0 && size <= the_device.facts.max_allocation_bytes ? CL_SUCCESS : CL_INVALID_BUFFER_SIZE;
    return *result == CL_SUCCESS ? fake_opencl_create_buffer(size) : NULL;
}

cl_int clReleaseMemObject(cl_mem buffer)
{
    if (drop(&buffer->num_references)) {
        free(buffer->written);
        free(buffer);
    }
    return CL_SUCCESS;
}

cl_int clGetMemObjectInfo(cl_mem buffer, cl_mem_info name, size_t size, void *value, size_t *size_ret)
{
    switch (name) {
    case CL_MEM_CONTEXT:
        ANSWER(cl_context, &the_context);
    case CL_MEM_SIZE:
        ANSWER(size_t, buffer->num_bytes);
    default:
        return CL_INVALID_VALUE;
    }
}

uint64_t fake_opencl_buffer_bytes(cl_mem buffer)
{
    return buffer->num_bytes;
}

const void *fake_opencl_written(cl_mem buffer, uint64_t *num_bytes)
{
    *num_bytes = buffer->num_written;
    return buffer->written;
}

static void set_event(cl_event *event)
{
    if (event == NULL)
        return;
    *event = allocate(sizeof **event);
    (*event)->num_references = 1;
    num_objects++;
}

static void grow_written(cl_mem buffer, uint64_t num_bytes)
{
    if (num_bytes <= buffer->num_written)
        return;
    unsigned char *written = allocate((size_t)num_bytes);
    if (buffer->num_written > 0)
        memcpy(written, buffer->written, (size_t)buffer->num_written);
    free(buffer->written);
    buffer->written = written;
    buffer->num_written = num_bytes;
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
                            const void *data, cl_uint num_events, const cl_event *events, cl_event *event)
{
    (void)queue;
    (void)blocking;
    (void)num_events;
    (void)events;
    FUZZ_REQUIRE(size > 0 && offset <= buffer->num_bytes && size <= buffer->num_bytes - offset,
                 "%zu bytes are written at %zu of a buffer of %llu", size, offset,
                 (unsigned long long)buffer->num_bytes);
    grow_written(buffer, offset + size);
    memcpy(buffer->written + offset, data, size);
    set_event(event);
    return CL_SUCCESS;
}

cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem source, cl_mem target, size_t source_offset,
                           size_t target_offset, size_t size, cl_uint num_events, const cl_event *events,
                           cl_event *event)
{
    (void)queue;
    (void)num_events;
    (void)events;
    FUZZ_REQUIRE(size > 0 && source_offset == 0 && target_offset == 0 && size <= source->num_bytes &&
                     size <= target->num_bytes,
                 "%zu bytes are copied from a buffer of %llu to one of %llu", size,
                 (unsigned long long)source->num_bytes, (unsigned long long)target->num_bytes);
    const uint64_t num_written = size < source->num_written ? size : source->num_written;
    grow_written(target, num_written);
    if (num_written > 0)
        memcpy(target->written, source->written, (size_t)num_written);
    set_event(event);
    return CL_SUCCESS;
}

cl_int clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint num_events, const cl_event *events, cl_event *event)
{
    (void)queue;
    (void)num_events;
    (void)events;
    set_event(event);
    return CL_SUCCESS;
}

cl_int clWaitForEvents(cl_uint num_events, const cl_event *events)
{
    (void)events;
    return num_events > 0 ? CL_SUCCESS : CL_INVALID_VALUE;
}

cl_int clReleaseEvent(cl_event event)
{
    if (drop(&event->num_references))
        free(event);
    return CL_SUCCESS;
}

/* ---- programs and kernels ---- */

cl_program clCreateProgramWithSource(cl_context context, cl_uint num_parts, const char **parts, const size_t *lengths,
                                     cl_int *result)
{
    (void)context;
    (void)num_parts;
    (void)parts;
    (void)lengths;
    cl_program program = allocate(sizeof *program);
    program->num_references = 1;
    num_objects++;
    *result = CL_SUCCESS;
    return program;
}

cl_int clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *devices, const char *options,
                      void(CL_CALLBACK *notify)(cl_program program, void *user), void *user)
{
    (void)num_devices;
    (void)devices;
    (void)notify;
    (void)user;
    free(program->options);
    program->options = copy_text(options);
    return CL_SUCCESS;
}

cl_int clReleaseProgram(cl_program program)
{
    if (drop(&program->num_references)) {
        free(program->options);
        free(program);
    }
    return CL_SUCCESS;
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *result)
{
    cl_kernel kernel = allocate(sizeof *kernel);
    kernel->num_references = 1;
    kernel->name = copy_text(name);
    kernel->options = copy_text(program->options);
    num_objects++;
    *result = CL_SUCCESS;
    return kernel;
}

cl_int clReleaseKernel(cl_kernel kernel)
{
    if (drop(&kernel->num_references)) {
        free(kernel->name);
        free(kernel->options);
        free(kernel);
    }
    return CL_SUCCESS;
}

cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    FUZZ_REQUIRE(index < FAKE_MAX_ARGUMENTS && size > 0 && (value == NULL || size <= FAKE_ARGUMENT_BYTES),
                 "%s: argument %u of %zu bytes", kernel->name, index, size);
    fake_argument *argument = &kernel->arguments[index];
    *argument = (fake_argument){.num_bytes = size, .is_local = value == NULL};
    if (value != NULL)
        memcpy(argument->value, value, size);
    return CL_SUCCESS;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint num_dimensions, const size_t *offset,
                              const size_t *global_size, const size_t *local_size, cl_uint num_events,
                              const cl_event *events, cl_event *event)
{
    (void)queue;
    (void)num_events;
    (void)events;
    FUZZ_REQUIRE(num_dimensions == 1 && offset == NULL && local_size != NULL, "%s: not a plain range", kernel->name);
    FUZZ_REQUIRE(*local_size >= 1 && *local_size <= the_device.facts.max_work_group_size && *global_size > 0 &&
                     *global_size % *local_size == 0,
                 "%s: %zu work-items in groups of %zu", kernel->name, *global_size, *local_size);
    const fake_launch launch = {.kernel = kernel->name,
                                .options = kernel->options,
                                .arguments = kernel->arguments,
                                .global_size = *global_size,
                                .local_size = *local_size};
    if (the_visitor != NULL)
        the_visitor(the_visitor_user, &launch);
    set_event(event);
    return CL_SUCCESS;
}
