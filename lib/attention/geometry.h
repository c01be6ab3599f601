/* SPDX-License-Identifier: Apache-2.0 */
/* What the row of a problem is chosen by: plans and queries of the tuning ask with the same. Without OpenCL. */
#ifndef CLATTN_ATTENTION_GEOMETRY_H
#define CLATTN_ATTENTION_GEOMETRY_H

#include "tuning/space.h"

#include <clattn/layout.h>

/* What a row is chosen by, besides the device. */
typedef struct clattn_geometry {
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t page_size;
    clattn_kv_layout kv_layout;
    bool dense;
    clattn_dtype kv_dtype; /* 0 = not known */
    int32_t num_seqs;      /* 0 = not known, or not to choose the row */
} clattn_geometry;

/* Heads, their widths, the layout and the dtype; page size and sequences are their owner's to check. A head_dim_v of 0
 * becomes head_dim. */
clattn_status clattn_geometry_check(clattn_geometry *geometry, clattn_error *error);

/* What the tiles of a checked geometry are chosen for: the override's family, else `family`. */
clattn_tile_request clattn_geometry_request(const clattn_geometry *geometry, clattn_family family,
                                            const clattn_tuning *tuning);

#endif
