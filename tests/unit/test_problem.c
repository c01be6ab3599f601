/* SPDX-License-Identifier: Apache-2.0 */
/* The problem description: where K and V of each layout lie, the options, and the checks of heads and head_dim. */
#include "attention/problem.h"
#include "attention/schedule.h"
#include "runtime/layout.h"

#include <clattn/attention.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PAGES = 5, SLOTS = 3, KV_HEADS = 4, WIDTH = 8 };

static void require_refusal(clattn_status given, const clattn_error *error, clattn_status status, const char *words)
{
    if (given != status || strstr(error->text, words) == NULL)
        fail_msg("status=%s sentence=\"%s\", expected %s and \"%s\"", clattn_status_name(given), error->text,
                 clattn_status_name(status), words);
}

/* Dimensions of a K tensor (COMBINED: of the one tensor) in a layout. */
static clattn_view make_view(clattn_kv_layout layout, int64_t offset, int64_t gap)
{
    static const int64_t shapes[CLATTN_NUM_KV_LAYOUTS][4] = {
        [CLATTN_KV_COMBINED] = {PAGES, SLOTS, 2 * KV_HEADS, WIDTH},
        [CLATTN_KV_NHD] = {PAGES, SLOTS, KV_HEADS, WIDTH},
        [CLATTN_KV_HND] = {PAGES, KV_HEADS, SLOTS, WIDTH},
        [CLATTN_KV_HEADS_FIRST] = {KV_HEADS, PAGES, SLOTS, WIDTH},
    };
    clattn_view view = {.dtype = CLATTN_FLOAT16, .rank = 4, .offset = (uint64_t)offset};
    int64_t stride = 1;
    for (int i = 3; i >= 0; i--) {
        view.shape[i] = shapes[layout][i];
        view.strides[i] = stride;
        stride = stride * view.shape[i] + (i > 0 ? gap : 0);
    }
    return view;
}

/* Where an element lies: the plain sum over a tensor's dimensions. */
static int64_t element_at(const clattn_view *view, int64_t i0, int64_t i1, int64_t i2, int64_t i3)
{
    return (int64_t)view->offset + i0 * view->strides[0] + i1 * view->strides[1] + i2 * view->strides[2] +
           i3 * view->strides[3];
}

static int64_t key_at(clattn_kv_layout layout, const clattn_view *key, int page, int slot, int head, int d)
{
    switch (layout) {
    case CLATTN_KV_COMBINED:
        return element_at(key, page, slot, 2 * head, d);
    case CLATTN_KV_NHD:
        return element_at(key, page, slot, head, d);
    case CLATTN_KV_HND:
        return element_at(key, page, head, slot, d);
    default:
        return element_at(key, head, page, slot, d);
    }
}

static int64_t value_at(clattn_kv_layout layout, const clattn_view *key, const clattn_view *value, int page, int slot,
                        int head, int d)
{
    if (layout == CLATTN_KV_COMBINED)
        return element_at(key, page, slot, 2 * head + 1, d);
    return key_at(layout, value, page, slot, head, d);
}

static int64_t address(const clattn_pages_address *pages, int page, int slot, int head, int d)
{
    return (int64_t)(pages->offset + (uint64_t)page * pages->page_stride + (uint64_t)slot * pages->slot_stride +
                     (uint64_t)head * pages->head_stride) +
           d;
}

static void check_every_element(clattn_kv_layout layout, const clattn_view *key, const clattn_view *value)
{
    clattn_problem problem = {0};
    clattn_error error = {.text = ""};
    if (clattn_problem_set_kv(&problem, layout, key, value, &error) != CLATTN_OK)
        fail_msg("layout=%s: %s", clattn_kv_layout_name(layout), error.text);
    assert_int_equal(problem.num_pages, PAGES);
    assert_int_equal(problem.page_size, SLOTS);
    assert_int_equal(problem.num_kv_heads, KV_HEADS);
    assert_int_equal(problem.head_dim, WIDTH);
    assert_int_equal(problem.head_dim_v, layout == CLATTN_KV_COMBINED ? WIDTH : value->shape[3]);
    assert_int_equal(problem.k_dtype, key->dtype);
    assert_int_equal(problem.v_dtype, layout == CLATTN_KV_COMBINED ? key->dtype : value->dtype);
    assert_int_equal(problem.token_major, clattn_layout_is_token_major(layout));
    for (int i = 0; i < PAGES * SLOTS * KV_HEADS * WIDTH; i++) {
        const int d = i % WIDTH;
        const int head = i / WIDTH % KV_HEADS;
        const int slot = i / (WIDTH * KV_HEADS) % SLOTS;
        const int page = i / (WIDTH * KV_HEADS * SLOTS);
        assert_int_equal(address(&problem.k, page, slot, head, d), key_at(layout, key, page, slot, head, d));
        assert_int_equal(address(&problem.v, page, slot, head, d), value_at(layout, key, value, page, slot, head, d));
    }
}

static void every_layout_follows_the_address_rule(void **state)
{
    (void)state;
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        const clattn_view key = make_view((clattn_kv_layout)layout, 0, 0);
        const clattn_view strided_key = make_view((clattn_kv_layout)layout, 13, 3);
        clattn_view value = make_view((clattn_kv_layout)layout, 7, 5);
        value.dtype = CLATTN_BFLOAT16;
        check_every_element((clattn_kv_layout)layout, &key, &key);
        check_every_element((clattn_kv_layout)layout, &strided_key, &value);
    }
}

/* The contiguous strides of SEMANTICS section 6, as its table words them. */
static void contiguous_strides_are_those_of_the_contract(void **state)
{
    static const uint64_t strides[CLATTN_NUM_KV_LAYOUTS][3] = {
        [CLATTN_KV_COMBINED] = {SLOTS * 2 * KV_HEADS * WIDTH, 2 * KV_HEADS * WIDTH, 2 * WIDTH},
        [CLATTN_KV_NHD] = {SLOTS * KV_HEADS * WIDTH, KV_HEADS * WIDTH, WIDTH},
        [CLATTN_KV_HND] = {KV_HEADS * SLOTS * WIDTH, WIDTH, SLOTS * WIDTH},
        [CLATTN_KV_HEADS_FIRST] = {SLOTS * WIDTH, WIDTH, PAGES * SLOTS * WIDTH},
    };
    (void)state;
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        const clattn_view key = make_view((clattn_kv_layout)layout, 0, 0);
        clattn_problem problem = {0};
        clattn_error error;
        assert_int_equal(clattn_problem_set_kv(&problem, (clattn_kv_layout)layout, &key, &key, &error), CLATTN_OK);
        assert_int_equal(problem.k.page_stride, strides[layout][0]);
        assert_int_equal(problem.k.slot_stride, strides[layout][1]);
        assert_int_equal(problem.k.head_stride, strides[layout][2]);
        assert_int_equal(problem.v.offset, layout == CLATTN_KV_COMBINED ? WIDTH : 0);
    }
}

static void token_major_layouts_keep_the_heads_of_a_token_together(void **state)
{
    (void)state;
    assert_true(clattn_layout_is_token_major(CLATTN_KV_COMBINED));
    assert_true(clattn_layout_is_token_major(CLATTN_KV_NHD));
    assert_false(clattn_layout_is_token_major(CLATTN_KV_HND));
    assert_false(clattn_layout_is_token_major(CLATTN_KV_HEADS_FIRST));
}

/* Addresses are 64 bits wide: the last page of a cache of more than 2^32 elements. */
static void large_caches_do_not_wrap(void **state)
{
    const clattn_view key = {
        .dtype = CLATTN_FLOAT16,
        .rank = 4,
        .shape = {INT32_MAX, 256, 16, 256},
        .strides = {256 * 16 * 256, 16 * 256, 256, 1},
    };
    clattn_problem problem = {0};
    clattn_error error;
    (void)state;
    assert_int_equal(clattn_problem_set_kv(&problem, CLATTN_KV_COMBINED, &key, NULL, &error), CLATTN_OK);
    assert_int_equal(address(&problem.v, INT32_MAX - 1, 255, 7, 255), (int64_t)INT32_MAX * 256 * 16 * 256 - 1);
}

static clattn_status set_kv(clattn_kv_layout layout, int axis, int64_t extent, clattn_error *error)
{
    clattn_view key = make_view(layout, 0, 0);
    clattn_problem problem = {0};
    key.shape[axis] = extent;
    *error = (clattn_error){.text = ""};
    return clattn_problem_set_kv(&problem, layout, &key, &key, error);
}

static void extents_out_of_range_are_refused(void **state)
{
    static const struct {
        clattn_kv_layout layout;
        int axis;
        int64_t refused;
        int64_t accepted;
        clattn_status status;
        const char *words;
    } cases[] = {
        {CLATTN_KV_COMBINED, 0, (int64_t)1 << 31, INT32_MAX, CLATTN_SIZE_OVERFLOW, "2147483648 pages"},
        {CLATTN_KV_HEADS_FIRST, 1, (int64_t)1 << 31, INT32_MAX, CLATTN_SIZE_OVERFLOW, "2147483648 pages"},
        {CLATTN_KV_NHD, 1, 0, 1, CLATTN_INVALID_SHAPE, "page_size is 0"},
        {CLATTN_KV_HND, 2, 0, 1, CLATTN_INVALID_SHAPE, "page_size is 0"},
        {CLATTN_KV_HND, 2, (int64_t)1 << 31, INT32_MAX, CLATTN_INVALID_SHAPE, "page_size is 2147483648"},
        {CLATTN_KV_HND, 1, 0, 1, CLATTN_INVALID_SHAPE, "the pages hold 0 heads"},
        {CLATTN_KV_HEADS_FIRST, 0, (int64_t)1 << 31, INT32_MAX, CLATTN_INVALID_SHAPE,
         "the pages hold 2147483648 heads"},
        {CLATTN_KV_NHD, 3, (int64_t)1 << 31, INT32_MAX, CLATTN_INVALID_SHAPE, "head_dim is 2147483648"},
        {CLATTN_KV_COMBINED, 2, 3, 4, CLATTN_INVALID_SHAPE, "dimension 2 is 3, expected an even number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_error error;
        const clattn_status given = set_kv(cases[i].layout, cases[i].axis, cases[i].refused, &error);
        require_refusal(given, &error, cases[i].status, cases[i].words);
        assert_int_equal(set_kv(cases[i].layout, cases[i].axis, cases[i].accepted, &error), CLATTN_OK);
    }
    clattn_error error;
    assert_int_equal(set_kv(CLATTN_KV_NHD, 0, 0, &error), CLATTN_OK); /* a cache without pages is legal */
}

static void rows_take_the_strides_of_their_view(void **state)
{
    const clattn_view view = {.rank = 3, .shape = {7, 3, 8}, .strides = {31, 9, 1}, .offset = 5};
    const clattn_rows rows = clattn_rows_of(&view);
    (void)state;
    assert_int_equal(rows.offset, 5);
    assert_int_equal(rows.token_stride, 31);
    assert_int_equal(rows.head_stride, 9);
}

static clattn_status set_options(clattn_problem *problem, float scale, float cap, float mask, clattn_error *error)
{
    *problem = (clattn_problem){.head_dim = 64};
    *error = (clattn_error){.text = ""};
    CLATTN_TRY(clattn_problem_set_mask_value(problem, mask, error));
    return clattn_problem_set_options(problem, scale, cap, error);
}

static void zero_options_become_defaults(void **state)
{
    clattn_problem problem;
    clattn_error error;
    (void)state;
    assert_int_equal(set_options(&problem, 0.0f, 0.0f, 0.0f, &error), CLATTN_OK);
    assert_true(problem.softmax_scale == 0.125f);
    assert_true(problem.logits_soft_cap == 0.0f);
    assert_true(problem.mask_value == CLATTN_DEFAULT_MASK_VALUE);
    problem.head_dim = 40;
    assert_int_equal(clattn_problem_set_options(&problem, -0.0f, 0.0f, &error), CLATTN_OK);
    assert_true(fabs((double)problem.softmax_scale - 1.0 / sqrt(40.0)) < 1e-8);
}

static void given_options_are_taken_over(void **state)
{
    clattn_problem problem;
    clattn_error error;
    (void)state;
    assert_int_equal(set_options(&problem, -0.25f, 30.0f, CLATTN_DEFAULT_MASK_VALUE, &error), CLATTN_OK);
    assert_true(problem.softmax_scale == -0.25f);
    assert_true(problem.logits_soft_cap == 30.0f);
    assert_int_equal(set_options(&problem, 3e38f, 3e38f, -3.4e38f, &error), CLATTN_OK);
    assert_true(problem.softmax_scale == 3e38f && problem.logits_soft_cap == 3e38f && problem.mask_value == -3.4e38f);
}

static void options_that_are_no_numbers_are_refused(void **state)
{
    const float broken[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int i = 0; i < 3; i++) {
        clattn_problem problem;
        clattn_error error;
        clattn_status given = set_options(&problem, broken[i], 0.0f, 0.0f, &error);
        require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "softmax_scale is ");
        given = set_options(&problem, 0.0f, broken[i], 0.0f, &error);
        require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "logits_soft_cap is ");
        given = set_options(&problem, 0.0f, 0.0f, broken[i], &error);
        require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "mask_value is ");
        assert_true(problem.softmax_scale == 0.0f); /* nothing was written */
    }
}

static void options_out_of_range_are_refused(void **state)
{
    static const float refused_masks[] = {1.0f, -1.0f, 1e30f, -0.99e30f};
    clattn_problem problem;
    clattn_error error;
    clattn_status given = set_options(&problem, 0.0f, -1e-30f, 0.0f, &error);
    (void)state;
    require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "logits_soft_cap is -1e-30");
    for (size_t i = 0; i < sizeof refused_masks / sizeof refused_masks[0]; i++) {
        given = set_options(&problem, 0.0f, 0.0f, refused_masks[i], &error);
        require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "mask_value is ");
    }
    assert_int_equal(set_options(&problem, 0.0f, 0.0f, -1e30f, &error), CLATTN_OK);
}

static void window_of_w_keys_counts_the_query_itself(void **state)
{
    static const int32_t windows[][2] = {{0, CLATTN_UNLIMITED}, {1, 0}, {4, 3}, {INT32_MAX, INT32_MAX - 1}};
    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        clattn_problem problem = {0};
        clattn_error error;
        assert_int_equal(clattn_problem_set_causal_window(&problem, windows[i][0], &error), CLATTN_OK);
        assert_int_equal(problem.window_left, windows[i][1]);
        assert_int_equal(problem.window_right, 0);
        assert_int_equal(clattn_problem_sliding_window(&problem), windows[i][0]);
    }
    clattn_problem problem = {0};
    clattn_error error = {.text = ""};
    const clattn_status given = clattn_problem_set_causal_window(&problem, -1, &error);
    require_refusal(given, &error, CLATTN_INVALID_ARGUMENT, "sliding_window is -1");
}

static void head_dims_are_multiples_of_8_up_to_512(void **state)
{
    (void)state;
    for (int32_t head_dim = -8; head_dim <= 600; head_dim++) {
        const bool supported = head_dim >= 8 && head_dim <= 512 && head_dim % 8 == 0;
        clattn_error error = {.text = ""};
        const clattn_status of_keys = clattn_check_head_dims(head_dim, 64, &error);
        if (!supported)
            require_refusal(of_keys, &error, CLATTN_UNSUPPORTED, "head_dim is ");
        const clattn_status of_values = clattn_check_head_dims(64, head_dim, &error);
        if (!supported)
            require_refusal(of_values, &error, CLATTN_UNSUPPORTED, "head_dim_v is ");
        if (supported)
            assert_true(of_keys == CLATTN_OK && of_values == CLATTN_OK);
    }
}

static void query_heads_are_a_multiple_of_kv_heads(void **state)
{
    clattn_error error = {.text = ""};
    (void)state;
    assert_int_equal(clattn_check_heads(1, 1, &error), CLATTN_OK);
    assert_int_equal(clattn_check_heads(7, 7, &error), CLATTN_OK);
    assert_int_equal(clattn_check_heads(64, 8, &error), CLATTN_OK);
    require_refusal(clattn_check_heads(0, 1, &error), &error, CLATTN_INVALID_ARGUMENT, "num_q_heads is 0");
    require_refusal(clattn_check_heads(1, 0, &error), &error, CLATTN_INVALID_ARGUMENT, "num_kv_heads is 0");
    require_refusal(clattn_check_heads(-4, -2, &error), &error, CLATTN_INVALID_ARGUMENT, "num_q_heads is -4");
    require_refusal(clattn_check_heads(7, 2, &error), &error, CLATTN_INVALID_ARGUMENT,
                    "num_q_heads 7 is no multiple of num_kv_heads 2");
    require_refusal(clattn_check_heads(2, 4, &error), &error, CLATTN_INVALID_ARGUMENT, "no multiple");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_follows_the_address_rule),
        cmocka_unit_test(contiguous_strides_are_those_of_the_contract),
        cmocka_unit_test(token_major_layouts_keep_the_heads_of_a_token_together),
        cmocka_unit_test(large_caches_do_not_wrap),
        cmocka_unit_test(extents_out_of_range_are_refused),
        cmocka_unit_test(rows_take_the_strides_of_their_view),
        cmocka_unit_test(zero_options_become_defaults),
        cmocka_unit_test(given_options_are_taken_over),
        cmocka_unit_test(options_that_are_no_numbers_are_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(window_of_w_keys_counts_the_query_itself),
        cmocka_unit_test(head_dims_are_multiples_of_8_up_to_512),
        cmocka_unit_test(query_heads_are_a_multiple_of_kv_heads),
    };
    return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}
