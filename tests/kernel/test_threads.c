/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads with a context each, and processes, that begin at the same moment on one empty cache directory: all of them
 * build the same kernels, write the same files, and compute the right numbers. Nothing has been compiled before,
 * neither by PoCL. Under ThreadSanitizer, this is the test for it.
 *
 * usage: test_threads [--worker DIRECTORY MAX_BYTES]    the worker of a process: waits for the end of its input
 */
#include "support/device.h"
#include "support/directory.h"

#include <clattn/cache.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DRIVER_CACHE "POCL_CACHE_DIR"

enum { NUM_TOKENS = 6, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, HEAD_DIM = 8, MAX_WORKERS = 8, NUM_ROUNDS = 3 };

static cl_mem make_rows(const clattn_context *ctx, size_t num_heads, float value)
{
    float rows[NUM_Q_HEADS * HEAD_DIM];
    for (size_t i = 0; i < num_heads * HEAD_DIM; i++)
        rows[i] = value;
    return clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_COPY_HOST_PTR, num_heads * HEAD_DIM * sizeof *rows,
                          rows, NULL);
}

/* What one token adds to, and finds in, the cache of a worker. */
typedef struct worker_step {
    clattn_context *ctx;
    clattn_kv_cache *cache;
    clattn_sequence sequence;
    cl_mem queries;
    cl_mem out;
} worker_step;

static clattn_status append_token(const worker_step *step, float value, clattn_kv_batch *batch)
{
    const int64_t shape[] = {1, NUM_KV_HEADS, HEAD_DIM};
    const int32_t one = 1;
    clattn_status status = clattn_kv_cache_extend(step->cache, 1, &step->sequence, &one, batch);
    if (status != CLATTN_OK)
        return status;
    cl_mem keys = make_rows(step->ctx, NUM_KV_HEADS, 1.0f);
    cl_mem values = make_rows(step->ctx, NUM_KV_HEADS, value);
    const clattn_kv_append_params rows = {
        .keys = clattn_tensor_make(keys, CLATTN_FLOAT32, 3, shape),
        .values = clattn_tensor_make(values, CLATTN_FLOAT32, 3, shape),
        .slot_mapping = batch->slot_mapping,
    };
    status = clattn_kv_cache_append(step->cache, &rows, 0, NULL, NULL);
    clReleaseMemObject(keys);
    clReleaseMemObject(values);
    return status;
}

static clattn_status attend(const worker_step *step, const clattn_kv_batch *batch)
{
    const int64_t shape[] = {1, NUM_Q_HEADS, HEAD_DIM};
    clattn_tensor none;
    clattn_ragged_page_attention_params call = {
        .queries = clattn_tensor_make(step->queries, CLATTN_FLOAT32, 3, shape),
        .out = clattn_tensor_make(step->out, CLATTN_FLOAT32, 3, shape),
        .num_seqs = 1,
        .query_start_loc = batch->query_start_loc,
        .context_lens = batch->context_lens,
        .block_tables = batch->block_tables,
        .pages_per_seq = batch->pages_per_seq,
        .num_splits = 2,
    };
    const clattn_status status = clattn_kv_cache_layer(step->cache, 0, &call.kv_pages, &none);
    return status == CLATTN_OK ? clattn_ragged_page_attention(step->ctx, &call, 0, NULL, NULL) : status;
}

/* All keys are equal, so each step gives the mean of the values so far. NULL, or what was wrong. */
static const char *run_steps(const worker_step *step)
{
    for (int token = 0; token < NUM_TOKENS; token++) {
        clattn_kv_batch batch;
        float found[NUM_Q_HEADS * HEAD_DIM];
        if (append_token(step, (float)token, &batch) != CLATTN_OK || attend(step, &batch) != CLATTN_OK)
            return "a call failed";
        if (clEnqueueReadBuffer(clattn_context_cl_queue(step->ctx), step->out, CL_TRUE, 0, sizeof found, found, 0, NULL,
                                NULL) != CL_SUCCESS)
            return "clEnqueueReadBuffer failed";
        for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
            if (!(fabsf(found[i] - 0.5f * (float)token) < 1e-5f))
                return "a wrong number";
        }
    }
    return NULL;
}

/* A context of its own and some steps of a sequence. cmocka's assertions belong to the main thread: NULL is success. */
static const char *work(const char *cache_dir, uint64_t cache_max_bytes)
{
    const clattn_context_params params = {
        .device = getenv("CLATTN_TEST_DEVICE"), .cache_dir = cache_dir, .cache_max_bytes = cache_max_bytes};
    const clattn_kv_cache_params cache_params = {
        .num_layers = 1, .num_pages = 4, .page_size = 2, .num_kv_heads = NUM_KV_HEADS, .head_dim = HEAD_DIM};
    worker_step step = {.ctx = NULL};
    if (clattn_context_create(&params, &step.ctx) != CLATTN_OK)
        return "clattn_context_create failed";
    step.queries = make_rows(step.ctx, NUM_Q_HEADS, 1.0f);
    step.out = make_rows(step.ctx, NUM_Q_HEADS, -1.0f);
    const char *complaint = "the KV cache cannot be made";
    if (clattn_kv_cache_create(step.ctx, &cache_params, &step.cache) == CLATTN_OK &&
        clattn_sequence_create(step.cache, &step.sequence) == CLATTN_OK)
        complaint = run_steps(&step);
    if (complaint != NULL)
        fprintf(stderr, "%s: %s\n", complaint, clattn_context_last_error(step.ctx));
    clReleaseMemObject(step.queries);
    clReleaseMemObject(step.out);
    clattn_kv_cache_destroy(&step.cache);
    clattn_context_destroy(&step.ctx);
    return complaint;
}

typedef struct thread_task {
    const char *cache_dir;
    pthread_barrier_t *start;
    const char *complaint;
} thread_task;

static void *work_in_thread(void *argument)
{
    thread_task *task = argument;
    pthread_barrier_wait(task->start);
    task->complaint = work(task->cache_dir, 0);
    return NULL;
}

static void run_threads(const char *cache_dir, unsigned num_threads)
{
    pthread_t threads[MAX_WORKERS];
    thread_task tasks[MAX_WORKERS];
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, num_threads), 0);
    for (unsigned i = 0; i < num_threads; i++) {
        tasks[i] = (thread_task){.cache_dir = cache_dir, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, work_in_thread, &tasks[i]), 0);
    }
    for (unsigned i = 0; i < num_threads; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    for (unsigned i = 0; i < num_threads; i++)
        assert_null(tasks[i].complaint);
}

/* What the workers left is whole: the next context builds nothing. */
static void expect_cached(const char *cache_dir)
{
    char path[SUPPORT_PATH_BYTES];
    const int num_files = support_directory_list(cache_dir, path);
    assert_in_range(num_files, 2, 4); /* append, attention for one or two phases, merge */
    assert_null(work(cache_dir, 0));
    assert_int_equal(support_directory_list(cache_dir, path), num_files);
}

static void two_threads_share_an_empty_cache_directory(void **state)
{
    run_threads(*state, 2);
    expect_cached(*state);
}

static void four_threads_share_an_empty_cache_directory(void **state)
{
    run_threads(*state, 4);
    expect_cached(*state);
}

static char *own_path;
static char *driver_cache; /* this process's own */

static pid_t start_process(const char *cache_dir, const char *max_bytes, const int start[2])
{
    const pid_t process = fork();
    if (process == 0) {
        dup2(start[0], STDIN_FILENO);
        close(start[0]);
        close(start[1]);
        execl(own_path, own_path, "--worker", cache_dir, max_bytes, (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    return process;
}

/* Processes that begin at once, and all succeed. */
static void run_processes(int num_processes, const char *cache_dir, uint64_t cache_max_bytes, const char *driver_dir)
{
    char max_bytes[32];
    int start[2];
    pid_t processes[MAX_WORKERS];
    snprintf(max_bytes, sizeof max_bytes, "%" PRIu64, cache_max_bytes);
    assert_int_equal(setenv(DRIVER_CACHE, driver_dir, 1), 0); /* for them: this process has its own */
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < num_processes; i++) {
        processes[i] = start_process(cache_dir, max_bytes, start);
        assert_true(processes[i] > 0);
    }
    close(start[0]);
    close(start[1]); /* go */
    for (int i = 0; i < num_processes; i++) {
        int status = -1;
        assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
    }
}

static void two_processes_share_empty_caches_with_the_driver(void **state)
{
    char cache_dir[SUPPORT_PATH_BYTES];
    char driver_dir[SUPPORT_PATH_BYTES];
    support_path_join(cache_dir, *state, "clattn");
    support_path_join(driver_dir, *state, "driver");
    run_processes(2, cache_dir, 0, driver_dir);
    expect_cached(cache_dir);
}

/* What lies in a cache directory, all of it valid. */
typedef struct cache_sizes {
    int num_files;
    uint64_t num_bytes;
    uint64_t largest_bytes;
} cache_sizes;

static void add_file(void *user, const clattn_cache_file *file)
{
    cache_sizes *sizes = user;
    assert_int_equal(file->state, CLATTN_CACHE_FILE_VALID);
    sizes->num_files++;
    sizes->num_bytes += file->num_bytes;
    if (file->num_bytes > sizes->largest_bytes)
        sizes->largest_bytes = file->num_bytes;
}

static cache_sizes sizes_of(const char *cache_dir)
{
    const clattn_context_params params = {.device = getenv("CLATTN_TEST_DEVICE"), .cache_dir = cache_dir};
    clattn_context *ctx = NULL;
    cache_sizes sizes = {0};
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    assert_int_equal(clattn_context_visit_cache(ctx, add_file, &sizes), CLATTN_OK);
    clattn_context_destroy(&ctx);
    return sizes;
}

static void eight_processes_share_an_empty_cache_directory(void **state)
{
    run_processes(8, *state, 0, driver_cache);
    const cache_sizes sizes = sizes_of(*state);
    expect_cached(*state);
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(support_directory_list(*state, path), sizes.num_files);
}

/* There is room for the largest program and half of the rest: who builds one makes another go, which somebody is about
 * to load. */
static void eight_processes_evict_each_others_files(void **state)
{
    char cache_dir[SUPPORT_PATH_BYTES];
    char path[SUPPORT_PATH_BYTES];
    assert_null(work(*state, 0));
    const cache_sizes all = sizes_of(*state);
    assert_true(all.num_files > 1);
    const uint64_t max_bytes = all.largest_bytes + (all.num_bytes - all.largest_bytes) / 2;
    support_path_join(cache_dir, *state, "small");
    run_processes(8, cache_dir, max_bytes, driver_cache);
    const cache_sizes left = sizes_of(cache_dir);
    assert_in_range(left.num_bytes, 1, max_bytes);
    assert_int_equal(support_directory_list(cache_dir, path), left.num_files);
}

/* Comes back with other contexts, for which it has to build what has gone meanwhile. */
static int run_worker(const char *cache_dir, const char *max_bytes)
{
    char byte;
    const char *complaint = NULL;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    for (int round = 0; complaint == NULL && round < NUM_ROUNDS; round++)
        complaint = work(cache_dir, strtoull(max_bytes, NULL, 10));
    return complaint == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

/* Oclgrind 21.10 runs one kernel at a time, whichever context it belongs to, and does not make others wait. */
static bool takes_turns(void)
{
    clattn_device_facts facts;
    return clattn_device_query(0, &facts) == CLATTN_OK && strstr(facts.platform, "Oclgrind") == NULL;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(two_threads_share_an_empty_cache_directory), /* first: the driver's cache is empty */
        IN_DIRECTORY(four_threads_share_an_empty_cache_directory),
        IN_DIRECTORY(two_processes_share_empty_caches_with_the_driver),
        IN_DIRECTORY(eight_processes_share_an_empty_cache_directory),
        IN_DIRECTORY(eight_processes_evict_each_others_files),
    };
    void *directory = NULL;
    if (argc == 4 && strcmp(argv[1], "--worker") == 0)
        return run_worker(argv[2], argv[3]);
    own_path = argv[0];
    /* Before the driver is loaded, which reads the environment once. */
    if (support_directory_setup(&directory) != 0)
        return EXIT_FAILURE;
    driver_cache = directory;
    if (setenv(DRIVER_CACHE, driver_cache, 1) != 0)
        return EXIT_FAILURE;
    const bool can_run = takes_turns();
    const int result = can_run ? cmocka_run_group_tests(tests, NULL, NULL) : SUPPORT_EXIT_NO_DEVICE;
    support_directory_teardown(&directory);
    if (!can_run)
        fprintf(stderr, "no OpenCL device that several threads can use\n");
    return result;
}
