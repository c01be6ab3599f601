/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and replacing files. */
#include "common/file.h"

#include "common/folder.h"
#include "common/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY 65536

static char *read_stream(FILE *file)
{
    size_t capacity = FIRST_CAPACITY;
    size_t length = 0;
    char *text = malloc(capacity);
    while (text) {
        length += fread(text + length, 1, capacity - length - 1, file);
        if (length < capacity - 1)
            break;
        capacity *= 2;
        char *larger = realloc(text, capacity);
        if (!larger)
            free(text);
        text = larger;
    }
    if (text && ferror(file)) {
        free(text);
        return NULL;
    }
    if (text)
        text[length] = '\0';
    return text;
}

char *tool_file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    char *text = read_stream(file);
    const int error = errno;
    fclose(file);
    errno = error;
    return text;
}

/* Rights like those of the file that is replaced, or of any new one. */
static bool set_rights(int file, const char *path)
{
    struct stat status;
    const mode_t mask = umask(0);
    umask(mask);
    return fchmod(file, stat(path, &status) == 0 ? status.st_mode & 07777 : 0666 & ~mask) == 0;
}

/* Writes a text to the disk, and closes the file in any case. */
static bool write_all(int descriptor, const char *path, const char *text)
{
    FILE *file = fdopen(descriptor, "w");
    if (!file) {
        close(descriptor);
        return false;
    }
    const bool good =
        set_rights(descriptor, path) && fputs(text, file) >= 0 && fflush(file) == 0 && fsync(descriptor) == 0;
    return fclose(file) == 0 && good;
}

bool tool_file_replace(const char *path, const char *text)
{
    char temporary[TOOL_PATH_BYTES + 16];
    if (strlen(path) >= TOOL_PATH_BYTES)
        return tool_error("%s: the name is too long", path);
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    const int descriptor = mkstemp(temporary);
    if (descriptor < 0)
        return tool_error("cannot write %s: %s", path, strerror(errno));
    const bool good = write_all(descriptor, path, text ? text : "");
    if (good && text && rename(temporary, path) == 0)
        return true;
    if (!good || text)
        (void)tool_error("cannot write %s: %s", path, strerror(errno));
    (void)unlink(temporary);
    return good && !text;
}
