/* SPDX-License-Identifier: Apache-2.0 */
/* Files of JSON documents, one a line, that only ever grow. */
#ifndef TUNE_LINES_H
#define TUNE_LINES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The documents of a text, in an array that the caller deletes. A last line without an end was being written when the
 * writer died: it does not count, and *whole_bytes says how much does. NULL if a line is no JSON object, *bad_line its
 * number from 1, or 0 for want of memory.
 */
cJSON *tune_lines_parse(const char *text, size_t num_bytes, size_t *whole_bytes, int *bad_line);

/* All that is in an open file, which the caller frees; NULL with errno set. */
char *tune_lines_read(int file, size_t *num_bytes);

/* Writes a document as a line behind the end of an open file, and to the disk; false with errno set. */
bool tune_lines_append(int file, const cJSON *document);

#endif
