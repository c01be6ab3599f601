/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays and verdicts of trials; see trial.h. */
#include "verify/trial.h"

#include "verify/sample.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

clattn_status clattn_trial_init(clattn_trial *trial, const clattn_context *ctx, clattn_verdict *verdict)
{
    *trial = (clattn_trial){.ctx = *ctx, .verdict = verdict};
    *verdict = (clattn_verdict){.kind = CLATTN_VERDICT_VERIFIED};
    cl_int result = CL_SUCCESS;
    trial->ctx.queue = clCreateCommandQueue(ctx->cl, ctx->device, 0, &result);
    return clattn_context_check_cl(&trial->ctx, result, "clCreateCommandQueue");
}

void clattn_trial_finish(clattn_trial *trial)
{
    for (int i = 0; i < trial->num_arrays; ++i) {
        if (trial->arrays[i].buffer != NULL)
            clReleaseMemObject(trial->arrays[i].buffer);
        free(trial->arrays[i].elements);
    }
    if (trial->ctx.queue != NULL)
        clReleaseCommandQueue(trial->ctx.queue);
}

/* NaNs with a payload. */
static uint32_t untouched_bits(clattn_dtype dtype)
{
    switch (dtype) {
    case CLATTN_FLOAT16:
        return 0x7eadu;
    case CLATTN_BFLOAT16:
        return 0x7fadu;
    default:
        return 0x7fadbeefu;
    }
}

static void set_bits(clattn_trial_array *array, size_t index, uint32_t bits)
{
    assert(index < array->num_elements);
    if (array->dtype == CLATTN_FLOAT32)
        ((uint32_t *)array->elements)[index] = bits;
    else
        ((uint16_t *)array->elements)[index] = (uint16_t)bits;
}

static uint32_t get_bits(const clattn_trial_array *array, size_t index)
{
    assert(index < array->num_elements);
    if (array->dtype == CLATTN_FLOAT32)
        return ((const uint32_t *)array->elements)[index];
    return ((const uint16_t *)array->elements)[index];
}

clattn_status clattn_trial_new_array(clattn_trial *trial, clattn_dtype dtype, size_t num_elements,
                                     clattn_trial_array **array)
{
    assert(trial->num_arrays < CLATTN_TRIAL_MAX_ARRAYS && num_elements > 0);
    void *elements = calloc(num_elements, clattn_dtype_size(dtype));
    CLATTN_REQUIRE(&trial->ctx.error, elements != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the trial of a kernel");
    *array = &trial->arrays[trial->num_arrays++];
    **array = (clattn_trial_array){.dtype = dtype, .num_elements = num_elements, .elements = elements};
    for (size_t i = 0; i < num_elements; ++i)
        set_bits(*array, i, untouched_bits(dtype));
    return CLATTN_OK;
}

void clattn_trial_set(clattn_trial_array *array, size_t index, double value)
{
    set_bits(array, index, clattn_sample_bits(array->dtype, value));
}

double clattn_trial_get(const clattn_trial_array *array, size_t index)
{
    return clattn_sample_of_bits(array->dtype, get_bits(array, index));
}

double clattn_trial_take(clattn_trial_array *array, size_t index)
{
    const double value = clattn_trial_get(array, index);
    set_bits(array, index, untouched_bits(array->dtype));
    return value;
}

cl_mem clattn_trial_buffer(const clattn_trial_array *array)
{
    return array != NULL ? array->buffer : NULL;
}

static size_t bytes_of(const clattn_trial_array *array)
{
    return array->num_elements * clattn_dtype_size(array->dtype);
}

clattn_status clattn_trial_upload(clattn_trial *trial)
{
    for (int i = 0; i < trial->num_arrays; ++i) {
        clattn_trial_array *array = &trial->arrays[i];
        cl_int result = CL_SUCCESS;
        array->buffer = clCreateBuffer(trial->ctx.cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes_of(array),
                                       array->elements, &result);
        CLATTN_TRY(clattn_context_check_cl(&trial->ctx, result, "clCreateBuffer"));
    }
    return CLATTN_OK;
}

clattn_status clattn_trial_download(clattn_trial *trial, clattn_trial_array *array)
{
    const cl_int result = clEnqueueReadBuffer(trial->ctx.queue, array->buffer, CL_TRUE, 0, bytes_of(array),
                                              array->elements, 0, NULL, NULL);
    return clattn_context_check_cl(&trial->ctx, result, "clEnqueueReadBuffer");
}

/* The first thing that is wrong gives the reason. */
static void reject(clattn_trial *trial, double error, const char *what, size_t index, double got, double wanted)
{
    clattn_verdict *verdict = trial->verdict;
    if (verdict->kind == CLATTN_VERDICT_VERIFIED)
        snprintf(verdict->reason, sizeof verdict->reason, "%s[%zu] is %g, expected %g", what, index, got, wanted);
    verdict->kind = CLATTN_VERDICT_REJECTED;
    if (error > verdict->worst_error)
        verdict->worst_error = error;
}

bool clattn_trial_has_run(clattn_trial *trial, clattn_status *status)
{
    if (*status == CLATTN_OK)
        return true;
    if (*status == CLATTN_OUT_OF_MEMORY)
        return false;
    *status = CLATTN_OK;
    trial->verdict->kind = CLATTN_VERDICT_REJECTED;
    snprintf(trial->verdict->reason, CLATTN_REASON_BYTES, "%.*s", CLATTN_REASON_BYTES - 1, trial->ctx.error.text);
    return false;
}

void clattn_trial_judge(clattn_trial *trial, const char *what, size_t index, double got, double wanted, double allowed)
{
    if (got == wanted) /* infinities too */
        return;
    const double error = isfinite(got) && isfinite(wanted) ? fabs(got - wanted) / allowed : HUGE_VAL;
    if (error > 1.0)
        reject(trial, error, what, index, got, wanted);
    else if (error > trial->verdict->worst_error)
        trial->verdict->worst_error = error;
}

void clattn_trial_judge_rest(clattn_trial *trial, const char *what, const clattn_trial_array *array)
{
    for (size_t i = 0; i < array->num_elements; ++i) {
        if (get_bits(array, i) != untouched_bits(array->dtype)) {
            reject(trial, HUGE_VAL, what, i, clattn_trial_get(array, i), (double)NAN);
            return;
        }
    }
}
