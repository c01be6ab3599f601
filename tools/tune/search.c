/* SPDX-License-Identifier: Apache-2.0 */
/* The strategies. */
#include "tune/search.h"

#include "bench/random.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>

typedef struct search {
    const tune_landscape *landscape;
    bench_random random;
    float *scores;  /* [num_points], NAN = not looked at */
    int64_t *order; /* [num_usable] */
    int64_t num_usable;
    int64_t next; /* in the order: all before it have been looked at */
} search;

const char *tune_strategy_name_at(int index)
{
    static const char *const names[TUNE_NUM_STRATEGIES] = {
        [TUNE_DESCENT] = "descent", [TUNE_RANDOM] = "random", [TUNE_EXHAUSTIVE] = "exhaustive"};
    return index >= 0 && index < TUNE_NUM_STRATEGIES ? names[index] : NULL;
}

/* The score of a point, from memory if it has been looked at. */
static bool look(search *state, int64_t point, float *score)
{
    if (isnan(state->scores[point])) {
        double evaluated = 0.0;
        if (!state->landscape->evaluate(state->landscape->user, point, &evaluated))
            return false;
        state->scores[point] = (float)evaluated;
    }
    *score = state->scores[point];
    return true;
}

/* Moves on from a point in one direction while it gets better; points of no use are stepped over. */
static bool walk(search *state, int dimension, int direction, int64_t *point, float *best)
{
    const tune_landscape *landscape = state->landscape;
    for (int step = direction;; step += direction) {
        const int64_t next = landscape->step(landscape->user, *point, dimension, step);
        float score = 0.0F;
        if (next < 0)
            return true;
        if (!landscape->usable[next])
            continue;
        if (!look(state, next, &score))
            return false;
        if (score == 0.0F)
            continue;
        if (score <= *best)
            return true;
        *point = next;
        *best = score;
        step = 0;
    }
}

/* Goes through the dimensions, in another order each time, until none of them leads further. */
static bool descend(search *state, int64_t point)
{
    const int num_dimensions = state->landscape->num_dimensions;
    int32_t dimensions[64];
    float best = 0.0F;
    if (!look(state, point, &best))
        return false;
    for (int num_idle = 0; num_idle < num_dimensions;) {
        bench_random_permutation(&state->random, dimensions, num_dimensions);
        num_idle = 0;
        for (int i = 0; i < num_dimensions; i++) {
            const int64_t before = point;
            if (!walk(state, dimensions[i], 1, &point, &best) || !walk(state, dimensions[i], -1, &point, &best))
                return false;
            num_idle += point == before;
        }
    }
    return true;
}

/* The next point of the order that has not been looked at; -1 = none is left. */
static int64_t next_point(search *state)
{
    while (state->next < state->num_usable && !isnan(state->scores[state->order[state->next]]))
        state->next++;
    return state->next < state->num_usable ? state->order[state->next] : -1;
}

static void shuffle(search *state)
{
    for (int64_t i = state->num_usable - 1; i > 0; i--) {
        const int64_t j = bench_random_below(&state->random, (uint32_t)i + 1);
        const int64_t point = state->order[i];
        state->order[i] = state->order[j];
        state->order[j] = point;
    }
}

static void run(search *state, tune_strategy strategy)
{
    if (strategy != TUNE_EXHAUSTIVE)
        shuffle(state);
    int64_t point = strategy == TUNE_DESCENT ? state->landscape->start : next_point(state);
    float score = 0.0F;
    for (; point >= 0; point = next_point(state)) {
        if (!(strategy == TUNE_DESCENT ? descend(state, point) : look(state, point, &score)))
            return;
    }
}

bool tune_search_run(const tune_landscape *landscape, tune_strategy strategy, uint64_t seed)
{
    search state = {.landscape = landscape,
                    .scores = malloc((size_t)landscape->num_points * sizeof *state.scores),
                    .order = malloc((size_t)landscape->num_points * sizeof *state.order)};
    const bool good = (state.scores && state.order) || tool_error("out of memory");
    bench_random_init(&state.random, seed);
    for (int64_t point = 0; good && point < landscape->num_points; point++) {
        state.scores[point] = NAN;
        if (landscape->usable[point])
            state.order[state.num_usable++] = point;
    }
    if (good)
        run(&state, strategy);
    free(state.scores);
    free(state.order);
    return good;
}
