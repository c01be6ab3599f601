/* SPDX-License-Identifier: Apache-2.0 */
/* The results that attention and merge have in common, and what they should be: a host's view of cl/common/results.cl.
 */
#ifndef CLATTN_VERIFY_RESULTS_H
#define CLATTN_VERIFY_RESULTS_H

#include "verify/trial.h"

/* A softmax relative to its largest logit, in float64; a sum of 0 is a row without keys. */
typedef struct clattn_reference_row {
    double max;
    double sum;
    double *acc; /* [head_dim_v], numerators */
} clattn_reference_row;

/* Absent ones are NULL. */
typedef struct clattn_trial_results {
    clattn_trial_array *out;
    clattn_trial_array *state;
    clattn_trial_array *denominator;
    clattn_trial_array *sinks;
} clattn_trial_results;

/* Sinks, state and numerator of the problem, as a variant's defines have them, with the head dimension of V. */
void clattn_trial_take_results(const clattn_variant *variant, clattn_problem *problem);

/* Makes the arrays for the problem's tokens and heads, and says in the problem where they lie. */
clattn_status clattn_trial_new_results(clattn_trial *trial, clattn_problem *problem, clattn_trial_results *results);

/* Judges the row of a token and query head. */
void clattn_trial_judge_row(clattn_trial *trial, const clattn_problem *problem, clattn_trial_results *results,
                            int32_t token, int32_t head, const clattn_reference_row *row);

clattn_status clattn_trial_download_results(clattn_trial *trial, clattn_trial_results *results);

/* The rows were all; nothing else may have been written. */
void clattn_trial_judge_rest_of_results(clattn_trial *trial, const clattn_trial_results *results);

/* What float32 arithmetic and the exponentials of devices may be off, relative to a sum's magnitude. */
#define CLATTN_TRIAL_TOLERANCE 1e-4

#endif
