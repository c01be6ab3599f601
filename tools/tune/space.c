/* SPDX-License-Identifier: Apache-2.0 */
/* Mixed-radix numbers of tiles. */
#include "tune/space.h"

#include "common/message.h"

#include <stdio.h>
#include <string.h>

/* Puts a value into its place among ascending ones, once. */
static bool insert_value(tune_dimension *dimension, int32_t value)
{
    int32_t place = 0;
    while (place < dimension->num_values && dimension->values[place] < value)
        place++;
    if (place < dimension->num_values && dimension->values[place] == value)
        return true;
    if (dimension->num_values == TUNE_MAX_VALUES)
        return tool_error("%s has more than %d values", dimension->tunable->name, TUNE_MAX_VALUES);
    memmove(&dimension->values[place + 1], &dimension->values[place],
            (size_t)(dimension->num_values - place) * sizeof *dimension->values);
    dimension->values[place] = value;
    dimension->num_values++;
    return true;
}

static bool add_dimension(tune_space *space, const clattn_tunable *tunable)
{
    tune_dimension *dimension = &space->dimensions[space->num_dimensions];
    *dimension = (tune_dimension){.tunable = tunable};
    for (int32_t i = 0; i < tunable->num_values; i++) {
        if (!insert_value(dimension, tunable->values[i]))
            return false;
    }
    if (!insert_value(dimension, clattn_tile_get(&space->default_tile, tunable)))
        return false;
    if (space->num_points > TUNE_MAX_POINTS / dimension->num_values)
        return tool_error("the space of the %s kernel has more than %lld points",
                          clattn_phase_name(space->target.phase), (long long)TUNE_MAX_POINTS);
    space->num_points *= dimension->num_values;
    space->num_dimensions++;
    return true;
}

bool tune_space_init(tune_space *space, const tune_target *target, const clattn_tile *default_tile)
{
    *space = (tune_space){.target = *target, .default_tile = *default_tile, .num_points = 1};
    const clattn_tunable *tunables = NULL;
    int32_t num_tunables = 0;
    if (!tool_check(NULL, clattn_tuning_space(target->query.family, target->phase, &tunables, &num_tunables),
                    "clattn_tuning_space"))
        return false;
    if (num_tunables > TUNE_MAX_DIMENSIONS)
        return tool_error("the %s kernel has more than %d tunables", clattn_phase_name(target->phase),
                          TUNE_MAX_DIMENSIONS);
    for (int32_t i = 0; i < num_tunables; i++) {
        if (!add_dimension(space, &tunables[i]))
            return false;
    }
    return true;
}

clattn_tile tune_space_tile(const tune_space *space, int64_t point)
{
    clattn_tile tile = space->default_tile;
    for (int i = 0; i < space->num_dimensions; i++) {
        const tune_dimension *dimension = &space->dimensions[i];
        clattn_tile_set(&tile, dimension->tunable, dimension->values[point % dimension->num_values]);
        point /= dimension->num_values;
    }
    return tile;
}

int64_t tune_space_point(const tune_space *space, const clattn_tile *tile)
{
    int64_t point = 0;
    int64_t weight = 1;
    for (int i = 0; i < space->num_dimensions; i++) {
        const tune_dimension *dimension = &space->dimensions[i];
        const int32_t value = clattn_tile_get(tile, dimension->tunable);
        int32_t place = 0;
        while (place < dimension->num_values && dimension->values[place] != value)
            place++;
        if (place == dimension->num_values)
            return -1;
        point += place * weight;
        weight *= dimension->num_values;
    }
    return point;
}

int64_t tune_space_step(const tune_space *space, int64_t point, int dimension, int step)
{
    int64_t weight = 1;
    for (int i = 0; i < dimension; i++)
        weight *= space->dimensions[i].num_values;
    const int32_t num_values = space->dimensions[dimension].num_values;
    const int64_t place = point / weight % num_values + step;
    return place < 0 || place >= num_values ? -1 : point + step * weight;
}

bool tune_space_allows(const tune_space *space, int64_t point, char reason[CLATTN_SENTENCE_BYTES])
{
    const clattn_tile tile = tune_space_tile(space, point);
    return clattn_tuning_check(&space->target.facts, &space->target.query, space->target.phase, &tile, reason) ==
           CLATTN_OK;
}

void tune_space_print(const tune_space *space, const clattn_tile *tile, char text[TUNE_TILE_TEXT_BYTES])
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < space->num_dimensions && length < TUNE_TILE_TEXT_BYTES; i++) {
        const clattn_tunable *tunable = space->dimensions[i].tunable;
        const int added = snprintf(text + length, TUNE_TILE_TEXT_BYTES - length, "%s%s=%d", i > 0 ? " " : "",
                                   tunable->name, (int)clattn_tile_get(tile, tunable));
        length += added > 0 ? (size_t)added : 0;
    }
}
