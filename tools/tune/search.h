/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which order the points of a landscape are looked at. Knows neither tiles nor devices: whoever evaluates a point
 * does, and a search that is begun again with the same seed asks for the same points again.
 */
#ifndef TUNE_SEARCH_H
#define TUNE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tune_strategy {
    TUNE_DESCENT, /* along one dimension at a time as long as it gets better; then combinations of what did not lose */
    TUNE_RANDOM,  /* the points in random order */
    TUNE_EXHAUSTIVE, /* the points in their order */
    TUNE_NUM_STRATEGIES
} tune_strategy;

/* "descent", "random", "exhaustive": a tool_name_at. */
const char *tune_strategy_name_at(int index);

/* Finds out how good a point is: the more, the better; 0 = of no use. False ends the search. */
typedef bool (*tune_evaluate)(void *user, int64_t point, double *score);

typedef struct tune_landscape {
    int64_t num_points;
    int num_dimensions;
    int64_t start;      /* where a descent begins: a usable point */
    const bool *usable; /* [num_points]; the others are not looked at */
    int64_t (*step)(void *user, int64_t point, int dimension, int step); /* the neighbour, -1 = none */
    tune_evaluate evaluate;
    void *user; /* of both */
} tune_landscape;

/* Looks at no point twice; ends when all have been seen or an evaluation says so. False after saying what failed. */
bool tune_search_run(const tune_landscape *landscape, tune_strategy strategy, uint64_t seed);

#endif
