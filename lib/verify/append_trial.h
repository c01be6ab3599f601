/* SPDX-License-Identifier: Apache-2.0 */
/* The trial of an append variant: a few rows into scattered slots, with numbers that have to be rounded. */
#ifndef CLATTN_VERIFY_APPEND_TRIAL_H
#define CLATTN_VERIFY_APPEND_TRIAL_H

#include "verify/trial.h"

clattn_status clattn_append_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel);

#endif
