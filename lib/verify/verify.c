/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses and makes trials; see verify.h. */
#include "verify/verify.h"

#include "verify/append_trial.h"
#include "verify/attention_trial.h"
#include "verify/merge_trial.h"

#include <stdlib.h>

static clattn_status make_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel)
{
    switch (variant->program) {
    case CLATTN_PROGRAM_MERGE:
        return clattn_merge_trial(trial, variant, kernel);
    case CLATTN_PROGRAM_APPEND:
        return clattn_append_trial(trial, variant, kernel);
    default:
        return clattn_attention_trial(trial, variant, kernel);
    }
}

clattn_status clattn_verify_trial(void *user, const clattn_variant *variant, cl_kernel kernel, clattn_verdict *verdict,
                                  clattn_error *error)
{
    clattn_trial *trial = malloc(sizeof *trial);
    CLATTN_REQUIRE(error, trial != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the trial of a kernel");
    clattn_status status = clattn_trial_init(trial, user, verdict);
    if (status == CLATTN_OK)
        status = make_trial(trial, variant, kernel);
    if (status != CLATTN_OK)
        clattn_error_set(error, status, "%s", trial->ctx.error.text);
    clattn_trial_finish(trial);
    free(trial);
    return status;
}
