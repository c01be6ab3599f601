/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a slot mapping: every slot inside the cache, none given twice. Without OpenCL and without memory of its own:
 * the caller brings the scratch and keeps it from call to call.
 */
#ifndef CLATTN_KV_CACHE_SLOTS_H
#define CLATTN_KV_CACHE_SLOTS_H

#include "runtime/error.h"

#include <stdint.h>

/* Entries of the scratch for `num_tokens` slots: a power of two, at least twice num_tokens. */
uint64_t clattn_slots_scratch_entries(int32_t num_tokens);

/*
 * CLATTN_INVALID_PAGE with a sentence about the first token whose slot lies outside [0, num_slots) or was given to an
 * earlier token. O(num_tokens). `scratch` has clattn_slots_scratch_entries(num_tokens) entries of any content.
 */
clattn_status clattn_slots_check(clattn_error *error, const int64_t *slots, int32_t num_tokens, int64_t num_slots,
                                 int32_t *scratch);

#endif
