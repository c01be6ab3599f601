/* SPDX-License-Identifier: Apache-2.0 */
/* What a trial makes of numbers: which errors are rounding, and which are reasons. */
#include "verify/trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A trial without a device: its queue is NULL. */
static clattn_trial *create(clattn_verdict *verdict)
{
    clattn_trial *trial = calloc(1, sizeof *trial);
    assert_non_null(trial);
    *verdict = (clattn_verdict){.kind = CLATTN_VERDICT_VERIFIED};
    trial->verdict = verdict;
    return trial;
}

static void destroy(clattn_trial *trial)
{
    clattn_trial_finish(trial);
    free(trial);
}

static void rounding_is_no_reason(void **state)
{
    clattn_verdict verdict;
    clattn_trial *trial = create(&verdict);
    (void)state;
    clattn_trial_judge(trial, "out", 0, 1.0, 1.0, 0.5);
    clattn_trial_judge(trial, "lse", 1, -HUGE_VAL, -HUGE_VAL, 0.5);
    assert_true(verdict.worst_error == 0.0);
    clattn_trial_judge(trial, "out", 2, 1.25, 1.0, 0.5);
    clattn_trial_judge(trial, "out", 3, 1.125, 1.0, 0.5);
    clattn_trial_judge(trial, "out", 4, 0.5, 1.0, 0.5);
    assert_int_equal(verdict.kind, CLATTN_VERDICT_VERIFIED);
    assert_true(verdict.worst_error == 1.0);
    assert_string_equal(verdict.reason, "");
    destroy(trial);
}

static void the_first_wrong_number_is_the_reason(void **state)
{
    clattn_verdict verdict;
    clattn_trial *trial = create(&verdict);
    (void)state;
    clattn_trial_judge(trial, "out", 17, 1.75, 1.0, 0.5);
    clattn_trial_judge(trial, "lse", 18, 4.0, 1.0, 0.5);
    clattn_trial_judge(trial, "lse", 19, 1.0, 1.0, 0.5);
    assert_int_equal(verdict.kind, CLATTN_VERDICT_REJECTED);
    assert_true(verdict.worst_error == 6.0);
    assert_string_equal(verdict.reason, "out[17] is 1.75, expected 1");
    destroy(trial);
}

static void what_is_no_number_is_wrong(void **state)
{
    static const double pairs[][2] = {{(double)NAN, 1.0}, {HUGE_VAL, 1.0}, {1.0, -HUGE_VAL}, {HUGE_VAL, -HUGE_VAL}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        clattn_verdict verdict;
        clattn_trial *trial = create(&verdict);
        clattn_trial_judge(trial, "out", 0, pairs[i][0], pairs[i][1], 1e300);
        assert_int_equal(verdict.kind, CLATTN_VERDICT_REJECTED);
        assert_true(isinf(verdict.worst_error));
        destroy(trial);
    }
}

/* Also NaN of another kind, and whatever happens to be right. */
static void what_was_not_to_be_written_is_found(void **state)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};
    (void)state;
    for (int i = 0; i < 3; i++) {
        clattn_verdict verdict;
        clattn_trial *trial = create(&verdict);
        clattn_trial_array *array = NULL;
        assert_int_equal(clattn_trial_new_array(trial, dtypes[i], 5, &array), CLATTN_OK);
        clattn_trial_set(array, 3, -1.5);
        assert_true(clattn_trial_get(array, 3) == -1.5);
        assert_true(clattn_trial_take(array, 3) == -1.5);
        assert_true(isnan(clattn_trial_get(array, 3)));
        clattn_trial_judge_rest(trial, "a gap", array);
        assert_int_equal(verdict.kind, CLATTN_VERDICT_VERIFIED);
        clattn_trial_set(array, 4, i == 0 ? (double)NAN : 0.0);
        clattn_trial_judge_rest(trial, "a gap", array);
        assert_int_equal(verdict.kind, CLATTN_VERDICT_REJECTED);
        assert_memory_equal(verdict.reason, "a gap[4] is ", strlen("a gap[4] is "));
        destroy(trial);
    }
}

/* The host's memory says nothing about a kernel; everything else that fails does. */
static void failures_are_the_kernels_unless_memory_lacks(void **state)
{
    clattn_verdict verdict;
    clattn_trial *trial = create(&verdict);
    clattn_status status = CLATTN_OK;
    (void)state;
    assert_true(clattn_trial_has_run(trial, &status));
    status = CLATTN_OUT_OF_MEMORY;
    assert_false(clattn_trial_has_run(trial, &status));
    assert_int_equal(status, CLATTN_OUT_OF_MEMORY);
    assert_int_equal(verdict.kind, CLATTN_VERDICT_VERIFIED);
    status =
        clattn_error_set(&trial->ctx.error, CLATTN_OPENCL_ERROR, "a long sentence:%0*d", 2 * CLATTN_REASON_BYTES, 0);
    assert_false(clattn_trial_has_run(trial, &status));
    assert_int_equal(status, CLATTN_OK);
    assert_int_equal(verdict.kind, CLATTN_VERDICT_REJECTED);
    assert_int_equal(strlen(verdict.reason), CLATTN_REASON_BYTES - 1);
    destroy(trial);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_no_reason),
        cmocka_unit_test(the_first_wrong_number_is_the_reason),
        cmocka_unit_test(what_is_no_number_is_wrong),
        cmocka_unit_test(what_was_not_to_be_written_is_found),
        cmocka_unit_test(failures_are_the_kernels_unless_memory_lacks),
    };
    return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
