/* SPDX-License-Identifier: Apache-2.0 */
/* Default tiles per family; see rows.h. */
#include "tuning/rows.h"

#include "tuning/loops.h"

/* The smallest power of two >= value, at most limit (a power of two). */
static int32_t power_of_two_above(int32_t value, int32_t limit)
{
    int32_t power = 1;
    while (power < value && power < limit)
        power *= 2;
    return power;
}

static int32_t largest_power_of_two_within(int64_t limit)
{
    int32_t power = 1;
    while (2 * (int64_t)power <= limit && power < (1 << 20))
        power *= 2;
    return power;
}

static int32_t num_units(const clattn_device_facts *facts)
{
    const uint32_t most = 1u << 16; /* no device has so many, but a driver may say anything */
    const uint32_t units = facts->num_compute_units < most ? facts->num_compute_units : most;
    return units > 0 ? (int32_t)units : 1;
}

/*
 * kv heads of a decode work-group: all, where a token's lie together, so that memory is read in a line, as far as their
 * states stay in a core's second-level cache; elsewhere as many as fill a vector of scores, and at least 4, since each
 * is a place of its own to read from (Zen 5, pages of 16 tokens: 1.2 times as fast as single heads and as all of 32).
 */
static int32_t heads_of_decode(const clattn_tile_request *request, clattn_tile *tile)
{
    const int64_t cache_bytes = 256 * 1024;
    const int32_t filling = tile->lanes / tile->block_q;
    const int32_t most = request->token_major ? request->num_kv_heads : filling > 4 ? filling : 4;
    for (int32_t heads = most < request->num_kv_heads ? most : request->num_kv_heads; heads > 1; --heads) {
        tile->heads = heads;
        if (request->num_kv_heads % heads == 0 &&
            clattn_tile_local_bytes(request, CLATTN_PHASE_DECODE, tile) <= cache_bytes)
            return heads;
    }
    return 1;
}

/*
 * Keys of a decode block: up to 8 KiB of K and V of 16 bits, since those of the next block are asked for meanwhile, and
 * both have to stay in a core's first-level cache, beside the states (Zen 5: 1.05 to 1.15 times as fast as 16 KiB).
 * Fewer than 2 would leave nothing to ask for, fewer than 4 where a token's heads lie apart and each is a run of memory
 * of its own (Zen 5, 32 heads of 96: 1.05 to 1.12); more than 16 are more pages at once. Storage of 32 bits likes no
 * other number, and results do not depend on what the plan knows of it.
 */
static int32_t keys_of_decode(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t cache_bytes = 8 * 1024;
    const int64_t key_bytes = 2 * tile->heads * ((int64_t)request->head_dim + request->head_dim_v);
    int32_t keys = clattn_tile_decode_keys(tile);
    const int32_t least = request->token_major ? 2 : 4;
    while (keys < 16 && (keys < least || 2 * keys * key_bytes <= cache_bytes))
        keys *= 2;
    return keys;
}

static void vector_row(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    const int32_t lanes = facts->float_vector_width >= 16 ? 16 : facts->float_vector_width >= 8 ? 8 : 4;
    const bool whole_vectors = request->head_dim % lanes == 0 && request->head_dim_v % lanes == 0;

    row->tiles[CLATTN_PHASE_PREFILL] =
        (clattn_tile){.block_q = request->head_dim + request->head_dim_v <= 512 ? 128 : 64,
                      .block_kv = 48,
                      .work_group_size = 1,
                      .heads = 1,
                      .lanes = lanes};
    /* One or two rows leave most of the multiply-adds unused: 8 lanes read 1.05 to 1.1 times as fast as 16 (Zen 5). */
    const bool narrow = !whole_vectors || (request->group_size <= 2 && lanes > 8);
    clattn_tile *decode = &row->tiles[CLATTN_PHASE_DECODE];
    *decode = (clattn_tile){.block_q = power_of_two_above(request->group_size, 8),
                            .work_group_size = 1,
                            .heads = 1,
                            .lanes = narrow ? 8 : lanes};
    decode->heads = heads_of_decode(request, decode);
    decode->block_kv = keys_of_decode(request, decode);
}

/* A row of work-items of the prefill kernel. */
#define SMALLEST_PREFILL_GROUP 16

/* Local memory of a default tile: what every full-profile device has, and several work-groups of a larger one. */
#define LOCAL_MEMORY_BUDGET ((int64_t)32 << 10)

/*
 * Smaller tiles for a device of few registers, and its narrowest sub-groups, since compilers left to themselves prefer
 * wider ones and put what does not fit into memory: 4 rows for each work-item, and 32 accumulators (prefill) or 16
 * (decode).
 */
static void spare_registers(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    clattn_tile *prefill = &row->tiles[CLATTN_PHASE_PREFILL];
    clattn_tile *decode = &row->tiles[CLATTN_PHASE_DECODE];
    const int32_t tile_rows = prefill->work_group_size / SMALLEST_PREFILL_GROUP;
    const int32_t columns = (request->head_dim_v + SMALLEST_PREFILL_GROUP - 1) / SMALLEST_PREFILL_GROUP;
    int32_t rows = 4;
    while (rows > 1 && rows * columns > 32)
        rows /= 2;
    if (request->head_dim_v == 56)
        rows = 2; /* for pvc, ocloc puts the accumulators of more rows, 3 columns and a half wide, into memory */
    while (prefill->block_q > 1 && prefill->block_q > rows * tile_rows)
        prefill->block_q /= 2;
    const int32_t v_vectors = (request->head_dim_v + 4 * decode->work_group_size - 1) / (4 * decode->work_group_size);
    while (decode->block_q > 1 && decode->block_q * v_vectors > 4)
        decode->block_q /= 2;
    prefill->sub_group_size = (int32_t)facts->narrowest_sub_group;
    decode->sub_group_size = (int32_t)facts->narrowest_sub_group;
}

/* Prefill tiles of 16 KiB of queries, smaller where local memory or the work-group is. */
static void simt_row(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    const int64_t budget = facts->local_memory_bytes < (uint64_t)LOCAL_MEMORY_BUDGET
                               ? (int64_t)facts->local_memory_bytes
                               : LOCAL_MEMORY_BUDGET;
    const int32_t largest_group = largest_power_of_two_within((int64_t)facts->max_work_group_size);
    clattn_tile *prefill = &row->tiles[CLATTN_PHASE_PREFILL];
    const int32_t width = request->head_dim > request->head_dim_v ? request->head_dim : request->head_dim_v;
    /* Between 32 and 64 the last columns need masks, which with 64 rows spill on AMD's gfx906 and gfx90a. */
    *prefill = (clattn_tile){.block_q = width <= 32 || width == 64 ? 64
                                        : width <= 128             ? 32
                                                                   : 16,
                             .block_kv = 32,
                             .work_group_size = largest_group < 128 ? largest_group : 128,
                             .heads = 1,
                             .lanes = 1};
    while (prefill->block_q > prefill->work_group_size)
        prefill->block_q /= 2;
    while (clattn_tile_local_bytes(request, CLATTN_PHASE_PREFILL, prefill) > budget) {
        if (prefill->block_q > prefill->work_group_size / SMALLEST_PREFILL_GROUP && prefill->block_q > 1)
            prefill->block_q /= 2;
        else if (prefill->work_group_size > SMALLEST_PREFILL_GROUP)
            prefill->work_group_size /= 2;
        else
            break; /* the check of the tile says what is missing */
    }

    clattn_tile *decode = &row->tiles[CLATTN_PHASE_DECODE];
    *decode = (clattn_tile){.block_q = power_of_two_above(request->group_size, 8),
                            .block_kv = 32,
                            .work_group_size = largest_group < 64 ? largest_group : 64,
                            .heads = 1,
                            .lanes = 1};
    while (decode->block_q > 1 && clattn_tile_local_bytes(request, CLATTN_PHASE_DECODE, decode) > budget)
        decode->block_q /= 2;
    if (clattn_has_few_registers(facts))
        spare_registers(facts, request, row);
}

/* Work-items of a plain work-group, and rows of its items: few, since one that has no row is idle. */
#define PLAIN_GROUP 32

static void plain_row(const clattn_device_facts *facts, clattn_row *row)
{
    const int32_t group = largest_power_of_two_within((int64_t)facts->max_work_group_size);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        row->tiles[phase] = (clattn_tile){.block_q = PLAIN_GROUP,
                                          .block_kv = CLATTN_PLAIN_BLOCK_KV,
                                          .work_group_size = group < PLAIN_GROUP ? group : PLAIN_GROUP,
                                          .heads = 1,
                                          .lanes = 1};
}

/* Rows up to so many tiles of decode are decoded: reading the keys once more for each costs less than prefill's. */
static int32_t decode_max_tiles(clattn_family family)
{
    return family == CLATTN_FAMILY_VECTOR ? 8 : family == CLATTN_FAMILY_SIMT ? 2 : 1;
}

void clattn_row_derive(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    const clattn_tile *decode = &row->tiles[CLATTN_PHASE_DECODE];
    row->decode_max_rows = decode_max_tiles(request->family) * decode->block_q;
    if (row->decode_max_rows < request->group_size)
        row->decode_max_rows = request->group_size; /* one token is always decoded */
    row->target_groups = decode->groups_per_unit * num_units(facts);
    row->min_split_tokens = decode->min_split_tokens;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const int64_t local_bytes = clattn_tile_local_bytes(request, (clattn_phase)phase, &row->tiles[phase]);
        row->local_argument_bytes[phase] = request->family == CLATTN_FAMILY_VECTOR ? (size_t)local_bytes : 0;
    }
    clattn_loops_limit_row(facts, request, row);
}

void clattn_row_default(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    *row = (clattn_row){
        .family = request->family,
        .levels = {[CLATTN_PHASE_DECODE] = CLATTN_TUNING_DEFAULT, [CLATTN_PHASE_PREFILL] = CLATTN_TUNING_DEFAULT},
        /* The threads of a CPU's runtime take runs of work-groups: in PoCL the first one all groups over threads. */
        .run_threads = facts->type == CLATTN_DEVICE_CPU ? num_units(facts) : 0,
    };
    if (request->family == CLATTN_FAMILY_VECTOR)
        vector_row(facts, request, row);
    else if (request->family == CLATTN_FAMILY_SIMT)
        simt_row(facts, request, row);
    else
        plain_row(facts, row);
    row->tiles[CLATTN_PHASE_DECODE].groups_per_unit = 8;
    row->tiles[CLATTN_PHASE_DECODE].min_split_tokens = 128;
}

uint32_t clattn_row_wise_work_group_size(const clattn_device_facts *facts, clattn_family family)
{
    const uint32_t several_subgroups = 64;
    if (family == CLATTN_FAMILY_VECTOR)
        return 1;
    return facts->max_work_group_size < several_subgroups ? facts->max_work_group_size : several_subgroups;
}
