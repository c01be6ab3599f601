/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FAMILY_VARIABLE "CLATTN_TEST_FAMILY"

/* `user` is not NULL where kernels have to prove themselves: one that does not is a failure, though others answer. */
static void print_log(void *user, clattn_log_level level, const char *message)
{
    if (level <= CLATTN_LOG_WARNING)
        fprintf(stderr, "# clattn: %s\n", message);
    if (level == CLATTN_LOG_WARNING && user)
        exit(EXIT_FAILURE);
}

void support_select_family(int argc, char **argv)
{
    if (argc < 2)
        return;
    if (clattn_family_from_name(argv[1]) == CLATTN_FAMILY_DEFAULT || setenv(FAMILY_VARIABLE, argv[1], 1) != 0) {
        fprintf(stderr, "usage: %s [vector|simt|plain]\n", argv[0]);
        exit(EXIT_FAILURE);
    }
}

static clattn_family family_under_test(void)
{
    const char *name = getenv(FAMILY_VARIABLE);
    const clattn_family family = name ? clattn_family_from_name(name) : CLATTN_FAMILY_DEFAULT;

    if (name && name[0] != '\0' && family == CLATTN_FAMILY_DEFAULT) {
        fprintf(stderr, FAMILY_VARIABLE "=%s is no family\n", name);
        exit(EXIT_FAILURE);
    }
    return family;
}

/* The vector family keeps its tiles in what a CPU calls local memory; a GPU's 32 to 64 KiB do not hold them. */
bool support_device_runs_family(const support_device *device, clattn_family family)
{
    return family != CLATTN_FAMILY_VECTOR || clattn_context_device(device->ctx)->local_memory_bytes >= 1 << 20;
}

clattn_tuning support_device_tuning(const support_device *device, clattn_tuning tuning)
{
    if (device->family == CLATTN_FAMILY_PLAIN) {
        tuning.block_kv = 0;
        tuning.num_kv_pages_per_block = 0;
        tuning.local_memory_limit_bytes = 0;
    }
    return tuning;
}

int support_device_setup(void **state)
{
    char *verify = getenv("CLATTN_TEST_VERIFY");
    const clattn_context_params params = {
        .device = getenv("CLATTN_TEST_DEVICE"),
        .family = family_under_test(),
        .cache_dir = "",
        .verify_kernels = verify != NULL,
        .log = print_log,
        .log_user = verify,
    };
    support_device *device = calloc(1, sizeof(*device));
    clattn_status status;

    if (!device)
        return -1;
    status = clattn_context_create(&params, &device->ctx);
    if (status != CLATTN_OK)
        free(device);
    if (status == CLATTN_NO_DEVICE) {
        fprintf(stderr, "no OpenCL device\n");
        exit(SUPPORT_EXIT_NO_DEVICE);
    }
    if (status != CLATTN_OK) {
        fprintf(stderr, "clattn_context_create: %s\n", clattn_status_name(status));
        return -1;
    }
    device->cl = clattn_context_cl_context(device->ctx);
    device->queue = clattn_context_cl_queue(device->ctx);
    device->family = clattn_context_family(device->ctx);
    if (!support_device_runs_family(device, device->family)) {
        fprintf(stderr, "the device has too little local memory for the %s family\n",
                clattn_family_name(device->family));
        exit(SUPPORT_EXIT_NO_DEVICE);
    }
    *state = device;
    return 0;
}

int support_device_teardown(void **state)
{
    support_device *device = *state;

    if (!device)
        return 0;
    clFinish(device->queue);
    clattn_context_destroy(&device->ctx);
    free(device);
    *state = NULL;
    return 0;
}

void support_require_cl(cl_int result, const char *call)
{
    if (result != CL_SUCCESS)
        fail_msg("call=%s result=%d", call, (int)result);
}

cl_mem support_buffer_create(const support_device *device, const void *bytes, size_t num_bytes)
{
    cl_int result;
    cl_mem buffer = clCreateBuffer(device->cl, CL_MEM_READ_WRITE, num_bytes, NULL, &result);

    support_require_cl(result, "clCreateBuffer");
    if (bytes)
        support_require_cl(clEnqueueWriteBuffer(device->queue, buffer, CL_TRUE, 0, num_bytes, bytes, 0, NULL, NULL),
                           "clEnqueueWriteBuffer");
    return buffer;
}
