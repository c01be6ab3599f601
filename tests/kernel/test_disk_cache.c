/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts and their cache directory: what is loaded, what is replaced, what goes for want of room, and directories
 * that nothing can be written to. The linker hands some calls of OpenCL and of the system to the tests, which let them
 * fail.
 */
#include "program_fixture.h"
#include "support/device.h"
#include "support/directory.h"

#include <clattn/cache.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What a driver says to a binary, and a disk to a file; a link-time wrapper has no other way to know. */
typedef enum refused_call {
    REFUSE_NOTHING,
    REFUSE_PROGRAM, /* clCreateProgramWithBinary */
    REFUSE_BUILD,   /* clBuildProgram, of a program that came from a binary */
    REFUSE_KERNEL,  /* clCreateKernel, of such a program */
    REFUSE_WRITE,   /* the first byte of a file */
    REFUSE_REST,    /* all but the first bytes */
    REFUSE_CLOSE,   /* close() of a file that was written to: some systems tell only there */
} refused_call;

static refused_call refused;
static cl_program from_binary; /* the last program that was made of a binary */
static int written_file = -1;  /* that the last write went to */
static int num_file_calls;     /* opened or written */

cl_program __real_clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id *, const size_t *,
                                            const unsigned char **, cl_int *, cl_int *);
cl_program __wrap_clCreateProgramWithBinary(cl_context, cl_uint, const cl_device_id *, const size_t *,
                                            const unsigned char **, cl_int *, cl_int *);
cl_int __real_clBuildProgram(cl_program, cl_uint, const cl_device_id *, const char *,
                             void(CL_CALLBACK *)(cl_program, void *), void *);
cl_int __wrap_clBuildProgram(cl_program, cl_uint, const cl_device_id *, const char *,
                             void(CL_CALLBACK *)(cl_program, void *), void *);
cl_kernel __real_clCreateKernel(cl_program, const char *, cl_int *);
cl_kernel __wrap_clCreateKernel(cl_program, const char *, cl_int *);
ssize_t __real_write(int file, const void *bytes, size_t num_bytes);
ssize_t __wrap_write(int file, const void *bytes, size_t num_bytes);
int __real_close(int file);
int __wrap_close(int file);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

cl_program __wrap_clCreateProgramWithBinary(cl_context cl, cl_uint num_devices, const cl_device_id *devices,
                                            const size_t *sizes, const unsigned char **binaries, cl_int *statuses,
                                            cl_int *result)
{
    if (refused == REFUSE_PROGRAM) {
        *result = CL_INVALID_BINARY;
        return NULL;
    }
    from_binary = __real_clCreateProgramWithBinary(cl, num_devices, devices, sizes, binaries, statuses, result);
    return from_binary;
}

cl_int __wrap_clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *devices, const char *options,
                             void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    if (refused == REFUSE_BUILD && program == from_binary) {
        from_binary = NULL; /* it is released next, and a later one may lie there */
        return CL_BUILD_PROGRAM_FAILURE;
    }
    return __real_clBuildProgram(program, num_devices, devices, options, notify, user);
}

cl_kernel __wrap_clCreateKernel(cl_program program, const char *name, cl_int *result)
{
    if (refused == REFUSE_KERNEL && program == from_binary) {
        from_binary = NULL;
        *result = CL_INVALID_KERNEL_NAME;
        return NULL;
    }
    return __real_clCreateKernel(program, name, result);
}

ssize_t __wrap_write(int file, const void *bytes, size_t num_bytes)
{
    const bool again = file == written_file;
    num_file_calls++;
    written_file = file;
    if (refused == REFUSE_WRITE || (refused == REFUSE_REST && again)) {
        errno = ENOSPC;
        return -1;
    }
    return __real_write(file, bytes, refused == REFUSE_REST ? 1 : num_bytes);
}

int __wrap_close(int file)
{
    const bool fails = refused == REFUSE_CLOSE && file == written_file;
    if (file == written_file)
        written_file = -1;
    errno = ENOSPC;
    return __real_close(file) == 0 && !fails ? 0 : -1;
}

/* Nothing here opens a file to create it: mkstemp() does that. */
int __wrap_open64(const char *path, int flags, ...)
{
    num_file_calls++;
    assert_int_equal(flags & O_CREAT, 0);
    return __real_open64(path, flags);
}

static void second_context_loads_from_disk(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    program_assert_fresh_context(*state, 1, 0, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
    program_assert_fresh_context(*state, 0, 1, 0);
    assert_int_equal(support_directory_list(*state, path), 1);
}

static void loaded_kernel_computes_as_the_built_one(void **state)
{
    for (int run = 0; run < 3; run++) {
        clattn_context *ctx = program_create_context(*state, 0, NULL);
        program_assert_append_copies(ctx);
        program_assert_stats(ctx, 1, run == 0, run > 0, 0);
        clattn_context_destroy(&ctx);
    }
}

static void kernel_in_memory_touches_no_file(void **state)
{
    clattn_context *ctx = program_create_context(*state, 0, NULL);
    cl_kernel kernel = program_require_kernel(ctx, 4);
    assert_true(num_file_calls > 0);
    num_file_calls = 0;
    assert_ptr_equal(program_require_kernel(ctx, 4), kernel);
    assert_int_equal(num_file_calls, 0);
    clattn_context_destroy(&ctx);
}

/* The one file of the directory was of no use, and is a whole one afterwards. */
static void assert_replaced(const char *directory)
{
    char path[SUPPORT_PATH_BYTES];
    program_assert_fresh_context(directory, 1, 0, 1);
    program_assert_fresh_context(directory, 0, 1, 0);
    assert_int_equal(support_directory_list(directory, path), 1);
}

/* The path of the file of a fresh directory. */
static void save_program(const char *directory, char path[SUPPORT_PATH_BYTES])
{
    program_assert_fresh_context(directory, 1, 0, 0);
    assert_int_equal(support_directory_list(directory, path), 1);
}

static void file_truncated_at_every_quarter_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_program(*state, path);
    for (size_t quarter = 0; quarter < 4; quarter++) {
        size_t num_bytes = 0;
        char *contents = support_file_read(path, &num_bytes);
        support_file_write(path, contents, num_bytes * quarter / 4);
        free(contents);
        assert_replaced(*state);
    }
}

static clattn_cache_contents read_contents(const char *path)
{
    clattn_cache_contents contents;
    const int file = clattn_cache_file_open(path);
    assert_true(file >= 0);
    assert_int_equal(clattn_cache_file_read(file, &contents), CLATTN_CACHE_HIT);
    close(file);
    return contents;
}

static void flipped_byte_in_header_key_or_data_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_program(*state, path);
    clattn_cache_contents parts = read_contents(path);
    free(parts.key);
    enum { header_bytes = 40 };
    const size_t places[] = {
        0,                                                     /* what it is */
        header_bytes - 1,                                      /* the checksum */
        header_bytes + parts.key_bytes / 2,                    /* the key */
        header_bytes + parts.key_bytes + 1,                    /* the data */
        header_bytes + parts.key_bytes + parts.data_bytes - 1, /* its end */
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t num_bytes = 0;
        char *contents = support_file_read(path, &num_bytes);
        assert_true(places[i] < num_bytes);
        contents[places[i]] = (char)~contents[places[i]];
        support_file_write(path, contents, num_bytes);
        free(contents);
        assert_replaced(*state);
    }
}

/* Writes a file with another key or other data, and a checksum that is right. */
static void rewrite(const char *path, const char *key, const void *data, size_t num_bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(clattn_cache_file_write(fileno(file), key, data, num_bytes));
    assert_int_equal(fclose(file), 0);
}

static void file_of_another_driver_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_program(*state, path);
    clattn_cache_contents contents = read_contents(path);
    char *driver = strstr(contents.key, "\ndriver ") + strlen("\ndriver ");
    *driver = *driver == '9' ? '8' : '9';
    rewrite(path, contents.key, contents.data, contents.data_bytes);
    free(contents.key);
    assert_replaced(*state);
}

static void file_renamed_to_another_program_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char other_path[SUPPORT_PATH_BYTES];
    save_program(*state, path);
    assert_int_equal(remove(path), 0);
    clattn_context *ctx = program_create_context(*state, 0, NULL);
    (void)program_require_kernel(ctx, 16);
    clattn_context_destroy(&ctx);
    assert_int_equal(support_directory_list(*state, other_path), 1);
    assert_string_not_equal(path, other_path);
    assert_int_equal(rename(other_path, path), 0);
    assert_replaced(*state);
}

/* rusticl of Mesa 22.3 dies of a binary that it does not know, and leaves no call to come back from. */
static bool refuses_politely(void)
{
    clattn_device_facts facts;
    return clattn_device_query(0, &facts) == CLATTN_OK && strstr(facts.platform, "rusticl") == NULL;
}

static void nonsense_under_a_right_checksum_is_replaced(void **state)
{
    static const char nonsense[] = "no binary of any driver, and not a short one either";
    char path[SUPPORT_PATH_BYTES];
    save_program(*state, path);
    clattn_cache_contents contents = read_contents(path);
    if (refuses_politely()) {
        rewrite(path, contents.key, nonsense, sizeof nonsense);
        assert_replaced(*state);
    }
    free(contents.key);
}

static void binary_that_the_driver_refuses_is_replaced(void **state)
{
    static const refused_call steps[] = {REFUSE_PROGRAM, REFUSE_BUILD, REFUSE_KERNEL};
    program_assert_fresh_context(*state, 1, 0, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        refused = steps[i];
        program_assert_fresh_context(*state, 1, 0, 1);
        refused = REFUSE_NOTHING;
        program_assert_fresh_context(*state, 0, 1, 0);
    }
}

/* Builds two programs where none can be saved: all works, and one warning says so. */
static void assert_warns_once(const char *directory)
{
    program_log log = {0};
    clattn_context *ctx = program_create_context(directory, 0, &log);
    clattn_cache_stats stats;
    (void)program_require_kernel(ctx, 1);
    (void)program_require_kernel(ctx, 2);
    program_assert_stats(ctx, 2, 2, 0, 0);
    clattn_context_cache_stats(ctx, &stats);
    assert_int_equal(stats.num_disk_saved, 0);
    program_assert_append_copies(ctx);
    clattn_context_destroy(&ctx);
    assert_int_equal(log.num_lines[CLATTN_LOG_WARNING], 1);
    assert_int_equal(log.num_lines[CLATTN_LOG_ERROR], 0);
}

/* Also for root, who may write everywhere else. */
static void directory_that_cannot_be_written_warns_once(void **state)
{
    char file[SUPPORT_PATH_BYTES];
    char below[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    support_path_join(file, *state, "file");
    support_path_join(below, file, "cache");
    support_file_write(file, "kept", 4);
    assert_warns_once(below);
    assert_warns_once(file);
    free(support_file_read(file, &num_bytes));
    assert_int_equal(num_bytes, 4);
}

static void full_disk_warns_once_and_leaves_nothing(void **state)
{
    static const refused_call steps[] = {REFUSE_WRITE, REFUSE_REST, REFUSE_CLOSE};
    char path[SUPPORT_PATH_BYTES];
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        refused = steps[i];
        assert_warns_once(*state);
        refused = REFUSE_NOTHING;
        assert_int_equal(support_directory_list(*state, path), 0);
    }
    program_assert_fresh_context(*state, 1, 0, 0);
    program_assert_fresh_context(*state, 0, 1, 0);
}

static void add_bytes(void *user, const clattn_cache_file *file)
{
    uint64_t *num_bytes = user;
    assert_int_equal(file->state, CLATTN_CACHE_FILE_VALID);
    *num_bytes += file->num_bytes;
}

static uint64_t bytes_on_disk(clattn_context *ctx)
{
    uint64_t num_bytes = 0;
    assert_int_equal(clattn_context_visit_cache(ctx, add_bytes, &num_bytes), CLATTN_OK);
    return num_bytes;
}

static void assert_disk(clattn_context *ctx, int num_saved, int num_evicted, int num_too_large)
{
    clattn_cache_stats stats;
    clattn_context_cache_stats(ctx, &stats);
    assert_int_equal(stats.num_disk_saved, num_saved);
    assert_int_equal(stats.num_disk_evicted, num_evicted);
    assert_int_equal(stats.num_disk_too_large, num_too_large);
    assert_int_equal(stats.disk_bytes, num_saved > 0 ? bytes_on_disk(ctx) : 0);
}

/* Builds or loads one variant in a context of its own, with a limit. */
static clattn_context *use_program(const char *directory, uint64_t cache_max_bytes, int32_t work_group_size)
{
    clattn_context *ctx = program_create_context(directory, cache_max_bytes, NULL);
    (void)program_require_kernel(ctx, work_group_size);
    return ctx;
}

/* A program's file, and how long ago it is to have been used. */
typedef struct age_request {
    const char *directory;
    const char *options; /* that its own end with */
    int seconds;
} age_request;

static void set_age(void *user, const clattn_cache_file *file)
{
    const age_request *request = user;
    char path[SUPPORT_PATH_BYTES];
    const size_t end_bytes = strlen(request->options);
    support_path_join(path, request->directory, file->name);
    if (strcmp(file->options + strlen(file->options) - end_bytes, request->options) == 0)
        support_file_set_age(path, request->seconds);
}

/* Room for two programs and a half: of two old ones, that which was loaded since stays. */
static void least_recently_used_program_goes_for_a_new_one(void **state)
{
    age_request oldest = {.directory = *state, .options = "SIZE=4", .seconds = 1000};
    age_request old = {.directory = *state, .options = "SIZE=16", .seconds = 500};
    clattn_context *ctx = use_program(*state, 0, 4);
    const uint64_t limit = bytes_on_disk(ctx) * 5 / 2;
    (void)program_require_kernel(ctx, 16);
    assert_disk(ctx, 2, 0, 0);
    assert_int_equal(clattn_context_visit_cache(ctx, set_age, &oldest), CLATTN_OK);
    assert_int_equal(clattn_context_visit_cache(ctx, set_age, &old), CLATTN_OK);
    clattn_context_destroy(&ctx);
    program_assert_fresh_context(*state, 0, 1, 0);

    ctx = use_program(*state, limit, 32);
    assert_disk(ctx, 1, 1, 0);
    (void)program_require_kernel(ctx, 4);
    program_assert_stats(ctx, 2, 1, 1, 0);
    (void)program_require_kernel(ctx, 16);
    program_assert_stats(ctx, 3, 2, 1, 0);
    clattn_context_destroy(&ctx);
}

/* It works nevertheless; at the limit itself it is kept. */
static void program_larger_than_the_limit_is_not_saved(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    program_log log = {0};
    save_program(*state, path);
    clattn_context *ctx = program_create_context(*state, 0, NULL);
    const uint64_t file_bytes = bytes_on_disk(ctx);
    clattn_context_destroy(&ctx);
    assert_int_equal(remove(path), 0);

    ctx = program_create_context(*state, file_bytes - 1, &log);
    (void)program_require_kernel(ctx, 4);
    assert_disk(ctx, 0, 0, 1);
    clattn_context_destroy(&ctx);
    assert_int_equal(support_directory_list(*state, path), 0);
    assert_int_equal(log.num_lines[CLATTN_LOG_WARNING], 0);

    ctx = use_program(*state, file_bytes, 4);
    assert_disk(ctx, 1, 0, 0);
    clattn_context_destroy(&ctx);
}

static void unlimited_cache_keeps_everything(void **state)
{
    clattn_context *ctx = program_create_context(*state, CLATTN_CACHE_UNLIMITED, NULL);
    for (int32_t i = 1; i <= 3; i++)
        (void)program_require_kernel(ctx, i);
    assert_disk(ctx, 3, 0, 0);
    clattn_context_destroy(&ctx);
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
    clattn_context *ctx = program_create_context(*state, 0, NULL);
    assert_string_equal(clattn_context_cache_dir(ctx), *state);
    assert_int_equal(clattn_context_visit_cache(ctx, count_own_file, ctx), CLATTN_OK);
    (void)program_require_kernel(ctx, 1);
    (void)program_require_kernel(ctx, 16);
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
    clattn_context *ctx = program_create_context("", 0, NULL);
    (void)program_require_kernel(ctx, 1);
    assert_null(clattn_context_cache_dir(ctx));
    assert_int_equal(clattn_context_visit_cache(ctx, count_own_file, ctx), CLATTN_OK);
    clattn_context_destroy(&ctx);
}

/* What the context has in memory goes on working. */
static void cleared_directory_is_filled_again(void **state)
{
    clattn_cache_cleared cleared = {.num_files = 77};
    clattn_context *ctx = use_program(*state, 0, 4);
    const uint64_t num_bytes = bytes_on_disk(ctx);
    assert_int_equal(clattn_context_clear_cache(ctx, CLATTN_CACHE_USELESS, &cleared), CLATTN_OK);
    assert_int_equal(cleared.num_files, 0);
    assert_int_equal(clattn_context_clear_cache(ctx, CLATTN_CACHE_ALL, &cleared), CLATTN_OK);
    assert_int_equal(cleared.num_files, 1);
    assert_int_equal(cleared.num_bytes, num_bytes);
    assert_int_equal(bytes_on_disk(ctx), 0);
    (void)program_require_kernel(ctx, 4);
    program_assert_stats(ctx, 1, 1, 0, 0);
    clattn_context_destroy(&ctx);
    program_assert_fresh_context(*state, 1, 0, 0);
    program_assert_fresh_context(*state, 0, 1, 0);
}

static void clearing_checks_its_arguments(void **state)
{
    static const clattn_cache_part wrong[] = {CLATTN_NUM_CACHE_PARTS, (clattn_cache_part)-1};
    clattn_context *ctx = use_program(*state, 0, 4);
    for (int i = 0; i < 2; i++) {
        clattn_cache_cleared cleared = {.num_files = 77, .num_bytes = 77};
        assert_int_equal(clattn_context_clear_cache(ctx, wrong[i], &cleared), CLATTN_INVALID_ARGUMENT);
        assert_non_null(strstr(clattn_context_last_error(ctx), "part: expected 0..2, got "));
        assert_int_equal(cleared.num_files, 0);
        assert_int_equal(cleared.num_bytes, 0);
    }
    assert_int_equal(clattn_context_clear_cache(NULL, CLATTN_CACHE_ALL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_true(bytes_on_disk(ctx) > 0);
    assert_int_equal(clattn_context_clear_cache(ctx, CLATTN_CACHE_ALL, NULL), CLATTN_OK);
    assert_int_equal(bytes_on_disk(ctx), 0);
    clattn_context_destroy(&ctx);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(second_context_loads_from_disk),
        IN_DIRECTORY(loaded_kernel_computes_as_the_built_one),
        IN_DIRECTORY(kernel_in_memory_touches_no_file),
        IN_DIRECTORY(file_truncated_at_every_quarter_is_replaced),
        IN_DIRECTORY(flipped_byte_in_header_key_or_data_is_replaced),
        IN_DIRECTORY(file_of_another_driver_is_replaced),
        IN_DIRECTORY(file_renamed_to_another_program_is_replaced),
        IN_DIRECTORY(nonsense_under_a_right_checksum_is_replaced),
        IN_DIRECTORY(binary_that_the_driver_refuses_is_replaced),
        IN_DIRECTORY(directory_that_cannot_be_written_warns_once),
        IN_DIRECTORY(full_disk_warns_once_and_leaves_nothing),
        IN_DIRECTORY(least_recently_used_program_goes_for_a_new_one),
        IN_DIRECTORY(program_larger_than_the_limit_is_not_saved),
        IN_DIRECTORY(unlimited_cache_keeps_everything),
        IN_DIRECTORY(files_are_listed_with_their_device),
        cmocka_unit_test(no_directory_lists_no_file),
        IN_DIRECTORY(cleared_directory_is_filled_again),
        IN_DIRECTORY(clearing_checks_its_arguments),
    };
    if (clattn_device_count() == 0) {
        fprintf(stderr, "no OpenCL device\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
