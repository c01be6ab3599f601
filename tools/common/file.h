/* SPDX-License-Identifier: Apache-2.0 */
/* Files of text as a whole. */
#ifndef TOOL_FILE_H
#define TOOL_FILE_H

#include <stdbool.h>

/* The text of a file, which the caller frees; NULL with errno set. */
char *tool_file_read(const char *path);

/*
 * Writes a text beside a path and renames it: the file is the old one or the new one, with the old one's rights.
 * Without a text nothing is replaced, but found out whether it could be. False after saying why not.
 */
bool tool_file_replace(const char *path, const char *text);

#endif
