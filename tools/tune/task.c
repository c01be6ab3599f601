/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks, and how files speak of them. */
#include "tune/task.h"

#include "common/json.h"
#include "common/message.h"
#include "tune/row.h"

#include <stdio.h>
#include <stdlib.h>

/* A batch of a class: so many sequences, with so many new tokens behind so many keys in all. */
typedef struct typical_batch {
    int32_t num_seqs;
    const char *q_len;
    const char *context_len;
} typical_batch;

/*
 * The first batch of each class is the one that tiles are timed on: uneven, since what suits a batch of equals is often
 * no more than a way to deal them to the compute units. The others are those that the winner must not lose on.
 */
static const typical_batch typical_batches[CLATTN_NUM_PHASES][CLATTN_NUM_BATCH_CLASSES][1 + TUNE_NUM_OTHERS] = {
    [CLATTN_PHASE_DECODE] = {{{1, "1", "16384"}, {1, "1", "3000"}, {1, "1", "40000"}},
                             {{5, "1", "1000,2500,4096,6000,9000"}, {8, "1", "4096"}, {3, "1", "12000"}},
                             {{20, "1",
                               "100,200,300,400,500,600,700,800,900,1000,"
                               "1200,1400,1600,1800,2000,2300,2600,3000,3500,4000"},
                              {64, "1", "1024"},
                              {17, "1", "3000"}}},
    [CLATTN_PHASE_PREFILL] = {{{1, "1024", "1024"}, {1, "300", "300"}, {1, "3000", "3000"}},
                              {{3, "200,500,900", "200,500,900"}, {4, "512", "512"}, {9, "150", "150"}},
                              {{16, "256", "256"}, {24, "100", "100"}, {20, "400", "400"}}},
};

static bool judge_points(tune_task *task)
{
    task->usable = calloc((size_t)task->space.num_points, sizeof *task->usable);
    if (!task->usable)
        return tool_error("out of memory");
    for (int64_t point = 0; point < task->space.num_points; point++) {
        char reason[CLATTN_SENTENCE_BYTES];
        task->usable[point] = tune_space_allows(&task->space, point, reason);
        task->num_usable += task->usable[point];
    }
    return true;
}

static bool make_space(tune_task *task, const tune_device *device)
{
    tune_target target = {
        .facts = device->facts,
        .query = bench_tuning_question(&task->problem, task->operation),
        .phase = task->phase,
    };
    target.query.family = device->family;
    clattn_tuning_answer answer;
    if (clattn_tuning_query(&target.facts, &target.query, &answer) != CLATTN_OK)
        return tool_error("%s", answer.refusal);
    const clattn_tuning_tile *tile = task->phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill;
    return tune_space_init(&task->space, &target, &tile->tile) && judge_points(task);
}

static bool make_workload(bench_workload *workload, const typical_batch *batch)
{
    return bench_workload_init_listed(workload, batch->num_seqs, batch->q_len, batch->context_len);
}

bool tune_task_batch(bench_workload *workload, clattn_phase phase, clattn_batch_class batch)
{
    return make_workload(workload, &typical_batches[phase][batch][0]);
}

/* Puts a problem on a workload. */
static void set_workload(bench_problem *problem, const bench_workload *workload, const bench_operation *operation)
{
    problem->workload = workload;
    if (operation->dense)
        problem->page_size = bench_workload_longest(workload);
}

static bool make_others(tune_task *task)
{
    for (int i = 0; i < TUNE_NUM_OTHERS; i++) {
        task->others[i] = task->problem;
        if (!make_workload(&task->other_workloads[i], &typical_batches[task->phase][task->batch][1 + i]))
            return false;
        set_workload(&task->others[i], &task->other_workloads[i], task->operation);
    }
    return true;
}

bool tune_task_init(tune_task *task, const tune_options *options, const tune_device *device, clattn_phase phase,
                    clattn_batch_class batch)
{
    *task = (tune_task){.phase = phase, .batch = batch, .operation = options->operation, .problem = options->problem};
    snprintf(task->name, sizeof task->name, "%s/%s", clattn_phase_name(phase), clattn_batch_class_name(batch));
    bool good = tune_task_batch(&task->workload, phase, batch);
    if (good)
        set_workload(&task->problem, &task->workload, task->operation);
    good = good && make_others(task) && make_space(task, device);
    if (!good)
        tune_task_finish(task);
    return good;
}

void tune_task_finish(tune_task *task)
{
    for (int i = 0; i < TUNE_NUM_OTHERS; i++)
        bench_workload_finish(&task->other_workloads[i]);
    bench_workload_finish(&task->workload);
    free(task->usable);
    *task = (tune_task){.usable = NULL};
}

cJSON *tune_task_parameters(const tune_task *task, const clattn_tile *tile)
{
    cJSON *parameters = cJSON_CreateObject();
    for (int i = 0; parameters && i < task->space.num_dimensions; i++) {
        const clattn_tunable *tunable = task->space.dimensions[i].tunable;
        if (!cJSON_AddNumberToObject(parameters, tunable->name, clattn_tile_get(tile, tunable))) {
            cJSON_Delete(parameters);
            return NULL;
        }
    }
    return parameters;
}

int64_t tune_task_point(const tune_task *task, const cJSON *parameters)
{
    clattn_tile tile = task->space.default_tile;
    int num_read = 0;
    for (int i = 0; i < task->space.num_dimensions; i++) {
        const clattn_tunable *tunable = task->space.dimensions[i].tunable;
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(parameters, tunable->name);
        if (cJSON_IsNumber(value))
            clattn_tile_set(&tile, tunable, value->valueint);
        num_read += cJSON_IsNumber(value);
    }
    if (!cJSON_IsObject(parameters) || num_read != cJSON_GetArraySize(parameters))
        return -1;
    return tune_space_point(&task->space, &tile);
}

/* A row without parameters. */
static clattn_tuning_row row_of(const tune_task *task)
{
    const clattn_device_facts *facts = &task->space.target.facts;
    const tool_shape *shape = &task->problem.shape;
    return (clattn_tuning_row){
        .device = facts->name,
        .vendor = facts->vendor,
        .driver = facts->driver,
        .architecture = facts->architecture,
        .type = facts->type,
        .version = CLATTN_VERSION_STRING,
        .dense = task->operation->dense,
        .phase = task->phase,
        .family = task->space.target.query.family,
        .kv_dtype = task->problem.kv_dtype,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .group_size = shape->num_q_heads / shape->num_kv_heads,
        .num_kv_heads = shape->num_kv_heads,
        .kv_layout = task->space.target.query.kv_layout,
        .page_size = task->problem.page_size,
        .batch = task->batch,
        .date = "",
    };
}

cJSON *tune_task_kernel(const tune_task *task)
{
    const clattn_tuning_row row = row_of(task);
    cJSON *kernel = cJSON_CreateObject();
    if (cJSON_AddStringToObject(kernel, "device", row.device) &&
        cJSON_AddStringToObject(kernel, "driver", row.driver) &&
        cJSON_AddStringToObject(kernel, "version", row.version) && tune_row_add_problem(kernel, &row) &&
        cJSON_AddStringToObject(kernel, "dtype", clattn_dtype_name(task->problem.dtype)))
        return kernel;
    cJSON_Delete(kernel);
    return NULL;
}

cJSON *tune_task_row(const tune_task *task, const clattn_tile *tile)
{
    clattn_tuning_parameter parameters[TUNE_MAX_DIMENSIONS];
    for (int i = 0; i < task->space.num_dimensions; i++) {
        const clattn_tunable *tunable = task->space.dimensions[i].tunable;
        parameters[i] = (clattn_tuning_parameter){.name = tunable->name, .value = clattn_tile_get(tile, tunable)};
    }
    clattn_tuning_row row = row_of(task);
    row.num_parameters = task->space.num_dimensions;
    row.parameters = parameters;
    return tune_row_write(&row);
}
