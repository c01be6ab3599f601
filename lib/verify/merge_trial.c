/* SPDX-License-Identifier: Apache-2.0 */
/* States, reference and judgement of a merge variant; see merge_trial.h. */
#include "verify/merge_trial.h"

#include "attention/merge.h"
#include "attention/schedule.h"
#include "verify/results.h"
#include "verify/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_SIZE 3 /* of a plan's states; a caller's come one for each head */
#define NUM_KV_HEADS 2
#define NUM_TOKENS 5
#define NUM_STATES 3
#define NUM_ITEMS 3 /* of a plan */
#define RECORD_INTS (sizeof(clattn_merge_item) / sizeof(int32_t))
#define PLANNED_ROWS 7 /* the packed rows that a plan's items join but for the last, which clears the others */

enum { STREAM_ACC = 11, STREAM_MAX, STREAM_SUM };

typedef struct merge_batch {
    clattn_problem problem;
    clattn_states states;
    clattn_kernel_launch launch;
    int32_t num_rows; /* of a state */
    clattn_trial_array *acc;
    clattn_trial_array *sums; /* maxima or log-sum-exps, each with its sum behind it */
    clattn_trial_array *items;
    clattn_trial_results results;
} merge_batch;

static void init_batch(merge_batch *batch, const clattn_variant *variant, cl_kernel kernel)
{
    const bool planned = clattn_variant_value(variant, "PLANNED") != 0;
    clattn_problem *problem = &batch->problem;
    clattn_trial_take_results(variant, problem);
    problem->num_kv_heads = NUM_KV_HEADS;
    problem->num_q_heads = planned ? NUM_KV_HEADS * GROUP_SIZE : NUM_KV_HEADS;
    problem->total_tokens = NUM_TOKENS;
    batch->num_rows = planned ? PLANNED_ROWS : NUM_TOKENS;

    /* A plan's states lie one behind the other; a caller's have strides between them. */
    const cl_ulong width = (cl_ulong)problem->head_dim_v;
    const cl_ulong rows = (cl_ulong)batch->num_rows;
    const cl_ulong apart = planned ? 0 : 1;
    batch->states = (clattn_states){
        .dtype = (clattn_dtype)clattn_variant_value(variant, "STATES_DTYPE"),
        .by_lse = clattn_variant_value(variant, "STATES_LSE") != 0,
        .args = {.acc = {2, apart * rows * NUM_KV_HEADS * width, NUM_KV_HEADS * width, width},
                 .max = {4, apart * rows * NUM_KV_HEADS * 2, NUM_KV_HEADS * 2, 2},
                 .sum = {5, apart * rows * NUM_KV_HEADS * 2, NUM_KV_HEADS * 2, 2},
                 .num_states = NUM_STATES,
                 .num_rows = batch->num_rows,
                 .rows_per_item = 2},
        .num_items = planned ? NUM_ITEMS : (NUM_TOKENS + 1) / 2,
    };
    batch->launch = (clattn_kernel_launch){.kernel = kernel,
                                           .num_groups = (size_t)batch->states.num_items * NUM_KV_HEADS,
                                           .work_group_size = (size_t)clattn_variant_value(variant, "WORK_GROUP_SIZE")};
}

/* State i of a row and kv head, counted in rows of `width` elements. */
static size_t state_of(const merge_batch *batch, int i, int32_t row, int32_t kv_head)
{
    return ((size_t)i * (size_t)batch->num_rows + (size_t)row) * NUM_KV_HEADS + (size_t)kv_head;
}

/* Some rows have no state with keys, and some only one. */
static bool has_keys(int i, int32_t row)
{
    return row != 2 && (row != 3 || i == 1) && (i != 0 || row != 1);
}

/* The numerators of a state without keys stay NaN: nothing may come of them. */
static clattn_status new_states(clattn_trial *trial, merge_batch *batch)
{
    const size_t width = (size_t)batch->problem.head_dim_v;
    const size_t num_states = state_of(batch, NUM_STATES, 0, 0);
    CLATTN_TRY(clattn_trial_new_array(trial, batch->states.dtype, 2 + num_states * width, &batch->acc));
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, 4 + num_states * 2, &batch->sums));
    for (int i = 0; i < NUM_STATES; ++i)
        for (int32_t row = 0; row < batch->num_rows; ++row)
            for (int32_t kv_head = 0; kv_head < NUM_KV_HEADS; ++kv_head) {
                const size_t state = state_of(batch, i, row, kv_head);
                const bool empty = !has_keys(i, row);
                const double max = batch->states.by_lse ? -HUGE_VAL : -7.0;
                clattn_trial_set(batch->sums, 4 + 2 * state, empty ? max : clattn_sample(STREAM_MAX, state));
                clattn_trial_set(batch->sums, 5 + 2 * state, empty ? 0.0 : 3.0 + clattn_sample(STREAM_SUM, state));
                for (size_t d = 0; !empty && d < width; ++d)
                    clattn_trial_set(batch->acc, 2 + state * width + d, clattn_sample(STREAM_ACC, state * width + d));
            }
    return CLATTN_OK;
}

static clattn_status new_items(clattn_trial *trial, merge_batch *batch)
{
    const clattn_merge_item items[NUM_ITEMS] = {
        {.num_rows = 2, .num_splits = NUM_STATES, .split_rows = PLANNED_ROWS},
        {.first_row = 2,
         .num_rows = PLANNED_ROWS - 2,
         .partial = 2,
         .num_splits = NUM_STATES,
         .split_rows = PLANNED_ROWS},
        {.first_row = PLANNED_ROWS, .num_rows = NUM_TOKENS * GROUP_SIZE - PLANNED_ROWS},
    };
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, NUM_ITEMS * RECORD_INTS, &batch->items));
    memcpy(batch->items->elements, items, sizeof items);
    return CLATTN_OK;
}

static clattn_status run(clattn_trial *trial, merge_batch *batch)
{
    const clattn_attention_buffers buffers = {
        .out = batch->results.out->buffer,
        .state = clattn_trial_buffer(batch->results.state),
        .denominator = clattn_trial_buffer(batch->results.denominator),
        .sinks = clattn_trial_buffer(batch->results.sinks),
    };
    batch->states.acc = batch->acc->buffer;
    batch->states.max = batch->sums->buffer;
    batch->states.sum = batch->states.by_lse ? NULL : batch->sums->buffer;
    batch->states.plan = clattn_trial_buffer(batch->items);
    CLATTN_TRY(clattn_merge_enqueue(&trial->ctx, &batch->problem, &batch->states, &batch->launch, &buffers,
                                    &(clattn_sync){0}));
    return clattn_trial_download_results(trial, &batch->results);
}

/* The states of a row joined: by_lse, each is normalised, as one whose sum is 1. */
static void join(const merge_batch *batch, int32_t row, int32_t kv_head, clattn_reference_row *joint)
{
    const size_t width = (size_t)batch->problem.head_dim_v;
    joint->max = -HUGE_VAL;
    joint->sum = 0.0;
    memset(joint->acc, 0, width * sizeof *joint->acc);
    for (int i = 0; i < NUM_STATES; ++i)
        if (row < batch->num_rows && has_keys(i, row))
            joint->max = fmax(joint->max, clattn_trial_get(batch->sums, 4 + 2 * state_of(batch, i, row, kv_head)));
    for (int i = 0; i < NUM_STATES; ++i) {
        if (row >= batch->num_rows || !has_keys(i, row))
            continue;
        const size_t state = state_of(batch, i, row, kv_head);
        const double weight = exp(clattn_trial_get(batch->sums, 4 + 2 * state) - joint->max);
        joint->sum += weight * (batch->states.by_lse ? 1.0 : clattn_trial_get(batch->sums, 5 + 2 * state));
        for (size_t d = 0; d < width; ++d)
            joint->acc[d] += weight * clattn_trial_get(batch->acc, 2 + state * width + d);
    }
}

static clattn_status judge(clattn_trial *trial, merge_batch *batch)
{
    const int32_t group_size = batch->problem.num_q_heads / NUM_KV_HEADS;
    double *acc = malloc((size_t)batch->problem.head_dim_v * sizeof *acc);
    CLATTN_REQUIRE(&trial->ctx.error, acc != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the trial of a kernel");
    for (int32_t row = 0; row < NUM_TOKENS * group_size; ++row)
        for (int32_t kv_head = 0; kv_head < NUM_KV_HEADS; ++kv_head) {
            clattn_reference_row joint = {.acc = acc};
            join(batch, row, kv_head, &joint);
            clattn_trial_judge_row(trial, &batch->problem, &batch->results, row / group_size,
                                   kv_head * group_size + row % group_size, &joint);
        }
    free(acc);
    clattn_trial_judge_rest_of_results(trial, &batch->results);
    return CLATTN_OK;
}

clattn_status clattn_merge_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel)
{
    merge_batch batch = {.num_rows = 0};
    init_batch(&batch, variant, kernel);
    CLATTN_TRY(new_states(trial, &batch));
    if (clattn_variant_value(variant, "PLANNED") != 0)
        CLATTN_TRY(new_items(trial, &batch));
    CLATTN_TRY(clattn_trial_new_results(trial, &batch.problem, &batch.results));
    CLATTN_TRY(clattn_trial_upload(trial));
    clattn_status status = run(trial, &batch);
    if (clattn_trial_has_run(trial, &status))
        return judge(trial, &batch);
    return status;
}
