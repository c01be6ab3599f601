/* SPDX-License-Identifier: Apache-2.0 */
/* Whether rows that are appended to a KV cache lie where they should, rounded to its type, and nothing else does. */
#ifndef TUNE_CHECK_APPEND_H
#define TUNE_CHECK_APPEND_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* False after saying what failed; *right tells of the rows, the first wrong one of which is named on stderr. */
bool tune_check_append(clattn_context *ctx, clattn_dtype dtype, clattn_kv_layout layout, bool *right);

#endif
