/* SPDX-License-Identifier: Apache-2.0 */
/* The program store: variants built once, failed builds, what kernels need, contexts side by side. */
#include "program_fixture.h"
#include "support/device.h"
#include "support/directory.h"

#include <clattn/program.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void variant_is_built_once(void **state)
{
    (void)state;
    program_log log = {0};
    clattn_context *ctx = program_create_context("", 0, &log);
    program_assert_stats(ctx, 0, 0, 0, 0);
    cl_kernel first = program_require_kernel(ctx, 1);
    cl_kernel second = program_require_kernel(ctx, 2);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(program_require_kernel(ctx, 1), first);
    assert_ptr_equal(program_require_kernel(ctx, 2), second);
    program_assert_stats(ctx, 2, 2, 0, 0);
    assert_int_equal(log.num_lines[CLATTN_LOG_INFO], 2);
    assert_string_equal(clattn_context_last_error(ctx), "");
    clattn_context_destroy(&ctx);
}

/* The values alone are hashed: the same ones under another name are another variant. */
static void variant_of_another_name_is_another(void **state)
{
    (void)state;
    clattn_context *ctx = program_create_context("", 0, NULL);
    cl_kernel with_given_size = program_require_kernel(ctx, 64);
    clattn_variant variant = program_append_variant(64);
    variant.defines[variant.num_defines - 1].name = "UNUSED_BY_THE_KERNEL";
    cl_kernel with_default_size = NULL;
    assert_int_equal(program_find_kernel(ctx, &variant, &with_default_size), CLATTN_OK);
    assert_ptr_not_equal(with_default_size, with_given_size);
    program_assert_stats(ctx, 2, 2, 0, 0);
    clattn_context_destroy(&ctx);
}

/* More than the array holds at first, so that it grows under kernels that were given out. */
static void many_variants_keep_their_kernels(void **state)
{
    (void)state;
    enum { num_variants = 20 };
    cl_kernel kernels[num_variants];
    clattn_context *ctx = program_create_context("", 0, NULL);
    for (int i = 0; i < num_variants; i++)
        kernels[i] = program_require_kernel(ctx, i + 1);
    for (int i = 0; i < num_variants; i++)
        assert_ptr_equal(program_require_kernel(ctx, i + 1), kernels[i]);
    program_assert_stats(ctx, num_variants, num_variants, 0, 0);
    clattn_context_destroy(&ctx);
}

static void failed_build_tells_program_and_log(void **state)
{
    program_log log = {0};
    clattn_context *ctx = program_create_context(*state, 0, &log);
    clattn_variant variant = program_append_variant(1);
    variant.num_defines = 1;
    cl_kernel kernel = (cl_kernel)(void *)&log; /* must become NULL */
    assert_int_equal(program_find_kernel(ctx, &variant, &kernel), CLATTN_BUILD_FAILED);
    assert_null(kernel);
    const char *sentence = clattn_context_last_error(ctx);
    assert_non_null(strstr(sentence, "program append"));
    assert_non_null(strstr(sentence, "-DSRC_K_DTYPE=1"));
    assert_non_null(strstr(sentence, "are the storage types of keys, values and cache"));
    assert_true(log.num_lines[CLATTN_LOG_ERROR] >= 2);
    assert_true(log.names_source_line);
    program_assert_stats(ctx, 0, 0, 0, 0);
    (void)program_require_kernel(ctx, 1);
    program_assert_stats(ctx, 1, 1, 0, 0);
    clattn_context_destroy(&ctx);
}

static void no_directory_means_no_file(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(setenv("XDG_CACHE_HOME", *state, 1), 0);
    program_assert_fresh_context("", 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 0);
    program_assert_fresh_context(NULL, 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
    program_assert_fresh_context(NULL, 0, 1, 0);
}

cl_int __real_clGetKernelWorkGroupInfo(cl_kernel, cl_device_id, cl_kernel_work_group_info, size_t, void *, size_t *);
cl_int __wrap_clGetKernelWorkGroupInfo(cl_kernel, cl_device_id, cl_kernel_work_group_info, size_t, void *, size_t *);

/* Adds a number of its own to each answer, for no two of them to be equal. */
cl_int __wrap_clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what,
                                       size_t size, void *value, size_t *num_bytes)
{
    const cl_int result = __real_clGetKernelWorkGroupInfo(kernel, device, what, size, value, num_bytes);
    assert_int_equal(size, 8);
    *(uint64_t *)value += what;
    return result;
}

static uint64_t ask(const clattn_context *ctx, cl_kernel kernel, cl_kernel_work_group_info what)
{
    uint64_t value = 0;
    support_require_cl(clGetKernelWorkGroupInfo(kernel, ctx->device, what, sizeof value, &value, NULL),
                       "clGetKernelWorkGroupInfo");
    return value;
}

/* What the visitor of programs expects of the next one. */
typedef struct program_check {
    const clattn_context *ctx;
    int num_seen;
    cl_kernel kernels[2];
    const char *options[2];
    bool is_loaded[2];
} program_check;

static void check_program(void *user, const clattn_program_info *info)
{
    program_check *check = user;
    assert_in_range(check->num_seen, 0, 1);
    cl_kernel kernel = check->kernels[check->num_seen];
    assert_string_equal(info->program, "append");
    assert_string_equal(info->kernel, "clattn_append");
    assert_non_null(strstr(info->options, check->options[check->num_seen]));
    assert_int_equal(info->is_loaded, check->is_loaded[check->num_seen]);
    assert_int_equal(info->local_memory_bytes, ask(check->ctx, kernel, CL_KERNEL_LOCAL_MEM_SIZE));
    assert_int_equal(info->private_memory_bytes, ask(check->ctx, kernel, CL_KERNEL_PRIVATE_MEM_SIZE));
    assert_int_equal(info->max_work_group_size, ask(check->ctx, kernel, CL_KERNEL_WORK_GROUP_SIZE));
    assert_int_equal(info->preferred_multiple, ask(check->ctx, kernel, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE));
    check->num_seen++;
}

static void programs_are_listed_with_what_their_kernels_need(void **state)
{
    program_assert_fresh_context(*state, 1, 0, 0);
    clattn_context *ctx = program_create_context(*state, 0, NULL);
    program_check check = {.ctx = ctx, .options = {"SIZE=4", "SIZE=16"}, .is_loaded = {true, false}};
    assert_int_equal(clattn_context_visit_programs(ctx, check_program, &check), CLATTN_OK);
    assert_int_equal(check.num_seen, 0);
    check.kernels[0] = program_require_kernel(ctx, 4);
    check.kernels[1] = program_require_kernel(ctx, 16);
    clattn_variant broken = {.program = CLATTN_PROGRAM_APPEND};
    cl_kernel kernel = NULL;
    assert_int_equal(program_find_kernel(ctx, &broken, &kernel), CLATTN_BUILD_FAILED);
    assert_int_equal(clattn_context_visit_programs(ctx, check_program, &check), CLATTN_OK);
    assert_int_equal(check.num_seen, 2);
    assert_int_equal(clattn_context_visit_programs(ctx, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(clattn_context_last_error(ctx), "visit is NULL");
    assert_int_equal(clattn_context_visit_programs(NULL, check_program, NULL), CLATTN_INVALID_ARGUMENT);
    clattn_context_destroy(&ctx);
}

static void two_contexts_are_independent(void **state)
{
    clattn_context *first = program_create_context(*state, 0, NULL);
    clattn_context *second = program_create_context("", 0, NULL);
    cl_kernel of_first = program_require_kernel(first, 1);
    assert_ptr_not_equal(program_require_kernel(second, 1), of_first);
    program_assert_append_copies(first);
    clattn_variant broken = {.program = CLATTN_PROGRAM_APPEND};
    cl_kernel kernel = NULL;
    assert_int_equal(program_find_kernel(first, &broken, &kernel), CLATTN_BUILD_FAILED);
    assert_string_equal(clattn_context_last_error(second), "");
    clattn_context_destroy(&first);
    program_assert_append_copies(second);
    clattn_context_destroy(&second);
}

#define NUM_THREAD_VARIANTS 4

typedef struct thread_task {
    const char *cache_dir;
    int32_t first_size; /* of the work-groups of this thread's variants */
    uint64_t num_built;
    clattn_status status;
} thread_task;

/* Reports through its task: cmocka's assertions belong to the main thread. */
static void *build_variants(void *argument)
{
    thread_task *task = argument;
    const clattn_context_params params = {.device = getenv("CLATTN_TEST_DEVICE"), .cache_dir = task->cache_dir};
    clattn_context *ctx = NULL;
    task->status = clattn_context_create(&params, &ctx);
    for (int32_t i = 0; i < NUM_THREAD_VARIANTS && task->status == CLATTN_OK; i++) {
        const clattn_variant variant = program_append_variant(task->first_size + i);
        cl_kernel kernel = NULL;
        task->status = program_find_kernel(ctx, &variant, &kernel);
    }
    if (ctx != NULL) {
        clattn_cache_stats stats;
        clattn_context_cache_stats(ctx, &stats);
        task->num_built = stats.num_built;
    }
    clattn_context_destroy(&ctx);
    return NULL;
}

static void two_threads_build_in_contexts_of_their_own(void **state)
{
    thread_task tasks[2] = {{.cache_dir = *state, .first_size = 1},
                            {.cache_dir = *state, .first_size = 1 + NUM_THREAD_VARIANTS}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, build_variants, &tasks[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tasks[i].status, CLATTN_OK);
        assert_int_equal(tasks[i].num_built, NUM_THREAD_VARIANTS);
    }
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(support_directory_list(*state, path), 2 * NUM_THREAD_VARIANTS);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variant_is_built_once),
        cmocka_unit_test(variant_of_another_name_is_another),
        cmocka_unit_test(many_variants_keep_their_kernels),
        IN_DIRECTORY(failed_build_tells_program_and_log),
        IN_DIRECTORY(no_directory_means_no_file),
        IN_DIRECTORY(programs_are_listed_with_what_their_kernels_need),
        IN_DIRECTORY(two_contexts_are_independent),
        IN_DIRECTORY(two_threads_build_in_contexts_of_their_own),
    };
    if (clattn_device_count() == 0) {
        fprintf(stderr, "no OpenCL device\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
