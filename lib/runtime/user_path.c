/* SPDX-License-Identifier: Apache-2.0 */
/* Paths from the environment; see user_path.h. */
#include "runtime/user_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *clattn_path_join(const char *directory, const char *name)
{
    const size_t num_bytes = strlen(directory) + strlen(name) + 2;
    char *path = malloc(num_bytes);
    if (path != NULL)
        snprintf(path, num_bytes, "%s/%s", directory, name);
    return path;
}

char *clattn_user_path(const char *variable, const char *name, const char *name_at_home)
{
    const char *directory = getenv(variable);
    /* The specification has relative paths ignored. */
    if (directory != NULL && directory[0] == '/')
        return clattn_path_join(directory, name);
    const char *home = getenv("HOME");
    return home != NULL && home[0] != '\0' ? clattn_path_join(home, name_at_home) : NULL;
}
