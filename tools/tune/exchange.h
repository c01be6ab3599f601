/* SPDX-License-Identifier: Apache-2.0 */
/* --merge and --export-rows: rows that come from elsewhere, and rows that go there. */
#ifndef TUNE_EXCHANGE_H
#define TUNE_EXCHANGE_H

#include "common/options.h"

#include <stdbool.h>

/*
 * Puts the rows of files into the tuning file at `output`; where two are for the same, the last one stays. Rows and
 * files that are refused are told on stderr, and the others merged all the same. False if any was, or nothing was
 * written.
 */
bool tune_exchange_merge(const tool_texts *paths, const char *output);

/* Writes the rows of the tuning file at `source` to a path, or to standard output for "-". Likewise. */
bool tune_exchange_export(const char *source, const char *path);

#endif
