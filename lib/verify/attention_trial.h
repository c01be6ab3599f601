/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trial of an attention variant: a small batch cut into work items of its own tile sizes, so that full, part and
 * empty tiles, masked ends, pages and partial states all occur.
 */
#ifndef CLATTN_VERIFY_ATTENTION_TRIAL_H
#define CLATTN_VERIFY_ATTENTION_TRIAL_H

#include "verify/trial.h"

clattn_status clattn_attention_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel);

#endif
