/* SPDX-License-Identifier: Apache-2.0 */
/* Random states, some of them empty and full of NaN, and the float64 reference. */
#include "tune/check_merge.h"

#include "bench/buffers.h"
#include "bench/storage.h"
#include "common/message.h"

#include "reference/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 2
#define NUM_STATES 5
#define NUM_TOKENS 7
#define NUM_HEADS 3
#define NUM_ROWS (NUM_TOKENS * NUM_HEADS)
#define EMPTY_STEP 4 /* every so many rows of states is one without keys */

typedef struct merge_check {
    clattn_context *ctx;
    clattn_dtype dtype;
    int32_t width;
    bool by_lse;
    float *states; /* [NUM_STATES, NUM_ROWS, width], as they are stored */
    double *truth; /* out, numerator and magnitude [NUM_ROWS, width] */
    void *out;     /* [NUM_ROWS, width] of that type */
    float lse_or_max[NUM_STATES * NUM_ROWS];
    float denominators[NUM_STATES * NUM_ROWS];
    reference_merged merged;
    double row_truths[3 * NUM_ROWS];
    cl_mem states_buffer, max_buffer, denominator_buffer, out_buffer;
} merge_check;

static bool is_empty(int state_row)
{
    return state_row % EMPTY_STEP == 1;
}

/* The states as they are stored, and as the reference reads them. */
static bool make_states(merge_check *check)
{
    const size_t count = (size_t)NUM_STATES * NUM_ROWS * (size_t)check->width;
    void *stored = malloc(count * clattn_dtype_size(check->dtype));
    check->states = malloc(count * sizeof *check->states);
    if (!stored || !check->states) {
        free(stored);
        return tool_error("out of memory");
    }
    bench_random random;
    bench_random_init(&random, SEED);
    bench_random_fill(&random, check->dtype, stored, count);
    bench_random_fill(&random, CLATTN_FLOAT32, check->lse_or_max, NUM_STATES * NUM_ROWS);
    bench_random_fill(&random, CLATTN_FLOAT32, check->denominators, NUM_STATES * NUM_ROWS);
    for (int i = 0; i < NUM_STATES * NUM_ROWS; i++) {
        check->denominators[i] = is_empty(i) ? 0.0F : 1.0F + fabsf(check->denominators[i]);
        if (is_empty(i))
            check->lse_or_max[i] = check->by_lse ? -INFINITY : NAN;
        if (is_empty(i))
            bench_storage_poison(check->dtype, stored, (int64_t)i * check->width, check->width);
    }
    for (size_t i = 0; i < count; i++)
        check->states[i] = bench_storage_get(check->dtype, stored, (int64_t)i);
    const bool good = bench_upload(check->ctx, stored, count * clattn_dtype_size(check->dtype), &check->states_buffer);
    free(stored);
    return good && bench_upload(check->ctx, check->lse_or_max, sizeof check->lse_or_max, &check->max_buffer) &&
           bench_upload(check->ctx, check->denominators, sizeof check->denominators, &check->denominator_buffer);
}

static bool compute_truth(merge_check *check)
{
    const size_t count = (size_t)NUM_ROWS * (size_t)check->width;
    check->truth = malloc(3 * count * sizeof *check->truth);
    if (!check->truth)
        return tool_error("out of memory");
    check->merged = (reference_merged){.out = check->truth,
                                       .numerator = check->truth + count,
                                       .magnitude = check->truth + 2 * count,
                                       .lse = check->row_truths,
                                       .max = check->row_truths + NUM_ROWS,
                                       .denominator = check->row_truths + 2 * NUM_ROWS};
    const reference_states states = {
        .num_states = NUM_STATES,
        .num_rows = NUM_ROWS,
        .width = check->width,
        .out = check->states,
        .lse = check->by_lse ? check->lse_or_max : NULL,
        .max = check->by_lse ? NULL : check->lse_or_max,
        .denominator = check->by_lse ? NULL : check->denominators,
        .mask_value = (double)CLATTN_DEFAULT_MASK_VALUE,
    };
    reference_merge(&states, &check->merged);
    return true;
}

/* Into a buffer that is NaN before. */
static bool merge(merge_check *check)
{
    const int64_t states_shape[] = {NUM_STATES, NUM_TOKENS, NUM_HEADS, check->width};
    const int64_t out_shape[] = {NUM_TOKENS, NUM_HEADS, check->width};
    const size_t num_bytes = (size_t)NUM_ROWS * (size_t)check->width * clattn_dtype_size(check->dtype);
    check->out = malloc(num_bytes);
    if (!check->out)
        return tool_error("out of memory");
    memset(check->out, 0xFF, num_bytes);
    if (!bench_upload(check->ctx, check->out, num_bytes, &check->out_buffer))
        return false;
    clattn_merge_states_params params = {
        .states_out = clattn_tensor_make(check->states_buffer, check->dtype, 4, states_shape),
        .out = clattn_tensor_make(check->out_buffer, check->dtype, 3, out_shape),
    };
    const clattn_tensor statistics = clattn_tensor_make(check->max_buffer, CLATTN_FLOAT32, 3, states_shape);
    if (check->by_lse) {
        params.states_lse = statistics;
    } else {
        params.states_max = statistics;
        params.states_denominator = clattn_tensor_make(check->denominator_buffer, CLATTN_FLOAT32, 3, states_shape);
    }
    return tool_check(check->ctx, clattn_merge_states(check->ctx, &params, 0, NULL, NULL), "clattn_merge_states") &&
           bench_download(check->ctx, check->out_buffer, 0, num_bytes, check->out);
}

static bool compare(const merge_check *check)
{
    /* Each term and each sum is rounded once; a weight is off by 3 ulp of exp() and what rounding its argument moves.
     */
    const double relative_error = (16.0 + NUM_STATES) * 0x1p-24;
    for (int row = 0; row < NUM_ROWS; row++) {
        const double sum = check->merged.denominator[row];
        for (int32_t i = 0; i < check->width; i++) {
            const int64_t at = (int64_t)row * check->width + i;
            const double exact = check->merged.out[at];
            const double actual = (double)bench_storage_get(check->dtype, check->out, at);
            const double allowed = 2.0 * relative_error * check->merged.magnitude[at] / (sum > 0.0 ? sum : 1.0) +
                                   bench_storage_rounding(check->dtype, exact);
            if (!(fabs(actual - exact) <= allowed))
                return tool_error("token %d, head %d, element %d is %.9g instead of %.9g, and may be %.2g off",
                                  row / NUM_HEADS, row % NUM_HEADS, (int)i, actual, exact, allowed);
        }
    }
    return true;
}

bool tune_check_merge(clattn_context *ctx, clattn_dtype dtype, int32_t head_dim, bool by_lse, bool *right)
{
    merge_check check = {.ctx = ctx, .dtype = dtype, .width = head_dim, .by_lse = by_lse};
    const bool good = make_states(&check) && compute_truth(&check) && merge(&check);
    *right = good && compare(&check);
    bench_release_buffer(check.states_buffer);
    bench_release_buffer(check.max_buffer);
    bench_release_buffer(check.denominator_buffer);
    bench_release_buffer(check.out_buffer);
    free(check.states);
    free(check.truth);
    free(check.out);
    return good;
}
