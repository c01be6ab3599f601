/* SPDX-License-Identifier: Apache-2.0 */
/* The variants one after the other; nothing that one of them does keeps the next from being looked at. */
#include "tune/check.h"

#include "bench/clock.h"
#include "common/json.h"
#include "common/message.h"
#include "tune/check_append.h"
#include "tune/check_merge.h"
#include "tune/interrupt.h"
#include "tune/proof.h"

#include <stdio.h>

/* What a child is told. */
typedef struct job {
    const tune_check_params *params;
    const tune_variant *variant;
    const tune_proof *proof; /* of an attention */
} job;

/* What came of a variant. */
typedef struct finding {
    bool is_refused; /* and the reason is the library's */
    tune_child_result result;
} finding;

static bool run_variant(const job *work, clattn_context *ctx, bool *right)
{
    const tune_variant *variant = work->variant;
    switch (variant->kind) {
    case TUNE_VARIANT_ATTENTION:
        return tune_proof_run(work->proof, ctx, NULL, right);
    case TUNE_VARIANT_MERGE:
        return tune_check_merge(ctx, variant->dtype, variant->head_dim, variant->by_lse, right);
    case TUNE_VARIANT_APPEND:
        return tune_check_append(ctx, variant->dtype, variant->layout, right);
    }
    return tool_error("no variant is of the kind %d", (int)variant->kind);
}

/* A tune_child_function over a job. */
static tune_outcome check_in_child(void *user, const tune_child *child, void *answer)
{
    (void)answer;
    const job *work = user;
    const clattn_context_params params = {.device = work->params->device,
                                          .family = work->variant->family,
                                          .cache_dir = work->params->cache_dir,
                                          .tuning_file = work->params->tuning_file,
                                          .log = tool_log};
    clattn_context *ctx = NULL;
    bool right = false;
    tune_child_enter(child, "opening the device", work->params->limit_s);
    if (!tool_check(NULL, clattn_context_create(&params, &ctx), "clattn_context_create"))
        return TUNE_FAILED;
    tune_child_enter(child, "building and running", work->params->limit_s);
    if (!run_variant(work, ctx, &right))
        return TUNE_FAILED;
    return right ? TUNE_OK : TUNE_WRONG;
}

/* Whether the library refuses the variant on that device, without asking the device. */
static bool is_refused(const tune_check_params *params, const tune_variant *variant, char reason[CLATTN_SENTENCE_BYTES])
{
    if (variant->kind != TUNE_VARIANT_ATTENTION)
        return false;
    clattn_tuning_query_params question = bench_tuning_question(&variant->problem, variant->operation);
    question.family = variant->family;
    clattn_tuning_answer answer;
    if (clattn_tuning_query(&params->found->facts, &question, &answer) == CLATTN_OK)
        return false;
    snprintf(reason, CLATTN_SENTENCE_BYTES, "%s", answer.refusal);
    return true;
}

/* The truth of a problem serves all families. */
static bool prepare_proof(const tune_check_params *params, const tune_variant *variant, int *problem_number,
                          tune_proof *proof)
{
    if (variant->kind != TUNE_VARIANT_ATTENTION || variant->problem_number == *problem_number)
        return true;
    tune_proof_finish(proof);
    *problem_number = variant->problem_number;
    return tune_proof_init(proof, &variant->problem, variant->operation, variant->phase, params->seed);
}

static finding look_at(const tune_check_params *params, const tune_variant *variant, const tune_proof *proof)
{
    finding found = {.result = {.outcome = TUNE_OK}};
    found.is_refused = is_refused(params, variant, found.result.reason);
    if (found.is_refused)
        return found;
    job work = {.params = params, .variant = variant, .proof = proof};
    const tune_child_params child = {
        .function = check_in_child, .user = &work, .start_limit_s = params->limit_s, .deadline = params->end};
    found.result = tune_child_run(&child);
    return found;
}

static void count(const finding *found, tune_check_counts *counts)
{
    if (found->is_refused)
        counts->num_refused++;
    else
        counts->outcomes[found->result.outcome]++;
}

static void print_line(const tune_variant *variant, const finding *found)
{
    char text[TUNE_VARIANT_NAME_BYTES];
    tune_variant_describe(variant, text);
    tool_progress_break();
    printf("%-13s %s%s%s\n", found->is_refused ? "refused" : tune_outcome_name_at((int)found->result.outcome), text,
           found->result.reason[0] != '\0' ? ": " : "", found->result.reason);
    fflush(stdout);
}

static bool add_object(cJSON *list, const tune_variant *variant, const finding *found)
{
    const bool is_attention = variant->kind == TUNE_VARIANT_ATTENTION;
    const tool_shape *shape = &variant->problem.shape;
    cJSON *object = cJSON_CreateObject();
    return cJSON_AddItemToArray(list, object) &&
           cJSON_AddStringToObject(object, "outcome",
                                   found->is_refused ? "refused" : tune_outcome_name_at((int)found->result.outcome)) &&
           tool_json_add_name(object, "reason", found->result.reason[0] != '\0' ? found->result.reason : NULL) &&
           cJSON_AddStringToObject(object, "op", tune_variant_operation(variant)) &&
           tool_json_add_name(object, "family", is_attention ? clattn_family_name(variant->family) : NULL) &&
           tool_json_add_name(object, "phase", is_attention ? clattn_phase_name(variant->phase) : NULL) &&
           cJSON_AddStringToObject(object, "kv_dtype", clattn_dtype_name(variant->dtype)) &&
           tool_json_add_name(object, "layout", tune_variant_layout(variant)) &&
           cJSON_AddStringToObject(object, "option", variant->option) &&
           (is_attention ? tool_json_add_shape(object, shape) : true);
}

static void show_progress(const tune_variants *variants, int index)
{
    char text[TUNE_VARIANT_NAME_BYTES];
    tune_variant_describe(&variants->at[index], text);
    tool_progress_bar(index, variants->count, "%d of %d: %s", index + 1, variants->count, text);
}

/* All that can be looked at before the time ends; `list` is NULL for text. */
static bool check_all(const tune_check_params *params, const tune_variants *variants, cJSON *list,
                      tune_check_counts *counts)
{
    tune_proof proof = {.operation = NULL};
    int problem_number = 0;
    bool good = true;
    int i = 0;
    for (; good && i < variants->count && tune_interrupt_signal() == 0 && bench_now() < params->end; i++) {
        const tune_variant *variant = &variants->at[i];
        show_progress(variants, i);
        good = prepare_proof(params, variant, &problem_number, &proof);
        if (!good)
            break;
        const finding found = look_at(params, variant, &proof);
        if (found.result.outcome == TUNE_STOPPED)
            break;
        count(&found, counts);
        if (list)
            good = add_object(list, variant, &found) || tool_error("out of memory");
        else
            print_line(variant, &found);
        if (found.result.lost)
            good = tool_error("%s, and the driver does not let go of the process", found.result.reason);
    }
    counts->num_left = variants->count - i;
    tune_proof_finish(&proof);
    return good;
}

bool tune_check_run(const tune_check_params *params, tune_check_counts *counts)
{
    *counts = (tune_check_counts){.num_left = 0};
    tune_variants variants;
    if (!tune_variants_init(&variants, &params->variants))
        return false;
    cJSON *list = params->json ? cJSON_CreateArray() : NULL;
    tool_progress_part(0.0, 1.0, "checking the kernels on %s", params->found->facts.name);
    bool good = check_all(params, &variants, list, counts);
    tool_progress_end();
    if (list)
        good = tool_json_write(list, "-") && good;
    cJSON_Delete(list);
    tune_variants_finish(&variants);
    return good;
}
