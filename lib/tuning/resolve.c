/* SPDX-License-Identifier: Apache-2.0 */
/* Overrides over rows of the database, and those over default rows; see resolve.h. */
#include "tuning/resolve.h"

#include "tuning/rows.h"

#include <stddef.h>
#include <string.h>

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

/* The sizes of a tile that an override gives one by one, in kernel units; 0 = not given. */
typedef struct given_sizes {
    int32_t block_q; /* prefill alone */
    int32_t block_kv;
    int32_t work_group_size;
} given_sizes;

static bool has_size(const given_sizes *sizes, clattn_phase phase)
{
    return sizes->block_kv > 0 || sizes->work_group_size > 0 || (sizes->block_q > 0 && phase == CLATTN_PHASE_PREFILL);
}

static void apply_sizes(const given_sizes *sizes, clattn_phase phase, clattn_tile *tile)
{
    if (sizes->block_q > 0 && phase == CLATTN_PHASE_PREFILL)
        tile->block_q = sizes->block_q;
    if (sizes->block_kv > 0)
        tile->block_kv = sizes->block_kv;
    if (sizes->work_group_size > 0)
        tile->work_group_size = sizes->work_group_size;
}

/* A phase's tile that an override gives as a whole; NULL = it does not. */
static const clattn_tile *whole_tile(const clattn_tuning *tuning, clattn_phase phase)
{
    if (tuning == NULL)
        return NULL;
    return phase == CLATTN_PHASE_PREFILL ? tuning->prefill_tile : tuning->decode_tile;
}

static clattn_status read_override(const clattn_device_facts *facts, const clattn_tile_request *request,
                                   const clattn_tuning *tuning, given_sizes *sizes, clattn_error *error)
{
    CLATTN_REQUIRE(error, tuning->num_stages == 0 || tuning->num_stages == 1, CLATTN_INVALID_TUNING,
                   "tuning: num_stages is %d, but no kernel pipelines deeper than 1", (int)tuning->num_stages);
    CLATTN_REQUIRE(error, tuning->local_memory_limit_bytes >= 0, CLATTN_INVALID_TUNING,
                   "tuning: local_memory_limit_bytes is %lld, expected 0 or more",
                   (long long)tuning->local_memory_limit_bytes);
    CLATTN_TRY(resolve_side("block_q", tuning->block_q, "num_queries_per_block", tuning->num_queries_per_block,
                            request->group_size, &sizes->block_q, error));
    CLATTN_TRY(resolve_side("block_kv", tuning->block_kv, "num_kv_pages_per_block", tuning->num_kv_pages_per_block,
                            request->page_size, &sizes->block_kv, error));
    CLATTN_TRY(resolve_side("work_group_size", tuning->work_group_size, "num_warps", tuning->num_warps,
                            (int32_t)facts->preferred_multiple, &sizes->work_group_size, error));
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        CLATTN_REQUIRE(error, whole_tile(tuning, (clattn_phase)phase) == NULL || !has_size(sizes, CLATTN_PHASE_PREFILL),
                       CLATTN_INVALID_TUNING,
                       "tuning: %s_tile is given together with single sizes of a tile, expected one of them",
                       clattn_phase_name((clattn_phase)phase));
    return CLATTN_OK;
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

/* What a tile of the database is judged with. */
typedef struct tile_limits {
    const clattn_device_facts *facts;
    given_sizes sizes;
    int64_t local_memory_bytes; /* 0 = the device's */
} tile_limits;

static bool fits_with_sizes(const clattn_tuning_search *search, const clattn_tile *tile)
{
    const tile_limits *limits = search->state;
    clattn_tile sized = *tile;
    clattn_error reason;
    apply_sizes(&limits->sizes, search->phase, &sized);
    return clattn_tile_check(limits->facts, search->request, search->phase, &sized, limits->local_memory_bytes,
                             &reason) == CLATTN_OK &&
           clattn_tile_check_worth(limits->facts, search->request, search->phase, tile, search->default_tile,
                                   &reason) == CLATTN_OK;
}

/* From the default tile to the database's, if it has one, with the given sizes; the level that answered. */
static clattn_tuning_level choose_tile(const clattn_tuning_database *database, const clattn_tile_request *request,
                                       clattn_phase phase, const tile_limits *limits, clattn_tile *tile,
                                       clattn_tuning_entry *found)
{
    const clattn_tuning_search search = {
        .request = request, .phase = phase, .default_tile = tile, .fits = fits_with_sizes, .state = limits};
    const bool has_row = clattn_tuning_database_find(database, &search, found);
    if (has_row)
        clattn_tuning_entry_apply(found, tile);
    apply_sizes(&limits->sizes, phase, tile);
    return has_size(&limits->sizes, phase) ? CLATTN_TUNING_OVERRIDE : has_row ? found->level : CLATTN_TUNING_DEFAULT;
}

clattn_status clattn_tuning_resolve(const clattn_tuning_database *database, const clattn_tile_request *request,
                                    const clattn_tuning *tuning, clattn_row *row,
                                    clattn_tuning_entry found[CLATTN_NUM_PHASES], clattn_error *error)
{
    const clattn_device_facts *facts = database->facts;
    CLATTN_REQUIRE(error, request->family > CLATTN_FAMILY_DEFAULT && request->family < CLATTN_NUM_FAMILIES,
                   CLATTN_INVALID_TUNING, "tuning: family %d is none", (int)request->family);
    tile_limits limits = {.facts = facts, .local_memory_bytes = tuning != NULL ? tuning->local_memory_limit_bytes : 0};
    if (tuning != NULL)
        CLATTN_TRY(read_override(facts, request, tuning, &limits.sizes, error));
    if (tuning != NULL && request->family == CLATTN_FAMILY_PLAIN)
        CLATTN_TRY(refuse_tiles(tuning, error));
    clattn_tuning_entry entries[CLATTN_NUM_PHASES] = {{.level = CLATTN_TUNING_NONE}};
    clattn_row resolved;
    clattn_row_default(facts, request, &resolved);
    for (int i = 0; i < CLATTN_NUM_PHASES; ++i) {
        const clattn_phase phase = (clattn_phase)i;
        const clattn_tile *given = whole_tile(tuning, phase);
        clattn_tile *tile = &resolved.tiles[phase];
        if (given != NULL)
            *tile = *given;
        resolved.levels[phase] = given != NULL ? CLATTN_TUNING_OVERRIDE
                                               : choose_tile(database, request, phase, &limits, tile, &entries[phase]);
        CLATTN_TRY(clattn_tile_check(facts, request, phase, tile, limits.local_memory_bytes, error));
    }
    clattn_row_derive(facts, request, &resolved);
    *row = resolved;
    if (found != NULL)
        memcpy(found, entries, sizeof entries);
    return CLATTN_OK;
}

void clattn_tuning_keep(const clattn_tuning *tuning, clattn_kept_tuning *kept)
{
    *kept = (clattn_kept_tuning){.is_given = tuning != NULL};
    if (tuning == NULL)
        return;
    kept->tuning = *tuning;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const clattn_tile *tile = whole_tile(tuning, (clattn_phase)phase);
        if (tile != NULL)
            kept->tiles[phase] = *tile;
    }
    if (tuning->decode_tile != NULL)
        kept->tuning.decode_tile = &kept->tiles[CLATTN_PHASE_DECODE];
    if (tuning->prefill_tile != NULL)
        kept->tuning.prefill_tile = &kept->tiles[CLATTN_PHASE_PREFILL];
}
