/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines. */
#include "tune/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool add_line(cJSON *lines, const char *text, size_t num_bytes)
{
    const char *end = NULL;
    cJSON *line = cJSON_ParseWithLengthOpts(text, num_bytes, &end, false);
    if (!cJSON_IsObject(line) || end != text + num_bytes || !cJSON_AddItemToArray(lines, line)) {
        cJSON_Delete(line);
        return false;
    }
    return true;
}

cJSON *tune_lines_parse(const char *text, size_t num_bytes, size_t *whole_bytes, int *bad_line)
{
    cJSON *lines = cJSON_CreateArray();
    const char *start = text;
    *whole_bytes = 0;
    *bad_line = 0;
    for (int number = 1; lines; number++) {
        const size_t left = num_bytes - (size_t)(start - text);
        const char *end = left > 0 ? memchr(start, '\n', left) : NULL;
        if (!end)
            break;
        if (!add_line(lines, start, (size_t)(end - start))) {
            *bad_line = number;
            cJSON_Delete(lines);
            return NULL;
        }
        start = end + 1;
        *whole_bytes = (size_t)(start - text);
    }
    return lines;
}

char *tune_lines_read(int file, size_t *num_bytes)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return NULL;
    const size_t capacity = (size_t)status.st_size + 1; /* never nothing */
    char *text = malloc(capacity);
    *num_bytes = 0;
    while (text && *num_bytes < (size_t)status.st_size) {
        const ssize_t count = pread(file, text + *num_bytes, (size_t)status.st_size - *num_bytes, (off_t)*num_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            free(text);
            return NULL;
        }
        if (count == 0)
            break;
        *num_bytes += (size_t)count;
    }
    return text;
}

/* All of it at once where the system can, so that lines of several writers do not mix. */
static bool write_all(int file, const char *text, size_t num_bytes)
{
    while (num_bytes > 0) {
        const ssize_t written = write(file, text, num_bytes);
        if (written < 0 && errno != EINTR)
            return false;
        text += written > 0 ? written : 0;
        num_bytes -= written > 0 ? (size_t)written : 0;
    }
    return fdatasync(file) == 0 || errno == EINVAL; /* not every kind of file has a disk */
}

bool tune_lines_append(int file, const cJSON *document)
{
    char *text = cJSON_PrintUnformatted(document);
    if (!text) {
        errno = ENOMEM;
        return false;
    }
    const size_t length = strlen(text);
    text[length] = '\n'; /* in place of the end */
    const bool good = write_all(file, text, length + 1);
    const int error = errno;
    cJSON_free(text);
    errno = error;
    return good;
}
