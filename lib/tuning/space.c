/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints on tiles; see space.h. The kernels' #error lines say the same. */
#include "tuning/space.h"

#include "runtime/size.h"

#include <stdio.h>

/* TILE_COLUMNS, K_CHUNK and V_CHUNK of the simt prefill kernel. */
#define SIMT_TILE_COLUMNS 16
#define SIMT_K_CHUNK 32
#define SIMT_V_CHUNK(head_dim_v) ((head_dim_v) > 256 ? 4 : 8)
#define SIMT_ROW_BYTES 16 /* first and past key of a row, and where its result goes */
#define SIMT_KEY_BYTES 16 /* offsets of a key's K and V */

/* A CPU keeps its tiles in cache and calls that local memory; one that offers a GPU's 32 KiB is better treated as a
 * GPU. */
#define CACHE_SIZED_BYTES ((uint64_t)1 << 20)

static bool has_cache_sized_tiles(const clattn_device_facts *facts)
{
    return facts->local_memory_bytes >= CACHE_SIZED_BYTES;
}

/* What the smallest default tiles of the simt family need, at any head_dim. */
#define SIMT_LEAST_LOCAL_BYTES ((uint64_t)16 << 10)
#define SIMT_LEAST_WORK_GROUP 16u

static bool has_room_for_tiles(const clattn_device_facts *facts)
{
    return facts->local_memory_bytes >= SIMT_LEAST_LOCAL_BYTES && facts->max_work_group_size >= SIMT_LEAST_WORK_GROUP;
}

clattn_family clattn_family_of(const clattn_device_facts *facts)
{
    if (facts->type == CLATTN_DEVICE_CPU && has_cache_sized_tiles(facts))
        return CLATTN_FAMILY_VECTOR;
    return has_room_for_tiles(facts) ? CLATTN_FAMILY_SIMT : CLATTN_FAMILY_PLAIN;
}

void clattn_family_explain(const clattn_device_facts *facts, char reason[CLATTN_SENTENCE_BYTES])
{
    const unsigned long long local_bytes = facts->local_memory_bytes;
    if (clattn_family_of(facts) == CLATTN_FAMILY_PLAIN)
        snprintf(reason, CLATTN_SENTENCE_BYTES,
                 "the device has %llu bytes of local memory and %u work-items for a work-group, the simt family needs "
                 "%llu and %u",
                 local_bytes, (unsigned)facts->max_work_group_size, (unsigned long long)SIMT_LEAST_LOCAL_BYTES,
                 SIMT_LEAST_WORK_GROUP);
    else if (facts->type == CLATTN_DEVICE_GPU)
        snprintf(reason, CLATTN_SENTENCE_BYTES, "the device is a GPU");
    else if (facts->type != CLATTN_DEVICE_CPU)
        snprintf(reason, CLATTN_SENTENCE_BYTES, "the device is no CPU, and treated as a GPU");
    else
        snprintf(reason, CLATTN_SENTENCE_BYTES,
                 "the device is a CPU, and its work-groups have %llu bytes of local memory: %s %llu", local_bytes,
                 has_cache_sized_tiles(facts) ? "at least" : "treated as a GPU, having less than",
                 (unsigned long long)CACHE_SIZED_BYTES);
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

/* PADDED of the simt kernels. */
static int64_t padded(int64_t num_elements)
{
    return 4 * clattn_ceil_div(num_elements, 4);
}

int64_t clattn_tile_local_bytes(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile)
{
    if (request->family == CLATTN_FAMILY_PLAIN)
        return 0;
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
    const int64_t common = float_bytes * (padded(tile->work_group_size) + padded(q) + padded(q * (kv + 1))) +
                           SIMT_ROW_BYTES * padded(q) + SIMT_KEY_BYTES * kv;
    if (phase == CLATTN_PHASE_PREFILL)
        return common + float_bytes * (d * (q + 1) + max_int64(SIMT_K_CHUNK * (kv + 1), SIMT_V_CHUNK(d_v) * d_v));
    const int64_t v_vectors = clattn_ceil_div(d_v / 4, tile->work_group_size);
    const int64_t key_groups = tile->work_group_size / clattn_ceil_div(d_v / 4, v_vectors);
    const int64_t stage = max_int64(q * kv * simt_lanes_per_key(request), key_groups * q * d_v);
    return common + float_bytes * (q * d + padded(stage));
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

static clattn_status check_work_group(const clattn_device_facts *facts, const clattn_tile *tile, clattn_error *error)
{
    CLATTN_REQUIRE(error, (uint32_t)tile->work_group_size <= facts->max_work_group_size, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, the device allows %u", (int)tile->work_group_size,
                   (unsigned)facts->max_work_group_size);
    return CLATTN_OK;
}

static clattn_status check_simt_tile(const clattn_device_facts *facts, const clattn_tile_request *request,
                                     clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    const int32_t size = tile->work_group_size;
    CLATTN_TRY(check_work_group(facts, tile, error));
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
    return CLATTN_OK;
}

clattn_status clattn_tile_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                clattn_phase phase, const clattn_tile *tile, int64_t local_memory_limit_bytes,
                                clattn_error *error)
{
    const int32_t largest_side = CLATTN_LARGEST_TILE_SIDE; /* keeps the sizes below out of overflow */
    CLATTN_REQUIRE(error, tile->block_q >= 1 && tile->block_q <= largest_side, CLATTN_INVALID_TUNING,
                   "tuning: block_q is %d, expected 1..%d", (int)tile->block_q, (int)largest_side);
    CLATTN_REQUIRE(error, tile->block_kv >= 1 && tile->block_kv <= largest_side, CLATTN_INVALID_TUNING,
                   "tuning: block_kv is %d, expected 1..%d", (int)tile->block_kv, (int)largest_side);
    CLATTN_REQUIRE(error, tile->work_group_size >= 1, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, expected 1 or more", (int)tile->work_group_size);
    if (request->family == CLATTN_FAMILY_VECTOR)
        CLATTN_TRY(check_vector_tile(phase, tile, error));
    else if (request->family == CLATTN_FAMILY_SIMT)
        CLATTN_TRY(check_simt_tile(facts, request, phase, tile, error));
    else
        CLATTN_TRY(check_work_group(facts, tile, error));

    int64_t limit = facts->local_memory_bytes < INT64_MAX ? (int64_t)facts->local_memory_bytes : INT64_MAX;
    if (local_memory_limit_bytes > 0 && local_memory_limit_bytes < limit)
        limit = local_memory_limit_bytes;
    const int64_t needed = clattn_tile_local_bytes(request, phase, tile);
    CLATTN_REQUIRE(error, needed <= limit, CLATTN_INVALID_TUNING,
                   "tuning: a %s tile of %d x %d at head_dim %d needs %lld bytes of local memory, the limit is %lld",
                   phase == CLATTN_PHASE_PREFILL ? "prefill" : "decode", (int)tile->block_q, (int)tile->block_kv,
                   (int)request->head_dim, (long long)needed, (long long)limit);
    return CLATTN_OK;
}
