/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints on tiles and their resolution; see space.h. The kernels' #error lines say the same. */
#include "tuning/space.h"

#include "tuning/rows.h"

#include <stddef.h>

/* Work-items across a simt prefill tile, and the keys of a staged piece of V: TILE_COLUMNS, K_CHUNK and V_CHUNK of the
 * kernel. */
#define SIMT_TILE_COLUMNS 16
#define SIMT_K_CHUNK 32
#define SIMT_V_CHUNK 8
#define ROW_BOUND_BYTES 8 /* first and past key of a row */
#define TILE_ROW_BYTES 16 /* offsets of a key's K and V */

/* A CPU keeps its tiles in cache and calls that local memory; one that offers a GPU's 32 KiB is better treated as a
 * GPU. */
clattn_family clattn_family_of(const clattn_device_facts *facts)
{
    const uint64_t cache_sized = 1u << 20;
    const bool vector = facts->type == CLATTN_DEVICE_CPU && facts->local_memory_bytes >= cache_sized;
    return vector ? CLATTN_FAMILY_VECTOR : CLATTN_FAMILY_SIMT;
}

static int64_t max_int64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rows that a vector prefill tile updates at once: ROW_BLOCK of the kernel. */
static int32_t vector_row_block(const clattn_tile *tile)
{
    return tile->lanes * (tile->lanes == 16 ? 4 : 2);
}

static int32_t simt_lanes_per_key(const clattn_tile_request *request)
{
    return request->head_dim >= 32 ? 8 : 2;
}

int64_t clattn_tile_local_bytes(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile)
{
    const int64_t float_bytes = 4;
    const int64_t q = tile->block_q;
    const int64_t kv = tile->block_kv;
    const int64_t d = request->head_dim;
    const int64_t d_v = request->head_dim_v;
    if (request->family == CLATTN_FAMILY_VECTOR) {
        if (phase == CLATTN_PHASE_PREFILL) /* with the converted K and V of 16-bit storage */
            return float_bytes * (q * (d + d_v + 4) + kv * (vector_row_block(tile) + d + d_v));
        return float_bytes * (tile->heads * q * (d + d_v + tile->lanes + 1) + q * kv);
    }
    const int64_t common = float_bytes * (tile->work_group_size + q) + ROW_BOUND_BYTES * q + TILE_ROW_BYTES * kv +
                           float_bytes * q * (kv + 1);
    if (phase == CLATTN_PHASE_PREFILL)
        return common + float_bytes * (d * (q + 1) + max_int64(SIMT_K_CHUNK * (kv + 1), SIMT_V_CHUNK * d_v));
    const int64_t key_groups = tile->work_group_size / (d_v / 4);
    return common + float_bytes * (q * d + max_int64(q * kv * simt_lanes_per_key(request), key_groups * q * d_v));
}

static clattn_status check_vector_tile(clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    CLATTN_REQUIRE(error, tile->work_group_size == 1, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, but the vector family runs one work-item per work-group",
                   (int)tile->work_group_size);
    if (phase == CLATTN_PHASE_PREFILL)
        CLATTN_REQUIRE(error, tile->block_q % vector_row_block(tile) == 0, CLATTN_INVALID_TUNING,
                       "tuning: block_q is %d, expected a multiple of %d on this device", (int)tile->block_q,
                       (int)vector_row_block(tile));
    else
        CLATTN_REQUIRE(error, tile->block_kv % tile->lanes == 0, CLATTN_INVALID_TUNING,
                       "tuning: block_kv is %d, expected a multiple of %d on this device", (int)tile->block_kv,
                       (int)tile->lanes);
    return CLATTN_OK;
}

static clattn_status check_simt_tile(const clattn_device_facts *facts, const clattn_tile_request *request,
                                     clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    const int32_t size = tile->work_group_size;
    CLATTN_REQUIRE(error, (uint32_t)size <= facts->max_work_group_size, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, the device allows %u", (int)size,
                   (unsigned)facts->max_work_group_size);
    CLATTN_REQUIRE(error, size % tile->block_q == 0, CLATTN_INVALID_TUNING,
                   "tuning: block_q %d does not divide the work_group_size %d", (int)tile->block_q, (int)size);
    if (phase == CLATTN_PHASE_PREFILL) {
        const int32_t tile_rows = size / SIMT_TILE_COLUMNS;
        CLATTN_REQUIRE(error, size % SIMT_TILE_COLUMNS == 0 && tile->block_q % tile_rows == 0, CLATTN_INVALID_TUNING,
                       "tuning: work_group_size %d does not tile block_q %d in columns of %d", (int)size,
                       (int)tile->block_q, SIMT_TILE_COLUMNS);
        CLATTN_REQUIRE(error, tile->block_kv % SIMT_TILE_COLUMNS == 0, CLATTN_INVALID_TUNING,
                       "tuning: block_kv is %d, expected a multiple of %d", (int)tile->block_kv, SIMT_TILE_COLUMNS);
        return CLATTN_OK;
    }
    CLATTN_REQUIRE(error, size % simt_lanes_per_key(request) == 0, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, expected a multiple of %d", (int)size,
                   (int)simt_lanes_per_key(request));
    CLATTN_REQUIRE(error, size >= request->head_dim_v / 4, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, expected at least %d for head_dim %d", (int)size,
                   (int)(request->head_dim_v / 4), (int)request->head_dim_v);
    return CLATTN_OK;
}

clattn_status clattn_tile_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                clattn_phase phase, const clattn_tile *tile, int64_t local_memory_limit_bytes,
                                clattn_error *error)
{
    const int32_t largest_side = 1 << 14; /* keeps the sizes below out of overflow */
    CLATTN_REQUIRE(error, tile->block_q >= 1 && tile->block_q <= largest_side, CLATTN_INVALID_TUNING,
                   "tuning: block_q is %d, expected 1..%d", (int)tile->block_q, (int)largest_side);
    CLATTN_REQUIRE(error, tile->block_kv >= 1 && tile->block_kv <= largest_side, CLATTN_INVALID_TUNING,
                   "tuning: block_kv is %d, expected 1..%d", (int)tile->block_kv, (int)largest_side);
    CLATTN_REQUIRE(error, tile->work_group_size >= 1, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, expected 1 or more", (int)tile->work_group_size);
    if (request->family == CLATTN_FAMILY_VECTOR)
        CLATTN_TRY(check_vector_tile(phase, tile, error));
    else
        CLATTN_TRY(check_simt_tile(facts, request, phase, tile, error));

    int64_t limit = (int64_t)facts->local_memory_bytes;
    if (local_memory_limit_bytes > 0 && local_memory_limit_bytes < limit)
        limit = local_memory_limit_bytes;
    const int64_t needed = clattn_tile_local_bytes(request, phase, tile);
    CLATTN_REQUIRE(error, needed <= limit, CLATTN_INVALID_TUNING,
                   "tuning: a %s tile of %d x %d at head_dim %d needs %lld bytes of local memory, the limit is %lld",
                   phase == CLATTN_PHASE_PREFILL ? "prefill" : "decode", (int)tile->block_q, (int)tile->block_kv,
                   (int)request->head_dim, (long long)needed, (long long)limit);
    return CLATTN_OK;
}

/* A tile side in kernel units: given directly, in the other unit, or not at all (0). */
static clattn_status resolve_side(const char *direct_name, int32_t direct, const char *other_name, int32_t other,
                                  int32_t unit, int32_t *side, clattn_error *error)
{
    CLATTN_REQUIRE(error, direct >= 0, CLATTN_INVALID_TUNING, "tuning: %s is %d, expected 0 or more", direct_name,
                   (int)direct);
    CLATTN_REQUIRE(error, other >= 0, CLATTN_INVALID_TUNING, "tuning: %s is %d, expected 0 or more", other_name,
                   (int)other);
    CLATTN_REQUIRE(error, direct == 0 || other == 0, CLATTN_INVALID_TUNING, "tuning: %s and %s are both given",
                   direct_name, other_name);
    CLATTN_REQUIRE(error, (int64_t)other * unit <= INT32_MAX, CLATTN_INVALID_TUNING, "tuning: %s is %d, too large",
                   other_name, (int)other);
    if (direct > 0)
        *side = direct;
    else if (other > 0)
        *side = other * unit;
    return CLATTN_OK;
}

static clattn_status apply_override(const clattn_device_facts *facts, const clattn_tile_request *request,
                                    int32_t page_size, const clattn_tuning *tuning, clattn_row *row,
                                    clattn_error *error)
{
    CLATTN_REQUIRE(error, tuning->num_stages == 0 || tuning->num_stages == 1, CLATTN_INVALID_TUNING,
                   "tuning: num_stages is %d, but no kernel pipelines deeper than 1", (int)tuning->num_stages);
    CLATTN_REQUIRE(error, tuning->local_memory_limit_bytes >= 0, CLATTN_INVALID_TUNING,
                   "tuning: local_memory_limit_bytes is %lld, expected 0 or more",
                   (long long)tuning->local_memory_limit_bytes);
    CLATTN_TRY(resolve_side("block_q", tuning->block_q, "num_queries_per_block", tuning->num_queries_per_block,
                            request->group_size, &row->tiles[CLATTN_PHASE_PREFILL].block_q, error));
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        CLATTN_TRY(resolve_side("block_kv", tuning->block_kv, "num_kv_pages_per_block", tuning->num_kv_pages_per_block,
                                page_size, &row->tiles[phase].block_kv, error));
        CLATTN_TRY(resolve_side("work_group_size", tuning->work_group_size, "num_warps", tuning->num_warps,
                                (int32_t)facts->preferred_multiple, &row->tiles[phase].work_group_size, error));
    }
    return CLATTN_OK;
}

clattn_status clattn_tuning_resolve(const clattn_device_facts *facts, const clattn_tile_request *request,
                                    int32_t page_size, const clattn_tuning *tuning, clattn_row *row,
                                    clattn_error *error)
{
    CLATTN_REQUIRE(error, request->family > CLATTN_FAMILY_DEFAULT && request->family < CLATTN_NUM_FAMILIES,
                   CLATTN_INVALID_TUNING, "tuning: family %d is none", (int)request->family);
    clattn_row resolved;
    clattn_row_default(facts, request, &resolved);
    if (tuning != NULL)
        CLATTN_TRY(apply_override(facts, request, page_size, tuning, &resolved, error));
    const int64_t limit = tuning != NULL ? tuning->local_memory_limit_bytes : 0;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const clattn_tile *tile = &resolved.tiles[phase];
        CLATTN_TRY(clattn_tile_check(facts, request, (clattn_phase)phase, tile, limit, error));
        if (request->family == CLATTN_FAMILY_VECTOR)
            resolved.local_argument_bytes[phase] = (size_t)clattn_tile_local_bytes(request, (clattn_phase)phase, tile);
    }
    *row = resolved;
    return CLATTN_OK;
}
