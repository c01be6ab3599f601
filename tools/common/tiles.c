/* SPDX-License-Identifier: Apache-2.0 */
/* A table of the fields of clattn_tile. */
#include "common/tiles.h"

#include "common/json.h"

#include <stddef.h>

#define FIELD(name)                                                                                                    \
    {                                                                                                                  \
#name, offsetof(clattn_tile, name)                                                                             \
    }

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    FIELD(block_q),        FIELD(block_kv),     FIELD(work_group_size), FIELD(heads),           FIELD(lanes),
    FIELD(sub_group_size), FIELD(accumulators), FIELD(qk_keys),         FIELD(groups_per_unit), FIELD(min_split_tokens),
};

#define NUM_FIELDS ((int)(sizeof fields / sizeof *fields))

_Static_assert(sizeof fields / sizeof *fields * sizeof(int32_t) == sizeof(clattn_tile), "every field of a tile");

const char *tool_tile_name_at(int index)
{
    return index >= 0 && index < NUM_FIELDS ? fields[index].name : NULL;
}

int32_t tool_tile_value(const clattn_tile *tile, int index)
{
    return *(const int32_t *)(const void *)((const char *)tile + fields[index].offset);
}

bool tool_json_add_tile(cJSON *object, const char *key, const clattn_tuning_tile *tile)
{
    if (tile->level == CLATTN_TUNING_NONE)
        return cJSON_AddNullToObject(object, key);
    cJSON *added = cJSON_AddObjectToObject(object, key);
    bool good = added && cJSON_AddStringToObject(added, "level", clattn_tuning_level_name(tile->level));
    for (int i = 0; good && i < NUM_FIELDS; i++)
        good = cJSON_AddNumberToObject(added, fields[i].name, tool_tile_value(&tile->tile, i));
    return good && cJSON_AddNumberToObject(added, "local_memory_bytes", (double)tile->local_memory_bytes) &&
           tool_json_add_name(added, "row", tile->row[0] != '\0' ? tile->row : NULL);
}
