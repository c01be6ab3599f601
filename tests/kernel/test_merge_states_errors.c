/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clattn_merge_states() refuses: each cause once, with a call at the limit that is accepted. Both forms of a
 * state, by its log-sum-exp and by its maximum and denominator, are problems of their own.
 */
#include "operation_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef clattn_merge_states_params errors_params;

enum { NUM_STATES = 3, NUM_TOKENS = 5, NUM_HEADS = 2, WIDTH = 24 };

static clattn_status call(clattn_context *ctx, const void *params, cl_uint num_wait_events, const cl_event *wait_events,
                          cl_event *event)
{
    return clattn_merge_states(ctx, params, num_wait_events, wait_events, event);
}

#define STATES_OUT                                                                                                     \
    {                                                                                                                  \
        .name = "states_out", .field = offsetof(errors_params, states_out), .rank = 4,                                 \
        .shape = {NUM_STATES, NUM_TOKENS, NUM_HEADS, WIDTH},                                                           \
    }
#define STATES_PART(part)                                                                                              \
    {                                                                                                                  \
        .name = #part, .field = offsetof(errors_params, part), .rank = 3,                                              \
        .shape = {NUM_STATES, NUM_TOKENS, NUM_HEADS}, .fixed = {true, true, true}, .float32_only = true,               \
    }
#define RESULT_OUT                                                                                                     \
    {                                                                                                                  \
        .name = "out", .field = offsetof(errors_params, out), .rank = 3, .shape = {NUM_TOKENS, NUM_HEADS, WIDTH},      \
        .fixed = {true, true, true}, .result = true,                                                                   \
    }
#define RESULT_PART(part, may_be_absent)                                                                               \
    {                                                                                                                  \
        .name = #part, .field = offsetof(errors_params, part), .rank = 2, .shape = {NUM_TOKENS, NUM_HEADS},            \
        .fixed = {true, true}, .result = true, .optional = (may_be_absent), .float32_only = true,                      \
    }

static const errors_operation merge_by_lse = {
    .call = call,
    .params_bytes = sizeof(errors_params),
    .num_tensors = 4,
    .tensors = {STATES_OUT, STATES_PART(states_lse), RESULT_OUT, RESULT_PART(lse, true)},
};

static const errors_operation merge_by_max = {
    .call = call,
    .params_bytes = sizeof(errors_params),
    .num_tensors = 6,
    .tensors = {STATES_OUT, STATES_PART(states_max), STATES_PART(states_denominator), RESULT_OUT,
                RESULT_PART(max, false), RESULT_PART(denominator, false)},
};

/* Both forms. */
typedef struct problems {
    void *device;
    errors_problem *by_lse;
    errors_problem *by_max;
} problems;

static int setup(void **state)
{
    static const errors_params nothing;
    problems *forms = calloc(1, sizeof(*forms));

    if (!forms || support_device_setup(&forms->device) != 0)
        return -1;
    forms->by_lse = errors_problem_create(forms->device, &merge_by_lse, &nothing);
    forms->by_max = errors_problem_create(forms->device, &merge_by_max, &nothing);
    *state = forms;
    return 0;
}

static int teardown(void **state)
{
    problems *forms = *state;

    errors_problem_destroy(&forms->by_lse);
    errors_problem_destroy(&forms->by_max);
    support_device_teardown(&forms->device);
    free(forms);
    return 0;
}

static void missing_arguments_are_refused(void **state)
{
    const problems *forms = *state;

    errors_check_missing_arguments(forms->by_lse);
    errors_check_missing_arguments(forms->by_max);
}

static void check_tensors(errors_problem *problem)
{
    errors_check_shapes(problem);
    errors_check_dtypes(problem);
    errors_check_buffers(problem);
    errors_check_offsets_and_strides(problem);
    errors_check_overlaps(problem);
    errors_check_foreign_buffers(problem);
    errors_check_wait_lists(problem);
}

static void wrong_tensors_are_refused(void **state)
{
    const problems *forms = *state;

    check_tensors(forms->by_lse);
    check_tensors(forms->by_max);
}

static void set_num_heads(errors_params *params, int64_t num_heads)
{
    params->states_out.shape[2] = params->states_lse.shape[2] = num_heads;
    params->out.shape[1] = params->lse.shape[1] = num_heads;
}

static void set_num_tokens(errors_params *params, int64_t num_tokens)
{
    params->states_out.shape[1] = params->states_lse.shape[1] = num_tokens;
    params->out.shape[0] = params->lse.shape[0] = num_tokens;
}

static void set_num_states(errors_params *params, int64_t num_states)
{
    params->states_out.shape[0] = params->states_lse.shape[0] = num_states;
}

/* Without states no buffer is too small for the rows. */
static void impossible_extents_are_refused(void **state)
{
    const problems *forms = *state;
    errors_problem *problem = forms->by_lse;

    REFUSE(CLATTN_INVALID_ARGUMENT, "heads,0", set_num_heads(&params, 0));
    REFUSE(CLATTN_SIZE_OVERFLOW, "states_out,2147483648",
           (set_num_states(&params, 0), set_num_tokens(&params, (int64_t)1 << 31)));
    REFUSE(CLATTN_SIZE_OVERFLOW, "1073741824,2",
           (set_num_states(&params, 0), set_num_tokens(&params, (int64_t)1 << 30)));
    REFUSE(CLATTN_BUFFER_TOO_SMALL, "out",
           (set_num_states(&params, 0), set_num_tokens(&params, ((int64_t)1 << 30) - 1)));
    ACCEPT(set_num_states(&params, 0));
    ACCEPT(set_num_tokens(&params, 0));
    ACCEPT((set_num_states(&params, 0), set_num_tokens(&params, 0)));
    ACCEPT(set_num_heads(&params, 1));
}

static void unsupported_widths_are_refused(void **state)
{
    static const bool has_width[ERRORS_MAX_TENSORS] = {[0] = true, [2] = true};
    static const bool has_width_by_max[ERRORS_MAX_TENSORS] = {[0] = true, [3] = true};
    const problems *forms = *state;

    errors_check_widths(forms->by_lse, has_width, "head_dim_v");
    errors_check_widths(forms->by_max, has_width_by_max, "head_dim_v");
}

static void states_in_both_forms_or_in_neither_are_refused(void **state)
{
    const problems *forms = *state;
    const errors_params *by_lse = forms->by_lse->right;
    const errors_params *by_max = forms->by_max->right;
    const clattn_tensor absent = {0};
    errors_problem *problem = forms->by_lse;

    REFUSE(CLATTN_INVALID_ARGUMENT, "states_lse,states_max", params.states_max = by_max->states_max);
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_lse,states_denominator",
           params.states_denominator = by_max->states_denominator);
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_lse,states_max,states_denominator",
           (params.states_max = by_max->states_max, params.states_denominator = by_max->states_denominator));
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_lse,states_max,states_denominator", params.states_lse = absent);
    ACCEPT((params.states_lse = absent, params.states_max = by_max->states_max,
            params.states_denominator = by_max->states_denominator));

    problem = forms->by_max;
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_denominator", params.states_denominator = absent);
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_max", params.states_max = absent);
    REFUSE(CLATTN_INVALID_ARGUMENT, "states_lse,states_max", params.states_lse = by_lse->states_lse);
    ACCEPT((params.states_lse = by_lse->states_lse, params.states_max = absent, params.states_denominator = absent));
}

static void contradictory_results_are_refused(void **state)
{
    const problems *forms = *state;
    const errors_params *by_lse = forms->by_lse->right;
    const errors_params *by_max = forms->by_max->right;
    const clattn_tensor absent = {0};
    errors_problem *problem = forms->by_lse;

    REFUSE(CLATTN_INVALID_ARGUMENT, "numerator,max,denominator", params.numerator = true);
    REFUSE(CLATTN_INVALID_ARGUMENT, "numerator,max,denominator", (params.numerator = true, params.lse = absent));
    REFUSE(CLATTN_INVALID_ARGUMENT, "max,denominator", (params.lse = absent, params.max = by_max->max));
    REFUSE(CLATTN_INVALID_ARGUMENT, "max,denominator", (params.lse = absent, params.denominator = by_max->denominator));
    REFUSE(CLATTN_INVALID_ARGUMENT, "lse,max,denominator",
           (params.max = by_max->max, params.denominator = by_max->denominator));
    REFUSE(CLATTN_INVALID_ARGUMENT, "max", params.max = by_max->max);
    ACCEPT((params.lse = absent, params.max = by_max->max, params.denominator = by_max->denominator));

    problem = forms->by_max;
    REFUSE(CLATTN_INVALID_ARGUMENT, "lse", params.lse = by_lse->lse);
    REFUSE(CLATTN_INVALID_ARGUMENT, "numerator", (params.numerator = true, params.max = params.denominator = absent));
    ACCEPT(params.numerator = true);
    ACCEPT(params.max = params.denominator = absent);
}

static void mask_values_out_of_range_are_refused(void **state)
{
    const problems *forms = *state;

    errors_check_mask_value(forms->by_lse, offsetof(errors_params, mask_value));
    errors_check_mask_value(forms->by_max, offsetof(errors_params, mask_value));
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(impossible_extents_are_refused),
        cmocka_unit_test(unsupported_widths_are_refused),
        cmocka_unit_test(states_in_both_forms_or_in_neither_are_refused),
        cmocka_unit_test(contradictory_results_are_refused),
        cmocka_unit_test(mask_values_out_of_range_are_refused),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("merge_states_errors", tests, setup, teardown);
}
