/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a context's database: the rows of the user's file and the built-in ones. Without OpenCL. */
#ifndef CLATTN_TUNING_LOAD_H
#define CLATTN_TUNING_LOAD_H

#include "runtime/log.h"
#include "tuning/database.h"

/*
 * Fills an empty database, whose facts are set and which the caller finishes in any case. `requested` is
 * clattn_context_params.tuning_file; the environment is read where it is NULL. What is wrong with the file or one of
 * its rows goes to the log, a line each, and the others are used. OUT_OF_MEMORY.
 */
clattn_status clattn_tuning_load(clattn_tuning_database *database, const char *requested, const clattn_log *log,
                                 clattn_error *error);

#endif
