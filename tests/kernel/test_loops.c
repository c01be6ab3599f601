/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a device's loops go round, against clattn_device_facts.max_loop_iterations: exactly so often where the fact
 * names a number, and as often as a kernel says where it does not.
 */
#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NUM_ROUNDS = 70000, INNER_ROUNDS = 3, NUM_COUNTS = 4 };

/* The loops' bodies depend on what the host alone knows to be 0, for no compiler to work out their ends. */
static const char source[] =
    "kernel void count(global int *counts, const int num_rounds, const int inner_rounds, const int nested)\n"
    "{\n"
    "    const int zero = counts[3];\n"
    "    int outer = 0, inner = 0, after = 0;\n"
    "    for (int i = 0; i < num_rounds; ++i) {\n"
    "        outer += 1 + (i & zero);\n"
    "        for (int j = 0; j < (nested != 0 ? inner_rounds : 0); ++j)\n"
    "            inner += 1 + ((i ^ j) & zero);\n"
    "    }\n"
    "    for (int i = 0; i < num_rounds; ++i)\n"
    "        after += 1 + (i & zero);\n"
    "    counts[0] = outer;\n"
    "    counts[1] = inner;\n"
    "    counts[2] = after;\n"
    "}\n";

/* Rounds that the outer loop, the one in it and the one behind both went. */
typedef struct round_counts {
    cl_int outer, inner, after;
} round_counts;

static round_counts run(const support_device *device, cl_int num_rounds, cl_int nested)
{
    const char *text = source;
    const cl_device_id id = clattn_context_cl_device(device->ctx);
    const size_t one = 1;
    const cl_int inner_rounds = INNER_ROUNDS;
    cl_int counts[NUM_COUNTS] = {0};
    cl_int result = CL_SUCCESS;
    const cl_program program = clCreateProgramWithSource(device->cl, 1, &text, NULL, &result);
    support_require_cl(result, "clCreateProgramWithSource");
    support_require_cl(clBuildProgram(program, 1, &id, "", NULL, NULL), "clBuildProgram");
    const cl_kernel kernel = clCreateKernel(program, "count", &result);
    support_require_cl(result, "clCreateKernel");
    cl_mem buffer = support_buffer_create(device, counts, sizeof counts);
    support_require_cl(clSetKernelArg(kernel, 0, sizeof buffer, &buffer), "clSetKernelArg");
    support_require_cl(clSetKernelArg(kernel, 1, sizeof num_rounds, &num_rounds), "clSetKernelArg");
    support_require_cl(clSetKernelArg(kernel, 2, sizeof inner_rounds, &inner_rounds), "clSetKernelArg");
    support_require_cl(clSetKernelArg(kernel, 3, sizeof nested, &nested), "clSetKernelArg");
    support_require_cl(clEnqueueNDRangeKernel(device->queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL),
                       "clEnqueueNDRangeKernel");
    support_require_cl(clEnqueueReadBuffer(device->queue, buffer, CL_TRUE, 0, sizeof counts, counts, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    clReleaseMemObject(buffer);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    return (round_counts){counts[0], counts[1], counts[2]};
}

static cl_int limit_of(const support_device *device)
{
    return (cl_int)clattn_context_device(device->ctx)->max_loop_iterations;
}

/* Each round of each loop counts, and the one more in which a loop ends: the inner one may have none but that. */
static void check_end_at(const support_device *device, cl_int limit)
{
    round_counts counts = run(device, NUM_ROUNDS, 0);
    assert_in_range(counts.outer, limit / 2, limit / 2 + 1);
    assert_int_equal(counts.after, 1);
    counts = run(device, NUM_ROUNDS, 1);
    assert_in_range(counts.outer, limit / (INNER_ROUNDS + 2), limit / (INNER_ROUNDS + 2) + 1);
    assert_in_range(counts.inner, limit / (INNER_ROUNDS + 2) * INNER_ROUNDS,
                    (limit / (INNER_ROUNDS + 2) + 1) * INNER_ROUNDS);
    assert_int_equal(counts.after, 1);
}

static void loops_end_where_the_facts_say(void **state)
{
    const support_device *device = *state;
    if (limit_of(device) > 0) {
        check_end_at(device, limit_of(device));
        return;
    }
    const round_counts counts = run(device, NUM_ROUNDS, 1);
    assert_int_equal(counts.outer, NUM_ROUNDS);
    assert_int_equal(counts.inner, NUM_ROUNDS * INNER_ROUNDS);
    assert_int_equal(counts.after, NUM_ROUNDS);
}

static void loops_below_the_limit_go_round_to_their_ends(void **state)
{
    const support_device *device = *state;
    const cl_int limit = limit_of(device) > 0 ? limit_of(device) : NUM_ROUNDS;
    const cl_int num_rounds = (limit - 2) / (INNER_ROUNDS + 3); /* all three loops, and their ends */
    const round_counts counts = run(device, num_rounds, 1);
    assert_int_equal(counts.outer, num_rounds);
    assert_int_equal(counts.inner, num_rounds * INNER_ROUNDS);
    assert_int_equal(counts.after, num_rounds);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_end_where_the_facts_say),
        cmocka_unit_test(loops_below_the_limit_go_round_to_their_ends),
    };
    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("loops", tests, support_device_setup, support_device_teardown);
}
