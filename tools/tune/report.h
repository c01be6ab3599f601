/* SPDX-License-Identifier: Apache-2.0 */
/* What a search came to, on standard output. */
#ifndef TUNE_REPORT_H
#define TUNE_REPORT_H

#include "tune/tuner.h"

typedef struct tune_report {
    const tune_session *session;
    int num_tasks;
    const tune_task *tasks;     /* [num_tasks] */
    const tune_result *results; /* [num_tasks] */
} tune_report;

/* A line for each task. */
void tune_report_print(const tune_report *report);

/* The same as JSON; false after saying why not. */
bool tune_report_write_json(const tune_report *report);

#endif
