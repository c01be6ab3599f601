/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tuning files as JSON. */
#ifndef TUNE_ROW_H
#define TUNE_ROW_H

#include <cjson/cJSON.h>
#include <clattn/tuning_file.h>
#include <stdbool.h>

/* A row as a file has it, without what is not said; NULL for want of memory. */
cJSON *tune_row_write(const clattn_tuning_row *row);

/* Adds what a kernel is compiled for: the fields from "op" to "kv_layout". False for want of memory. */
bool tune_row_add_problem(cJSON *object, const clattn_tuning_row *row);

/*
 * Adds the rows of a file to an array. Says on stderr, a line each, which rows are refused and why, and counts them in
 * *num_refused. False after saying why the file as a whole cannot be read.
 */
bool tune_row_read_all(const char *path, cJSON *rows, int *num_refused);

#endif
