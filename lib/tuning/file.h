/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads tuning files: the file, its JSON, its rows one after another. What a row says is file_row.c's business, which
 * one answers for a problem database.c's. Without OpenCL.
 */
#ifndef CLATTN_LIB_TUNING_FILE_H
#define CLATTN_LIB_TUNING_FILE_H

#include "runtime/error.h"

#include <clattn/tuning_file.h>

/* Opens a tuning file for reading; below 0, and errno, if that fails. Never waits, whatever lies under that name. */
int clattn_tuning_file_open(const char *path);

/* The sentence for what the system says about a file, an errno; INVALID_ARGUMENT. */
clattn_status clattn_tuning_file_refuse(int reason, clattn_error *error);

/*
 * Visits the rows of an open file. INVALID_ARGUMENT = the file as a whole is refused, of which the visitor hears as row
 * -1; OUT_OF_MEMORY. The sentence goes to `error` as well.
 */
clattn_status clattn_tuning_file_visit(int file, clattn_tuning_visitor visit, void *user, clattn_error *error);

#endif
