/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of a search, as SVG texts that can stand in a page. */
#ifndef TUNE_CHARTS_H
#define TUNE_CHARTS_H

#include <cjson/cJSON.h>

/* A task's part of a journal. */
typedef struct tune_history {
    const char *task;
    const cJSON *events; /* of the whole journal, an array */
} tune_history;

/* The time of each tile over the values of a parameter. NULL after saying why not; the caller frees the text. */
char *tune_chart_of_parameter(const tune_history *history, const cJSON *values, const char *folder);

/* The gain of each tile and the best one so far, over the time of the search. Likewise. */
char *tune_chart_of_time(const tune_history *history, const char *folder);

#endif
