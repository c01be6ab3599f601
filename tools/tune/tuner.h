/* SPDX-License-Identifier: Apache-2.0 */
/* The search of one task: the default, tiles in the order of a strategy, and the best of them against the default. */
#ifndef TUNE_TUNER_H
#define TUNE_TUNER_H

#include "tune/journal.h"
#include "tune/task.h"
#include "tune/trial.h"

/* What all tasks of a search share. */
typedef struct tune_session {
    const tune_options *options;
    const tune_device *device;
    const char *output;    /* the tuning file */
    const char *cache_dir; /* of the children's programs */
    tune_journal *journal;
    double begin, end; /* of the search, by bench_now() */
} tune_session;

typedef enum tune_verdict {
    TUNE_UNTRIED, /* not known: the time ended, or the default itself fails */
    TUNE_KEPT,    /* nothing is faster than the default by more than the noise */
    TUNE_TUNED,
    TUNE_NUM_VERDICTS
} tune_verdict;

/* "untried", "default", "tuned": a tool_name_at. */
const char *tune_verdict_name_at(int index);

typedef struct tune_result {
    tune_verdict verdict;
    clattn_tile tile;     /* the tuned one, or the default */
    tune_figures figures; /* of the final match; of the default against itself if it stays */
    int num_tried;        /* tiles that have an outcome, the default included */
    int counts[TUNE_NUM_OUTCOMES];
} tune_result;

/*
 * Searches until `end`, and puts the row into the tuning file. False if the whole search has to end, after saying why
 * unless it was interrupted.
 */
bool tune_task_search(const tune_session *session, const tune_task *task, double end, tune_result *result);

#endif
