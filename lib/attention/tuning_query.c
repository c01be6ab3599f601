/* SPDX-License-Identifier: Apache-2.0 */
/* Answers which row a problem would run with, and whether it could run with another tile; see tuning/resolve.c,
 * tuning/space.c. */
#include "attention/tuning_query.h"

#include "attention/geometry.h"
#include "tuning/resolve.h"
#include "tuning/rows.h"

#include <clattn/tuning_query.h>
#include <stdio.h>

const char *clattn_tuning_level_name(clattn_tuning_level level)
{
    switch (level) {
    case CLATTN_TUNING_NONE:
        return "none";
    case CLATTN_TUNING_OVERRIDE:
        return "override";
    case CLATTN_TUNING_USER_DRIVER:
        return "user_driver";
    case CLATTN_TUNING_USER_DEVICE:
        return "user_device";
    case CLATTN_TUNING_DEVICE:
        return "device";
    case CLATTN_TUNING_ARCHITECTURE:
        return "architecture";
    case CLATTN_TUNING_VENDOR:
        return "vendor";
    case CLATTN_TUNING_DEFAULT:
        return "default";
    case CLATTN_NUM_TUNING_LEVELS:
        break;
    }
    return "invalid";
}

/* Which family is meant, and why; what is no family is refused. */
static clattn_status choose_family(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                   clattn_tuning_answer *answer, clattn_error *error)
{
    const clattn_family overriding = params->tuning != NULL ? params->tuning->family : CLATTN_FAMILY_DEFAULT;
    CLATTN_REQUIRE(error, (int)params->family >= 0 && params->family < CLATTN_NUM_FAMILIES, CLATTN_INVALID_ARGUMENT,
                   "family: expected 0..%d, got %d", CLATTN_NUM_FAMILIES - 1, (int)params->family);
    CLATTN_REQUIRE(error, (int)overriding >= 0 && overriding < CLATTN_NUM_FAMILIES, CLATTN_INVALID_TUNING,
                   "tuning: family %d is none", (int)overriding);
    if (overriding != CLATTN_FAMILY_DEFAULT) {
        answer->family = overriding;
        snprintf(answer->family_reason, sizeof answer->family_reason, "the call's override names it");
    } else if (params->family != CLATTN_FAMILY_DEFAULT) {
        answer->family = params->family;
        snprintf(answer->family_reason, sizeof answer->family_reason, "it was asked for by name");
    } else {
        answer->family = clattn_family_of(facts);
        clattn_family_explain(facts, answer->family_reason);
    }
    return CLATTN_OK;
}

static clattn_tuning_tile tile_of(const clattn_tile_request *request, const clattn_row *row, clattn_phase phase,
                                  const clattn_tuning_entry *entry)
{
    clattn_tuning_tile tile = {
        .level = row->levels[phase],
        .tile = row->tiles[phase],
        .local_memory_bytes = (uint64_t)clattn_tile_local_bytes(request, phase, &row->tiles[phase]),
    };
    if (entry->level != CLATTN_TUNING_NONE)
        clattn_tuning_entry_describe(entry, tile.row);
    return tile;
}

/* The problem that a question is about: what its tiles are chosen for. */
static clattn_status find_request(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                  clattn_geometry *geometry, clattn_tuning_answer *answer, clattn_error *error)
{
    CLATTN_REQUIRE(error, params->page_size >= 1, CLATTN_INVALID_ARGUMENT, "page_size is %d, expected 1 or more",
                   (int)params->page_size);
    CLATTN_REQUIRE(error, params->num_seqs >= 0, CLATTN_INVALID_ARGUMENT, "num_seqs is %d, expected 0 or more",
                   (int)params->num_seqs);
    *geometry = (clattn_geometry){
        .num_q_heads = params->num_q_heads,
        .num_kv_heads = params->num_kv_heads,
        .head_dim = params->head_dim,
        .head_dim_v = params->head_dim_v,
        .page_size = params->page_size,
        .kv_layout = params->kv_layout,
        .dense = params->dense,
        .kv_dtype = params->kv_dtype,
        .num_seqs = params->num_seqs,
    };
    CLATTN_TRY(clattn_geometry_check(geometry, error));
    return choose_family(facts, params, answer, error);
}

static clattn_status find_row(const clattn_tuning_database *database, const clattn_tuning_query_params *params,
                              clattn_tuning_answer *answer, clattn_error *error)
{
    clattn_geometry geometry;
    CLATTN_TRY(find_request(database->facts, params, &geometry, answer, error));
    const clattn_tile_request request = clattn_geometry_request(&geometry, answer->family, params->tuning);
    clattn_row row;
    clattn_tuning_entry found[CLATTN_NUM_PHASES];
    CLATTN_TRY(clattn_tuning_resolve(database, &request, params->tuning, &row, found, error));
    answer->decode = tile_of(&request, &row, CLATTN_PHASE_DECODE, &found[CLATTN_PHASE_DECODE]);
    answer->prefill = tile_of(&request, &row, CLATTN_PHASE_PREFILL, &found[CLATTN_PHASE_PREFILL]);
    answer->decode_max_rows = row.decode_max_rows;
    answer->target_groups = row.target_groups;
    answer->min_split_tokens = row.min_split_tokens;
    return CLATTN_OK;
}

static clattn_status check_tile(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    clattn_geometry geometry;
    clattn_tuning_answer answer;
    clattn_tuning_query_params question = *params;
    question.tuning = NULL;
    CLATTN_REQUIRE(error, (int)phase >= 0 && phase < CLATTN_NUM_PHASES, CLATTN_INVALID_ARGUMENT,
                   "phase: expected 0..%d, got %d", CLATTN_NUM_PHASES - 1, (int)phase);
    CLATTN_TRY(find_request(facts, &question, &geometry, &answer, error));
    const clattn_tile_request request = clattn_geometry_request(&geometry, answer.family, NULL);
    clattn_row row;
    clattn_row_default(facts, &request, &row);
    CLATTN_TRY(clattn_tile_check(facts, &request, phase, tile, 0, error));
    return clattn_tile_check_worth(facts, &request, phase, tile, &row.tiles[phase], error);
}

clattn_status clattn_tuning_check(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                  clattn_phase phase, const clattn_tile *tile, char reason[CLATTN_SENTENCE_BYTES])
{
    if (reason == NULL)
        return CLATTN_INVALID_ARGUMENT;
    clattn_error error = {.text = ""};
    clattn_status status = CLATTN_INVALID_ARGUMENT;
    if (facts == NULL || params == NULL || tile == NULL)
        clattn_error_set(&error, status, "%s is NULL", facts == NULL ? "facts" : params == NULL ? "params" : "tile");
    else
        status = check_tile(facts, params, phase, tile, &error);
    snprintf(reason, CLATTN_SENTENCE_BYTES, "%.*s", CLATTN_SENTENCE_BYTES - 1, error.text);
    return status;
}

clattn_status clattn_tuning_answer_query(const clattn_tuning_database *database,
                                         const clattn_tuning_query_params *params, clattn_tuning_answer *answer,
                                         clattn_error *error)
{
    *answer = (clattn_tuning_answer){.family = CLATTN_FAMILY_DEFAULT};
    clattn_status status = CLATTN_INVALID_ARGUMENT;
    if (database->facts == NULL || params == NULL)
        clattn_error_set(error, status, "%s is NULL", database->facts == NULL ? "facts" : "params");
    else
        status = find_row(database, params, answer, error);
    if (status != CLATTN_OK)
        snprintf(answer->refusal, sizeof answer->refusal, "%.*s", CLATTN_SENTENCE_BYTES - 1, error->text);
    return status;
}

clattn_status clattn_tuning_query(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                  clattn_tuning_answer *answer)
{
    if (answer == NULL)
        return CLATTN_INVALID_ARGUMENT;
    clattn_error error = {.text = ""};
    return clattn_tuning_answer_query(&(clattn_tuning_database){.facts = facts}, params, answer, &error);
}
