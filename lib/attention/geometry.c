/* SPDX-License-Identifier: Apache-2.0 */
/* From the fields of a plan or a query to what its row is asked for by; see geometry.h. */
#include "attention/geometry.h"

#include "attention/problem.h"
#include "runtime/layout.h"

clattn_status clattn_geometry_check(clattn_geometry *geometry, clattn_error *error)
{
    CLATTN_TRY(clattn_check_heads(geometry->num_q_heads, geometry->num_kv_heads, error));
    if (geometry->head_dim_v == 0)
        geometry->head_dim_v = geometry->head_dim;
    CLATTN_TRY(clattn_check_head_dims(geometry->head_dim, geometry->head_dim_v, error));
    CLATTN_REQUIRE(error, geometry->kv_layout >= 0 && geometry->kv_layout < CLATTN_NUM_KV_LAYOUTS,
                   CLATTN_INVALID_ARGUMENT, "kv_layout is %d, expected 0..%d", (int)geometry->kv_layout,
                   CLATTN_NUM_KV_LAYOUTS - 1);
    CLATTN_REQUIRE(error, (int)geometry->kv_dtype >= 0 && geometry->kv_dtype < CLATTN_NUM_DTYPES,
                   CLATTN_INVALID_ARGUMENT, "kv_dtype is %d, expected 0..%d", (int)geometry->kv_dtype,
                   CLATTN_NUM_DTYPES - 1);
    return CLATTN_OK;
}

clattn_tile_request clattn_geometry_request(const clattn_geometry *geometry, clattn_family family,
                                            const clattn_tuning *tuning)
{
    return (clattn_tile_request){
        .family = tuning != NULL && tuning->family != CLATTN_FAMILY_DEFAULT ? tuning->family : family,
        .head_dim = geometry->head_dim,
        .head_dim_v = geometry->head_dim_v,
        .group_size = geometry->num_q_heads / geometry->num_kv_heads,
        .num_kv_heads = geometry->num_kv_heads,
        .token_major = clattn_layout_is_token_major(geometry->kv_layout),
        .dense = geometry->dense,
        .kv_dtype = geometry->kv_dtype,
        .page_size = geometry->page_size,
        .num_seqs = geometry->num_seqs,
    };
}
