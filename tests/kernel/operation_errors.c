/* SPDX-License-Identifier: Apache-2.0 */
/* The problem, its right call, and what must hold after a refused one. */
#include "operation_errors.h"

#include "support/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int errors_setup(void **state, const errors_operation *operation, const void *base,
                 const clattn_plan_params *right_plan)
{
    void *device = NULL;
    errors_problem *problem;

    if (support_device_setup(&device) != 0)
        return -1;
    problem = errors_problem_create(device, operation, base);
    problem->right_plan = right_plan;
    *state = problem;
    return 0;
}

int errors_teardown(void **state)
{
    errors_problem *problem = *state;
    void *device = (void *)(uintptr_t)problem->device;

    errors_problem_destroy(&problem);
    return support_device_teardown(&device);
}

clattn_tensor *errors_tensor_of(const errors_problem *problem, void *params, int32_t tensor)
{
    return (clattn_tensor *)(void *)((char *)params + problem->operation.tensors[tensor].field);
}

void *errors_copy_params(const errors_problem *problem)
{
    void *copy = malloc(problem->operation.params_bytes);

    assert_non_null(copy);
    memcpy(copy, problem->right, problem->operation.params_bytes);
    return copy;
}

/* Positive numbers, which every operand can hold, the sums of exponentials among them. */
static void fill_operand(support_image *image, uint64_t seed)
{
    const int64_t num_elements = (int64_t)(image->num_bytes / clattn_dtype_size(image->tensor.dtype));
    support_random random = support_random_seeded(seed);

    for (int64_t i = 0; i < num_elements; i++)
        support_image_set(image, i, 0.25f + 0.5f * fabsf(support_random_normal(&random)));
}

static errors_problem *prepare(const support_device *device, const errors_operation *operation, const void *base)
{
    errors_problem *problem = calloc(1, sizeof(*problem));

    assert_non_null(problem);
    problem->device = device;
    problem->operation = *operation;
    problem->right = malloc(operation->params_bytes);
    assert_non_null(problem->right);
    memcpy(problem->right, base, operation->params_bytes);
    for (int32_t i = 0; i < operation->num_tensors; i++) {
        const errors_tensor *tensor = &operation->tensors[i];
        support_image *image = &problem->images[i];
        *image = support_image_create(CLATTN_FLOAT32, tensor->rank, tensor->shape, false);
        if (tensor->result)
            support_image_fill_canary(image);
        else
            fill_operand(image, (uint64_t)i);
        support_image_upload(image, device);
        *errors_tensor_of(problem, problem->right, i) = image->tensor;
    }
    return problem;
}

static void reset_results(errors_problem *problem)
{
    for (int32_t i = 0; i < problem->operation.num_tensors; i++) {
        if (!problem->operation.tensors[i].result)
            continue;
        support_image_fill_canary(&problem->images[i]);
        support_image_upload(&problem->images[i], problem->device);
    }
}

static void read_results(errors_problem *problem)
{
    support_require_cl(clFinish(problem->device->queue), "clFinish");
    for (int32_t i = 0; i < problem->operation.num_tensors; i++)
        if (problem->operation.tensors[i].result)
            support_image_download(&problem->images[i], problem->device);
}

static void expect_untouched(errors_problem *problem)
{
    read_results(problem);
    for (int32_t i = 0; i < problem->operation.num_tensors; i++)
        if (problem->operation.tensors[i].result && !support_image_is_untouched(&problem->images[i]))
            fail_msg("a refused call wrote to %s", problem->operation.tensors[i].name);
}

void errors_expect_accepted(errors_problem *problem, const void *params)
{
    clattn_context *ctx = problem->device->ctx;
    cl_event event = NULL;
    const clattn_status status = problem->operation.call(ctx, params, 0, NULL, &event);

    if (status != CLATTN_OK)
        fail_msg("status=%s error=\"%s\"", clattn_status_name(status), clattn_context_last_error(ctx));
    assert_non_null(event);
    support_require_cl(clWaitForEvents(1, &event), "clWaitForEvents");
    clReleaseEvent(event);
}

static void run_right(errors_problem *problem)
{
    errors_expect_accepted(problem, problem->right);
    read_results(problem);
    for (int32_t i = 0; i < problem->operation.num_tensors; i++) {
        const support_image *image = &problem->images[i];
        if (!problem->operation.tensors[i].result)
            continue;
        assert_int_equal(support_image_find_damage(image), -1);
        assert_false(support_image_is_untouched(image));
        problem->expected[i] = malloc(image->num_bytes);
        assert_non_null(problem->expected[i]);
        memcpy(problem->expected[i], image->bytes, image->num_bytes);
    }
}

errors_problem *errors_problem_create(const support_device *device, const errors_operation *operation, const void *base)
{
    errors_problem *problem = prepare(device, operation, base);

    run_right(problem);
    return problem;
}

void errors_problem_destroy(errors_problem **problem)
{
    for (int32_t i = 0; i < ERRORS_MAX_TENSORS; i++) {
        support_image_destroy(&(*problem)->images[i]);
        free((*problem)->expected[i]);
    }
    free((*problem)->right);
    free(*problem);
    *problem = NULL;
}

void errors_expect_same(errors_problem *problem, const void *params)
{
    reset_results(problem);
    errors_expect_accepted(problem, params);
    read_results(problem);
    for (int32_t i = 0; i < problem->operation.num_tensors; i++) {
        const support_image *image = &problem->images[i];
        if (problem->expected[i] && memcmp(image->bytes, problem->expected[i], image->num_bytes) != 0)
            fail_msg("%s differs from the right call's", problem->operation.tensors[i].name);
    }
}

/* The sentence must hold every one of the comma-separated words. */
static void expect_words(const char *sentence, const char *words)
{
    char *copy = strdup(words);
    char *rest = copy;

    assert_non_null(copy);
    for (char *word = strtok_r(rest, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (!strstr(sentence, word))
            fail_msg("word=\"%s\" is missing in error=\"%s\"", word, sentence);
    free(copy);
}

/* Leaves a sentence that no test expects, so that one which a refusal forgets to write is missed. */
static void spoil_last_error(errors_problem *problem)
{
    assert_int_equal(clattn_plan_create(problem->device->ctx, NULL, NULL), CLATTN_INVALID_ARGUMENT);
}

static void expect_refusal(const errors_problem *problem, clattn_status status, clattn_status expected,
                           const char *words)
{
    const char *sentence = clattn_context_last_error(problem->device->ctx);

    if (status != expected)
        fail_msg("expected=%s status=%s words=\"%s\" error=\"%s\"", clattn_status_name(expected),
                 clattn_status_name(status), words, sentence);
    expect_words(sentence, words);
}

static void expect_call_refused(errors_problem *problem, const void *params, clattn_status expected, const char *words)
{
    cl_event event = (cl_event)(void *)problem; /* must be overwritten */
    clattn_status status;

    reset_results(problem);
    spoil_last_error(problem);
    status = problem->operation.call(problem->device->ctx, params, 0, NULL, &event);
    expect_refusal(problem, status, expected, words);
    assert_null(event);
    expect_untouched(problem);
}

void errors_expect_refused(errors_problem *problem, const void *params, clattn_status expected, const char *words)
{
    expect_call_refused(problem, params, expected, words);
    errors_expect_same(problem, problem->right);
}

static clattn_plan *create_plan(const support_device *device, const clattn_plan_params *params)
{
    clattn_plan *plan = NULL;

    if (clattn_plan_create(device->ctx, params, &plan) != CLATTN_OK)
        fail_msg("error=\"%s\"", clattn_context_last_error(device->ctx));
    assert_non_null(plan);
    return plan;
}

static void *copy_with_plan(const errors_problem *problem, const clattn_plan *plan)
{
    void *params = errors_copy_params(problem);

    problem->operation.set_plan(params, plan);
    return params;
}

void errors_expect_plan_refused(errors_problem *problem, const clattn_plan_params *params, clattn_status expected,
                                const char *words)
{
    clattn_plan *plan = create_plan(problem->device, problem->right_plan);
    clattn_plan *created = plan; /* must be overwritten */
    void *with_plan = copy_with_plan(problem, plan);

    spoil_last_error(problem);
    expect_refusal(problem, clattn_plan_create(problem->device->ctx, params, &created), expected, words);
    assert_null(created);
    spoil_last_error(problem);
    expect_refusal(problem, clattn_plan_update(plan, params), expected, words);
    errors_expect_same(problem, with_plan);
    free(with_plan);
    clattn_plan_destroy(&plan);
}

static void expect_mismatch(errors_problem *problem, const clattn_plan *plan, const char *words)
{
    void *with_plan = copy_with_plan(problem, plan);

    errors_expect_refused(problem, with_plan, CLATTN_PLAN_MISMATCH, words);
    free(with_plan);
}

void errors_expect_plan_mismatch(errors_problem *problem, const clattn_plan_params *params, const char *words)
{
    clattn_plan *plan = create_plan(problem->device, params);

    expect_mismatch(problem, plan, words);
    clattn_plan_destroy(&plan);
}

void errors_expect_plan_same(errors_problem *problem, const clattn_plan_params *params)
{
    clattn_plan *plan = create_plan(problem->device, params);
    void *with_plan = copy_with_plan(problem, plan);

    errors_expect_same(problem, with_plan);
    free(with_plan);
    clattn_plan_destroy(&plan);
}

void errors_check_foreign_plan(errors_problem *problem)
{
    void *other_state = NULL;
    clattn_plan *foreign;

    assert_int_equal(support_device_setup(&other_state), 0);
    foreign = create_plan(other_state, problem->right_plan);
    expect_mismatch(problem, foreign, "plan,context");
    clattn_plan_destroy(&foreign);
    support_device_teardown(&other_state);
}

/* The problem with another width; the caller's has no part in it but its description. */
static errors_problem *prepare_width(const errors_problem *problem, const bool has_width[ERRORS_MAX_TENSORS],
                                     int64_t width)
{
    errors_operation operation = problem->operation;

    for (int32_t i = 0; i < operation.num_tensors; i++)
        if (has_width[i])
            operation.tensors[i].shape[operation.tensors[i].rank - 1] = width;
    return prepare(problem->device, &operation, problem->right);
}

void errors_check_widths(errors_problem *problem, const bool has_width[ERRORS_MAX_TENSORS], const char *word)
{
    static const struct {
        int64_t width;
        const char *text;
    } refused[] = {{0, "0"}, {4, "4"}, {12, "12"}, {520, "520"}};

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        errors_problem *wrong = prepare_width(problem, has_width, refused[i].width);
        expect_call_refused(wrong, wrong->right, CLATTN_UNSUPPORTED, word);
        expect_words(clattn_context_last_error(problem->device->ctx), refused[i].text);
        errors_problem_destroy(&wrong);
    }
    for (int64_t width = 8; width <= 512; width += 504) {
        errors_problem *right = prepare_width(problem, has_width, width);
        run_right(right);
        errors_problem_destroy(&right);
    }
    errors_expect_same(problem, problem->right);
}
