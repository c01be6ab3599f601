/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a random problem in parts: each part of its keys gives a state, clattn_merge_states() joins them. */
#ifndef PROPERTY_RANDOM_MERGE_H
#define PROPERTY_RANDOM_MERGE_H

#include "random_case.h"

/*
 * Fills the results of a problem as support_attention_run() does, and its allowances with what the rounding of states
 * and of their weights may add. `planned`: every state comes from a plan.
 */
void random_merge_run(support_attention *attention, const support_device *device, const random_cut *cut, bool planned);

#endif
