/* SPDX-License-Identifier: Apache-2.0 */
/* Overrides over default rows; see resolve.h. */
#include "tuning/resolve.h"

#include "tuning/rows.h"

#include <stddef.h>

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

/* Whether an override gives sizes of a phase's tile one by one. */
static bool overrides_sizes(const clattn_tuning *tuning, clattn_phase phase)
{
    const bool sides_of_both = tuning->block_kv != 0 || tuning->num_kv_pages_per_block != 0 ||
                               tuning->work_group_size != 0 || tuning->num_warps != 0;
    const bool rows = tuning->block_q != 0 || tuning->num_queries_per_block != 0;
    return sides_of_both || (rows && phase == CLATTN_PHASE_PREFILL);
}

/* The tiles that an override gives as a whole. */
static clattn_status apply_tiles(const clattn_tuning *tuning, clattn_row *row, clattn_error *error)
{
    const clattn_tile *const tiles[CLATTN_NUM_PHASES] = {
        [CLATTN_PHASE_DECODE] = tuning->decode_tile, [CLATTN_PHASE_PREFILL] = tuning->prefill_tile};
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        if (tiles[phase] == NULL)
            continue;
        CLATTN_REQUIRE(error, !overrides_sizes(tuning, CLATTN_PHASE_PREFILL), CLATTN_INVALID_TUNING,
                       "tuning: %s_tile is given together with single sizes of a tile, expected one of them",
                       clattn_phase_name((clattn_phase)phase));
        row->tiles[phase] = *tiles[phase];
        row->levels[phase] = CLATTN_TUNING_OVERRIDE;
    }
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
        if (overrides_sizes(tuning, (clattn_phase)phase))
            row->levels[phase] = CLATTN_TUNING_OVERRIDE;
    }
    return apply_tiles(tuning, row, error);
}

/* What speaks of tiles of keys and of local memory, to a family that has neither. */
static clattn_status refuse_tiles(const clattn_tuning *tuning, clattn_error *error)
{
    CLATTN_REQUIRE(error, tuning->block_kv == 0 && tuning->num_kv_pages_per_block == 0, CLATTN_INVALID_TUNING,
                   "tuning: %s is %d, but the plain family has no tiles of keys",
                   tuning->block_kv != 0 ? "block_kv" : "num_kv_pages_per_block",
                   (int)(tuning->block_kv != 0 ? tuning->block_kv : tuning->num_kv_pages_per_block));
    CLATTN_REQUIRE(error, tuning->local_memory_limit_bytes == 0, CLATTN_INVALID_TUNING,
                   "tuning: local_memory_limit_bytes is %lld, but the plain family uses no local memory",
                   (long long)tuning->local_memory_limit_bytes);
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
    if (tuning != NULL && request->family == CLATTN_FAMILY_PLAIN)
        CLATTN_TRY(refuse_tiles(tuning, error));
    const int64_t limit = tuning != NULL ? tuning->local_memory_limit_bytes : 0;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        CLATTN_TRY(clattn_tile_check(facts, request, (clattn_phase)phase, &resolved.tiles[phase], limit, error));
    clattn_row_derive(facts, request, &resolved);
    *row = resolved;
    return CLATTN_OK;
}
