/* SPDX-License-Identifier: Apache-2.0 */
/* Builds, runs and checks merge problems. */
#include "merge_fixture.h"

#include "reference/merge.h"
#include "support/fp.h"
#include "support/random.h"
#include "support/size.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { AXIS_STATE, AXIS_TOKEN, AXIS_HEAD, AXIS_COLUMN };

/* A tensor whose axes are nested in another order than the operation counts them; the last one stays the last. */
static support_image create_nested(clattn_dtype dtype, int32_t rank, const int64_t *shape, const int *nesting,
                                   bool strided)
{
    int64_t nested_shape[CLATTN_MAX_RANK] = {0};
    bool in_order = true;
    support_image image;
    support_image nested;

    for (int32_t i = 0; i < rank; i++) {
        nested_shape[i] = shape[nesting[i]];
        in_order = in_order && nesting[i] == i;
    }
    nested = support_image_create(dtype, rank, nested_shape, strided);
    image = nested;
    for (int32_t i = 0; i < rank; i++) {
        image.tensor.shape[nesting[i]] = nested_shape[i];
        image.strides[nesting[i]] = nested.strides[i];
    }
    if (strided || !in_order)
        memcpy(image.tensor.strides, image.strides, sizeof(image.strides));
    return image;
}

static support_image create_states_image(const merge_case *description, clattn_dtype dtype, int32_t rank)
{
    static const int out_nesting[MERGE_NUM_ORDERS][4] = {
        [MERGE_STATES_TOKENS_HEADS] = {AXIS_STATE, AXIS_TOKEN, AXIS_HEAD, AXIS_COLUMN},
        [MERGE_TOKENS_STATES_HEADS] = {AXIS_TOKEN, AXIS_STATE, AXIS_HEAD, AXIS_COLUMN},
        [MERGE_TOKENS_HEADS_STATES] = {AXIS_TOKEN, AXIS_HEAD, AXIS_STATE, AXIS_COLUMN},
        [MERGE_HEADS_TOKENS_STATES] = {AXIS_HEAD, AXIS_TOKEN, AXIS_STATE, AXIS_COLUMN},
    };
    static const int row_nesting[2][3] = {{AXIS_STATE, AXIS_TOKEN, AXIS_HEAD}, {AXIS_TOKEN, AXIS_STATE, AXIS_HEAD}};
    const int64_t shape[4] = {description->num_states, description->num_tokens, description->num_heads,
                              description->width};
    const int *nesting =
        rank == 4 ? out_nesting[description->order] : row_nesting[description->order != MERGE_STATES_TOKENS_HEADS];
    support_image image = create_nested(dtype, rank, shape, nesting, description->strided);

    support_image_fill(&image, NAN);
    return image;
}

static void set_row(support_image *image, const int64_t index[4], float value)
{
    if (image->tensor.rank > 0)
        support_image_set(image, support_image_at(image, index), value);
}

/* Both forms of a seed's state describe the same keys. */
static void fill_state(merge_problem *problem, const int64_t index[4])
{
    const merge_case *description = &problem->description;
    const int32_t number = description->permutation ? description->permutation[index[0]] : (int32_t)index[0];
    const float spread = description->spread != 0.0f ? description->spread : 1.0f;
    uint64_t seed = support_random_mix(description->seed, (uint64_t)number);
    support_random random;

    seed = support_random_mix(seed, (uint64_t)index[1]);
    random = support_random_seeded(support_random_mix(seed, (uint64_t)index[2]));
    const bool empty = description->empty == MERGE_EMPTY_ALL ||
                       (description->empty == MERGE_EMPTY_SOME && support_random_between(&random, 0, 2) == 0);
    const float max = description->base + spread * support_random_normal(&random);
    const float denominator = 1.0f + 0.25f * (float)support_random_between(&random, 0, 40);
    set_row(&problem->states_lse, index, empty ? -INFINITY : max + logf(denominator));
    set_row(&problem->states_max, index, empty ? NAN : max);
    set_row(&problem->states_denominator, index, empty ? 0.0f : denominator);
    for (int64_t d = 0; !empty && d < description->width; d++) {
        const float mean = support_random_normal(&random);
        const int64_t at = support_image_at(&problem->states_out, (const int64_t[4]){index[0], index[1], index[2], d});
        support_image_set(&problem->states_out, at, description->by_max ? mean * denominator : mean);
    }
}

static void fill_states(merge_problem *problem)
{
    const merge_case *description = &problem->description;

    for (int32_t state = 0; state < description->num_states; state++)
        for (int32_t token = 0; token < description->num_tokens; token++)
            for (int32_t head = 0; head < description->num_heads; head++)
                fill_state(problem, (const int64_t[4]){state, token, head, 0});
}

merge_problem *merge_problem_create(const merge_case *description)
{
    const int64_t shape[3] = {description->num_tokens, description->num_heads, description->width};
    support_size_spend(8 * description->num_states * shape[0] * shape[1] * shape[2]); /* weights and addresses too */
    merge_problem *problem = calloc(1, sizeof(*problem));
    const bool strided = description->strided;

    assert_non_null(problem);
    problem->description = *description;
    if (!description->states_dtype)
        problem->description.states_dtype = CLATTN_FLOAT32;
    if (!description->out_dtype)
        problem->description.out_dtype = CLATTN_FLOAT32;
    problem->states_out = create_states_image(description, problem->description.states_dtype, 4);
    if (description->by_max) {
        problem->states_max = create_states_image(description, CLATTN_FLOAT32, 3);
        problem->states_denominator = create_states_image(description, CLATTN_FLOAT32, 3);
    } else {
        problem->states_lse = create_states_image(description, CLATTN_FLOAT32, 3);
    }
    problem->out = support_image_create(problem->description.out_dtype, 3, shape, strided);
    if (description->result == MERGE_LSE)
        problem->lse = support_image_create(CLATTN_FLOAT32, 2, shape, strided);
    if (description->result == MERGE_MAX || description->result == MERGE_NUMERATOR) {
        problem->max = support_image_create(CLATTN_FLOAT32, 2, shape, strided);
        problem->denominator = support_image_create(CLATTN_FLOAT32, 2, shape, strided);
    }
    fill_states(problem);
    return problem;
}

void merge_problem_destroy(merge_problem **problem)
{
    support_image_destroy(&(*problem)->states_out);
    support_image_destroy(&(*problem)->states_lse);
    support_image_destroy(&(*problem)->states_max);
    support_image_destroy(&(*problem)->states_denominator);
    support_image_destroy(&(*problem)->out);
    support_image_destroy(&(*problem)->lse);
    support_image_destroy(&(*problem)->max);
    support_image_destroy(&(*problem)->denominator);
    free(*problem);
    *problem = NULL;
}

void merge_set_state(merge_problem *problem, int32_t state, int32_t token, int32_t head, float out, float lse_or_max,
                     float denominator)
{
    int64_t index[4] = {state, token, head, 0};

    set_row(&problem->states_lse, index, lse_or_max);
    set_row(&problem->states_max, index, lse_or_max);
    set_row(&problem->states_denominator, index, denominator);
    for (index[3] = 0; index[3] < problem->description.width; index[3]++)
        set_row(&problem->states_out, index, out);
}

clattn_merge_states_params merge_params_of(const merge_problem *problem)
{
    return (clattn_merge_states_params){
        .states_out = problem->states_out.tensor,
        .states_lse = problem->states_lse.tensor,
        .states_max = problem->states_max.tensor,
        .states_denominator = problem->states_denominator.tensor,
        .out = problem->out.tensor,
        .lse = problem->lse.tensor,
        .max = problem->max.tensor,
        .denominator = problem->denominator.tensor,
        .numerator = problem->description.result == MERGE_NUMERATOR,
        .mask_value = problem->description.mask_value,
    };
}

static void describe(const merge_case *description, char *text, size_t num_bytes)
{
    static const char *const results[MERGE_NUM_RESULTS] = {"out", "lse", "max", "numerator"};

    snprintf(text, num_bytes,
             "seed=%" PRIu64 " num_states=%" PRId32 " num_tokens=%" PRId32 " num_heads=%" PRId32 " width=%" PRId32
             " by_max=%d result=%s states=%s out=%s strided=%d order=%d empty=%d base=%g spread=%g mask_value=%g",
             description->seed, description->num_states, description->num_tokens, description->num_heads,
             description->width, description->by_max, results[description->result],
             clattn_dtype_name(description->states_dtype), clattn_dtype_name(description->out_dtype),
             description->strided, (int)description->order, (int)description->empty, (double)description->base,
             (double)description->spread, (double)description->mask_value);
}

void merge_run(merge_problem *problem, const support_device *device)
{
    support_image *operands[] = {&problem->states_out, &problem->states_lse, &problem->states_max,
                                 &problem->states_denominator};
    support_image *results[] = {&problem->out, &problem->lse, &problem->max, &problem->denominator};
    clattn_merge_states_params params;
    cl_event event = NULL;
    char text[512];

    for (size_t i = 0; i < 4; i++) {
        if (results[i]->tensor.rank > 0) {
            support_image_fill_canary(results[i]);
            support_image_upload(results[i], device);
        }
        if (operands[i]->tensor.rank > 0)
            support_image_upload(operands[i], device);
    }
    params = merge_params_of(problem);
    describe(&problem->description, text, sizeof(text));
    if (clattn_merge_states(device->ctx, &params, 0, NULL, &event) != CLATTN_OK)
        fail_msg("%s error=\"%s\"", text, clattn_context_last_error(device->ctx));
    assert_non_null(event);
    support_require_cl(clWaitForEvents(1, &event), "clWaitForEvents");
    clReleaseEvent(event);
    for (size_t i = 0; i < 4; i++) {
        if (results[i]->tensor.rank == 0)
            continue;
        support_image_download(results[i], device);
        const int64_t damage = support_image_find_damage(results[i]);
        if (damage >= 0)
            fail_msg("%s result=%zu damaged_byte=%" PRId64, text, i, damage);
    }
}

/* The elements of a tensor in the order of its axes; NULL for an absent one. */
static float *gather(const support_image *image)
{
    const clattn_tensor *tensor = &image->tensor;
    int64_t num_elements = 1;
    float *values;

    if (tensor->rank == 0)
        return NULL;
    for (int32_t i = 0; i < tensor->rank; i++)
        num_elements *= tensor->shape[i];
    values = calloc((size_t)num_elements + 1, sizeof(*values));
    assert_non_null(values);
    for (int64_t k = 0; k < num_elements; k++) {
        int64_t index[CLATTN_MAX_RANK];
        int64_t rest = k;
        for (int32_t i = tensor->rank - 1; i >= 0; i--) {
            index[i] = rest % tensor->shape[i];
            rest /= tensor->shape[i];
        }
        values[k] = support_image_get(image, support_image_at(image, index));
    }
    return values;
}

static double *allocate(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof(*values));

    assert_non_null(values);
    return values;
}

static reference_merged reference_of(const merge_problem *problem)
{
    const merge_case *description = &problem->description;
    const int32_t num_rows = description->num_tokens * description->num_heads;
    const int64_t num_elements = (int64_t)num_rows * description->width;
    const reference_merged merged = {allocate(num_elements), allocate(num_elements), allocate(num_elements),
                                     allocate(num_rows),     allocate(num_rows),     allocate(num_rows)};
    float *out = gather(&problem->states_out);
    float *lse = gather(&problem->states_lse);
    float *max = gather(&problem->states_max);
    float *denominator = gather(&problem->states_denominator);
    const float mask_value = description->mask_value != 0.0f ? description->mask_value : CLATTN_DEFAULT_MASK_VALUE;
    const reference_states states = {
        .num_states = description->num_states,
        .num_rows = num_rows,
        .width = description->width,
        .out = out,
        .lse = lse,
        .max = max,
        .denominator = denominator,
        .mask_value = (double)mask_value,
    };

    reference_merge(&states, &merged);
    free(out);
    free(lse);
    free(max);
    free(denominator);
    return merged;
}

static void release(const reference_merged *merged)
{
    free(merged->out);
    free(merged->numerator);
    free(merged->magnitude);
    free(merged->lse);
    free(merged->max);
    free(merged->denominator);
}

/* What is no number must be none in the result either, and the infinity of an empty row must be one. */
static bool is_near(double actual, double expected, double tolerance)
{
    if (isnan(expected))
        return isnan(actual);
    if (isinf(expected))
        return actual == expected;
    return fabs(actual - expected) <= tolerance;
}

/* What a check of one element needs to know. */
typedef struct comparison {
    const merge_problem *problem;
    const char *name;
    int64_t row;
    int64_t column;
} comparison;

static void expect_near(const comparison *where, double actual, double expected, double tolerance)
{
    char text[512];

    if (is_near(actual, expected, tolerance))
        return;
    describe(&where->problem->description, text, sizeof(text));
    fail_msg("%s tensor=%s row=%" PRId64 " column=%" PRId64 " actual=%.9g expected=%.9g tolerance=%g", text,
             where->name, where->row, where->column, actual, expected, tolerance);
}

/*
 * Float32 sums of num_states terms round each term once and each sum once; a weight exp(m - M) whose argument is
 * rounded once is off by at most 3 ulp of exp() and by |m - M| exp(m - M) < 0.4 halves of an ulp.
 */
static double relative_error(const merge_problem *problem)
{
    return (16.0 + problem->description.num_states) * 0x1p-24;
}

static void check_out(const merge_problem *problem, const reference_merged *expected)
{
    const merge_case *description = &problem->description;
    const bool numerator = description->result == MERGE_NUMERATOR;
    float *out = gather(&problem->out);
    comparison where = {.problem = problem, .name = "out"};

    for (where.row = 0; where.row < description->num_tokens * description->num_heads; where.row++) {
        const double denominator = expected->denominator[where.row];
        const double divisor = numerator || denominator == 0.0 ? 1.0 : denominator;
        for (where.column = 0; where.column < description->width; where.column++) {
            const int64_t at = where.row * description->width + where.column;
            const double value = numerator ? expected->numerator[at] : expected->out[at];
            const double tolerance = 2.0 * relative_error(problem) * expected->magnitude[at] / divisor;
            expect_near(&where, (double)out[at], value, tolerance + support_rounding(description->out_dtype, value));
        }
    }
    free(out);
}

/* A maximum that is no number need not be the one that is reported, if out and the sum show it. */
static void check_rows(const merge_problem *problem, const reference_merged *expected)
{
    const merge_case *description = &problem->description;
    const double error = relative_error(problem);
    float *lse = gather(&problem->lse);
    float *max = gather(&problem->max);
    float *denominator = gather(&problem->denominator);
    comparison where = {.problem = problem};

    for (where.row = 0; where.row < description->num_tokens * description->num_heads; where.row++) {
        const int64_t row = where.row;
        const double sum = expected->denominator[row];
        const double log_sum = sum > 0.0 ? fabs(log(sum)) : 0.0;
        where.name = "lse";
        if (lse)
            expect_near(&where, (double)lse[row], expected->lse[row],
                        error * (1.0 + log_sum) + 0x1p-22 * fabs(expected->lse[row]));
        where.name = "max";
        if (max && !isnan(expected->max[row]))
            expect_near(&where, (double)max[row], expected->max[row], 0x1p-22 * fabs(expected->max[row]));
        where.name = "denominator";
        if (denominator)
            expect_near(&where, (double)denominator[row], sum, error * sum);
    }
    free(lse);
    free(max);
    free(denominator);
}

void merge_check(const merge_problem *problem, const merge_problem *truth)
{
    const reference_merged expected = reference_of(truth);

    check_out(problem, &expected);
    check_rows(problem, &expected);
    release(&expected);
}

void merge_verify(const support_device *device, const merge_case *description)
{
    merge_problem *problem = merge_problem_create(description);

    merge_run(problem, device);
    merge_check(problem, problem);
    merge_problem_destroy(&problem);
}
