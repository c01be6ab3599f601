/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every scenario of the fault tests without a fault, on whatever device there is. test_balance.sh runs it under the
 * balance layer, which counts what it releases.
 *
 * usage: test_balance [SCENARIO... | --leak device|context|queue|buffer|program|kernel|event]
 *
 * Without an argument all of them run; a SCENARIO is a function and a variant, such as "clattn_kv_cache_append, slots".
 * --leak leaves one reference behind.
 */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void run(void **state)
{
    const fault_scenario *scenario = *state;
    fault_world world;
    scenario->open(&world);
    if (scenario->prepare != NULL)
        scenario->prepare(&world);
    fault_require_ok(&world, scenario->call(&world));
    scenario->check(&world);
    if (scenario->undo != NULL)
        scenario->undo(&world);
    fault_world_close(&world);
}

/* The object that is to be left behind, and nothing else. */
static void leave_behind(const char *kind)
{
    fault_world world;
    cl_int result = CL_SUCCESS;
    fault_world_open(&world);
    const cl_device_id device = clattn_context_cl_device(world.device.ctx);
    const char *source = "kernel void nothing(void) {}";
    cl_program program = clCreateProgramWithSource(world.device.cl, 1, &source, NULL, &result);
    support_require_cl(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
    if (strcmp(kind, "device") == 0)
        clRetainDevice(device);
    if (strcmp(kind, "context") == 0)
        clRetainContext(world.device.cl);
    if (strcmp(kind, "queue") == 0)
        clRetainCommandQueue(world.device.queue);
    if (strcmp(kind, "buffer") == 0)
        (void)clCreateBuffer(world.device.cl, CL_MEM_READ_WRITE, 64, NULL, &result);
    if (strcmp(kind, "kernel") == 0)
        (void)clCreateKernel(program, "nothing", &result);
    if (strcmp(kind, "event") == 0)
        (void)clCreateUserEvent(world.device.cl, &result);
    if (strcmp(kind, "program") != 0)
        clReleaseProgram(program);
    fault_world_close(&world);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    static char names[FAULT_MAX_SCENARIOS][96];
    struct CMUnitTest table[FAULT_MAX_SCENARIOS] = {{0}};
    size_t num_tests = 0;
    if (argc > 2 && strcmp(argv[1], "--leak") == 0) {
        leave_behind(argv[2]);
        return EXIT_SUCCESS;
    }
    for (int i = 0; fault_scenario_at(i) != NULL; i++) {
        const fault_scenario *scenario = fault_scenario_at(i);
        snprintf(names[i], sizeof names[i], "%s, %s", scenario->function, scenario->variant);
        if (is_wanted(names[i], argc, argv))
            table[num_tests++] =
                (struct CMUnitTest){.name = names[i], .test_func = run, .initial_state = (void *)scenario};
    }
    if (argc > 1 && num_tests != (size_t)argc - 1) {
        fprintf(stderr, "%zu of %d scenarios exist\n", num_tests, argc - 1);
        return EXIT_FAILURE;
    }
    return _cmocka_run_group_tests("balance", table, num_tests, NULL, NULL);
}
