/* SPDX-License-Identifier: Apache-2.0 */
/* Gains and their noise on a machine that is made up; what is known of tiles, and which are the best. */
#include "bench/random.h"
#include "tune/ledger.h"
#include "tune/trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_ROUNDS 99

/* A number in [-1, 1). */
static double uniform(bench_random *random)
{
    return bench_random_below(random, 1u << 30) * 0x1p-29 - 1.0;
}

/*
 * Rounds of a tile and a default, each of which takes its time with `noise` of its own, on a machine whose speed drifts
 * by a factor of three meanwhile.
 */
static tune_figures measure(double time_s, double default_s, double noise, int32_t rounds, uint64_t seed)
{
    double times[MAX_ROUNDS], default_times[MAX_ROUNDS], gains[MAX_ROUNDS];
    bench_random random;
    bench_random_init(&random, seed);
    for (int32_t i = 0; i < rounds; i++) {
        const double machine = 1.0 + 2.0 * i / rounds;
        times[i] = time_s * machine * (1.0 + noise * uniform(&random));
        default_times[i] = default_s * machine * (1.0 + noise * uniform(&random));
        gains[i] = default_times[i] / times[i];
    }
    return tune_figures_of(times, default_times, gains, rounds);
}

static void drift_of_the_machine_is_no_gain_and_no_noise(void **state)
{
    (void)state;
    const tune_figures figures = measure(1e-3, 1.5e-3, 0.0, 11, 1);
    assert_true(fabs(figures.gain - 1.5) < 1e-12 && figures.noise < 1e-12);
    assert_true(fabs(figures.default_s / figures.time_s - 1.5) < 1e-12);
    assert_int_equal(figures.rounds, 11);
    assert_true(tune_figures_win(&figures));
}

static void equal_tiles_never_win_however_noisy_the_machine(void **state)
{
    (void)state;
    const double noises[] = {0.0, 0.001, 0.02, 0.1, 0.4};
    int num_wins = 0;
    for (size_t i = 0; i < sizeof noises / sizeof *noises; i++) {
        for (uint64_t seed = 0; seed < 500; seed++) {
            const tune_figures figures = measure(1e-3, 1e-3, noises[i], 33, seed);
            num_wins += tune_figures_win(&figures);
        }
    }
    assert_int_equal(num_wins, 0);
}

static void gain_beyond_the_noise_wins_and_one_within_does_not(void **state)
{
    (void)state;
    int num_wins[3] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        const tune_figures clear = measure(1e-3, 1.3e-3, 0.05, 33, seed);
        const tune_figures within = measure(1e-3, 1.03e-3, 0.1, 33, seed);
        const tune_figures slower = measure(1.3e-3, 1e-3, 0.05, 33, seed);
        num_wins[0] += tune_figures_win(&clear);
        num_wins[1] += tune_figures_win(&within);
        num_wins[2] += tune_figures_win(&slower);
    }
    assert_int_equal(num_wins[0], 200);
    assert_int_equal(num_wins[1], 0);
    assert_int_equal(num_wins[2], 0);
}

static void gain_of_less_than_a_hundredth_is_none(void **state)
{
    (void)state;
    const tune_figures small = measure(1e-3, 1.009e-3, 0.0, 33, 1);
    const tune_figures enough = measure(1e-3, 1.011e-3, 0.0, 33, 1);
    assert_false(tune_figures_win(&small));
    assert_true(tune_figures_win(&enough));
}

static void a_loss_of_more_than_two_hundredths_is_one(void **state)
{
    (void)state;
    const tune_figures bearable = measure(1e-3, 0.985e-3, 0.0, 33, 1);
    const tune_figures worse = measure(1e-3, 0.975e-3, 0.0, 33, 1);
    assert_false(tune_figures_lose(&bearable));
    assert_true(tune_figures_lose(&worse));
}

static void best_entries_come_in_order_without_failures_and_losers(void **state)
{
    (void)state;
    tune_ledger ledger = {0};
    const double gains[] = {1.0, 1.2, 0.9, 1.5, 1.1, 1.3, 2.0};
    for (int i = 0; i < 7; i++)
        assert_true(tune_ledger_set(&ledger, 10 + i, i == 6 ? TUNE_WRONG : TUNE_OK, &(tune_figures){.gain = gains[i]}));
    const tune_entry *best[5];
    assert_int_equal(tune_ledger_best(&ledger, 3, best), 3);
    assert_int_equal(best[0]->point, 13);
    assert_int_equal(best[1]->point, 15);
    assert_int_equal(best[2]->point, 11);
    assert_int_equal(tune_ledger_best(&ledger, 5, best), 4);
    assert_int_equal(best[3]->point, 14);
    assert_int_equal(tune_ledger_count(&ledger, TUNE_OK), 6);
    assert_int_equal(tune_ledger_count(&ledger, TUNE_WRONG), 1);
    assert_null(tune_ledger_find(&ledger, 17));
    assert_non_null(tune_ledger_find(&ledger, 10));
    tune_ledger_finish(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift_of_the_machine_is_no_gain_and_no_noise),
        cmocka_unit_test(equal_tiles_never_win_however_noisy_the_machine),
        cmocka_unit_test(gain_beyond_the_noise_wins_and_one_within_does_not),
        cmocka_unit_test(gain_of_less_than_a_hundredth_is_none),
        cmocka_unit_test(a_loss_of_more_than_two_hundredths_is_one),
        cmocka_unit_test(best_entries_come_in_order_without_failures_and_losers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
