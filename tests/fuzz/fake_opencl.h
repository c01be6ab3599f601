/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenCL of one device that computes nothing: it stands in front of the real one in the program that is linked with
 * it, keeps what is written to buffers, and shows every kernel that is enqueued to a visitor. Buffers of any size cost
 * nothing. Calls that break OpenCL's rules end the process (fuzz_fail()).
 */
#ifndef FUZZ_FAKE_OPENCL_H
#define FUZZ_FAKE_OPENCL_H

#include <clattn/context.h>
#include <clattn/device.h>

#include <stdbool.h>

#define FAKE_MAX_ARGUMENTS 12
#define FAKE_ARGUMENT_BYTES 256

typedef struct fake_argument {
    size_t num_bytes; /* 0 = not set */
    bool is_local;
    unsigned char value[FAKE_ARGUMENT_BYTES];
} fake_argument;

typedef struct fake_launch {
    const char *kernel;
    const char *options; /* that its program was built with */
    const fake_argument *arguments;
    size_t global_size;
    size_t local_size;
} fake_launch;

typedef void (*fake_launch_visitor)(void *user, const fake_launch *launch);

/* The device from now on. */
void fake_opencl_set_device(const clattn_device_facts *facts);

/* Who sees the kernels from now on; NULL = nobody. */
void fake_opencl_set_visitor(fake_launch_visitor visitor, void *user);

/* Parameters for a context on the device, with the program cache off. */
clattn_context_params fake_opencl_context_params(void);

/* A caller's buffer, however large, without memory behind it; released by clReleaseMemObject(). */
cl_mem fake_opencl_create_buffer(uint64_t num_bytes);

uint64_t fake_opencl_buffer_bytes(cl_mem buffer);

/* The bytes that were written to a buffer from its start on. */
const void *fake_opencl_written(cl_mem buffer, uint64_t *num_bytes);

/* Buffers, events, programs and kernels that nobody has released. */
int64_t fake_opencl_num_objects(void);

#endif
