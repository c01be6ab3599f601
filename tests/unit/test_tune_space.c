/* SPDX-License-Identifier: Apache-2.0 */
/* Points and tiles, and the strategies on landscapes without a device. */
#include "tune/search.h"
#include "tune/space.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tune_target target_of(clattn_family family, clattn_phase phase)
{
    return (tune_target){
        .facts = {.type = CLATTN_DEVICE_CPU,
                  .num_compute_units = 2,
                  .max_work_group_size = 4096,
                  .preferred_multiple = 8,
                  .float_vector_width = 16,
                  .local_memory_bytes = 8 << 20,
                  .global_memory_bytes = (uint64_t)4 << 30,
                  .max_allocation_bytes = (uint64_t)1 << 30},
        .query = {.num_q_heads = 8,
                  .num_kv_heads = 2,
                  .head_dim = 64,
                  .head_dim_v = 64,
                  .page_size = 16,
                  .kv_layout = CLATTN_KV_NHD,
                  .family = family},
        .phase = phase,
    };
}

static clattn_tile default_of(const tune_target *target)
{
    clattn_tuning_answer answer;
    assert_int_equal(clattn_tuning_query(&target->facts, &target->query, &answer), CLATTN_OK);
    return target->phase == CLATTN_PHASE_DECODE ? answer.decode.tile : answer.prefill.tile;
}

static void every_point_is_one_tile(void **state)
{
    (void)state;
    for (int family = 1; family < CLATTN_NUM_FAMILIES; family++) {
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            const tune_target target = target_of((clattn_family)family, (clattn_phase)phase);
            const clattn_tile tile = default_of(&target);
            tune_space space;
            assert_true(tune_space_init(&space, &target, &tile));
            int64_t product = 1;
            for (int i = 0; i < space.num_dimensions; i++)
                product *= space.dimensions[i].num_values;
            assert_int_equal(space.num_points, product);
            for (int64_t point = 0; point < space.num_points; point += 1 + point / 50) {
                const clattn_tile made = tune_space_tile(&space, point);
                assert_int_equal(tune_space_point(&space, &made), point);
            }
        }
    }
}

static void default_outside_the_tunables_values_is_a_point_and_allowed(void **state)
{
    (void)state;
    const tune_target target = target_of(CLATTN_FAMILY_VECTOR, CLATTN_PHASE_PREFILL);
    clattn_tile tile = default_of(&target);
    tile.block_kv = 80; /* no tunable has that value */
    tune_space space;
    assert_true(tune_space_init(&space, &target, &tile));
    const int64_t point = tune_space_point(&space, &tile);
    assert_true(point >= 0);
    char reason[CLATTN_SENTENCE_BYTES];
    assert_true(tune_space_allows(&space, point, reason));
    const clattn_tile made = tune_space_tile(&space, point);
    assert_memory_equal(&made, &tile, sizeof tile);
    tile.block_kv = 81;
    assert_int_equal(tune_space_point(&space, &tile), -1);
    for (int i = 0; i < space.num_dimensions; i++)
        for (int32_t j = 1; j < space.dimensions[i].num_values; j++)
            assert_true(space.dimensions[i].values[j - 1] < space.dimensions[i].values[j]);
}

static void step_changes_one_value_and_stops_at_the_ends(void **state)
{
    (void)state;
    const tune_target target = target_of(CLATTN_FAMILY_SIMT, CLATTN_PHASE_DECODE);
    const clattn_tile tile = default_of(&target);
    tune_space space;
    assert_true(tune_space_init(&space, &target, &tile));
    const int64_t middle = tune_space_point(&space, &tile);
    for (int i = 0; i < space.num_dimensions; i++) {
        const clattn_tunable *tunable = space.dimensions[i].tunable;
        int num_values = 1;
        for (int direction = -1; direction <= 1; direction += 2) {
            int32_t last = clattn_tile_get(&tile, tunable);
            for (int distance = direction;; distance += direction) {
                const int64_t point = tune_space_step(&space, middle, i, distance);
                if (point < 0)
                    break;
                clattn_tile made = tune_space_tile(&space, point);
                const int32_t value = clattn_tile_get(&made, tunable);
                assert_true(direction * (value - last) > 0);
                last = value;
                clattn_tile_set(&made, tunable, clattn_tile_get(&tile, tunable));
                assert_memory_equal(&made, &tile, sizeof tile);
                num_values++;
            }
        }
        assert_int_equal(num_values, space.dimensions[i].num_values);
    }
}

static void tile_that_does_not_fit_is_left_out_with_a_reason(void **state)
{
    (void)state;
    const tune_target target = target_of(CLATTN_FAMILY_VECTOR, CLATTN_PHASE_PREFILL);
    const clattn_tile tile = default_of(&target);
    tune_space space;
    assert_true(tune_space_init(&space, &target, &tile));
    clattn_tile narrow = tile;
    narrow.block_q = 16; /* no multiple of what 16 lanes update at once */
    char reason[CLATTN_SENTENCE_BYTES] = "";
    assert_false(tune_space_allows(&space, tune_space_point(&space, &narrow), reason));
    assert_non_null(strstr(reason, "block_q is 16"));
}

/* A landscape of two dimensions with a hill at (hill_x, hill_y); points of no use lie on request in a column. */
#define WIDTH 20
#define HEIGHT 15
typedef struct landscape {
    int hill_x, hill_y;
    int useless_x; /* -1 = none */
    bool is_pit;   /* the start is better than its neighbours; a corner beside it is better still */
    int num_looks;
    int most_looks; /* the search ends behind them; 0 = no end */
    int looks[WIDTH * HEIGHT];
    int64_t order[WIDTH * HEIGHT];
    double best;
    bool usable[WIDTH * HEIGHT];
} landscape;

enum { START_X = 2, START_Y = 11 };

static double pit_score(int x, int y)
{
    const int num_moves = abs(x - START_X) + abs(y - START_Y);
    return x == START_X + 1 && y == START_Y - 1 ? 1.3 : num_moves == 0 ? 1.0 : num_moves == 1 ? 0.97 : 0.5;
}

static bool look(void *user, int64_t point, double *score)
{
    landscape *land = user;
    const int x = (int)(point % WIDTH);
    const int y = (int)(point / WIDTH);
    if (land->most_looks > 0 && land->num_looks == land->most_looks)
        return false;
    assert_true(land->usable[point]);
    land->looks[point]++;
    land->order[land->num_looks++] = point;
    *score = x == land->useless_x ? 0.0 : 2.0 / (1.0 + 0.1 * abs(x - land->hill_x) + 0.2 * abs(y - land->hill_y));
    if (land->is_pit)
        *score = pit_score(x, y);
    land->best = fmax(land->best, *score);
    return true;
}

static int64_t step(void *user, int64_t point, int dimension, int distance)
{
    (void)user;
    const int64_t x = point % WIDTH + (dimension == 0 ? distance : 0);
    const int64_t y = point / WIDTH + (dimension == 1 ? distance : 0);
    return x < 0 || x >= WIDTH || y < 0 || y >= HEIGHT ? -1 : x + WIDTH * y;
}

static landscape *make_landscape(int most_looks)
{
    landscape *land = calloc(1, sizeof *land);
    assert_non_null(land);
    *land = (landscape){.hill_x = 13, .hill_y = 3, .useless_x = -1, .most_looks = most_looks};
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        land->usable[i] = true;
    return land;
}

static void run(landscape *land, tune_strategy strategy, uint64_t seed)
{
    const tune_landscape given = {.num_points = WIDTH * HEIGHT,
                                  .num_dimensions = 2,
                                  .start = START_X + START_Y * WIDTH,
                                  .usable = land->usable,
                                  .step = step,
                                  .evaluate = look,
                                  .user = land};
    assert_true(tune_search_run(&given, strategy, seed));
}

static void every_strategy_looks_at_every_usable_point_once(void **state)
{
    (void)state;
    for (int strategy = 0; strategy < TUNE_NUM_STRATEGIES; strategy++) {
        landscape *land = make_landscape(0);
        for (int i = 0; i < WIDTH * HEIGHT; i += 7)
            land->usable[i] = i == START_X + START_Y * WIDTH;
        land->useless_x = 9;
        run(land, (tune_strategy)strategy, 5);
        for (int i = 0; i < WIDTH * HEIGHT; i++)
            assert_int_equal(land->looks[i], land->usable[i]);
        free(land);
    }
}

static void descent_climbs_the_hill_with_few_looks_from_anywhere(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        landscape *land = make_landscape(WIDTH + HEIGHT);
        run(land, TUNE_DESCENT, seed);
        assert_true(land->best == 2.0);
        free(land);
    }
}

static void descent_steps_over_points_of_no_use(void **state)
{
    (void)state;
    landscape *land = make_landscape(WIDTH + HEIGHT + 4);
    land->useless_x = 8; /* between start and hill, in every row */
    for (int y = 0; y < HEIGHT; y++)
        land->usable[9 + y * WIDTH] = false;
    run(land, TUNE_DESCENT, 1);
    assert_true(land->best == 2.0);
    free(land);
}

static void descent_tries_together_what_hardly_loses_alone(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        landscape *land = make_landscape(5 + 4); /* the start and its neighbours, and the corners */
        land->is_pit = true;
        run(land, TUNE_DESCENT, seed);
        assert_true(land->best == 1.3);
        free(land);
    }
}

static void descent_begins_at_the_start_and_random_does_not_keep_the_order(void **state)
{
    (void)state;
    landscape *descent = make_landscape(1);
    landscape *exhaustive = make_landscape(0);
    landscape *shuffled = make_landscape(0);
    run(descent, TUNE_DESCENT, 1);
    run(exhaustive, TUNE_EXHAUSTIVE, 1);
    run(shuffled, TUNE_RANDOM, 1);
    assert_int_equal(descent->order[0], START_X + START_Y * WIDTH);
    int num_in_place = 0;
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        assert_int_equal(exhaustive->order[i], i);
        num_in_place += shuffled->order[i] == i;
    }
    assert_true(num_in_place < 10);
    free(descent);
    free(exhaustive);
    free(shuffled);
}

static void same_seed_gives_the_same_order_and_another_one_another(void **state)
{
    (void)state;
    for (int strategy = TUNE_DESCENT; strategy <= TUNE_RANDOM; strategy++) {
        landscape *lands[3];
        for (int i = 0; i < 3; i++) {
            lands[i] = make_landscape(0);
            run(lands[i], (tune_strategy)strategy, i < 2 ? 7 : 8);
        }
        assert_memory_equal(lands[0]->order, lands[1]->order, sizeof lands[0]->order);
        assert_memory_not_equal(lands[0]->order, lands[2]->order, sizeof lands[0]->order);
        for (int i = 0; i < 3; i++)
            free(lands[i]);
    }
}

static void search_ends_when_an_evaluation_says_so(void **state)
{
    (void)state;
    for (int strategy = 0; strategy < TUNE_NUM_STRATEGIES; strategy++) {
        for (int most = 1; most < 40; most += 13) {
            landscape *land = make_landscape(most);
            run(land, (tune_strategy)strategy, 3);
            assert_int_equal(land->num_looks, most);
            free(land);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_point_is_one_tile),
        cmocka_unit_test(default_outside_the_tunables_values_is_a_point_and_allowed),
        cmocka_unit_test(step_changes_one_value_and_stops_at_the_ends),
        cmocka_unit_test(tile_that_does_not_fit_is_left_out_with_a_reason),
        cmocka_unit_test(every_strategy_looks_at_every_usable_point_once),
        cmocka_unit_test(descent_climbs_the_hill_with_few_looks_from_anywhere),
        cmocka_unit_test(descent_steps_over_points_of_no_use),
        cmocka_unit_test(descent_tries_together_what_hardly_loses_alone),
        cmocka_unit_test(descent_begins_at_the_start_and_random_does_not_keep_the_order),
        cmocka_unit_test(same_seed_gives_the_same_order_and_another_one_another),
        cmocka_unit_test(search_ends_when_an_evaluation_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
