/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that a program makes for a while. */
#ifndef TOOL_FOLDER_H
#define TOOL_FOLDER_H

#include <stdbool.h>

#define TOOL_PATH_BYTES 4096

/* A new folder below $TMPDIR or /tmp, whose name begins with `name`; false after saying why there is none. */
bool tool_folder_make(const char *name, char path[TOOL_PATH_BYTES]);

/* Removes a folder and all that is in it; a failure leaves files behind. */
void tool_folder_remove(const char *path);

#endif
