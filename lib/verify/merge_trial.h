/* SPDX-License-Identifier: Apache-2.0 */
/* The trial of a merge variant: a few states with and without keys, of a plan or of a caller. */
#ifndef CLATTN_VERIFY_MERGE_TRIAL_H
#define CLATTN_VERIFY_MERGE_TRIAL_H

#include "verify/trial.h"

clattn_status clattn_merge_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel);

#endif
