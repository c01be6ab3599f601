/* SPDX-License-Identifier: Apache-2.0 */
/* Results of attention and merge in trials; see results.h. */
#include "verify/results.h"

#include "verify/sample.h"

#include <math.h>

#define NUM_SINKS 2
#define SINKS_STRIDE 3 /* of query heads */
#define SINKS_STREAM 101u
#define GAP 8 /* elements between rows */

void clattn_trial_take_results(const clattn_variant *variant, clattn_problem *problem)
{
    problem->head_dim_v = clattn_variant_value(variant, "HEAD_DIM_V");
    problem->out_dtype = (clattn_dtype)clattn_variant_value(variant, "OUT_DTYPE");
    problem->state_kind = (clattn_state_kind)clattn_variant_value(variant, "STATE");
    problem->numerator = clattn_variant_value(variant, "NUMERATOR") != 0;
    problem->sinks.num_per_row = clattn_variant_value(variant, "SINKS") != 0 ? NUM_SINKS : 0;
    problem->mask_value = -1000.0f;
}

/* [total_tokens, num_q_heads] rows of `width` elements with gaps, between guards. */
static clattn_status new_rows(clattn_trial *trial, const clattn_problem *problem, clattn_dtype dtype, int32_t width,
                              clattn_rows *rows, clattn_trial_array **array)
{
    const uint64_t head_stride = (uint64_t)width + (width > 1 ? GAP : 0);
    const uint64_t token_stride = (uint64_t)problem->num_q_heads * head_stride + GAP;
    *rows = (clattn_rows){.offset = CLATTN_TRIAL_GUARD, .token_stride = token_stride, .head_stride = head_stride};
    const uint64_t num_elements = (uint64_t)problem->total_tokens * token_stride + 2 * CLATTN_TRIAL_GUARD;
    return clattn_trial_new_array(trial, dtype, (size_t)num_elements, array);
}

clattn_status clattn_trial_new_results(clattn_trial *trial, clattn_problem *problem, clattn_trial_results *results)
{
    *results = (clattn_trial_results){0};
    CLATTN_TRY(new_rows(trial, problem, problem->out_dtype, problem->head_dim_v, &problem->out, &results->out));
    if (problem->state_kind != CLATTN_STATE_NONE)
        CLATTN_TRY(new_rows(trial, problem, CLATTN_FLOAT32, 1, &problem->state, &results->state));
    if (problem->state_kind == CLATTN_STATE_MAX_DENOMINATOR)
        CLATTN_TRY(new_rows(trial, problem, CLATTN_FLOAT32, 1, &problem->denominator, &results->denominator));
    if (problem->sinks.num_per_row == 0)
        return CLATTN_OK;
    problem->sinks.offset = 1;
    problem->sinks.q_head_stride = SINKS_STRIDE;
    const size_t num_elements = (size_t)problem->num_q_heads * SINKS_STRIDE + 1;
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, num_elements, &results->sinks));
    for (int32_t head = 0; head < problem->num_q_heads; ++head)
        for (int32_t i = 0; i < NUM_SINKS; ++i) {
            const size_t at = 1 + (size_t)head * SINKS_STRIDE + (size_t)i;
            clattn_trial_set(results->sinks, at, clattn_sample(SINKS_STREAM, at));
        }
    return CLATTN_OK;
}

/* The largest logit and the sum with the sinks of a head; the sum of a row without keys stays 0. */
static void join_sinks(const clattn_problem *problem, const clattn_trial_results *results, int32_t head, double *max,
                       double *sum)
{
    double joint_max = *max;
    for (int32_t i = 0; i < problem->sinks.num_per_row; ++i)
        joint_max = fmax(joint_max, clattn_trial_get(results->sinks, 1 + (size_t)(head * SINKS_STRIDE + i)));
    double joint_sum = *sum * exp(*max - joint_max);
    for (int32_t i = 0; i < problem->sinks.num_per_row; ++i)
        joint_sum += exp(clattn_trial_get(results->sinks, 1 + (size_t)(head * SINKS_STRIDE + i)) - joint_max);
    *max = joint_max;
    *sum = joint_sum;
}

static size_t element_of(const clattn_rows *rows, int32_t token, int32_t head)
{
    return (size_t)(rows->offset + (uint64_t)token * rows->token_stride + (uint64_t)head * rows->head_stride);
}

static void judge_state(clattn_trial *trial, const clattn_problem *problem, clattn_trial_results *results,
                        int32_t token, int32_t head, bool is_empty, double max, double sum)
{
    const double tolerance = CLATTN_TRIAL_TOLERANCE;
    if (results->state != NULL) {
        const bool by_lse = problem->state_kind == CLATTN_STATE_LSE;
        double wanted = by_lse ? -HUGE_VAL : (double)problem->mask_value;
        if (!is_empty)
            wanted = by_lse ? max + log(sum) : max;
        const size_t at = element_of(&problem->state, token, head);
        clattn_trial_judge(trial, by_lse ? "lse" : "max", at, clattn_trial_take(results->state, at), wanted,
                           is_empty ? tolerance : tolerance * (1.0 + fabs(wanted)));
    }
    if (results->denominator != NULL) {
        const double wanted = is_empty ? 0.0 : sum;
        const size_t at = element_of(&problem->denominator, token, head);
        clattn_trial_judge(trial, "denominator", at, clattn_trial_take(results->denominator, at), wanted,
                           tolerance * (1.0 + wanted));
    }
}

void clattn_trial_judge_row(clattn_trial *trial, const clattn_problem *problem, clattn_trial_results *results,
                            int32_t token, int32_t head, const clattn_reference_row *row)
{
    const bool is_empty = row->sum == 0.0;
    double max = row->max;
    double sum = row->sum;
    if (!is_empty)
        join_sinks(problem, results, head, &max, &sum);
    double scale = is_empty ? 0.0 : exp(row->max - max);
    if (!is_empty && !problem->numerator)
        scale /= sum;
    judge_state(trial, problem, results, token, head, is_empty, max, sum);

    const double magnitude = CLATTN_SAMPLE_MAX * row->sum * scale;
    const double epsilon = clattn_sample_epsilon(problem->out_dtype);
    const size_t at = element_of(&problem->out, token, head);
    for (int32_t d = 0; d < problem->head_dim_v; ++d) {
        const double wanted = row->acc[d] * scale;
        const double allowed = CLATTN_TRIAL_TOLERANCE * (1e-3 + magnitude) + epsilon * fabs(wanted);
        clattn_trial_judge(trial, "out", at + (size_t)d, clattn_trial_take(results->out, at + (size_t)d), wanted,
                           allowed);
    }
}

clattn_status clattn_trial_download_results(clattn_trial *trial, clattn_trial_results *results)
{
    CLATTN_TRY(clattn_trial_download(trial, results->out));
    if (results->state != NULL)
        CLATTN_TRY(clattn_trial_download(trial, results->state));
    if (results->denominator != NULL)
        CLATTN_TRY(clattn_trial_download(trial, results->denominator));
    return CLATTN_OK;
}

void clattn_trial_judge_rest_of_results(clattn_trial *trial, const clattn_trial_results *results)
{
    clattn_trial_judge_rest(trial, "a gap of out", results->out);
    if (results->state != NULL)
        clattn_trial_judge_rest(trial, "a gap of the state", results->state);
    if (results->denominator != NULL)
        clattn_trial_judge_rest(trial, "a gap of denominator", results->denominator);
}
