/* SPDX-License-Identifier: Apache-2.0 */
/* The program store: variants built once, failed builds, the disk cache and its damage, contexts side by side. */
#include "runtime/context.h"
#include "support/device.h"
#include "support/directory.h"

#include <clattn/cache.h>
#include <clattn/program.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the log callback received. */
typedef struct log_record {
    int num_lines[CLATTN_LOG_DEBUG + 1];
    bool names_source_line; /* a line of the build log told file and line number */
} log_record;

static void record_line(void *user, clattn_log_level level, const char *message)
{
    log_record *record = user;
    record->num_lines[level]++;
    assert_null(strchr(message, '\n'));
    /* Oclgrind goes its own way with #line. */
    if (strstr(message, "cl/append.cl:") != NULL || strstr(message, "input.cl:") != NULL)
        record->names_source_line = true;
}

static clattn_context *create(const char *cache_dir, log_record *record)
{
    const clattn_context_params params = {
        .device = getenv("CLATTN_TEST_DEVICE"),
        .cache_dir = cache_dir,
        .log = record != NULL ? record_line : NULL,
        .log_user = record,
    };
    clattn_context *ctx = NULL;
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    return ctx;
}

/* The append program that copies float32 rows, by default in groups of `work_group_size`. */
static clattn_variant append_variant(int32_t work_group_size)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_APPEND};
    clattn_variant_define(&variant, "SRC_K_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "SRC_V_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "DST_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", work_group_size);
    return variant;
}

static clattn_status find_kernel(clattn_context *ctx, const clattn_variant *variant, cl_kernel *kernel)
{
    return clattn_program_store_kernel(ctx->programs, variant, kernel, &ctx->error);
}

static cl_kernel require_kernel(clattn_context *ctx, int32_t work_group_size)
{
    const clattn_variant variant = append_variant(work_group_size);
    cl_kernel kernel = NULL;
    if (find_kernel(ctx, &variant, &kernel) != CLATTN_OK)
        fail_msg("work_group_size=%d error=\"%s\"", work_group_size, clattn_context_last_error(ctx));
    assert_non_null(kernel);
    return kernel;
}

static void assert_stats(const clattn_context *ctx, int num_programs, int num_built, int num_hits, int num_rejected)
{
    clattn_cache_stats stats;
    clattn_context_cache_stats(ctx, &stats);
    assert_int_equal(stats.num_programs, num_programs);
    assert_int_equal(stats.num_built, num_built);
    assert_int_equal(stats.num_disk_hits, num_hits);
    assert_int_equal(stats.num_disk_rejected, num_rejected);
}

/* Builds or loads one variant in a context of its own and compares the counters. */
static void assert_fresh_context_counts(const char *cache_dir, int num_built, int num_hits, int num_rejected)
{
    clattn_context *ctx = create(cache_dir, NULL);
    (void)require_kernel(ctx, 4);
    assert_stats(ctx, 1, num_built, num_hits, num_rejected);
    clattn_context_destroy(&ctx);
}

static void variant_is_built_once(void **state)
{
    (void)state;
    log_record record = {0};
    clattn_context *ctx = create("", &record);
    assert_stats(ctx, 0, 0, 0, 0);
    cl_kernel first = require_kernel(ctx, 1);
    cl_kernel second = require_kernel(ctx, 2);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(require_kernel(ctx, 1), first);
    assert_ptr_equal(require_kernel(ctx, 2), second);
    assert_stats(ctx, 2, 2, 0, 0);
    assert_int_equal(record.num_lines[CLATTN_LOG_INFO], 2);
    assert_string_equal(clattn_context_last_error(ctx), "");
    clattn_context_destroy(&ctx);
}

/* The values alone are hashed: the same ones under another name are another variant. */
static void variant_of_another_name_is_another(void **state)
{
    (void)state;
    clattn_context *ctx = create("", NULL);
    cl_kernel with_given_size = require_kernel(ctx, 64);
    clattn_variant variant = append_variant(64);
    variant.defines[variant.num_defines - 1].name = "UNUSED_BY_THE_KERNEL";
    cl_kernel with_default_size = NULL;
    assert_int_equal(find_kernel(ctx, &variant, &with_default_size), CLATTN_OK);
    assert_ptr_not_equal(with_default_size, with_given_size);
    assert_stats(ctx, 2, 2, 0, 0);
    clattn_context_destroy(&ctx);
}

/* More than the array holds at first, so that it grows under kernels that were given out. */
static void many_variants_keep_their_kernels(void **state)
{
    (void)state;
    enum { num_variants = 20 };
    cl_kernel kernels[num_variants];
    clattn_context *ctx = create("", NULL);
    for (int i = 0; i < num_variants; i++)
        kernels[i] = require_kernel(ctx, i + 1);
    for (int i = 0; i < num_variants; i++)
        assert_ptr_equal(require_kernel(ctx, i + 1), kernels[i]);
    assert_stats(ctx, num_variants, num_variants, 0, 0);
    clattn_context_destroy(&ctx);
}

static void failed_build_tells_program_and_log(void **state)
{
    log_record record = {0};
    clattn_context *ctx = create(*state, &record);
    clattn_variant variant = append_variant(1);
    variant.num_defines = 1;
    cl_kernel kernel = (cl_kernel)(void *)&record; /* must become NULL */
    assert_int_equal(find_kernel(ctx, &variant, &kernel), CLATTN_BUILD_FAILED);
    assert_null(kernel);
    const char *sentence = clattn_context_last_error(ctx);
    assert_non_null(strstr(sentence, "program append"));
    assert_non_null(strstr(sentence, "-DSRC_K_DTYPE=1"));
    assert_non_null(strstr(sentence, "are the storage types of keys, values and cache"));
    assert_true(record.num_lines[CLATTN_LOG_ERROR] >= 2);
    assert_true(record.names_source_line);
    assert_stats(ctx, 0, 0, 0, 0);
    (void)require_kernel(ctx, 1);
    assert_stats(ctx, 1, 1, 0, 0);
    clattn_context_destroy(&ctx);
}

static void second_context_loads_from_disk(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_fresh_context_counts(*state, 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
    assert_fresh_context_counts(*state, 0, 1, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
}

static void no_directory_means_no_file(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(setenv("XDG_CACHE_HOME", *state, 1), 0);
    assert_fresh_context_counts("", 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 0);
    assert_fresh_context_counts(NULL, 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
    assert_fresh_context_counts(NULL, 0, 1, 0);
}

static void damaged_file_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_fresh_context_counts(*state, 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
    for (int damage = 0; damage < 3; damage++) {
        size_t num_bytes = 0;
        char *contents = support_file_read(path, &num_bytes);
        if (damage == 0)
            contents[num_bytes - 1] = (char)(contents[num_bytes - 1] ^ 1);
        if (damage == 1)
            contents[num_bytes / 2] = (char)~contents[num_bytes / 2];
        support_file_write(path, contents, damage == 2 ? num_bytes / 2 : num_bytes);
        free(contents);
        assert_fresh_context_counts(*state, 1, 0, 1);
        assert_fresh_context_counts(*state, 0, 1, 0);
    }
}

/* Set while the driver is to refuse binaries; a link-time wrapper has no other way to know. */
static bool refuse_binaries;

cl_program __real_clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id *, const size_t *,
                                            const unsigned char **, cl_int *, cl_int *);
cl_program __wrap_clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id *, const size_t *,
                                            const unsigned char **, cl_int *, cl_int *);

cl_program __wrap_clCreateProgramWithBinary(cl_context cl, cl_uint num_devices, const cl_device_id *devices,
                                            const size_t *sizes, const unsigned char **binaries, cl_int *statuses,
                                            cl_int *result)
{
    if (!refuse_binaries)
        return __real_clCreateProgramWithBinary(cl, num_devices, devices, sizes, binaries, statuses, result);
    *result = CL_INVALID_BINARY;
    return NULL;
}

static void binary_that_the_driver_refuses_is_replaced(void **state)
{
    assert_fresh_context_counts(*state, 1, 0, 0);
    refuse_binaries = true;
    assert_fresh_context_counts(*state, 1, 0, 1);
    refuse_binaries = false;
    assert_fresh_context_counts(*state, 0, 1, 0);
}

static void directory_that_cannot_be_written_warns_once(void **state)
{
    char file[SUPPORT_PATH_BYTES];
    char directory[SUPPORT_PATH_BYTES];
    support_path_join(file, *state, "file");
    support_path_join(directory, file, "cache");
    support_file_write(file, "kept", 4);
    log_record record = {0};
    clattn_context *ctx = create(directory, &record);
    (void)require_kernel(ctx, 1);
    (void)require_kernel(ctx, 2);
    assert_stats(ctx, 2, 2, 0, 0);
    clattn_context_destroy(&ctx);
    assert_int_equal(record.num_lines[CLATTN_LOG_WARNING], 1);
    assert_int_equal(record.num_lines[CLATTN_LOG_ERROR], 0);
}

/* A file with the facts of the context's own device. */
static void count_own_file(void *user, const clattn_cache_file *file)
{
    clattn_context *ctx = user;
    const clattn_device_facts *facts = clattn_context_device(ctx);
    assert_int_equal(file->state, CLATTN_CACHE_FILE_VALID);
    assert_string_equal(file->platform, facts->platform);
    assert_string_equal(file->device, facts->name);
    assert_string_equal(file->vendor, facts->vendor);
    assert_string_equal(file->driver, facts->driver);
    assert_string_equal(file->program, "append");
    assert_non_null(strstr(file->options, "-DWORK_GROUP_SIZE=1"));
    function_called();
}

static void files_are_listed_with_their_device(void **state)
{
    clattn_context *ctx = create(*state, NULL);
    assert_string_equal(clattn_context_cache_dir(ctx), *state);
    assert_int_equal(clattn_context_visit_cache(ctx, count_own_file, ctx), CLATTN_OK);
    (void)require_kernel(ctx, 1);
    (void)require_kernel(ctx, 16);
    expect_function_calls(count_own_file, 2);
    assert_int_equal(clattn_context_visit_cache(ctx, count_own_file, ctx), CLATTN_OK);
    assert_int_equal(clattn_context_visit_cache(ctx, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(clattn_context_last_error(ctx), "visit is NULL");
    assert_int_equal(clattn_context_visit_cache(NULL, count_own_file, NULL), CLATTN_INVALID_ARGUMENT);
    clattn_context_destroy(&ctx);
}

static void no_directory_lists_no_file(void **state)
{
    (void)state;
    clattn_context *ctx = create("", NULL);
    (void)require_kernel(ctx, 1);
    assert_null(clattn_context_cache_dir(ctx));
    assert_int_equal(clattn_context_visit_cache(ctx, count_own_file, ctx), CLATTN_OK);
    clattn_context_destroy(&ctx);
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
    assert_fresh_context_counts(*state, 1, 0, 0);
    clattn_context *ctx = create(*state, NULL);
    program_check check = {.ctx = ctx, .options = {"SIZE=4", "SIZE=16"}, .is_loaded = {true, false}};
    assert_int_equal(clattn_context_visit_programs(ctx, check_program, &check), CLATTN_OK);
    assert_int_equal(check.num_seen, 0);
    check.kernels[0] = require_kernel(ctx, 4);
    check.kernels[1] = require_kernel(ctx, 16);
    clattn_variant broken = {.program = CLATTN_PROGRAM_APPEND};
    cl_kernel kernel = NULL;
    assert_int_equal(find_kernel(ctx, &broken, &kernel), CLATTN_BUILD_FAILED);
    assert_int_equal(clattn_context_visit_programs(ctx, check_program, &check), CLATTN_OK);
    assert_int_equal(check.num_seen, 2);
    assert_int_equal(clattn_context_visit_programs(ctx, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(clattn_context_last_error(ctx), "visit is NULL");
    assert_int_equal(clattn_context_visit_programs(NULL, check_program, NULL), CLATTN_INVALID_ARGUMENT);
    clattn_context_destroy(&ctx);
}

/* Appends one token to a cache of one page and reads it back. */
static void assert_append_copies(clattn_context *ctx)
{
    enum { head_dim = 93 };
    const float keys[head_dim] = {1.5f, -2.0f, [92] = 93.0f};
    const float values[head_dim] = {7.0f, 0.25f, [92] = -93.0f};
    float read[2 * head_dim];
    const clattn_kv_cache_params cache_params = {.num_layers = 1,
                                                 .num_pages = 1,
                                                 .page_size = 1,
                                                 .num_kv_heads = 1,
                                                 .head_dim = head_dim,
                                                 .dtype = CLATTN_FLOAT32};
    clattn_kv_cache *cache = NULL;
    clattn_tensor pages;
    clattn_tensor unused;
    assert_int_equal(clattn_kv_cache_create(ctx, &cache_params, &cache), CLATTN_OK);
    assert_int_equal(clattn_kv_cache_layer(cache, 0, &pages, &unused), CLATTN_OK);
    const support_device device = {.ctx = ctx, .cl = ctx->cl, .queue = ctx->queue};
    const int64_t shape[3] = {1, 1, head_dim};
    const int64_t slot = 0;
    cl_mem key_buffer = support_buffer_create(&device, keys, sizeof keys);
    cl_mem value_buffer = support_buffer_create(&device, values, sizeof values);
    const clattn_kv_append_params append = {
        .keys = clattn_tensor_make(key_buffer, CLATTN_FLOAT32, 3, shape),
        .values = clattn_tensor_make(value_buffer, CLATTN_FLOAT32, 3, shape),
        .slot_mapping = &slot,
    };
    assert_int_equal(clattn_kv_cache_append(cache, &append, 0, NULL, NULL), CLATTN_OK);
    support_require_cl(clEnqueueReadBuffer(ctx->queue, pages.buffer, CL_TRUE, 0, sizeof read, read, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    assert_memory_equal(read, keys, sizeof keys);
    assert_memory_equal(read + head_dim, values, sizeof values);
    clReleaseMemObject(key_buffer);
    clReleaseMemObject(value_buffer);
    clattn_kv_cache_destroy(&cache);
}

static void loaded_kernel_computes_as_the_built_one(void **state)
{
    for (int run = 0; run < 3; run++) {
        clattn_context *ctx = create(*state, NULL);
        assert_append_copies(ctx);
        assert_stats(ctx, 1, run == 0, run > 0, 0);
        clattn_context_destroy(&ctx);
    }
}

static void two_contexts_are_independent(void **state)
{
    clattn_context *first = create(*state, NULL);
    clattn_context *second = create("", NULL);
    cl_kernel of_first = require_kernel(first, 1);
    assert_ptr_not_equal(require_kernel(second, 1), of_first);
    assert_append_copies(first);
    clattn_variant broken = {.program = CLATTN_PROGRAM_APPEND};
    cl_kernel kernel = NULL;
    assert_int_equal(find_kernel(first, &broken, &kernel), CLATTN_BUILD_FAILED);
    assert_string_equal(clattn_context_last_error(second), "");
    clattn_context_destroy(&first);
    assert_append_copies(second);
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
        const clattn_variant variant = append_variant(task->first_size + i);
        cl_kernel kernel = NULL;
        task->status = find_kernel(ctx, &variant, &kernel);
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
        IN_DIRECTORY(second_context_loads_from_disk),
        IN_DIRECTORY(no_directory_means_no_file),
        IN_DIRECTORY(damaged_file_is_replaced),
        IN_DIRECTORY(binary_that_the_driver_refuses_is_replaced),
        IN_DIRECTORY(directory_that_cannot_be_written_warns_once),
        IN_DIRECTORY(files_are_listed_with_their_device),
        cmocka_unit_test(no_directory_lists_no_file),
        IN_DIRECTORY(programs_are_listed_with_what_their_kernels_need),
        IN_DIRECTORY(loaded_kernel_computes_as_the_built_one),
        IN_DIRECTORY(two_contexts_are_independent),
        IN_DIRECTORY(two_threads_build_in_contexts_of_their_own),
    };
    if (clattn_device_count() == 0) {
        fprintf(stderr, "no OpenCL device\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
