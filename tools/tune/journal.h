/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a search: a header that says what is searched, and a line for each thing that happened, on the disk
 * before the next one begins. Whatever ends a search, another one can continue it from there.
 */
#ifndef TUNE_JOURNAL_H
#define TUNE_JOURNAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#define TUNE_EVENT_RESUME "resume" /* another process goes on */

/* All zero = nothing to finish. */
typedef struct tune_journal {
    char *path;
    int file;
    cJSON *events; /* of the search that is continued, an array without the header */
} tune_journal;

/*
 * Opens a journal for this process alone and writes the header. What is there already is continued with `resume`, if
 * its header is the same; else it is replaced, unless it holds results of a search that has not ended. False after
 * saying why not; the file is as it was then.
 */
bool tune_journal_open(tune_journal *journal, const char *path, const cJSON *header, bool resume);

void tune_journal_close(tune_journal *journal);

/* Appends an event with the time, and deletes it. False after saying why it is not on the disk. */
bool tune_journal_append(tune_journal *journal, cJSON *event);

/* The lines of a journal that nobody writes, the header first; NULL after saying what is wrong. */
cJSON *tune_journal_read(const char *path);

/* Notes that the search has ended: the next one may replace the journal. */
bool tune_journal_end(tune_journal *journal);

/* A new event, which the caller completes: its kind, and the task that it belongs to. */
cJSON *tune_event_new(const char *kind, const char *task);

/* Whether an event is of that kind and task. */
bool tune_event_is(const cJSON *event, const char *kind, const char *task);

#endif
