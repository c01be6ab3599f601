/* SPDX-License-Identifier: Apache-2.0 */
/* The tiles of kernels, field by field. */
#ifndef TOOL_TILES_H
#define TOOL_TILES_H

#include <cjson/cJSON.h>
#include <clattn/tuning_query.h>
#include <stdbool.h>

/* The fields of clattn_tile in their order: a tool_name_at. */
const char *tool_tile_name_at(int index);

/* The field of that number. */
int32_t tool_tile_value(const clattn_tile *tile, int index);

/*
 * Adds an object with the level, every field of the tile, its local memory, and the row of the database that it is from
 * or null; null where no row answers.
 */
bool tool_json_add_tile(cJSON *object, const char *key, const clattn_tuning_tile *tile);

#endif
