/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted defects, for a checking tool to find: test_memcheck.sh.
 *
 * usage: planted [--sound]    --sound runs the kernel without a defect, which leaves it compiled in the driver's cache
 */
#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUM_FLOATS = 32, LEAKED_BYTES = 93 };

typedef struct copier {
    support_device *device;
    cl_program program;
    cl_kernel kernel;
    cl_mem in;
    cl_mem out;
} copier;

/*
 * One work-item. The places come as arguments: a compiler that knew them would leave the defect out. Memcheck reports a
 * value that nobody wrote only where an address or a jump depends on it.
 */
static void create_kernel(copier *tested)
{
    const char *source = "kernel void copy(global const float *in, global float *out, int from, int to)\n"
                         "{\n"
                         "    out[to + (in[from] > 0.0f)] = 1.0f;\n"
                         "}\n";
    const cl_device_id device = clattn_context_cl_device(tested->device->ctx);
    cl_int result = CL_SUCCESS;
    tested->program = clCreateProgramWithSource(tested->device->cl, 1, &source, NULL, &result);
    support_require_cl(result, "clCreateProgramWithSource");
    support_require_cl(clBuildProgram(tested->program, 1, &device, "", NULL, NULL), "clBuildProgram");
    tested->kernel = clCreateKernel(tested->program, "copy", &result);
    support_require_cl(result, "clCreateKernel");
}

static void copy(const copier *tested, cl_mem in, cl_int from, cl_int to)
{
    const size_t one = 1;
    support_require_cl(clSetKernelArg(tested->kernel, 0, sizeof in, &in), "clSetKernelArg");
    support_require_cl(clSetKernelArg(tested->kernel, 1, sizeof tested->out, &tested->out), "clSetKernelArg");
    support_require_cl(clSetKernelArg(tested->kernel, 2, sizeof from, &from), "clSetKernelArg");
    support_require_cl(clSetKernelArg(tested->kernel, 3, sizeof to, &to), "clSetKernelArg");
    support_require_cl(
        clEnqueueNDRangeKernel(tested->device->queue, tested->kernel, 1, NULL, &one, &one, 0, NULL, NULL),
        "clEnqueueNDRangeKernel");
    support_require_cl(clFinish(tested->device->queue), "clFinish");
}

static int setup(void **state)
{
    const float numbers[NUM_FLOATS] = {1.0f};
    static copier tested;
    void *device = NULL;
    if (support_device_setup(&device) != 0)
        return -1;
    tested.device = device;
    create_kernel(&tested);
    tested.in = support_buffer_create(tested.device, numbers, sizeof numbers);
    tested.out = support_buffer_create(tested.device, numbers, sizeof numbers);
    *state = &tested;
    return 0;
}

static int teardown(void **state)
{
    copier *tested = *state;
    void *device = tested->device;
    clReleaseMemObject(tested->in);
    clReleaseMemObject(tested->out);
    clReleaseKernel(tested->kernel);
    clReleaseProgram(tested->program);
    return support_device_teardown(&device);
}

static void write_behind_a_buffer(void **state)
{
    const copier *tested = *state;
    copy(tested, tested->in, 0, NUM_FLOATS);
}

static void read_behind_a_buffer(void **state)
{
    const copier *tested = *state;
    copy(tested, tested->in, NUM_FLOATS, 0);
}

static void read_what_nobody_wrote(void **state)
{
    const copier *tested = *state;
    cl_mem unwritten = support_buffer_create(tested->device, NULL, NUM_FLOATS * sizeof(float));
    copy(tested, unwritten, 0, 0);
    clReleaseMemObject(unwritten);
}

static void leak_a_buffer(void **state)
{
    const copier *tested = *state;
    (void)support_buffer_create(tested->device, NULL, NUM_FLOATS * sizeof(float));
}

static void leak_memory(void **state)
{
    (void)state;
    void *volatile lost = malloc(LEAKED_BYTES);
    assert_non_null(lost);
    lost = NULL;
}

static void stay_inside(void **state)
{
    const copier *tested = *state;
    copy(tested, tested->in, 0, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest sound[] = {cmocka_unit_test(stay_inside)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_behind_a_buffer),
        cmocka_unit_test(read_behind_a_buffer),
        cmocka_unit_test(read_what_nobody_wrote),
        cmocka_unit_test(leak_a_buffer),
        cmocka_unit_test(leak_memory),
    };
    if (argc > 1 && strcmp(argv[1], "--sound") == 0)
        return cmocka_run_group_tests(sound, setup, teardown);
    return cmocka_run_group_tests(tests, setup, teardown);
}
