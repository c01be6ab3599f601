/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of refused calls share: a small problem of any operation, described by a table of its tensors, and
 * the errors that every operation has in common. After each refused call the outputs must be as they were, and the
 * right call must give the bits that it gave before.
 */
#ifndef KERNEL_OPERATION_ERRORS_H
#define KERNEL_OPERATION_ERRORS_H

#include "support/image.h"

#define ERRORS_MAX_TENSORS 8

/* A tensor field of an operation's params. */
typedef struct errors_tensor {
    const char *name;
    size_t field; /* offset in the params */
    int32_t rank;
    int64_t shape[CLATTN_MAX_RANK];
    bool fixed[CLATTN_MAX_RANK]; /* the dimension follows from tensors before this one */
    bool result;
    bool optional;
    bool float32_only;
    bool rank_1_too; /* the first dimension may be left out */
} errors_tensor;

typedef struct errors_operation {
    clattn_status (*call)(clattn_context *ctx, const void *params, cl_uint num_wait_events, const cl_event *wait_events,
                          cl_event *event);
    size_t params_bytes;
    void (*set_plan)(void *params, const clattn_plan *plan); /* takes the batch out too; NULL = it has no plans */
    int32_t num_tensors;
    errors_tensor tensors[ERRORS_MAX_TENSORS];
} errors_operation;

/* A right call, with what it gives. */
typedef struct errors_problem {
    const support_device *device;
    errors_operation operation;
    void *right;                              /* params of the right call, [params_bytes] */
    support_image images[ERRORS_MAX_TENSORS]; /* in the order of the operation's tensors */
    uint8_t *expected[ERRORS_MAX_TENSORS];    /* the bytes of the results after the right call; NULL = operand */
    const clattn_plan_params *right_plan;     /* the same batch; set by the test, where there are plans */
} errors_problem;

/* Builds the tensors and runs the right call. `base` holds the fields that are no tensors; it is copied. */
errors_problem *errors_problem_create(const support_device *device, const errors_operation *operation,
                                      const void *base);
void errors_problem_destroy(errors_problem **problem);

/* The group fixture of a test of one operation: *state is its errors_problem. */
int errors_setup(void **state, const errors_operation *operation, const void *base,
                 const clattn_plan_params *right_plan);
int errors_teardown(void **state);

/* The tensor fields of params of this problem's operation. */
clattn_tensor *errors_tensor_of(const errors_problem *problem, void *params, int32_t tensor);

/* A copy of the right params, to free. */
void *errors_copy_params(const errors_problem *problem);

/*
 * A refused call: its status, the sentence with every one of the comma-separated words, no event, untouched outputs,
 * and the right call works as before.
 */
void errors_expect_refused(errors_problem *problem, const void *params, clattn_status expected, const char *words);

/* A call that is accepted, without a look at what it gives; and one that must give the bits of the right call. */
void errors_expect_accepted(errors_problem *problem, const void *params);
void errors_expect_same(errors_problem *problem, const void *params);

/* clattn_plan_create() and clattn_plan_update() refuse; the right plan, updated in vain, still serves the right call.
 */
void errors_expect_plan_refused(errors_problem *problem, const clattn_plan_params *params, clattn_status expected,
                                const char *words);

/* The call with a plan that was made from these parameters: refused, or accepted with the bits of the right call. */
void errors_expect_plan_mismatch(errors_problem *problem, const clattn_plan_params *params, const char *words);
void errors_expect_plan_same(errors_problem *problem, const clattn_plan_params *params);

/*
 * For tests that name their operation's params `errors_params`: `change` spoils or adapts a fresh copy of the right
 * operands of `problem`, which it sees as `params`.
 */
#define WITH_CHANGE(change, use)                                                                                       \
    do {                                                                                                               \
        errors_params params = *(const errors_params *)problem->right;                                                 \
        change;                                                                                                        \
        use;                                                                                                           \
    } while (0)
#define REFUSE(status, words, change) WITH_CHANGE(change, errors_expect_refused(problem, &params, (status), (words)))
#define ACCEPT(change) WITH_CHANGE(change, errors_expect_accepted(problem, &params))
#define ACCEPT_SAME(change) WITH_CHANGE(change, errors_expect_same(problem, &params))

/* The same for the parameters of a plan. */
#define WITH_PLAN_CHANGE(change, use)                                                                                  \
    do {                                                                                                               \
        clattn_plan_params params = *problem->right_plan;                                                              \
        change;                                                                                                        \
        use;                                                                                                           \
    } while (0)
#define REFUSE_PLAN(status, words, change)                                                                             \
    WITH_PLAN_CHANGE(change, errors_expect_plan_refused(problem, &params, (status), (words)))
#define REFUSE_MISMATCH(words, change) WITH_PLAN_CHANGE(change, errors_expect_plan_mismatch(problem, &params, (words)))
#define ACCEPT_PLAN(change) WITH_PLAN_CHANGE(change, errors_expect_plan_same(problem, &params))

/* What every operation refuses. Each runs over all tensors of the problem, with a call at the limit. */
void errors_check_missing_arguments(errors_problem *problem);
void errors_check_shapes(errors_problem *problem);
void errors_check_dtypes(errors_problem *problem);
void errors_check_buffers(errors_problem *problem);
void errors_check_offsets_and_strides(errors_problem *problem);
void errors_check_overlaps(errors_problem *problem);
void errors_check_foreign_buffers(errors_problem *problem);
void errors_check_wait_lists(errors_problem *problem);

/* The options that several operations have; the fields are given by their offsets in the params. */
void errors_check_mask_value(errors_problem *problem, size_t field);
void errors_check_softmax_scale(errors_problem *problem, size_t field, float same_as_zero);
void errors_check_soft_cap(errors_problem *problem, size_t field);
void errors_check_compute_dtype(errors_problem *problem, size_t field);
void errors_check_splits(errors_problem *problem, size_t num_splits_field, size_t batch_invariant_field);
void errors_check_tuning(errors_problem *problem, size_t field);

/*
 * Head dimensions that no kernel is written for: the last dimension of every tensor marked in `has_width` is 0, 4, 12
 * and 520, which the sentence says with the word; 8 and 512 are accepted.
 */
void errors_check_widths(errors_problem *problem, const bool has_width[ERRORS_MAX_TENSORS], const char *word);

/* A plan of another context: PLAN_MISMATCH. */
void errors_check_foreign_plan(errors_problem *problem);

#endif
