/* SPDX-License-Identifier: Apache-2.0 */
/* The row of a problem: what plans run with and what queries of the tuning answer. Without OpenCL. */
#ifndef CLATTN_ATTENTION_ROW_H
#define CLATTN_ATTENTION_ROW_H

#include "tuning/resolve.h"

#include <clattn/layout.h>

/* What a row is chosen by, besides the device. */
typedef struct clattn_geometry {
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t page_size;
    clattn_kv_layout kv_layout;
} clattn_geometry;

/* Heads, their widths and the layout; the page size is its owner's to check. A head_dim_v of 0 becomes head_dim. */
clattn_status clattn_geometry_check(clattn_geometry *geometry, clattn_error *error);

/* What the tiles of a checked geometry are chosen for: the override's family, else `family`. */
clattn_tile_request clattn_geometry_request(const clattn_geometry *geometry, clattn_family family,
                                            const clattn_tuning *tuning);

/* The row of a checked geometry. */
clattn_status clattn_geometry_row(const clattn_device_facts *facts, const clattn_geometry *geometry,
                                  clattn_family family, const clattn_tuning *tuning, clattn_row *row,
                                  clattn_error *error);

#endif
