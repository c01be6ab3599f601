/* SPDX-License-Identifier: Apache-2.0 */
/* Appending rows: every dtype, layout and stride, bit for bit; where slots come from; what is refused. */
#include "append_fixture.h"
#include "support/fp.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const append_case plain_case = {
    .layout = CLATTN_KV_NHD,
    .k_dtype = CLATTN_FLOAT32,
    .v_dtype = CLATTN_FLOAT32,
    .dtype = CLATTN_FLOAT32,
    .num_kv_heads = 2,
    .head_dim = 8,
    .head_dim_v = 8,
    .page_size = 4,
    .num_pages = 6,
    .total_tokens = 5,
};

static void run_case(const support_device *device, const append_case *made, uint64_t seed)
{
    char what[256];
    append_fixture tested;
    support_random random = support_random_seeded(seed);
    append_setup(&tested, device, made, &random);
    append_rows(&tested, 1);
    snprintf(what, sizeof what,
             "layout=%s k=%s v=%s dtype=%s heads=%d D=%d Dv=%d page_size=%d pages=%d tokens=%d strided=%d seed=%d",
             clattn_kv_layout_name(made->layout), clattn_dtype_name(made->k_dtype), clattn_dtype_name(made->v_dtype),
             clattn_dtype_name(made->dtype), made->num_kv_heads, made->head_dim, made->head_dim_v, made->page_size,
             made->num_pages, made->total_tokens, made->strided, (int)seed);
    append_check_layers(&tested, what);
    append_teardown(&tested);
}

/* Sizes that differ in every dimension; the combined layout takes head_dim for both. */
static append_case shaped_case(clattn_kv_layout layout, int32_t number)
{
    static const append_case shapes[] = {
        {.num_kv_heads = 1, .head_dim = 8, .head_dim_v = 24, .page_size = 1, .num_pages = 40, .total_tokens = 17},
        {.num_kv_heads = 2, .head_dim = 24, .head_dim_v = 24, .page_size = 7, .num_pages = 5, .total_tokens = 35},
        {.num_kv_heads = 3, .head_dim = 72, .head_dim_v = 8, .page_size = 16, .num_pages = 3, .total_tokens = 13},
        {.num_kv_heads = 8, .head_dim = 24, .head_dim_v = 72, .page_size = 16, .num_pages = 2, .total_tokens = 1},
        {.num_kv_heads = 5, .head_dim = 1, .head_dim_v = 3, .page_size = 7, .num_pages = 4, .total_tokens = 9},
        {.num_kv_heads = 1, .head_dim = 129, .head_dim_v = 72, .page_size = 1, .num_pages = 9, .total_tokens = 9},
    };
    append_case made = shapes[(size_t)number % (sizeof shapes / sizeof shapes[0])];
    made.layout = layout;
    if (layout == CLATTN_KV_COMBINED)
        made.head_dim_v = made.head_dim;
    return made;
}

static void every_dtype_and_layout_is_written_bit_for_bit(void **state)
{
    int32_t number = 0;
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        for (int k = CLATTN_FLOAT32; k <= CLATTN_BFLOAT16; k++) {
            for (int v = CLATTN_FLOAT32; v <= CLATTN_BFLOAT16; v++) {
                for (int dst = CLATTN_FLOAT32; dst <= CLATTN_BFLOAT16; dst++, number++) {
                    append_case made = shaped_case((clattn_kv_layout)layout, number);
                    made.k_dtype = (clattn_dtype)k;
                    made.v_dtype = (clattn_dtype)v;
                    made.dtype = (clattn_dtype)dst;
                    made.strided = number % 2 != 0;
                    run_case(*state, &made, (uint64_t)number);
                }
            }
        }
    }
}

static void every_shape_is_written_in_every_layout(void **state)
{
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        for (int32_t number = 0; number < 12; number++) {
            append_case made = shaped_case((clattn_kv_layout)layout, number);
            made.k_dtype = CLATTN_FLOAT32;
            made.v_dtype = CLATTN_BFLOAT16;
            made.dtype = CLATTN_FLOAT16;
            made.strided = number >= 6;
            run_case(*state, &made, 1000 + (uint64_t)number);
        }
    }
}

/* All 65536 patterns of the 16-bit types, and as many float32 around the ties between neighbours of each of them. */
static void every_16_bit_value_and_tie_is_rounded_right(void **state)
{
    for (int k = CLATTN_FLOAT32; k <= CLATTN_BFLOAT16; k++) {
        for (int dst = CLATTN_FLOAT32; dst <= CLATTN_BFLOAT16; dst++) {
            const append_case made = {
                CLATTN_KV_HND, (clattn_dtype)k, CLATTN_FLOAT32, (clattn_dtype)dst, 4, 128, 128, 16, 8, 128, false};
            support_random random = support_random_seeded(3);
            append_fixture tested;
            append_setup(&tested, *state, &made, &random);
            for (uint32_t i = 0; i < 0x10000; i++) {
                const float low = support_float_from_half((uint16_t)i);
                const float high = support_float_from_half((uint16_t)(i + 1));
                const uint32_t tie = (i << 16) | 0x8000u;
                float value;
                memcpy(&value, &tie, sizeof value);
                if (k == CLATTN_FLOAT32)
                    support_image_set(&tested.keys, i, low + (high - low) / 2.0f);
                else
                    memcpy(tested.keys.bytes + 2 * (size_t)i, &(uint16_t){(uint16_t)i}, 2);
                support_image_set(&tested.values, i, value);
            }
            support_image_upload(&tested.keys, *state);
            support_image_upload(&tested.values, *state);
            append_rows(&tested, 0);
            append_check_layers(&tested, "all values");
            append_teardown(&tested);
        }
    }
}

/* The write of the slots has not begun when the next call comes and the caller reuses its array. */
static void slots_are_copied_before_the_call_returns(void **state)
{
    support_random random = support_random_seeded(5);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    const int64_t first[] = {3, 9, 4, 23, 0};
    const int64_t second[] = {8, 7, 6, 5, 22};
    int64_t slots[5];
    cl_int result = CL_SUCCESS;
    cl_event gate = clCreateUserEvent(tested.device->cl, &result);
    cl_event done = NULL;
    clattn_kv_append_params params = append_params_of(&tested, 0);
    support_require_cl(result, "clCreateUserEvent");
    params.slot_mapping = slots;

    memcpy(slots, first, sizeof slots);
    assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 1, &gate, NULL), CLATTN_OK);
    memcpy(slots, second, sizeof slots);
    params.layer = 1;
    assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 0, NULL, &done), CLATTN_OK);
    memset(slots, 0, sizeof slots);
    assert_non_null(done);

    support_require_cl(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
    support_require_cl(clWaitForEvents(1, &done), "clWaitForEvents");
    clReleaseEvent(done);
    clReleaseEvent(gate);
    append_expect(&tested, 0, first);
    append_expect(&tested, 1, second);
    append_check_layers(&tested, "gated");
    append_teardown(&tested);
}

/* Neither stale slots nor stale sizes: the layers of a step share slots, the next step has others, longer or shorter.
 */
static void slots_change_from_step_to_step(void **state)
{
    support_random random = support_random_seeded(6);
    append_case made = plain_case;
    made.num_pages = 40;
    made.total_tokens = 33;
    append_fixture tested;
    append_setup(&tested, *state, &made, &random);
    const int64_t *order = tested.slots;
    int64_t slots[33];
    for (int32_t step = 0; step < 24; step++) {
        tested.total_tokens = step == 12 ? 1 : support_random_between(&random, 1, 33);
        tested.keys.tensor.shape[0] = tested.total_tokens;
        tested.values.tensor.shape[0] = tested.total_tokens;
        for (int32_t t = 0; t < tested.total_tokens; t++)
            slots[t] = order[(t + 37 * step) % 160];
        for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
            clattn_kv_append_params params = append_params_of(&tested, layer);
            params.slot_mapping = slots;
            assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 0, NULL, NULL), CLATTN_OK);
            append_expect(&tested, layer, slots);
        }
    }
    append_check_layers(&tested, "steps");
    append_teardown(&tested);
}

/* No tokens: nothing is written, but the event comes, behind the wait list. */
static void no_tokens_give_an_event_and_nothing_else(void **state)
{
    support_random random = support_random_seeded(7);
    append_fixture tested;
    cl_event done = NULL;
    append_setup(&tested, *state, &plain_case, &random);
    clattn_kv_append_params params = append_params_of(&tested, 0);
    params.keys.shape[0] = 0;
    params.values.shape[0] = 0;
    params.slot_mapping = NULL;
    assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 0, NULL, NULL), CLATTN_OK);

    cl_event gate = clCreateUserEvent(tested.device->cl, NULL);
    cl_int execution = CL_COMPLETE;
    assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 1, &gate, &done), CLATTN_OK);
    assert_non_null(done);
    support_require_cl(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof execution, &execution, NULL),
                       "clGetEventInfo");
    assert_int_not_equal(execution, CL_COMPLETE);
    support_require_cl(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
    support_require_cl(clWaitForEvents(1, &done), "clWaitForEvents");
    clReleaseEvent(done);
    clReleaseEvent(gate);
    append_check_layers(&tested, "no tokens");
    append_teardown(&tested);
}

static clattn_plan *make_plan(const append_fixture *tested, int32_t num_pages, int32_t page_size, int32_t total_tokens,
                              const int64_t *slots)
{
    const int32_t query_start_loc[] = {0};
    const clattn_plan_params params = {
        .total_tokens = total_tokens,
        .query_start_loc = query_start_loc,
        .slot_mapping = slots,
        .num_q_heads = 2,
        .num_kv_heads = 2,
        .head_dim = 8,
        .page_size = page_size,
        .num_pages = num_pages,
    };
    clattn_plan *plan = NULL;
    if (clattn_plan_create(tested->device->ctx, &params, &plan) != CLATTN_OK)
        fail_msg("%s", clattn_context_last_error(tested->device->ctx));
    return plan;
}

static void slots_of_a_plan_are_used(void **state)
{
    support_random random = support_random_seeded(8);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    clattn_plan *plan = make_plan(&tested, 6, 4, 5, tested.slots);
    for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
        clattn_kv_append_params params = append_params_of(&tested, layer);
        params.slot_mapping = NULL;
        params.plan = plan;
        if (clattn_kv_cache_append(tested.cache, &params, 0, NULL, NULL) != CLATTN_OK)
            fail_msg("%s", clattn_context_last_error(tested.device->ctx));
        append_expect(&tested, layer, tested.slots);
    }
    clattn_plan_destroy(&plan);
    append_check_layers(&tested, "plan");
    append_teardown(&tested);
}

static void assert_refused(const append_fixture *tested, const clattn_kv_append_params *params, clattn_status status,
                           const char *word)
{
    cl_event event = (cl_event)(void *)&status;
    assert_int_equal(clattn_kv_cache_append(tested->cache, params, 0, NULL, &event), status);
    assert_null(event);
    if (!strstr(clattn_context_last_error(tested->device->ctx), word))
        fail_msg("\"%s\" does not say \"%s\"", clattn_context_last_error(tested->device->ctx), word);
}

static void plan_of_another_problem_is_refused(void **state)
{
    support_random random = support_random_seeded(9);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    const int64_t low_slots[] = {0, 1, 2, 3, 4, 5};
    const struct {
        int32_t num_pages;
        int32_t page_size;
        int32_t total_tokens;
        const int64_t *slots;
        const char *word;
    } cases[] = {
        {6, 4, 5, NULL, "without slot_mapping"}, {6, 4, 4, low_slots, "4 tokens, keys has 5"},
        {6, 4, 6, low_slots, "6 tokens"},        {4, 6, 5, low_slots, "pages of 6 tokens"},
        {7, 4, 5, low_slots, "28 in all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_kv_append_params params = append_params_of(&tested, 0);
        clattn_plan *plan =
            make_plan(&tested, cases[i].num_pages, cases[i].page_size, cases[i].total_tokens, cases[i].slots);
        params.slot_mapping = NULL;
        params.plan = plan;
        assert_refused(&tested, &params, CLATTN_PLAN_MISMATCH, cases[i].word);
        params.slot_mapping = tested.slots;
        assert_refused(&tested, &params, CLATTN_INVALID_ARGUMENT, "both given");
        clattn_plan_destroy(&plan);
    }
    append_check_layers(&tested, "refused plans");
    append_teardown(&tested);
}

static void plan_of_another_context_is_refused(void **state)
{
    support_random random = support_random_seeded(10);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    const clattn_context_params other = {
        .cl_context_handle = clattn_context_cl_context(tested.device->ctx),
        .cl_device = clattn_context_cl_device(tested.device->ctx),
        .cl_queue = clattn_context_cl_queue(tested.device->ctx),
        .cache_dir = "",
    };
    support_device device = *tested.device;
    append_fixture stranger = tested;
    assert_int_equal(clattn_context_create(&other, &device.ctx), CLATTN_OK);
    stranger.device = &device;
    clattn_plan *plan = make_plan(&stranger, 6, 4, 5, tested.slots);
    clattn_kv_append_params params = append_params_of(&tested, 0);
    params.slot_mapping = NULL;
    params.plan = plan;
    assert_refused(&tested, &params, CLATTN_PLAN_MISMATCH, "another context");
    clattn_plan_destroy(&plan);
    clattn_context_destroy(&device.ctx);
    append_teardown(&tested);
}

static void refused_arguments_leave_the_cache_alone(void **state)
{
    support_random random = support_random_seeded(11);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    const clattn_kv_append_params good = append_params_of(&tested, 0);
    clattn_kv_append_params params = good;
    assert_int_equal(clattn_kv_cache_append(NULL, &good, 0, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_refused(&tested, NULL, CLATTN_INVALID_ARGUMENT, "params");
    assert_int_equal(clattn_kv_cache_append(tested.cache, &good, 1, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    params.layer = -1;
    assert_refused(&tested, &params, CLATTN_INVALID_ARGUMENT, "layer is -1");
    params.layer = NUM_LAYERS;
    assert_refused(&tested, &params, CLATTN_INVALID_ARGUMENT, "layer is 2");
    params = good;
    params.keys.buffer = NULL;
    assert_refused(&tested, &params, CLATTN_INVALID_ARGUMENT, "keys");
    params = good;
    params.slot_mapping = NULL;
    assert_refused(&tested, &params, CLATTN_INVALID_ARGUMENT, "both NULL");
    params = good;
    params.values.dtype = CLATTN_NUM_DTYPES;
    assert_refused(&tested, &params, CLATTN_INVALID_DTYPE, "values");
    params = good;
    params.keys.rank = 2;
    assert_refused(&tested, &params, CLATTN_INVALID_SHAPE, "keys");
    params = good;
    params.keys.shape[1] = 3;
    assert_refused(&tested, &params, CLATTN_INVALID_SHAPE, "keys");
    params = good;
    params.values.shape[2] = 9;
    assert_refused(&tested, &params, CLATTN_INVALID_SHAPE, "values");
    params = good;
    params.values.shape[0] = 4;
    assert_refused(&tested, &params, CLATTN_INVALID_SHAPE, "values");
    params = good;
    params.keys.offset_bytes = tested.keys.num_bytes - 79 * sizeof(float);
    assert_refused(&tested, &params, CLATTN_BUFFER_TOO_SMALL, "keys");
    append_check_layers(&tested, "refused");
    append_rows(&tested, 0);
    append_check_layers(&tested, "accepted");
    append_teardown(&tested);
}

static void slots_outside_the_cache_or_given_twice_are_refused(void **state)
{
    support_random random = support_random_seeded(12);
    append_fixture tested;
    append_setup(&tested, *state, &plain_case, &random);
    clattn_kv_append_params params = append_params_of(&tested, 0);
    int64_t slots[] = {0, 24, 1, 2, 3};
    params.slot_mapping = slots;
    assert_refused(&tested, &params, CLATTN_INVALID_PAGE, "slot_mapping[1] is 24");
    slots[1] = -1;
    assert_refused(&tested, &params, CLATTN_INVALID_PAGE, "slot_mapping[1] is -1");
    slots[1] = 3;
    assert_refused(&tested, &params, CLATTN_INVALID_PAGE, "slot_mapping[1] and slot_mapping[4]");
    append_check_layers(&tested, "refused slots");
    slots[1] = 23;
    assert_int_equal(clattn_kv_cache_append(tested.cache, &params, 0, NULL, NULL), CLATTN_OK);
    append_expect(&tested, 0, slots);
    slots[1] = 24;
    assert_refused(&tested, &params, CLATTN_INVALID_PAGE, "slot_mapping[1] is 24");
    append_check_layers(&tested, "accepted slots");
    append_teardown(&tested);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_and_layout_is_written_bit_for_bit),
        cmocka_unit_test(every_shape_is_written_in_every_layout),
        cmocka_unit_test(every_16_bit_value_and_tie_is_rounded_right),
        cmocka_unit_test(slots_are_copied_before_the_call_returns),
        cmocka_unit_test(slots_change_from_step_to_step),
        cmocka_unit_test(no_tokens_give_an_event_and_nothing_else),
        cmocka_unit_test(slots_of_a_plan_are_used),
        cmocka_unit_test(plan_of_another_problem_is_refused),
        cmocka_unit_test(plan_of_another_context_is_refused),
        cmocka_unit_test(refused_arguments_leave_the_cache_alone),
        cmocka_unit_test(slots_outside_the_cache_or_given_twice_are_refused),
    };
    support_select_family(argc, argv);
    return support_run_tests("append", tests, sizeof(tests) / sizeof(tests[0]));
}
