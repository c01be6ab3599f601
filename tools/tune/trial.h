/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out about a tile in a child: whether it builds, computes what it should, and how fast it is. */
#ifndef TUNE_TRIAL_H
#define TUNE_TRIAL_H

#include "bench/problem.h"
#include "tune/child.h"
#include "tune/proof.h"

typedef struct tune_trial {
    const char *device; /* as clattn_context_params */
    clattn_family family;
    const char *cache_dir; /* likewise */
    const bench_problem *problem;
    const bench_operation *operation;
    const tune_proof *proof; /* of that problem */
    clattn_phase phase;
    clattn_tile default_tile;
    clattn_tile tile;
    int runs;        /* rounds of default and tile, in turn */
    double hopeless; /* below this gain a few rounds are enough */
    double build_limit_s;
    double run_limit_s;
} tune_trial;

/* Medians over the rounds. */
typedef struct tune_figures {
    double time_s; /* of one operation */
    double default_s;
    double gain;  /* of the default's time over the tile's in the same round */
    double noise; /* of the gain: interquartile range over median */
    int32_t rounds;
} tune_figures;

/* A tune_child_function over a tune_trial, whose answer is a tune_figures. */
tune_outcome tune_trial_run(void *trial, const tune_child *child, void *figures);

/* The figures of gains and times that were taken in rounds; sorts them. */
tune_figures tune_figures_of(double *times, double *default_times, double *gains, int32_t rounds);

/* Whether a tile is faster than the default by more than the noise, and by enough for a row. */
bool tune_figures_win(const tune_figures *figures);

/* Whether it is slower than the default by more than a little. */
bool tune_figures_lose(const tune_figures *figures);

#endif
