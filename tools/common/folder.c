/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and removes temporary folders. */
#include "common/folder.h"

#include "common/message.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool tool_folder_make(const char *name, char path[TOOL_PATH_BYTES])
{
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(path, TOOL_PATH_BYTES, "%s/%s_XXXXXX", parent && *parent ? parent : "/tmp", name);
    if (length < 0 || length >= TOOL_PATH_BYTES)
        return tool_error("cannot make a folder for caches: TMPDIR is too long a name");
    return mkdtemp(path) || tool_error("cannot make a folder for caches: %s", strerror(errno));
}

void tool_folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        char child[TOOL_PATH_BYTES];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const int length = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (length > 0 && (size_t)length < sizeof child && unlink(child) != 0)
            tool_folder_remove(child);
    }
    if (folder)
        closedir(folder);
    (void)rmdir(path);
}
