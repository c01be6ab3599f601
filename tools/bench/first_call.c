/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes with caches of their own. */
#include "bench/first_call.h"

#include "bench/call.h"
#include "bench/clock.h"
#include "common/folder.h"
#include "common/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where drivers keep what they have compiled: PoCL, NVIDIA, Mesa, Intel, and those that follow XDG. */
static const char *const driver_caches[] = {"POCL_CACHE_DIR", "CUDA_CACHE_PATH", "MESA_SHADER_CACHE_DIR",
                                            "NEO_CACHE_DIR", "XDG_CACHE_HOME"};

/* What a child tells its parent. */
typedef struct child_answer {
    double seconds;
    int32_t num_built, num_disk_hits;
} child_answer;

static bool time_call(clattn_context *ctx, bench_call *call, child_answer *answer)
{
    const double start = bench_now();
    if (!bench_call_enqueue(call) || !tool_check_cl(clFinish(clattn_context_cl_queue(ctx)), "clFinish"))
        return false;
    answer->seconds = bench_now() - start;
    clattn_cache_stats stats;
    clattn_context_cache_stats(ctx, &stats);
    answer->num_built = (int32_t)stats.num_built;
    answer->num_disk_hits = (int32_t)stats.num_disk_hits;
    return true;
}

/* The child: one context, one plan, one call. */
static bool run_child(const bench_first_call_params *params, const char *folder, child_answer *answer)
{
    for (size_t i = 0; i < sizeof driver_caches / sizeof *driver_caches; i++) {
        if (setenv(driver_caches[i], folder, 1) != 0)
            return tool_error("out of memory");
    }
    char cache_dir[TOOL_PATH_BYTES];
    const int length = snprintf(cache_dir, sizeof cache_dir, "%s/clattn", folder);
    if (length < 0 || (size_t)length >= sizeof cache_dir)
        return tool_error("%s is too long a name", folder);
    const clattn_context_params context = {.device = params->device,
                                           .family = params->family,
                                           .cache_dir = cache_dir,
                                           .tuning_file = params->tuning_file,
                                           .log = tool_log};
    const bench_operations operations = {.count = 1, .at = {params->operation}};
    clattn_context *ctx = NULL;
    bench_operands operands;
    bench_call call;
    if (!tool_check(NULL, clattn_context_create(&context, &ctx), "clattn_context_create"))
        return false;
    bool good = bench_operands_init(&operands, ctx, params->problem, &operations);
    if (good) {
        good = bench_call_init(&call, &operands, params->operation, BENCH_ALL_PHASES, NULL);
        if (good) {
            good = time_call(ctx, &call, answer);
            bench_call_finish(&call);
        }
        bench_operands_finish(&operands);
    }
    clattn_context_destroy(&ctx);
    return good;
}

/* Runs a child and reads its answer. */
static bool measure_child(const bench_first_call_params *params, const char *folder, child_answer *answer)
{
    int ends[2];
    if (pipe(ends) != 0)
        return tool_error("cannot make a pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        const bool good =
            run_child(params, folder, answer) && write(ends[1], answer, sizeof *answer) == (ssize_t)sizeof *answer;
        _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    const ssize_t received = child > 0 ? read(ends[0], answer, sizeof *answer) : -1;
    close(ends[0]);
    int status = 0;
    if (child < 0)
        return tool_error("cannot start a process: %s", strerror(errno));
    if (waitpid(child, &status, 0) != child || status != 0 || received != (ssize_t)sizeof *answer)
        return tool_error("the process of the first call failed");
    return true;
}

bool bench_first_call_measure(const bench_first_call_params *params, bench_first_call *calls)
{
    char folder[TOOL_PATH_BYTES];
    if (!tool_folder_make("clattn_bench", folder))
        return false;
    child_answer cold;
    child_answer warm;
    tool_progress("the first call of %s, with and without caches", params->operation->name);
    const bool good = measure_child(params, folder, &cold) && measure_child(params, folder, &warm);
    if (good)
        *calls = (bench_first_call){cold.seconds, warm.seconds, cold.num_built, warm.num_disk_hits};
    tool_folder_remove(folder);
    return good;
}
