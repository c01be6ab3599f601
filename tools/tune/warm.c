/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest calls that need every program, on a context whose counters tell the rest. */
#include "tune/warm.h"

#include "bench/buffers.h"
#include "bench/call.h"
#include "common/folder.h"
#include "common/json.h"
#include "common/message.h"
#include "tune/interrupt.h"

#include <stdio.h>

#define CONTEXT_TOKENS 64 /* before the new ones */
#define FORCED_SPLITS 2

/* What a child is told, and what it answers. */
typedef struct job {
    const tune_warm_params *params;
    bench_problem problem;
} job;

typedef struct answer {
    clattn_cache_stats stats;
    char directory[1024];
} answer;

/* A batch of a class, as small as it can be: prefilled sequences have more rows than are decoded. */
static bool make_workload(bench_workload *workload, clattn_phase phase, clattn_batch_class batch,
                          int32_t decode_max_rows)
{
    static const int32_t nums_seqs[CLATTN_NUM_BATCH_CLASSES] = {1, 2, 16};
    const int32_t q_len = phase == CLATTN_PHASE_PREFILL ? decode_max_rows + 1 : 1;
    char q_lens[16];
    char context_lens[16];
    snprintf(q_lens, sizeof q_lens, "%d", (int)q_len);
    snprintf(context_lens, sizeof context_lens, "%d", (int)(CONTEXT_TOKENS + q_len));
    return bench_workload_init_listed(workload, nums_seqs[batch], q_lens, context_lens);
}

/* Calls once with the splits that the plan chooses, and once with some: those results are merged. */
static bool call_operation(clattn_context *ctx, const bench_problem *problem, const bench_operation *operation)
{
    const bench_operations operations = {.count = 1, .at = {operation}};
    const int32_t nums_splits[] = {0, FORCED_SPLITS};
    bool good = true;
    for (int i = 0; good && i < 2; i++) {
        bench_problem split = *problem;
        split.num_splits = nums_splits[i];
        bench_operands operands;
        bench_call call;
        good = bench_operands_init(&operands, ctx, &split, &operations);
        if (!good)
            break;
        good = bench_call_init(&call, &operands, operation, BENCH_ALL_PHASES, NULL);
        if (good) {
            good = bench_call_enqueue(&call) && tool_check_cl(clFinish(clattn_context_cl_queue(ctx)), "clFinish");
            bench_call_finish(&call);
        }
        bench_operands_finish(&operands);
    }
    return good;
}

static bool append_rows(clattn_context *ctx, const bench_problem *problem, clattn_kv_cache *cache)
{
    const tool_shape *shape = &problem->shape;
    const int64_t key_shape[] = {1, shape->num_kv_heads, shape->head_dim};
    const int64_t value_shape[] = {1, shape->num_kv_heads, shape->head_dim_v};
    cl_mem keys = NULL;
    cl_mem values = NULL;
    bool good =
        bench_make_buffer(ctx, "new keys", problem->dtype, (double)key_shape[1] * (double)key_shape[2], &keys) &&
        bench_make_buffer(ctx, "new values", problem->dtype, (double)value_shape[1] * (double)value_shape[2], &values);
    if (good) {
        const clattn_kv_append_params params = {
            .keys = clattn_tensor_make(keys, problem->dtype, 3, key_shape),
            .values = clattn_tensor_make(values, problem->dtype, 3, value_shape),
            .slot_mapping = &(int64_t){0},
        };
        good = tool_check(ctx, clattn_kv_cache_append(cache, &params, 0, NULL, NULL), "clattn_kv_cache_append") &&
               tool_check_cl(clFinish(clattn_context_cl_queue(ctx)), "clFinish");
    }
    bench_release_buffer(keys);
    bench_release_buffer(values);
    return good;
}

/* New rows come in the type of the queries. */
static bool call_append(clattn_context *ctx, const bench_problem *problem)
{
    const tool_shape *shape = &problem->shape;
    const clattn_kv_cache_params params = {
        .num_layers = 1,
        .num_pages = 1,
        .page_size = problem->page_size,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .dtype = problem->kv_dtype,
        .layout = problem->layout,
    };
    clattn_kv_cache *cache = NULL;
    const bool good = tool_check(ctx, clattn_kv_cache_create(ctx, &params, &cache), "clattn_kv_cache_create") &&
                      append_rows(ctx, problem, cache);
    clattn_kv_cache_destroy(&cache);
    return good;
}

/* Every program of a phase and a class of batches. */
static bool build(clattn_context *ctx, const job *work, clattn_phase phase, clattn_batch_class batch)
{
    const clattn_tuning_query_params question = bench_tuning_question(&work->problem, work->params->operation);
    clattn_tuning_answer row;
    if (clattn_context_tuning_query(ctx, &question, &row) != CLATTN_OK)
        return tool_error("%s", row.refusal);
    bench_workload workload;
    if (!make_workload(&workload, phase, batch, row.decode_max_rows))
        return false;
    bench_problem problem = work->problem;
    problem.workload = &workload;
    problem.num_layers = 1;
    const bool good = call_operation(ctx, &problem, work->params->operation);
    bench_workload_finish(&workload);
    return good;
}

static bool build_all(clattn_context *ctx, const job *work, const tune_child *child)
{
    const tune_warm_params *params = work->params;
    bool good = true;
    for (int i = 0; good && i < params->phases.count; i++) {
        const clattn_phase phase = (clattn_phase)params->phases.indices[i];
        for (int j = 0; good && j < params->batches.count; j++) {
            tune_child_enter(child, phase == CLATTN_PHASE_DECODE ? "building decode" : "building prefill",
                             params->limit_s);
            good = build(ctx, work, phase, (clattn_batch_class)params->batches.indices[j]);
        }
    }
    tune_child_enter(child, "building append", params->limit_s);
    return good && (params->operation->dense || call_append(ctx, &work->problem));
}

/* A tune_child_function over a job. */
static tune_outcome warm_in_child(void *user, const tune_child *child, void *found)
{
    const job *work = user;
    answer *told = found;
    const clattn_context_params params = {.device = work->params->device,
                                          .family = work->params->family,
                                          .cache_dir = work->params->cache_dir,
                                          .tuning_file = work->params->tuning_file,
                                          .log = tool_log};
    clattn_context *ctx = NULL;
    tune_child_enter(child, "opening the device", work->params->limit_s);
    if (!tool_check(NULL, clattn_context_create(&params, &ctx), "clattn_context_create"))
        return TUNE_FAILED;
    const char *directory = clattn_context_cache_dir(ctx);
    if (!directory) {
        (void)tool_error("there is no folder for the cache: --cache-dir names one");
        return TUNE_FAILED;
    }
    snprintf(told->directory, sizeof told->directory, "%s", directory);
    if (!build_all(ctx, work, child))
        return TUNE_FAILED;
    clattn_context_cache_stats(ctx, &told->stats);
    return TUNE_OK;
}

static void print_line(clattn_dtype dtype, const answer *told)
{
    printf("%-8s  %llu programs: %llu built, %llu there already; in %s\n", clattn_dtype_name(dtype),
           (unsigned long long)told->stats.num_programs, (unsigned long long)told->stats.num_built,
           (unsigned long long)told->stats.num_disk_hits, told->directory);
    fflush(stdout);
}

static bool add_object(cJSON *list, clattn_dtype dtype, const answer *told)
{
    cJSON *object = cJSON_CreateObject();
    return (cJSON_AddItemToArray(list, object) &&
            cJSON_AddStringToObject(object, "kv_dtype", clattn_dtype_name(dtype)) &&
            cJSON_AddNumberToObject(object, "num_programs", (double)told->stats.num_programs) &&
            cJSON_AddNumberToObject(object, "num_built", (double)told->stats.num_built) &&
            cJSON_AddNumberToObject(object, "num_there", (double)told->stats.num_disk_hits) &&
            cJSON_AddStringToObject(object, "cache_dir", told->directory)) ||
           tool_error("out of memory");
}

/* The programs of one storage type; `list` is NULL for text. */
static bool warm_dtype(const tune_warm_params *params, clattn_dtype dtype, cJSON *list)
{
    job work = {.params = params, .problem = params->problem};
    work.problem.kv_dtype = dtype;
    answer told = {.directory = ""};
    const tune_child_params child = {.function = warm_in_child,
                                     .user = &work,
                                     .answer = &told,
                                     .answer_bytes = sizeof told,
                                     .start_limit_s = params->limit_s,
                                     .deadline = params->end};
    const tune_child_result result = tune_child_run(&child);
    if (result.outcome != TUNE_OK)
        return tool_error("%s: %s: %s", clattn_dtype_name(dtype), tune_outcome_name_at((int)result.outcome),
                          result.reason);
    if (list)
        return add_object(list, dtype, &told);
    print_line(dtype, &told);
    return true;
}

bool tune_warm_run(const tune_warm_params *params)
{
    cJSON *list = params->json ? cJSON_CreateArray() : NULL;
    bool good = true;
    for (int i = 0; i < params->kv_dtypes.count && tune_interrupt_signal() == 0; i++) {
        const clattn_dtype dtype = (clattn_dtype)(params->kv_dtypes.indices[i] + 1);
        tool_progress("building the programs for K and V of %s", clattn_dtype_name(dtype));
        good = warm_dtype(params, dtype, list) && good;
    }
    if (list)
        good = tool_json_write(list, "-") && good;
    cJSON_Delete(list);
    return good;
}
