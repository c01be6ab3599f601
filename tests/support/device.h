/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that tests run on: a context with the kernel family under test. It has no program cache: the hundreds of
 * variants are built once per run, and PoCL, which keeps a cache of its own, compiles a kernel twice to give its
 * binary.
 *
 * CLATTN_TEST_FAMILY   family name; empty or unset = the one that the device gets by itself
 * CLATTN_TEST_DEVICE   as clattn_context_params.device; unset = best device
 * CLATTN_TEST_VERIFY   if set, to whatever: the kernels have to prove themselves (verify_kernels), and all do
 */
#ifndef SUPPORT_DEVICE_H
#define SUPPORT_DEVICE_H

#include <clattn/clattn.h>

/* What automake and Meson take for "could not be run here". */
#define SUPPORT_EXIT_NO_DEVICE 77

typedef struct support_device {
    clattn_context *ctx;
    cl_context cl;
    cl_command_queue queue;
    clattn_family family;
} support_device;

/* Makes the first command line argument, if any, the family under test; exits if it is no family. For main(). */
void support_select_family(int argc, char **argv);

/* Whether the device can run a family's tiles at all head dimensions. */
bool support_device_runs_family(const support_device *device, clattn_family family);

/* What is left of an override where the family under test has no tiles of keys and no local memory. */
clattn_tuning support_device_tuning(const support_device *device, clattn_tuning tuning);

/*
 * cmocka group fixture: *state is a support_device. Leaves the process with SUPPORT_EXIT_NO_DEVICE if there is none, or
 * none that runs the family under test.
 */
int support_device_setup(void **state);
int support_device_teardown(void **state);

/* A buffer with these contents (NULL = undefined); fails the test if the device has no room. */
cl_mem support_buffer_create(const support_device *device, const void *bytes, size_t num_bytes);

/* Fails the test unless an OpenCL call succeeded. */
void support_require_cl(cl_int result, const char *call);

#endif
