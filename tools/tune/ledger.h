/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the tiles of a task, from this search and from the one that it continues. */
#ifndef TUNE_LEDGER_H
#define TUNE_LEDGER_H

#include "tune/task.h"
#include "tune/trial.h"

/* Events of the journal. */
#define TUNE_EVENT_REJECTED "rejected" /* which tiles are left out */
#define TUNE_EVENT_START "start"       /* a tile is about to be tried */
#define TUNE_EVENT_TRIAL "trial"       /* what came of it */
#define TUNE_EVENT_STOP "stop"         /* nothing: the search ended meanwhile, as it was told to */
#define TUNE_EVENT_MATCH "match"       /* of one of the best tiles against the default, when the search was over */
#define TUNE_EVENT_DONE "done"         /* what the task came to */

/* A search that dies that often while it tries a tile has been killed by it. */
#define TUNE_FATAL_STARTS 2

typedef struct tune_entry {
    int64_t point;
    tune_outcome outcome; /* TUNE_NUM_OUTCOMES = begun, and never heard of again */
    tune_figures figures; /* of TUNE_OK */
    int num_starts;       /* that nothing followed */
} tune_entry;

/* All zero = nothing to finish. */
typedef struct tune_ledger {
    int num_entries;
    int capacity;
    tune_entry *entries;
} tune_ledger;

void tune_ledger_finish(tune_ledger *ledger);

/* Takes in the events of a task; false for want of memory. What is no point of its space any more is left out. */
bool tune_ledger_read(tune_ledger *ledger, const tune_task *task, const cJSON *events);

/* The entry of a point that has an outcome; NULL = it has none. */
const tune_entry *tune_ledger_find(const tune_ledger *ledger, int64_t point);

/* Sets what is known of a point; false for want of memory. */
bool tune_ledger_set(tune_ledger *ledger, int64_t point, tune_outcome outcome, const tune_figures *figures);

/* How many entries have an outcome. */
int tune_ledger_count(const tune_ledger *ledger, tune_outcome outcome);

/* The `count` entries with the largest gains above 1, best first; returns how many there are. */
int tune_ledger_best(const tune_ledger *ledger, int count, const tune_entry *best[]);

/* An event of a task with its parameters, and what came out unless `result` is NULL; NULL for want of memory. */
cJSON *tune_ledger_event(const tune_task *task, const char *kind, const clattn_tile *tile,
                         const tune_child_result *result, const tune_figures *figures);

/* Adds figures to an event or row, and reads them from there. */
bool tune_ledger_add_figures(cJSON *object, const tune_figures *figures);
tune_figures tune_ledger_get_figures(const cJSON *object);

#endif
