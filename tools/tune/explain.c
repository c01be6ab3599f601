/* SPDX-License-Identifier: Apache-2.0 */
/* An explanation for each storage type, phase and class of batches. */
#include "tune/explain.h"

#include "common/json.h"
#include "common/message.h"
#include "tune/explanation.h"
#include "tune/task.h"

#include <stdio.h>

typedef struct explaining {
    const tune_options *options;
    cJSON *list; /* NULL = text */
    clattn_status *status;
} explaining;

/* A context of its own: it then holds the programs of this call alone. */
static bool explain_problem(const explaining *told, const bench_problem *problem)
{
    const tune_options *options = told->options;
    const clattn_context_params params = {.device = options->device,
                                          .family = options->family,
                                          .cache_dir = options->cache_dir,
                                          .tuning_file = options->tuning,
                                          .log = tool_log};
    clattn_context *ctx = NULL;
    *told->status = clattn_context_create(&params, &ctx);
    if (*told->status != CLATTN_OK)
        return tool_check(NULL, *told->status, "clattn_context_create");
    tune_explanation explanation;
    bool good = tune_explanation_make(&explanation, ctx, problem, options->operation, options->runs);
    if (good && told->list)
        good = tune_explanation_add(&explanation, told->list) || tool_error("out of memory");
    else if (good)
        tune_explanation_print(&explanation);
    fflush(stdout);
    clattn_context_destroy(&ctx);
    return good;
}

static bool explain_batches(const explaining *told, clattn_dtype kv_dtype, clattn_phase phase)
{
    const tune_options *options = told->options;
    bool good = true;
    for (int i = 0; good && i < options->batches.count; i++) {
        bench_workload workload;
        bench_problem problem = options->problem;
        problem.kv_dtype = kv_dtype;
        problem.workload = &workload;
        good = tune_task_batch(&workload, phase, (clattn_batch_class)options->batches.indices[i]) &&
               explain_problem(told, &problem);
        bench_workload_finish(&workload);
    }
    return good;
}

bool tune_explain_run(const tune_options *options, clattn_status *status)
{
    const explaining told = {.options = options, .list = options->json ? cJSON_CreateArray() : NULL, .status = status};
    bool good = true;
    *status = CLATTN_OK;
    for (int i = 0; good && i < options->kv_dtypes.count; i++) {
        for (int j = 0; good && j < options->phases.count; j++)
            good = explain_batches(&told, (clattn_dtype)(options->kv_dtypes.indices[i] + 1),
                                   (clattn_phase)options->phases.indices[j]);
    }
    if (told.list && good)
        good = tool_json_write(told.list, "-");
    cJSON_Delete(told.list);
    return good;
}
