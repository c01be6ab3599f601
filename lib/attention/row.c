/* SPDX-License-Identifier: Apache-2.0 */
/* From the fields of a plan or a query to its row; see row.h. */
#include "attention/row.h"

#include "attention/problem.h"

clattn_status clattn_geometry_check(clattn_geometry *geometry, clattn_error *error)
{
    CLATTN_TRY(clattn_check_heads(geometry->num_q_heads, geometry->num_kv_heads, error));
    if (geometry->head_dim_v == 0)
        geometry->head_dim_v = geometry->head_dim;
    CLATTN_TRY(clattn_check_head_dims(geometry->head_dim, geometry->head_dim_v, error));
    CLATTN_REQUIRE(error, geometry->kv_layout >= 0 && geometry->kv_layout < CLATTN_NUM_KV_LAYOUTS,
                   CLATTN_INVALID_ARGUMENT, "kv_layout is %d, expected 0..%d", (int)geometry->kv_layout,
                   CLATTN_NUM_KV_LAYOUTS - 1);
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
    };
}

clattn_status clattn_geometry_row(const clattn_device_facts *facts, const clattn_geometry *geometry,
                                  clattn_family family, const clattn_tuning *tuning, clattn_row *row,
                                  clattn_error *error)
{
    const clattn_tile_request request = clattn_geometry_request(geometry, family, tuning);
    return clattn_tuning_resolve(facts, &request, geometry->page_size, tuning, row, error);
}
