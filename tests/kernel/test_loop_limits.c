/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much as a work-item of a device is given that ends long loops, on every device as if it were one; and that more is
 * refused. A device that is one must still get right what is computed without the library's margins: of the fact, the
 * library takes a half for safety and a quarter of that for sinks.
 *
 * All keys and sinks are 0 and all values 1. A row of n visible keys and s sinks has the log-sum-exp log(n + s) and the
 * output n / (n + s), and whatever is left out shows.
 */
#include "attention/plan.h"
#include "runtime/context.h"
#include "support/device.h"
#include "support/size.h"
#include "tuning/loops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

enum { PAGE_SIZE = 16, GROUP_SIZE = 2, PREFILL_TOKENS = 70, LIMIT = 65535 };

/* A sequence of one kv head. */
typedef struct sequence_case {
    int32_t head_dim;
    clattn_dtype dtype; /* of K and V */
    int32_t num_tokens;
    int32_t num_keys;
    int32_t num_splits;
    int32_t num_sinks;
} sequence_case;

static const sequence_case shapes[] = {
    {.head_dim = 8, .dtype = CLATTN_FLOAT32},    {.head_dim = 56, .dtype = CLATTN_BFLOAT16},
    {.head_dim = 128, .dtype = CLATTN_FLOAT32},  {.head_dim = 168, .dtype = CLATTN_FLOAT16},
    {.head_dim = 512, .dtype = CLATTN_BFLOAT16},
};

static const int32_t token_counts[CLATTN_NUM_PHASES] = {
    [CLATTN_PHASE_DECODE] = 1, [CLATTN_PHASE_PREFILL] = PREFILL_TOKENS};

/* Equal elements: 0 or 1 in any dtype. */
static clattn_tensor make_tensor(const support_device *device, clattn_dtype dtype, int rank, const int64_t *shape,
                                 int value)
{
    const uint16_t ones[] = {[CLATTN_FLOAT16] = 0x3c00, [CLATTN_BFLOAT16] = 0x3f80};
    const float single = (float)value;
    const uint16_t half = dtype != CLATTN_FLOAT32 && value != 0 ? ones[dtype] : 0;
    const size_t size = clattn_dtype_size(dtype);
    size_t num_elements = 1;
    for (int i = 0; i < rank; i++)
        num_elements *= (size_t)shape[i];
    char *bytes = malloc(num_elements * size);
    assert_non_null(bytes);
    for (size_t i = 0; i < num_elements; i++)
        memcpy(bytes + i * size, dtype == CLATTN_FLOAT32 ? (const void *)&single : (const void *)&half, size);
    const cl_mem buffer = support_buffer_create(device, bytes, num_elements * size);
    free(bytes);
    return clattn_tensor_make(buffer, dtype, rank, shape);
}

static clattn_plan_params plan_params_of(const sequence_case *problem)
{
    return (clattn_plan_params){
        .num_q_heads = GROUP_SIZE,
        .num_kv_heads = 1,
        .head_dim = problem->head_dim,
        .page_size = PAGE_SIZE,
        .num_pages = 1,
        .num_splits = problem->num_splits,
    };
}

/* What the device's row says for a shape. */
static clattn_row row_of(const support_device *device, const sequence_case *problem)
{
    const clattn_plan_params params = plan_params_of(problem);
    clattn_plan *plan = NULL;
    assert_int_equal(clattn_plan_create(device->ctx, &params, &plan), CLATTN_OK);
    const clattn_row row = plan->row;
    clattn_plan_destroy(&plan);
    return row;
}

static void read_floats(const support_device *device, const clattn_tensor *tensor, size_t num_floats, float *floats)
{
    support_require_cl(clEnqueueReadBuffer(device->queue, tensor->buffer, CL_TRUE, 0, num_floats * sizeof *floats,
                                           floats, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
}

/* The rows' log-sum-exps and outputs. */
static void check_results(const support_device *device, const sequence_case *problem, const clattn_tensor *lse,
                          const clattn_tensor *out)
{
    const size_t num_rows = (size_t)problem->num_tokens * GROUP_SIZE;
    const size_t width = (size_t)problem->head_dim;
    float *floats = malloc(num_rows * (1 + width) * sizeof *floats);
    assert_non_null(floats);
    read_floats(device, lse, num_rows, floats);
    read_floats(device, out, num_rows * width, floats + num_rows);
    for (size_t row = 0; row < num_rows; row++) {
        const int32_t num_keys = problem->num_keys - problem->num_tokens + (int32_t)(row / GROUP_SIZE) + 1;
        const double denominator = (double)num_keys + problem->num_sinks;
        if (!(fabs((double)floats[row] - log(denominator)) < 1e-5))
            fail_msg("head_dim=%d tokens=%d keys=%d splits=%d sinks=%d: row %zu adds up to %.1f, expected %.1f",
                     problem->head_dim, problem->num_tokens, problem->num_keys, problem->num_splits, problem->num_sinks,
                     row, exp((double)floats[row]), denominator);
        for (size_t d = 0; d < width; d++) {
            const double value = (double)floats[num_rows + row * width + d];
            if (!(fabs(value - num_keys / denominator) < 1e-5))
                fail_msg("head_dim=%d tokens=%d keys=%d splits=%d sinks=%d: row %zu, column %zu is %f, expected %f",
                         problem->head_dim, problem->num_tokens, problem->num_keys, problem->num_splits,
                         problem->num_sinks, row, d, value, num_keys / denominator);
        }
    }
    free(floats);
}

static void release(const clattn_tensor *const *tensors, size_t num_tensors)
{
    for (size_t i = 0; i < num_tensors; i++)
        clReleaseMemObject(tensors[i]->buffer);
}

/* Over pages that are all the same one. */
static void check_attention(const support_device *device, const sequence_case *problem)
{
    const int32_t pages_per_seq = (problem->num_keys + PAGE_SIZE - 1) / PAGE_SIZE;
    const int32_t query_start_loc[] = {0, problem->num_tokens};
    const int64_t pages[] = {1, PAGE_SIZE, 1, problem->head_dim};
    const int64_t rows[] = {problem->num_tokens, GROUP_SIZE, problem->head_dim};
    int32_t *block_table = calloc((size_t)pages_per_seq, sizeof *block_table);
    assert_non_null(block_table);
    const clattn_ragged_page_attention_params call = {
        .queries = make_tensor(device, CLATTN_FLOAT32, 3, rows, 1),
        .out = make_tensor(device, CLATTN_FLOAT32, 3, rows, 0),
        .lse = make_tensor(device, CLATTN_FLOAT32, 2, rows, 0),
        .key_pages = make_tensor(device, problem->dtype, 4, pages, 0),
        .value_pages = make_tensor(device, problem->dtype, 4, pages, 1),
        .kv_layout = CLATTN_KV_NHD,
        .num_seqs = 1,
        .query_start_loc = query_start_loc,
        .context_lens = &problem->num_keys,
        .block_tables = block_table,
        .pages_per_seq = pages_per_seq,
        .num_splits = problem->num_splits,
    };
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &call, 0, NULL, NULL), CLATTN_OK);
    check_results(device, problem, &call.lse, &call.out);
    const clattn_tensor *tensors[] = {&call.queries, &call.out, &call.lse, &call.key_pages, &call.value_pages};
    release(tensors, sizeof tensors / sizeof tensors[0]);
    free(block_table);
}

/* One token over a dense cache, with sinks; checked unless it is refused. */
static clattn_status attend_with_sinks(const support_device *device, const sequence_case *problem)
{
    const int64_t keys[] = {1, problem->num_keys, 1, problem->head_dim};
    const int64_t rows[] = {1, GROUP_SIZE, problem->head_dim};
    const int64_t sinks[] = {problem->num_sinks};
    const clattn_ragged_decode_attention_params call = {
        .query = make_tensor(device, CLATTN_FLOAT32, 3, rows, 1),
        .key = make_tensor(device, problem->dtype, 4, keys, 0),
        .value = make_tensor(device, problem->dtype, 4, keys, 1),
        .out = make_tensor(device, CLATTN_FLOAT32, 3, rows, 0),
        .lse = make_tensor(device, CLATTN_FLOAT32, 2, rows, 0),
        .softmax_aux = make_tensor(device, CLATTN_FLOAT32, 1, sinks, 0),
        .sequence_end = &problem->num_keys,
        .num_splits = problem->num_splits,
    };
    const clattn_status status = clattn_ragged_decode_attention(device->ctx, &call, 0, NULL, NULL);
    if (status == CLATTN_OK)
        check_results(device, problem, &call.lse, &call.out);
    const clattn_tensor *tensors[] = {&call.query, &call.key, &call.value, &call.out, &call.lse, &call.softmax_aux};
    release(tensors, sizeof tensors / sizeof tensors[0]);
    return status;
}

/* States of one key each; checked unless it is refused. */
static clattn_status merge(const support_device *device, int32_t head_dim, int32_t num_states)
{
    const sequence_case joined = {.head_dim = head_dim, .num_tokens = 1, .num_keys = num_states};
    const int64_t states[] = {num_states, 1, GROUP_SIZE, head_dim};
    const clattn_merge_states_params call = {
        .states_out = make_tensor(device, CLATTN_FLOAT32, 4, states, 1),
        .states_lse = make_tensor(device, CLATTN_FLOAT32, 3, states, 0),
        .out = make_tensor(device, CLATTN_FLOAT32, 3, states + 1, 0),
        .lse = make_tensor(device, CLATTN_FLOAT32, 2, states + 1, 0),
    };
    const clattn_status status = clattn_merge_states(device->ctx, &call, 0, NULL, NULL);
    if (status == CLATTN_OK)
        check_results(device, &joined, &call.lse, &call.out);
    const clattn_tensor *tensors[] = {&call.states_out, &call.states_lse, &call.out, &call.lse};
    release(tensors, sizeof tensors / sizeof tensors[0]);
    return status;
}

/* As a device with the limit, or with the one that this device has; without the margins. */
static int set_up(void **state)
{
    const int result = support_device_setup(state);
    if (result == 0) {
        clattn_device_facts *facts = &((support_device *)*state)->ctx->facts;
        facts->max_loop_iterations = (facts->max_loop_iterations > 0 ? facts->max_loop_iterations : LIMIT) * 8 / 3;
    }
    return result;
}

static void longest_items_take_all_their_keys(void **state)
{
    const support_device *device = *state;
    for (int32_t i = 0; i < COUNT(shapes); i++) {
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            sequence_case problem = shapes[i];
            problem.num_splits = 1;
            problem.num_keys = row_of(device, &problem).max_item_keys[phase];
            assert_true(problem.num_keys > 0);
            problem.num_tokens = token_counts[phase] < problem.num_keys ? token_counts[phase] : problem.num_keys;
            check_attention(device, &problem);
            problem.num_keys = 3 * problem.num_keys + 1;
            check_attention(device, &problem);
        }
    }
}

static void most_splits_are_merged(void **state)
{
    const support_device *device = *state;
    for (int32_t i = 0; i < COUNT(shapes); i++) {
        sequence_case problem = shapes[i];
        const clattn_row row = row_of(device, &problem);
        problem.num_tokens = 1;
        problem.num_splits = INT32_MAX;
        problem.num_keys = row.max_splits * row.tiles[CLATTN_PHASE_DECODE].block_kv;
        check_attention(device, &problem);
        problem.num_keys += 1; /* of two blocks each */
        check_attention(device, &problem);
    }
}

static void keys_of_more_splits_than_can_be_merged_are_refused(void **state)
{
    const support_device *device = *state;
    sequence_case problem = shapes[COUNT(shapes) - 1];
    const clattn_row row = row_of(device, &problem);
    for (int32_t too_many = 0; too_many <= 1; too_many++) {
        const int32_t num_keys = row.max_splits * row.max_item_keys[CLATTN_PHASE_DECODE] + too_many;
        clattn_plan_params params = plan_params_of(&problem);
        clattn_plan *plan = NULL;
        params.dense = true;
        params.page_size = num_keys;
        params.num_seqs = params.total_tokens = 1;
        params.context_lens = &num_keys;
        const clattn_status status = clattn_plan_create(device->ctx, &params, &plan);
        assert_int_equal(status, too_many ? CLATTN_UNSUPPORTED : CLATTN_OK);
        if (too_many)
            assert_non_null(strstr(clattn_context_last_error(device->ctx), "ends loops after"));
        else
            assert_int_equal(plan->counts.max_splits, row.max_splits);
        clattn_plan_destroy(&plan);
    }
}

/* With the keys split, in the merge kernel as well. */
static void most_sinks_join_and_more_are_refused(void **state)
{
    const support_device *device = *state;
    for (int32_t num_splits = 1; num_splits <= 3; num_splits += 2) {
        sequence_case problem = {
            .head_dim = 56, .dtype = CLATTN_FLOAT32, .num_tokens = 1, .num_keys = 93, .num_splits = num_splits};
        problem.num_sinks = row_of(device, &problem).max_sinks;
        assert_true(problem.num_sinks > 0);
        assert_int_equal(attend_with_sinks(device, &problem), CLATTN_OK);
        problem.num_sinks++;
        assert_int_equal(attend_with_sinks(device, &problem), CLATTN_UNSUPPORTED);
        assert_non_null(strstr(clattn_context_last_error(device->ctx), "softmax_aux"));
    }
}

static void most_states_are_merged_and_more_are_refused(void **state)
{
    const support_device *device = *state;
    for (int32_t i = 0; i < COUNT(shapes); i += 2) {
        const int32_t head_dim = shapes[i].head_dim;
        const int32_t most = clattn_loops_merge_states(&device->ctx->facts, device->family, head_dim);
        assert_int_equal(merge(device, head_dim, most), CLATTN_OK);
        assert_int_equal(merge(device, head_dim, most + 1), CLATTN_UNSUPPORTED);
        assert_non_null(strstr(clattn_context_last_error(device->ctx), "states_out"));
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_items_take_all_their_keys),
        cmocka_unit_test(most_splits_are_merged),
        cmocka_unit_test(keys_of_more_splits_than_can_be_merged_are_refused),
        cmocka_unit_test(most_sinks_join_and_more_are_refused),
        cmocka_unit_test(most_states_are_merged_and_more_are_refused),
    };
    if (support_size_is_small()) {
        fprintf(stderr, "skipped: loops as long as they may be take an interpreter too long\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("loop_limits", tests, set_up, support_device_teardown);
}
