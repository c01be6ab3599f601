/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tuning file that rows are put into: see <clattn/tuning_file.h>. Several processes may do so at once; what another
 * one has written is kept.
 */
#ifndef TUNE_DATABASE_H
#define TUNE_DATABASE_H

#include "common/folder.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* The file that contexts read; false after saying why there is none. */
bool tune_database_default_path(char path[TOOL_PATH_BYTES]);

/*
 * Whether rows can be put into a file, which need not exist; on request makes the folders that it is to lie in. False
 * after saying why not: a folder that cannot be written, a file that is no tuning file or one of another schema.
 */
bool tune_database_check(const char *path, bool make_folders);

/*
 * Puts rows, an array, into a file: each takes the place of the one for the same device, driver, problem and batch.
 * Under a lock, and by renaming a new file. False after saying why not; the file is as it was then.
 */
bool tune_database_merge(const char *path, const cJSON *rows);

/* Rows as a tuning file, sorted, one a line; the caller frees it. NULL after saying why not. */
char *tune_database_text(const cJSON *rows);

/* The rows of a file, an array that the caller deletes; empty if there is no file. NULL after saying what is wrong. */
cJSON *tune_database_read(const char *path);

/* Whether two rows are for the same device, problem and batch, with any driver. */
bool tune_database_alike(const cJSON *row, const cJSON *other);

#endif
