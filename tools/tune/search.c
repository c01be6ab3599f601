/* SPDX-License-Identifier: Apache-2.0 */
/* The strategies. */
#include "tune/search.h"

#include "bench/random.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>

#define MAX_DIMENSIONS 32
#define MAX_PLACES 64
#define PROMISING 0.94F /* a value that keeps so much of the score, changed alone, may win together with others */
#define MAX_DRAWS 1000

typedef struct search {
    const tune_landscape *landscape;
    int64_t best; /* of all points looked at, -1 = none was of use */
    /* The best score with a value over that without it, the other dimensions being equal; 0 = not seen. */
    float kept[MAX_DIMENSIONS][MAX_PLACES];
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
        if (evaluated > 0.0 && (state->best < 0 || state->scores[point] > state->scores[state->best]))
            state->best = point;
    }
    *score = state->scores[point];
    return true;
}

/* Where a point's value stands among those of a dimension. */
static int place_of(const tune_landscape *landscape, int64_t point, int dimension)
{
    int place = 0;
    while (landscape->step(landscape->user, point, dimension, -(place + 1)) >= 0)
        place++;
    return place;
}

/* Notes how much of the score a change of one value keeps. */
static void note_change(search *state, int dimension, int64_t changed, float score, float before)
{
    const int place = place_of(state->landscape, changed, dimension);
    if (place < MAX_PLACES && before > 0.0F)
        state->kept[dimension][place] = fmaxf(state->kept[dimension][place], score / before);
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
        note_change(state, dimension, next, score, *best);
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
    int32_t dimensions[MAX_DIMENSIONS];
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

/* Another place of a dimension whose value is promising, or the same. */
static int draw_place(search *state, int dimension, int place)
{
    int places[MAX_PLACES];
    int num_places = 0;
    for (int i = 0; i < MAX_PLACES; i++) {
        if (i == place || state->kept[dimension][i] >= PROMISING)
            places[num_places++] = i;
    }
    return num_places > 0 ? places[bench_random_below(&state->random, (uint32_t)num_places)] : place;
}

/* The best point with promising values at random, one that has not been looked at; -1 = hardly any is left. */
static int64_t draw_combination(search *state)
{
    const tune_landscape *landscape = state->landscape;
    for (int draw = 0; draw < MAX_DRAWS && state->best >= 0; draw++) {
        int64_t point = state->best;
        for (int dimension = 0; dimension < landscape->num_dimensions; dimension++) {
            const int place = place_of(landscape, point, dimension);
            point = landscape->step(landscape->user, point, dimension, draw_place(state, dimension, place) - place);
        }
        if (landscape->usable[point] && isnan(state->scores[point]))
            return point;
    }
    return -1;
}

/*
 * Down from the start; then, since values may win together that do not win alone, through combinations of those that
 * lost next to nothing, down again from one that is better than all before; at the end down from anywhere.
 */
static void run_descent(search *state)
{
    float score = 0.0F;
    bool goes_on = descend(state, state->landscape->start);
    while (goes_on) {
        int64_t point = draw_combination(state);
        const bool is_drawn = point >= 0;
        if (!is_drawn)
            point = next_point(state);
        if (point < 0 || !look(state, point, &score))
            return;
        if (!is_drawn || point == state->best)
            goes_on = descend(state, point);
    }
}

static void run(search *state, tune_strategy strategy)
{
    float score = 0.0F;
    if (strategy != TUNE_EXHAUSTIVE)
        shuffle(state);
    if (strategy == TUNE_DESCENT) {
        run_descent(state);
        return;
    }
    for (int64_t point = next_point(state); point >= 0; point = next_point(state)) {
        if (!look(state, point, &score))
            return;
    }
}

bool tune_search_run(const tune_landscape *landscape, tune_strategy strategy, uint64_t seed)
{
    search state = {.landscape = landscape,
                    .best = -1,
                    .scores = malloc((size_t)landscape->num_points * sizeof *state.scores),
                    .order = malloc((size_t)landscape->num_points * sizeof *state.order)};
    const bool good = (landscape->num_dimensions <= MAX_DIMENSIONS || tool_error("too many dimensions")) &&
                      ((state.scores && state.order) || tool_error("out of memory"));
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
