/* SPDX-License-Identifier: Apache-2.0 */
/* The errors that every operation has in common, run over the table of its tensors. */
#include "operation_errors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS_BYTES 128

/* Runs over the tensors; `params` is a fresh copy of the right ones, and `tensor` its field. */
#define FOR_EACH_TENSOR(problem, i) for (int32_t i = 0; i < (problem)->operation.num_tensors; i++)

/* A change to one tensor of otherwise right params. */
static clattn_tensor *begin_change(const errors_problem *problem, int32_t i, void **params)
{
    *params = errors_copy_params(problem);
    return errors_tensor_of(problem, *params, i);
}

static void refuse_change(errors_problem *problem, void *params, clattn_status expected, const char *words)
{
    errors_expect_refused(problem, params, expected, words);
    free(params);
}

static size_t dense_bytes(const support_image *image)
{
    size_t num_bytes = clattn_dtype_size(image->tensor.dtype);

    for (int32_t k = 0; k < image->tensor.rank; k++)
        num_bytes *= (size_t)image->tensor.shape[k];
    return num_bytes;
}

static void check_missing_tensor(errors_problem *problem, int32_t i)
{
    const errors_tensor *described = &problem->operation.tensors[i];
    void *params;

    begin_change(problem, i, &params)->buffer = NULL; /* its rank is still given */
    refuse_change(problem, params, CLATTN_INVALID_ARGUMENT, described->name);
    memset(begin_change(problem, i, &params), 0, sizeof(clattn_tensor));
    if (described->optional)
        errors_expect_accepted(problem, params);
    else
        errors_expect_refused(problem, params, CLATTN_INVALID_ARGUMENT, described->name);
    free(params);
}

void errors_check_missing_arguments(errors_problem *problem)
{
    cl_event event = (cl_event)(void *)problem; /* must be overwritten */

    assert_int_equal(problem->operation.call(NULL, problem->right, 0, NULL, &event), CLATTN_INVALID_ARGUMENT);
    assert_null(event);
    errors_expect_refused(problem, NULL, CLATTN_INVALID_ARGUMENT, "params");
    FOR_EACH_TENSOR(problem, i)
    check_missing_tensor(problem, i);
}

static void check_rank(errors_problem *problem, int32_t i, int32_t rank)
{
    const errors_tensor *described = &problem->operation.tensors[i];
    char words[WORDS_BYTES];
    void *params;

    snprintf(words, sizeof(words), "%s,rank,%d,%d", described->name, (int)rank, (int)described->rank);
    begin_change(problem, i, &params)->rank = rank;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, words);
}

static void check_dimension(errors_problem *problem, int32_t i, int32_t dimension)
{
    const errors_tensor *described = &problem->operation.tensors[i];
    const int64_t right = described->shape[dimension];
    char words[WORDS_BYTES];
    void *params;

    snprintf(words, sizeof(words), "%s,dimension %d,-1", described->name, (int)dimension);
    begin_change(problem, i, &params)->shape[dimension] = -1;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, words);
    if (!described->fixed[dimension])
        return;
    snprintf(words, sizeof(words), "%s,dimension %d,%lld,%lld", described->name, (int)dimension, (long long)right - 1,
             (long long)right);
    begin_change(problem, i, &params)->shape[dimension] = right - 1;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, words);
}

void errors_check_shapes(errors_problem *problem)
{
    FOR_EACH_TENSOR(problem, i)
    {
        const errors_tensor *described = &problem->operation.tensors[i];
        check_rank(problem, i, 0);
        check_rank(problem, i, described->rank + 1);
        if (!described->rank_1_too && described->rank > 1)
            check_rank(problem, i, described->rank - 1);
        for (int32_t dimension = 0; dimension < described->rank; dimension++)
            check_dimension(problem, i, dimension);
    }
}

void errors_check_dtypes(errors_problem *problem)
{
    const clattn_dtype none[] = {CLATTN_DTYPE_DEFAULT, CLATTN_NUM_DTYPES, (clattn_dtype)-1};
    const clattn_dtype narrow[] = {CLATTN_FLOAT16, CLATTN_BFLOAT16};

    FOR_EACH_TENSOR(problem, i)
    {
        const errors_tensor *described = &problem->operation.tensors[i];
        char words[WORDS_BYTES];
        void *params;
        for (size_t k = 0; k < COUNT(none); k++) {
            begin_change(problem, i, &params)->dtype = none[k];
            refuse_change(problem, params, CLATTN_INVALID_DTYPE, described->name);
        }
        for (size_t k = 0; described->float32_only && k < COUNT(narrow); k++) {
            snprintf(words, sizeof(words), "%s,%s,float32", described->name, clattn_dtype_name(narrow[k]));
            begin_change(problem, i, &params)->dtype = narrow[k];
            refuse_change(problem, params, CLATTN_INVALID_DTYPE, words);
        }
    }
}

/* The tensor ends with the buffer's last element; then it begins one element later; then the buffer is shorter. */
static void check_buffer(errors_problem *problem, int32_t i)
{
    const errors_tensor *described = &problem->operation.tensors[i];
    const size_t num_bytes = dense_bytes(&problem->images[i]);
    cl_mem exact = support_buffer_create(problem->device, problem->images[i].bytes, num_bytes);
    cl_mem small = support_buffer_create(problem->device, problem->images[i].bytes, num_bytes - sizeof(float));
    char words[WORDS_BYTES];
    void *params;

    begin_change(problem, i, &params)->buffer = exact;
    if (described->result)
        errors_expect_accepted(problem, params);
    else
        errors_expect_same(problem, params);
    errors_tensor_of(problem, params, i)->offset_bytes = sizeof(float);
    snprintf(words, sizeof(words), "%s,%zu,%zu", described->name, num_bytes + sizeof(float), num_bytes);
    refuse_change(problem, params, CLATTN_BUFFER_TOO_SMALL, words);
    begin_change(problem, i, &params)->buffer = small;
    snprintf(words, sizeof(words), "%s,%zu,%zu", described->name, num_bytes, num_bytes - sizeof(float));
    refuse_change(problem, params, CLATTN_BUFFER_TOO_SMALL, words);
    clReleaseMemObject(exact);
    clReleaseMemObject(small);
}

void errors_check_buffers(errors_problem *problem)
{
    FOR_EACH_TENSOR(problem, i)
    check_buffer(problem, i);
}

/* A tensor whose strides are written out. */
static clattn_tensor *begin_strides(const errors_problem *problem, int32_t i, void **params)
{
    clattn_tensor *tensor = begin_change(problem, i, params);

    memcpy(tensor->strides, problem->images[i].strides, sizeof(tensor->strides));
    return tensor;
}

static void check_strides(errors_problem *problem, int32_t i)
{
    const errors_tensor *described = &problem->operation.tensors[i];
    char words[WORDS_BYTES];
    void *params;

    begin_strides(problem, i, &params);
    errors_expect_same(problem, params);
    free(params);
    snprintf(words, sizeof(words), "%s,stride,2", described->name);
    begin_strides(problem, i, &params)->strides[described->rank - 1] = 2;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, words);
    snprintf(words, sizeof(words), "%s,stride,-1", described->name);
    begin_strides(problem, i, &params)->strides[0] = -1;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, words);
    if (described->rank == 1)
        return;
    begin_strides(problem, i, &params)->strides[0] = 0;
    refuse_change(problem, params, CLATTN_INVALID_SHAPE, described->name);
    begin_strides(problem, i, &params)->strides[0] += 1000;
    refuse_change(problem, params, CLATTN_BUFFER_TOO_SMALL, described->name);
    begin_strides(problem, i, &params)->strides[0] = INT64_MAX;
    refuse_change(problem, params, CLATTN_SIZE_OVERFLOW, described->name);
}

void errors_check_offsets_and_strides(errors_problem *problem)
{
    FOR_EACH_TENSOR(problem, i)
    {
        const errors_tensor *described = &problem->operation.tensors[i];
        char words[WORDS_BYTES];
        void *params;
        snprintf(words, sizeof(words), "%s,offset_bytes,2,4", described->name);
        begin_change(problem, i, &params)->offset_bytes = 2;
        refuse_change(problem, params, CLATTN_INVALID_ARGUMENT, words);
        begin_change(problem, i, &params)->offset_bytes = UINT64_MAX - 3;
        refuse_change(problem, params, CLATTN_SIZE_OVERFLOW, described->name);
        check_strides(problem, i);
    }
}

/* One buffer with a tensor directly behind another one, then with one element in common, at either end. */
static void check_overlap(errors_problem *problem, int32_t result, int32_t other)
{
    const size_t result_bytes = dense_bytes(&problem->images[result]);
    const size_t other_bytes = dense_bytes(&problem->images[other]);
    cl_mem shared = support_buffer_create(problem->device, NULL, result_bytes + other_bytes);
    char words[WORDS_BYTES];

    snprintf(words, sizeof(words), "%s,overlap,%s", problem->operation.tensors[result].name,
             problem->operation.tensors[other].name);
    for (int overlap = 0; overlap < 2; overlap++) {
        for (int result_first = 0; result_first < 2; result_first++) {
            void *params = errors_copy_params(problem);
            clattn_tensor *first = errors_tensor_of(problem, params, result_first ? result : other);
            clattn_tensor *second = errors_tensor_of(problem, params, result_first ? other : result);
            first->buffer = second->buffer = shared;
            second->offset_bytes = (result_first ? result_bytes : other_bytes) - (overlap ? sizeof(float) : 0);
            if (overlap)
                errors_expect_refused(problem, params, CLATTN_INVALID_ARGUMENT, words);
            else
                errors_expect_accepted(problem, params);
            free(params);
        }
    }
    clReleaseMemObject(shared);
}

void errors_check_overlaps(errors_problem *problem)
{
    const errors_tensor *tensors = problem->operation.tensors;

    FOR_EACH_TENSOR(problem, result)
    {
        for (int32_t other = 0; tensors[result].result && other < problem->operation.num_tensors; other++)
            if (other > result || !tensors[other].result)
                check_overlap(problem, result, other);
    }
}

void errors_check_foreign_buffers(errors_problem *problem)
{
    void *other_state = NULL;
    cl_mem foreign;

    assert_int_equal(support_device_setup(&other_state), 0);
    foreign = support_buffer_create(other_state, NULL, 1 << 16);
    FOR_EACH_TENSOR(problem, i)
    {
        char words[WORDS_BYTES];
        void *params;
        assert_true(problem->images[i].num_bytes <= 1 << 16);
        snprintf(words, sizeof(words), "%s,context", problem->operation.tensors[i].name);
        begin_change(problem, i, &params)->buffer = foreign;
        refuse_change(problem, params, CLATTN_INVALID_ARGUMENT, words);
    }
    clReleaseMemObject(foreign);
    support_device_teardown(&other_state);
}

void errors_check_wait_lists(errors_problem *problem)
{
    clattn_context *ctx = problem->device->ctx;
    const cl_event none = NULL;
    const struct {
        cl_uint num_wait_events;
        const cl_event *wait_events;
    } wrong[] = {{1, NULL}, {0, &none}, {1, &none}};

    for (size_t i = 0; i < COUNT(wrong); i++) {
        cl_event event = (cl_event)(void *)problem; /* must be overwritten */
        assert_int_equal(
            problem->operation.call(ctx, problem->right, wrong[i].num_wait_events, wrong[i].wait_events, &event),
            CLATTN_INVALID_ARGUMENT);
        assert_null(event);
        assert_non_null(strstr(clattn_context_last_error(ctx), "wait_events"));
        errors_expect_same(problem, problem->right);
    }
}

/* A copy of the right params with some bytes of a field replaced. */
static void *params_with(const errors_problem *problem, size_t field, const void *value, size_t num_bytes)
{
    char *params = errors_copy_params(problem);

    memcpy(params + field, value, num_bytes);
    return params;
}

static void refuse_floats(errors_problem *problem, size_t field, const float *values, size_t count, const char *words)
{
    for (size_t i = 0; i < count; i++)
        refuse_change(problem, params_with(problem, field, &values[i], sizeof(values[i])), CLATTN_INVALID_ARGUMENT,
                      words);
}

static void accept_float(errors_problem *problem, size_t field, float value)
{
    void *params = params_with(problem, field, &value, sizeof(value));

    errors_expect_accepted(problem, params);
    free(params);
}

void errors_check_mask_value(errors_problem *problem, size_t field)
{
    const float wrong[] = {NAN, -INFINITY, INFINITY, -1e29f, 1.0f, 1e31f};

    refuse_floats(problem, field, wrong, COUNT(wrong), "mask_value");
    accept_float(problem, field, -1e30f);
    accept_float(problem, field, -3.402823466e38f);
}

void errors_check_softmax_scale(errors_problem *problem, size_t field, float same_as_zero)
{
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    void *params = params_with(problem, field, &same_as_zero, sizeof(same_as_zero));

    refuse_floats(problem, field, wrong, COUNT(wrong), "softmax_scale");
    errors_expect_same(problem, params);
    free(params);
}

void errors_check_soft_cap(errors_problem *problem, size_t field)
{
    const float wrong[] = {NAN, INFINITY, -0.5f};

    refuse_floats(problem, field, wrong, COUNT(wrong), "logits_soft_cap");
    accept_float(problem, field, 0.5f);
}

void errors_check_compute_dtype(errors_problem *problem, size_t field)
{
    const clattn_dtype wrong[] = {CLATTN_FLOAT16, CLATTN_BFLOAT16, CLATTN_NUM_DTYPES};
    const clattn_dtype right = CLATTN_FLOAT32;
    void *params = params_with(problem, field, &right, sizeof(right));

    for (size_t i = 0; i < COUNT(wrong); i++)
        refuse_change(problem, params_with(problem, field, &wrong[i], sizeof(wrong[i])), CLATTN_UNSUPPORTED,
                      "compute_dtype");
    errors_expect_same(problem, params);
    free(params);
}

void errors_check_splits(errors_problem *problem, size_t num_splits_field, size_t batch_invariant_field)
{
    const int32_t negative = -1;
    const int32_t two = 2;
    const bool invariant = true;
    char *params;

    refuse_change(problem, params_with(problem, num_splits_field, &negative, sizeof(negative)), CLATTN_INVALID_ARGUMENT,
                  "num_splits,-1");
    params = params_with(problem, num_splits_field, &two, sizeof(two));
    errors_expect_accepted(problem, params);
    memcpy(params + batch_invariant_field, &invariant, sizeof(invariant));
    refuse_change(problem, params, CLATTN_INVALID_ARGUMENT, "num_splits,batch_invariant");
    params = params_with(problem, batch_invariant_field, &invariant, sizeof(invariant));
    errors_expect_accepted(problem, params);
    free(params);
}

void errors_check_tuning(errors_problem *problem, size_t field)
{
    static const struct {
        const char *words;
        clattn_tuning tuning;
    } wrong[] = {
        {"block_q,num_queries_per_block", {.block_q = 64, .num_queries_per_block = 32}},
        {"block_kv,num_kv_pages_per_block", {.block_kv = 16, .num_kv_pages_per_block = 4}},
        {"work_group_size,num_warps", {.work_group_size = 64, .num_warps = 1}},
        {"num_stages", {.num_stages = 2}},
        {"num_stages", {.num_stages = -1}},
        {"block_kv", {.block_kv = 7}},
        {"num_kv_pages_per_block", {.num_kv_pages_per_block = INT32_MAX}},
        {"local_memory_limit_bytes", {.local_memory_limit_bytes = -1}},
        {"local memory,64", {.local_memory_limit_bytes = 64}},
        {"family", {.family = CLATTN_NUM_FAMILIES}},
    };
    const clattn_tuning right = {.num_stages = 1};
    const clattn_tuning *tuning = &right;
    void *params = params_with(problem, field, &tuning, sizeof(tuning));

    errors_expect_same(problem, params);
    free(params);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        tuning = &wrong[i].tuning;
        refuse_change(problem, params_with(problem, field, &tuning, sizeof(tuning)), CLATTN_INVALID_TUNING,
                      wrong[i].words);
    }
}
