/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiles of a kernel as numbered points: one dimension for each tunable, the first one fastest. Which of them a
 * device can run is judged without compiling. Needs no device.
 */
#ifndef TUNE_SPACE_H
#define TUNE_SPACE_H

#include <clattn/clattn.h>
#include <clattn/tuning_space.h>
#include <stdbool.h>

#define TUNE_MAX_DIMENSIONS 16
#define TUNE_MAX_VALUES 32
#define TUNE_MAX_POINTS ((int64_t)1 << 22)
#define TUNE_TILE_TEXT_BYTES 256

/* The values of a tunable: those that are worth trying, and the default's, ascending. */
typedef struct tune_dimension {
    const clattn_tunable *tunable;
    int32_t num_values;
    int32_t values[TUNE_MAX_VALUES];
} tune_dimension;

/* What the tiles are for. */
typedef struct tune_target {
    clattn_device_facts facts;
    clattn_tuning_query_params query; /* its family is not the default one */
    clattn_phase phase;
} tune_target;

typedef struct tune_space {
    tune_target target;
    clattn_tile default_tile; /* gives all that is no tunable */
    int num_dimensions;
    tune_dimension dimensions[TUNE_MAX_DIMENSIONS];
    int64_t num_points;
} tune_space;

/* The space around a default tile; false after saying why there is none. */
bool tune_space_init(tune_space *space, const tune_target *target, const clattn_tile *default_tile);

/* The tile of a point in [0, num_points). */
clattn_tile tune_space_tile(const tune_space *space, int64_t point);

/* The point of a tile; -1 if one of its values is not in the space. */
int64_t tune_space_point(const tune_space *space, const clattn_tile *tile);

/* The point whose value in one dimension is `step` places further; -1 outside the space. */
int64_t tune_space_step(const tune_space *space, int64_t point, int dimension, int step);

/* Whether the device can run a point; if not, the reason. */
bool tune_space_allows(const tune_space *space, int64_t point, char reason[CLATTN_SENTENCE_BYTES]);

/* "block_q=4 block_kv=16 ...": the tunables of a tile. */
void tune_space_print(const tune_space *space, const clattn_tile *tile, char text[TUNE_TILE_TEXT_BYTES]);

#endif
