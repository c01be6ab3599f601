/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often the loops of one work-item go round, for devices that end them after so many rounds and go on with what
 * has been computed by then (clattn_device_facts.max_loop_iterations). A kernel stays below half of that number: no
 * work item has more keys, no row more states than that allows. Without OpenCL.
 */
#ifndef CLATTN_TUNING_LOOPS_H
#define CLATTN_TUNING_LOOPS_H

#include "tuning/space.h"

/* Whether a tile's kernel has room for one block of keys; if not, the reason. */
clattn_status clattn_loops_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                 clattn_phase phase, const clattn_tile *tile, clattn_error *error);

/* Sets the limits of a row whose tiles are checked. */
void clattn_loops_limit_row(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row);

/* The most keys of a work item of such a tile, in whole blocks; 0 = not one, INT32_MAX = any. */
int32_t clattn_loops_item_keys(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_phase phase,
                               const clattn_tile *tile);

/* The most states that a work-item of the merge kernel joins into one row; INT32_MAX = any. */
int32_t clattn_loops_merge_states(const clattn_device_facts *facts, clattn_family family, int32_t head_dim_v);

#endif
