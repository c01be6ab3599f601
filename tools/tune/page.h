/* SPDX-License-Identifier: Apache-2.0 */
/* --report: a search as one page for a browser, made of its journal alone. */
#ifndef TUNE_PAGE_H
#define TUNE_PAGE_H

#include <stdbool.h>

/*
 * Writes an HTML page that needs no other file, with pictures by gnuplot. False after saying why there is none: a
 * journal that cannot be read, for one; what was at the path is still there then.
 */
bool tune_page_write(const char *journal_path, const char *path);

#endif
