/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's part of the search. The tile and the default are timed in turn in one process: a machine that is slower
 * now than a minute ago is slower for both, so that tiles of different children can be compared by their gains.
 */
#include "tune/trial.h"

#include "bench/call.h"
#include "bench/measure.h"
#include "bench/statistics.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>

#define NUM_WARMUPS 2
#define LEAST_ROUNDS 3
#define LEAST_LOSS 0.02 /* of a row on lengths that it was not tuned on, which nobody minds */
#define LEAST_GAIN 0.01 /* a smaller one is worth no row, however quiet the machine */

/* The default and the tile. */
enum { DEFAULT, TILE, NUM_CALLS };

/* The samples of both and their ratios, one array behind the other. */
typedef struct rounds {
    int32_t count;
    double *times[NUM_CALLS];
    double *gains;
} rounds;

static clattn_tuning tuning_of(clattn_phase phase, const clattn_tile *tile)
{
    return phase == CLATTN_PHASE_DECODE ? (clattn_tuning){.decode_tile = tile} : (clattn_tuning){.prefill_tile = tile};
}

tune_figures tune_figures_of(double *times, double *default_times, double *gains, int32_t count)
{
    const bench_quartiles gain = bench_quartiles_of(gains, (size_t)count);
    return (tune_figures){.time_s = bench_quartiles_of(times, (size_t)count).median,
                          .default_s = bench_quartiles_of(default_times, (size_t)count).median,
                          .gain = gain.median,
                          .noise = bench_spread(&gain),
                          .rounds = count};
}

bool tune_figures_win(const tune_figures *figures)
{
    return figures->gain > 1.0 + fmax(LEAST_GAIN, figures->noise);
}

bool tune_figures_lose(const tune_figures *figures)
{
    return figures->gain < 1.0 - LEAST_LOSS;
}

/* Whether the first rounds leave no hope. */
static bool is_hopeless(const tune_trial *trial, const rounds *taken)
{
    double gains[LEAST_ROUNDS];
    if (taken->count != LEAST_ROUNDS)
        return false;
    for (int i = 0; i < LEAST_ROUNDS; i++)
        gains[i] = taken->gains[i];
    return bench_quartiles_of(gains, LEAST_ROUNDS).median < trial->hopeless;
}

/* Each round begins with the other one. */
static bool take_round(cl_command_queue queue, const bench_subject subjects[NUM_CALLS], rounds *taken)
{
    for (int turn = 0; turn < NUM_CALLS; turn++) {
        const int index = (taken->count + turn) % NUM_CALLS;
        bench_sample sample;
        if (!bench_subject_sample(queue, &subjects[index], &sample))
            return false;
        taken->times[index][taken->count] = sample.seconds;
    }
    taken->gains[taken->count] = taken->times[DEFAULT][taken->count] / taken->times[TILE][taken->count];
    taken->count++;
    return true;
}

static bool take_rounds(const tune_trial *trial, const clattn_context *ctx, bench_call calls[NUM_CALLS],
                        tune_figures *figures)
{
    cl_command_queue queue = clattn_context_cl_queue(ctx);
    const size_t runs = (size_t)trial->runs;
    double *storage = calloc(3 * runs, sizeof *storage);
    if (!storage)
        return tool_error("out of memory");
    rounds taken = {.times = {storage, storage + runs}, .gains = storage + 2 * runs};
    bench_subject subjects[NUM_CALLS];
    bool good = true;
    for (int i = 0; good && i < NUM_CALLS; i++) {
        subjects[i] = (bench_subject){.enqueue = bench_call_enqueue, .user = &calls[i], .num_warmups = NUM_WARMUPS};
        good = bench_subject_calibrate(queue, &subjects[i]);
    }
    while (good && taken.count < trial->runs && !is_hopeless(trial, &taken))
        good = take_round(queue, subjects, &taken);
    if (good)
        *figures = tune_figures_of(taken.times[TILE], taken.times[DEFAULT], taken.gains, taken.count);
    free(storage);
    return good;
}

static bool time_tile(const tune_trial *trial, clattn_context *ctx, const clattn_tuning tunings[NUM_CALLS],
                      tune_figures *figures)
{
    const bench_operations operations = {.count = 1, .at = {trial->operation}};
    bench_operands operands;
    if (!bench_operands_init(&operands, ctx, trial->problem, &operations))
        return false;
    bench_call calls[NUM_CALLS];
    int num_calls = 0;
    while (num_calls < NUM_CALLS &&
           bench_call_init(&calls[num_calls], &operands, trial->operation, BENCH_ALL_PHASES, &tunings[num_calls]))
        num_calls++;
    const bool good = num_calls == NUM_CALLS && take_rounds(trial, ctx, calls, figures);
    while (num_calls > 0)
        bench_call_finish(&calls[--num_calls]);
    bench_operands_finish(&operands);
    return good;
}

tune_outcome tune_trial_run(void *user, const tune_child *child, void *answer)
{
    const tune_trial *trial = user;
    const clattn_tuning tunings[NUM_CALLS] = {
        [DEFAULT] = tuning_of(trial->phase, &trial->default_tile), [TILE] = tuning_of(trial->phase, &trial->tile)};
    /* The default is what runs without the file that is being written. */
    const clattn_context_params params = {.device = trial->device,
                                          .family = trial->family,
                                          .cache_dir = trial->cache_dir,
                                          .tuning_file = "",
                                          .log = tool_log};
    clattn_context *ctx = NULL;
    tune_child_enter(child, "opening the device", trial->build_limit_s);
    if (!tool_check(NULL, clattn_context_create(&params, &ctx), "clattn_context_create"))
        return TUNE_FAILED;
    /* Many drivers compile when a kernel is first run. */
    tune_child_enter(child, "building and checking", trial->build_limit_s);
    bool right = false;
    if (!tune_proof_run(trial->proof, ctx, &tunings[TILE], &right))
        return TUNE_FAILED;
    if (!right)
        return TUNE_WRONG;
    tune_child_enter(child, "running", trial->run_limit_s);
    return time_tile(trial, ctx, tunings, answer) ? TUNE_OK : TUNE_FAILED;
}
