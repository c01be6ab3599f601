/* SPDX-License-Identifier: Apache-2.0 */
/* Whether results over disjoint keys are joined as they should. */
#ifndef TUNE_CHECK_MERGE_H
#define TUNE_CHECK_MERGE_H

#include <clattn/clattn.h>
#include <stdbool.h>

/*
 * States of a type and width, given by their log-sum-exps or by maxima and denominators. False after saying what
 * failed; *right tells of the results, the first wrong one of which is named on stderr.
 */
bool tune_check_merge(clattn_context *ctx, clattn_dtype dtype, int32_t head_dim, bool by_lse, bool *right);

#endif
