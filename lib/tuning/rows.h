/* SPDX-License-Identifier: Apache-2.0 */
/* The default row of each family, valid on every device that the family can run on. Without OpenCL. */
#ifndef CLATTN_TUNING_ROWS_H
#define CLATTN_TUNING_ROWS_H

#include "tuning/space.h"

/* The tiles; what follows from them is left to clattn_row_derive(). */
void clattn_row_default(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row);

/* Fills in what follows from a row's tiles, once they are checked. */
void clattn_row_derive(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row);

/* Work-items of a group that copies or joins single rows: append and merge. */
uint32_t clattn_row_wise_work_group_size(const clattn_device_facts *facts, clattn_family family);

#endif
