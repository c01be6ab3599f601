/* SPDX-License-Identifier: Apache-2.0 */
#include "tile_shape.h"

static shape_kernel kernel_of(clattn_family family, clattn_phase phase)
{
    if (family == CLATTN_FAMILY_PLAIN)
        return SHAPE_PLAIN;
    if (family == CLATTN_FAMILY_VECTOR)
        return phase == CLATTN_PHASE_DECODE ? SHAPE_VECTOR_DECODE : SHAPE_VECTOR_PREFILL;
    return phase == CLATTN_PHASE_DECODE ? SHAPE_SIMT_DECODE : SHAPE_SIMT_PREFILL;
}

kernel_shape shape_of_tile(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile)
{
    return (kernel_shape){
        .kernel = kernel_of(request->family, phase),
        .head_dim = request->head_dim,
        .head_dim_v = request->head_dim_v,
        .block_q = tile->block_q,
        .block_kv = tile->block_kv,
        .work_group_size = tile->work_group_size,
        .lanes = tile->lanes,
        .heads = tile->heads,
        .qk_keys = tile->qk_keys,
        .converts_k = true,
    };
}
