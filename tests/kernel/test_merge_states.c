/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clattn_merge_states() against the float64 reference: every form of states and result, dtypes, shapes, orders in
 * memory, empty states and extreme statistics.
 */
#include "merge_fixture.h"

#include "support/random.h"
#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const merge_case plain = {
    .seed = 1, .num_states = 3, .num_tokens = 5, .num_heads = 7, .width = 64, .by_max = true, .result = MERGE_MAX};

/* One state, few, and more than any kernel would unroll. */
static void every_form_of_states_and_result_agrees_with_the_reference(void **state)
{
    static const int32_t num_states[] = {1, 2, 3, 17};

    for (int form = 0; form < 2; form++) {
        for (int result = 0; result < MERGE_NUM_RESULTS; result++) {
            for (int32_t i = 0; i < COUNT(num_states); i++) {
                merge_case description = plain;
                description.seed = (uint64_t)i;
                description.num_states = num_states[i];
                description.by_max = form == 1;
                description.result = (merge_result)result;
                description.spread = 2.0f;
                merge_verify(*state, &description);
            }
        }
    }
}

/* Each pair of dtypes with a width of its own, so that all widths are compiled too. */
static void every_dtype_and_width_agrees_with_the_reference(void **state)
{
    static const int32_t widths[] = {8, 24, 128, 512};
    int32_t number = 0;

    for (int states_dtype = CLATTN_FLOAT32; states_dtype < CLATTN_NUM_DTYPES; states_dtype++) {
        for (int out_dtype = CLATTN_FLOAT32; out_dtype < CLATTN_NUM_DTYPES; out_dtype++) {
            merge_case description = plain;
            if (states_dtype == CLATTN_FLOAT32 && out_dtype == CLATTN_FLOAT32)
                continue;
            description.states_dtype = (clattn_dtype)states_dtype;
            description.out_dtype = (clattn_dtype)out_dtype;
            description.width = widths[number % COUNT(widths)];
            description.by_max = number % 2 == 1;
            description.result = (merge_result)(number / 2 % MERGE_NUM_RESULTS);
            merge_verify(*state, &description);
            description.strided = true;
            merge_verify(*state, &description);
            number++;
        }
    }
}

static void every_number_of_tokens_and_heads_agrees_with_the_reference(void **state)
{
    static const int32_t num_tokens[] = {0, 1, 5, 93};
    static const int32_t num_heads[] = {1, 7, 8};

    for (int32_t i = 0; i < COUNT(num_tokens); i++) {
        for (int32_t k = 0; k < COUNT(num_heads); k++) {
            merge_case description = plain;
            description.num_tokens = num_tokens[i];
            description.num_heads = num_heads[k];
            merge_verify(*state, &description);
            description.num_states = 17;
            description.empty = MERGE_EMPTY_SOME;
            merge_verify(*state, &description);
        }
    }
}

/* The calls that make the states may each write a slice of any nesting. */
static void states_in_any_order_of_their_axes_agree_with_the_reference(void **state)
{
    for (int order = 0; order < MERGE_NUM_ORDERS; order++) {
        for (int strided = 0; strided < 2; strided++) {
            for (int by_max = 0; by_max < 2; by_max++) {
                merge_case description = plain;
                description.by_max = by_max == 1;
                description.result = description.by_max ? MERGE_MAX : MERGE_LSE;
                description.order = (merge_order)order;
                description.strided = strided == 1;
                description.empty = MERGE_EMPTY_SOME;
                merge_verify(*state, &description);
            }
        }
    }
}

/* All that an empty state holds besides its lse or denominator is NaN here. */
static void empty_states_have_no_influence(void **state)
{
    static const int32_t num_states[] = {1, 2, 17};

    for (int form = 0; form < 2; form++) {
        for (int result = 0; result < MERGE_NUM_RESULTS; result++) {
            for (int32_t i = 0; i < COUNT(num_states); i++) {
                merge_case description = plain;
                description.num_states = num_states[i];
                description.by_max = form == 1;
                description.result = (merge_result)result;
                description.empty = MERGE_EMPTY_SOME;
                merge_verify(*state, &description);
                description.empty = MERGE_EMPTY_ALL;
                merge_verify(*state, &description);
                description.num_states = 0;
                merge_verify(*state, &description);
            }
        }
    }
}

/* A negative zero is one too, and beside either of them may stand anything. */
static void what_an_empty_state_holds_is_never_used(void **state)
{
    static const float garbage[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};

    for (int32_t i = 0; i < COUNT(garbage); i++) {
        for (int32_t at = 0; at < plain.num_states; at++) {
            merge_problem *problem = merge_problem_create(&plain);
            for (int32_t token = 0; token < plain.num_tokens; token++)
                for (int32_t head = 0; head < plain.num_heads; head++)
                    merge_set_state(problem, at, token, head, garbage[i], garbage[COUNT(garbage) - 1 - i],
                                    token % 2 == 0 ? 0.0f : -0.0f);
            merge_run(problem, *state);
            merge_check(problem, problem);
            merge_problem_destroy(&problem);
        }
    }
}

static void an_empty_row_reports_the_mask_value(void **state)
{
    static const float mask_values[] = {-1e30f, -3.402823466e38f, 0.0f};

    for (int32_t i = 0; i < COUNT(mask_values); i++) {
        merge_case description = plain;
        description.empty = MERGE_EMPTY_ALL;
        description.mask_value = mask_values[i];
        merge_problem *problem = merge_problem_create(&description);
        merge_run(problem, *state);
        merge_check(problem, problem);
        const float max = support_image_get(&problem->max, 0);
        assert_true(max == (i < 2 ? mask_values[i] : CLATTN_DEFAULT_MASK_VALUE));
        merge_problem_destroy(&problem);
    }
}

/* The mask value is no bound of the maxima: a row with keys below it is not empty. */
static void maxima_below_the_mask_value_count(void **state)
{
    merge_case description = plain;

    description.mask_value = -1e30f;
    description.base = -1e32f;
    merge_verify(*state, &description);
    description.by_max = false;
    description.result = MERGE_LSE;
    merge_verify(*state, &description);
}

/* exp(m - M) of the stored numbers, however large both are: a difference of 1 is one of 1 at 1000 as well. */
static void maxima_far_from_zero_lose_no_accuracy(void **state)
{
    static const float bases[] = {-30.0f, 100.0f, 1000.0f, -5000.0f, 60000.0f};

    for (int32_t i = 0; i < COUNT(bases); i++) {
        merge_case description = plain;
        description.base = bases[i];
        merge_verify(*state, &description);
        description.by_max = false;
        description.result = MERGE_LSE;
        merge_verify(*state, &description);
    }
}

static void a_spread_beyond_underflow_agrees_with_the_reference(void **state)
{
    static const float spreads[] = {10.0f, 50.0f, 300.0f, 1e6f, 1e30f};

    for (int32_t i = 0; i < COUNT(spreads); i++) {
        merge_case description = plain;
        description.num_states = 17;
        description.spread = spreads[i];
        merge_verify(*state, &description);
        description.by_max = false;
        description.result = MERGE_LSE;
        merge_verify(*state, &description);
    }
}

/* One state at +-1e30 among others decides the row, or vanishes. */
static void huge_maxima_are_one_hot(void **state)
{
    static const float maxima[] = {1e30f, -1e30f};

    for (int32_t i = 0; i < COUNT(maxima); i++) {
        for (int by_max = 0; by_max < 2; by_max++) {
            merge_case description = plain;
            description.by_max = by_max == 1;
            description.result = description.by_max ? MERGE_MAX : MERGE_LSE;
            merge_problem *problem = merge_problem_create(&description);
            for (int32_t token = 0; token < description.num_tokens; token++)
                for (int32_t head = 0; head < description.num_heads; head++)
                    merge_set_state(problem, token % description.num_states, token, head, 6.0f, maxima[i], 2.0f);
            merge_run(problem, *state);
            merge_check(problem, problem);
            if (maxima[i] > 0.0f)
                assert_true(support_image_get(&problem->out, 0) == (description.by_max ? 3.0f : 6.0f));
            merge_problem_destroy(&problem);
        }
    }
}

/* What a kernel must not do with a maximum that is no number is to pass over its state. */
static void a_state_that_is_no_number_shows(void **state)
{
    for (int32_t at = 0; at < plain.num_states; at++) {
        for (int by_max = 0; by_max < 2; by_max++) {
            merge_case description = plain;
            description.by_max = by_max == 1;
            description.result = description.by_max ? MERGE_MAX : MERGE_LSE;
            merge_problem *problem = merge_problem_create(&description);
            merge_set_state(problem, at, 0, 0, 1.0f, NAN, 1.0f);
            merge_set_state(problem, at, 1, 1, 1.0f, by_max == 1 ? 1.0f : NAN, NAN);
            merge_set_state(problem, at, 2, 2, NAN, 1.0f, 1.0f);
            merge_run(problem, *state);
            merge_check(problem, problem);
            assert_true(isnan(support_image_get(&problem->out, 0)));
            merge_problem_destroy(&problem);
        }
    }
}

static void a_row_of_states_that_are_no_numbers_shows(void **state)
{
    for (int by_max = 0; by_max < 2; by_max++) {
        merge_case description = plain;
        description.by_max = by_max == 1;
        description.result = description.by_max ? MERGE_MAX : MERGE_LSE;
        merge_problem *problem = merge_problem_create(&description);
        for (int32_t i = 0; i < description.num_states; i++)
            merge_set_state(problem, i, 0, 0, 1.0f, NAN, 1.0f);
        merge_run(problem, *state);
        merge_check(problem, problem);
        merge_problem_destroy(&problem);
    }
}

/* A weight of exp(0) and, in this form, a denominator of 1: nothing is rounded. */
static void one_state_is_itself_bit_for_bit(void **state)
{
    merge_case description = plain;
    description.num_states = 1;
    description.by_max = false;
    description.result = MERGE_LSE;
    merge_problem *problem = merge_problem_create(&description);
    const size_t num_bytes =
        (size_t)(description.num_tokens * description.num_heads * description.width) * sizeof(float);

    merge_run(problem, *state);
    assert_memory_equal(support_image_bytes(&problem->out, 0), support_image_bytes(&problem->states_out, 0), num_bytes);
    merge_problem_destroy(&problem);
}

static void the_order_of_the_states_does_not_matter(void **state)
{
    enum { NUM_STATES = 17 };
    int32_t permutation[NUM_STATES];
    support_random random = support_random_seeded(9);
    merge_case description = plain;
    description.num_states = NUM_STATES;
    description.empty = MERGE_EMPTY_SOME;
    merge_problem *in_order = merge_problem_create(&description);

    for (int i = 0; i < 4; i++) {
        support_random_permutation(&random, NUM_STATES, permutation);
        description.permutation = permutation;
        merge_problem *permuted = merge_problem_create(&description);
        merge_run(permuted, *state);
        merge_check(permuted, in_order);
        merge_problem_destroy(&permuted);
    }
    merge_problem_destroy(&in_order);
}

static void copy_result_to_state(const merge_problem *from, merge_problem *to, int32_t state)
{
    const merge_case *description = &from->description;

    for (int32_t token = 0; token < description->num_tokens; token++) {
        for (int32_t head = 0; head < description->num_heads; head++) {
            const int64_t row[2] = {token, head};
            const int64_t at = support_image_at(&from->max, row);
            merge_set_state(to, state, token, head, 0.0f, support_image_get(&from->max, at),
                            support_image_get(&from->denominator, at));
            for (int32_t d = 0; d < description->width; d++) {
                const int64_t element = support_image_at(&from->out, (const int64_t[3]){token, head, d});
                const int64_t target = support_image_at(&to->states_out, (const int64_t[4]){state, token, head, d});
                support_image_set(&to->states_out, target, support_image_get(&from->out, element));
            }
        }
    }
}

/* ((0, 1), 2) is (0, 1, 2): a result in the form of a state is a state. Seen from the reference of the second step. */
static void a_merged_result_can_be_merged_again(void **state)
{
    static const int32_t third[] = {0, 2}; /* its state 0 is replaced */
    merge_case description = plain;
    description.result = MERGE_NUMERATOR;
    description.empty = MERGE_EMPTY_SOME;
    merge_problem *whole = merge_problem_create(&description);
    description.num_states = 2;
    merge_problem *first = merge_problem_create(&description);
    description.permutation = third;
    merge_problem *second = merge_problem_create(&description);

    merge_run(first, *state);
    merge_check(first, first);
    copy_result_to_state(first, second, 0);
    merge_run(second, *state);
    merge_check(second, whole);
    merge_problem_destroy(&whole);
    merge_problem_destroy(&first);
    merge_problem_destroy(&second);
}

static void the_same_states_give_the_same_bits(void **state)
{
    merge_case description = plain;
    description.num_states = 17;
    description.num_tokens = 93;
    merge_problem *first = merge_problem_create(&description);
    merge_problem *second = merge_problem_create(&description);

    merge_run(first, *state);
    merge_run(second, *state);
    assert_memory_equal(first->out.bytes, second->out.bytes, first->out.num_bytes);
    assert_memory_equal(first->max.bytes, second->max.bytes, first->max.num_bytes);
    assert_memory_equal(first->denominator.bytes, second->denominator.bytes, first->denominator.num_bytes);
    merge_problem_destroy(&first);
    merge_problem_destroy(&second);
}

/* Nothing, too, is done only after what it was told to wait for. */
static void the_call_waits_for_its_events(void **state)
{
    const support_device *device = *state;

    for (int32_t num_tokens = 0; num_tokens <= 5; num_tokens += 5) {
        merge_case description = plain;
        cl_int result;
        cl_int status = CL_COMPLETE;
        cl_event done = NULL;
        cl_event start = clCreateUserEvent(device->cl, &result);
        support_require_cl(result, "clCreateUserEvent");
        description.num_tokens = num_tokens;
        merge_problem *problem = merge_problem_create(&description);
        merge_run(problem, device); /* makes the buffers */
        const clattn_merge_states_params params = merge_params_of(problem);
        assert_int_equal(clattn_merge_states(device->ctx, &params, 1, &start, &done), CLATTN_OK);
        assert_non_null(done);
        support_require_cl(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL),
                           "clGetEventInfo");
        assert_int_not_equal(status, CL_COMPLETE);
        support_require_cl(clSetUserEventStatus(start, CL_COMPLETE), "clSetUserEventStatus");
        support_require_cl(clWaitForEvents(1, &done), "clWaitForEvents");
        clReleaseEvent(done);
        clReleaseEvent(start);
        merge_problem_destroy(&problem);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_states_and_result_agrees_with_the_reference),
        cmocka_unit_test(every_dtype_and_width_agrees_with_the_reference),
        cmocka_unit_test(every_number_of_tokens_and_heads_agrees_with_the_reference),
        cmocka_unit_test(states_in_any_order_of_their_axes_agree_with_the_reference),
        cmocka_unit_test(empty_states_have_no_influence),
        cmocka_unit_test(what_an_empty_state_holds_is_never_used),
        cmocka_unit_test(an_empty_row_reports_the_mask_value),
        cmocka_unit_test(maxima_below_the_mask_value_count),
        cmocka_unit_test(maxima_far_from_zero_lose_no_accuracy),
        cmocka_unit_test(a_spread_beyond_underflow_agrees_with_the_reference),
        cmocka_unit_test(huge_maxima_are_one_hot),
        cmocka_unit_test(a_state_that_is_no_number_shows),
        cmocka_unit_test(a_row_of_states_that_are_no_numbers_shows),
        cmocka_unit_test(one_state_is_itself_bit_for_bit),
        cmocka_unit_test(the_order_of_the_states_does_not_matter),
        cmocka_unit_test(a_merged_result_can_be_merged_again),
        cmocka_unit_test(the_same_states_give_the_same_bits),
        cmocka_unit_test(the_call_waits_for_its_events),
    };

    support_select_family(argc, argv);
    return support_run_tests("merge_states", tests, sizeof(tests) / sizeof(tests[0]));
}
