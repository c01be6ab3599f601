/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints on tiles; see space.h. The kernels' #error lines say the same. */
#include "tuning/space.h"

#include "runtime/size.h"
#include "tuning/loops.h"

#include <stdio.h>

/* TILE_COLUMNS, K_CHUNK and V_CHUNK of the simt prefill kernel. */
#define SIMT_TILE_COLUMNS 16
#define SIMT_K_CHUNK 32
#define SIMT_V_CHUNK(head_dim_v) ((head_dim_v) > 256 ? 4 : 8)
#define SIMT_ROW_BYTES 16 /* first and past key of a row, and where its result goes */
#define SIMT_KEY_BYTES 16 /* offsets of a key's K and V */

#define MOST_GROUPS_PER_UNIT 1024

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
    /* A vector work-item does the work of a whole group: loops that are ended hit it first. */
    if (facts->type == CLATTN_DEVICE_CPU && has_cache_sized_tiles(facts) && facts->max_loop_iterations == 0)
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
    else if (has_cache_sized_tiles(facts) && facts->max_loop_iterations > 0)
        snprintf(reason, CLATTN_SENTENCE_BYTES,
                 "the device is a CPU, treated as a GPU, since it ends a work-item's loops after %u rounds",
                 (unsigned)facts->max_loop_iterations);
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

/* Keys of a vector of scores in the vector decode kernel: KEY_LANES. */
static int32_t vector_key_lanes(const clattn_tile *tile)
{
    int32_t key_lanes = tile->lanes;
    for (int64_t states = (int64_t)tile->heads * tile->block_q; key_lanes > 1 && states % 2 == 0; states /= 2)
        key_lanes /= 2;
    return key_lanes;
}

int32_t clattn_tile_decode_keys(const clattn_tile *tile)
{
    const int32_t key_lanes = vector_key_lanes(tile);
    return tile->qk_keys > key_lanes ? tile->qk_keys : key_lanes;
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
        if (phase == CLATTN_PHASE_PREFILL) /* with the copies of V and of a K of 16 bits */
            return float_bytes * (q * (d + d_v + 4) + kv * (vector_row_block(tile) + d + d_v));
        return float_bytes * tile->heads * q * (d + d_v + kv + 2 * vector_key_lanes(tile));
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

/* A field that this kernel knows nothing of has the one value that says so. */
static clattn_status check_absent(const char *name, int32_t value, int32_t none, clattn_family family,
                                  clattn_phase phase, clattn_error *error)
{
    CLATTN_REQUIRE(error, value == none, CLATTN_INVALID_TUNING, "tuning: %s is %d, but for %s %s it can only be %d",
                   name, (int)value, clattn_family_name(family), clattn_phase_name(phase), (int)none);
    return CLATTN_OK;
}

static clattn_status check_split(clattn_family family, clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    if (phase == CLATTN_PHASE_PREFILL) {
        CLATTN_TRY(check_absent("groups_per_unit", tile->groups_per_unit, 0, family, phase, error));
        return check_absent("min_split_tokens", tile->min_split_tokens, 0, family, phase, error);
    }
    CLATTN_REQUIRE(error, tile->groups_per_unit >= 1 && tile->groups_per_unit <= MOST_GROUPS_PER_UNIT,
                   CLATTN_INVALID_TUNING, "tuning: groups_per_unit is %d, expected 1..%d", (int)tile->groups_per_unit,
                   MOST_GROUPS_PER_UNIT);
    CLATTN_REQUIRE(error, tile->min_split_tokens >= 1, CLATTN_INVALID_TUNING,
                   "tuning: min_split_tokens is %d, expected 1 or more", (int)tile->min_split_tokens);
    return CLATTN_OK;
}

static bool is_power_of_two(int32_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

/* What is the vector family's own, or that of its decode kernel. */
static clattn_status check_vectors(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile,
                                   clattn_error *error)
{
    const clattn_family family = request->family;
    if (family != CLATTN_FAMILY_VECTOR)
        CLATTN_TRY(check_absent("lanes", tile->lanes, 1, family, phase, error));
    else
        CLATTN_REQUIRE(error, tile->lanes == 4 || tile->lanes == 8 || tile->lanes == 16, CLATTN_INVALID_TUNING,
                       "tuning: lanes is %d, expected 4, 8 or 16", (int)tile->lanes);
    if (family != CLATTN_FAMILY_VECTOR || phase != CLATTN_PHASE_DECODE) {
        CLATTN_TRY(check_absent("heads", tile->heads, 1, family, phase, error));
        CLATTN_TRY(check_absent("qk_keys", tile->qk_keys, 0, family, phase, error));
        return check_absent("accumulators", tile->accumulators, 0, family, phase, error);
    }
    CLATTN_REQUIRE(error, tile->heads >= 1 && request->num_kv_heads % tile->heads == 0, CLATTN_INVALID_TUNING,
                   "tuning: heads is %d, expected a divisor of the %d kv heads", (int)tile->heads,
                   (int)request->num_kv_heads);
    CLATTN_REQUIRE(error, tile->accumulators == 0 || tile->accumulators == 8 || tile->accumulators == 16,
                   CLATTN_INVALID_TUNING, "tuning: accumulators is %d, expected 0, 8 or 16", (int)tile->accumulators);
    CLATTN_REQUIRE(error, tile->qk_keys == 0 || (tile->qk_keys <= 16 && is_power_of_two(tile->qk_keys)),
                   CLATTN_INVALID_TUNING, "tuning: qk_keys is %d, expected 0 or a power of two up to 16",
                   (int)tile->qk_keys);
    return CLATTN_OK;
}

/* A sub-group that the compiler is told to make: of a size that the device could have, whole ones in a work-group. */
static clattn_status check_sub_group(const clattn_device_facts *facts, const clattn_tile *tile, clattn_error *error)
{
    const int32_t size = tile->sub_group_size;
    if (size == 0)
        return CLATTN_OK;
    CLATTN_REQUIRE(error, facts->narrowest_sub_group > 0, CLATTN_INVALID_TUNING,
                   "tuning: sub_group_size is %d, but on this device a kernel cannot ask for one", (int)size);
    CLATTN_REQUIRE(error, is_power_of_two(size) && (uint32_t)size >= facts->narrowest_sub_group, CLATTN_INVALID_TUNING,
                   "tuning: sub_group_size is %d, expected a power of two from %u on", (int)size,
                   (unsigned)facts->narrowest_sub_group);
    return CLATTN_OK;
}

/* A block is whole vectors of scores, and whole sets of keys that are summed at a time. */
static clattn_status check_vector_decode(const clattn_tile_request *request, const clattn_tile *tile,
                                         clattn_error *error)
{
    const int32_t keys = clattn_tile_decode_keys(tile);
    CLATTN_REQUIRE(
        error, tile->block_kv % keys == 0, CLATTN_INVALID_TUNING,
        "tuning: block_kv is %d, expected a multiple of %d with lanes %d, heads %d, block_q %d and qk_keys %d",
        (int)tile->block_kv, (int)keys, (int)tile->lanes, (int)tile->heads, (int)tile->block_q, (int)tile->qk_keys);
    CLATTN_REQUIRE(error, request->head_dim % tile->lanes == 0 && request->head_dim_v % tile->lanes == 0,
                   CLATTN_INVALID_TUNING, "tuning: lanes is %d, expected a divisor of head_dim %d and head_dim_v %d",
                   (int)tile->lanes, (int)request->head_dim, (int)request->head_dim_v);
    return CLATTN_OK;
}

static clattn_status check_vector_tile(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile,
                                       clattn_error *error)
{
    CLATTN_REQUIRE(error, tile->work_group_size == 1, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, but the vector family runs one work-item per work-group",
                   (int)tile->work_group_size);
    if (phase == CLATTN_PHASE_PREFILL)
        CLATTN_REQUIRE(error, tile->block_q % vector_row_block(tile) == 0, CLATTN_INVALID_TUNING,
                       "tuning: block_q is %d, expected a multiple of %d on this device", (int)tile->block_q,
                       (int)vector_row_block(tile));
    return phase == CLATTN_PHASE_DECODE ? check_vector_decode(request, tile, error) : CLATTN_OK;
}

static clattn_status check_work_group(const clattn_device_facts *facts, const clattn_tile *tile, clattn_error *error)
{
    CLATTN_REQUIRE(error, (uint32_t)tile->work_group_size <= facts->max_work_group_size, CLATTN_INVALID_TUNING,
                   "tuning: work_group_size is %d, the device allows %u", (int)tile->work_group_size,
                   (unsigned)facts->max_work_group_size);
    return CLATTN_OK;
}

/* Nothing depends on the keys of a block but where splits are cut. */
static clattn_status check_plain_tile(const clattn_device_facts *facts, clattn_phase phase, const clattn_tile *tile,
                                      clattn_error *error)
{
    CLATTN_TRY(check_absent("block_kv", tile->block_kv, CLATTN_PLAIN_BLOCK_KV, CLATTN_FAMILY_PLAIN, phase, error));
    return check_work_group(facts, tile, error);
}

static clattn_status check_simt_tile(const clattn_device_facts *facts, const clattn_tile_request *request,
                                     clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    const int32_t size = tile->work_group_size;
    CLATTN_TRY(check_work_group(facts, tile, error));
    CLATTN_TRY(check_sub_group(facts, tile, error));
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
    CLATTN_TRY(check_split(request->family, phase, tile, error));
    CLATTN_TRY(check_vectors(request, phase, tile, error));
    if (request->family != CLATTN_FAMILY_SIMT)
        CLATTN_TRY(check_absent("sub_group_size", tile->sub_group_size, 0, request->family, phase, error));
    if (request->family == CLATTN_FAMILY_VECTOR)
        CLATTN_TRY(check_vector_tile(request, phase, tile, error));
    else if (request->family == CLATTN_FAMILY_SIMT)
        CLATTN_TRY(check_simt_tile(facts, request, phase, tile, error));
    else
        CLATTN_TRY(check_plain_tile(facts, phase, tile, error));

    int64_t limit = facts->local_memory_bytes < INT64_MAX ? (int64_t)facts->local_memory_bytes : INT64_MAX;
    if (local_memory_limit_bytes > 0 && local_memory_limit_bytes < limit)
        limit = local_memory_limit_bytes;
    const int64_t needed = clattn_tile_local_bytes(request, phase, tile);
    CLATTN_REQUIRE(error, needed <= limit, CLATTN_INVALID_TUNING,
                   "tuning: a %s tile of %d x %d at head_dim %d needs %lld bytes of local memory, the limit is %lld",
                   phase == CLATTN_PHASE_PREFILL ? "prefill" : "decode", (int)tile->block_q, (int)tile->block_kv,
                   (int)request->head_dim, (long long)needed, (long long)limit);
    return clattn_loops_check(facts, request, phase, tile, error);
}

bool clattn_has_few_registers(const clattn_device_facts *facts)
{
    return facts->type == CLATTN_DEVICE_GPU && (facts->narrowest_sub_group == 8 || facts->narrowest_sub_group == 16);
}

/* float32 sums of results that a work-item of the simt kernels keeps; see their head comments. */
static int64_t simt_sums(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile)
{
    const int64_t d_v = request->head_dim_v;
    if (phase == CLATTN_PHASE_PREFILL)
        return clattn_ceil_div((int64_t)tile->block_q * SIMT_TILE_COLUMNS, tile->work_group_size) *
               clattn_ceil_div(d_v, SIMT_TILE_COLUMNS);
    return 4 * tile->block_q * clattn_ceil_div(d_v, 4 * (int64_t)tile->work_group_size);
}

/* Half of the registers that a work-item has: the other half is for operands and addresses. */
#define SUMS_OF_MANY_REGISTERS 128
#define SUMS_OF_FEW_REGISTERS 64

clattn_status clattn_tile_check_worth(const clattn_device_facts *facts, const clattn_tile_request *request,
                                      clattn_phase phase, const clattn_tile *tile, const clattn_tile *default_tile,
                                      clattn_error *error)
{
    CLATTN_REQUIRE(error, tile->lanes <= default_tile->lanes || (uint32_t)tile->lanes <= facts->float_vector_width,
                   CLATTN_INVALID_TUNING, "tuning: lanes is %d, the device's vectors have %u", (int)tile->lanes,
                   (unsigned)facts->float_vector_width);
    if (request->family != CLATTN_FAMILY_SIMT)
        return CLATTN_OK;
    const int64_t limit = clattn_has_few_registers(facts) ? SUMS_OF_FEW_REGISTERS : SUMS_OF_MANY_REGISTERS;
    const int64_t sums = simt_sums(request, phase, tile);
    CLATTN_REQUIRE(error, sums <= limit || sums <= simt_sums(request, phase, default_tile), CLATTN_INVALID_TUNING,
                   "tuning: a work-item would keep %lld sums, its registers hold %lld", (long long)sums,
                   (long long)limit);
    return CLATTN_OK;
}
