/* SPDX-License-Identifier: Apache-2.0 */
/* See crashes.h. */
#include "tune/crashes.h"

#include "common/message.h"
#include "tune/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_lines(tune_crashes *crashes, int file)
{
    size_t num_bytes = 0;
    size_t whole_bytes = 0;
    int bad_line = 0;
    char *text = tune_lines_read(file, &num_bytes);
    if (!text)
        return tool_error("cannot read %s: %s", crashes->path, strerror(errno));
    crashes->lines = tune_lines_parse(text, num_bytes, &whole_bytes, &bad_line);
    free(text);
    if (crashes->lines)
        return true;
    return bad_line == 0 ? tool_error("out of memory")
                         : tool_error("%s:%d tells of no tile; removing the file forgets it", crashes->path, bad_line);
}

bool tune_crashes_init(tune_crashes *crashes, const char *path, const cJSON *kernel)
{
    *crashes = (tune_crashes){.path = strdup(path), .kernel = kernel};
    if (!crashes->path)
        return tool_error("out of memory");
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const bool is_absent = file < 0 && errno == ENOENT;
    bool good = true;
    if (is_absent)
        crashes->lines = cJSON_CreateArray();
    else if (file < 0)
        good = tool_error("cannot read %s: %s", path, strerror(errno));
    else
        good = read_lines(crashes, file);
    if (file >= 0)
        close(file);
    if (!good)
        tune_crashes_finish(crashes);
    return good;
}

void tune_crashes_finish(tune_crashes *crashes)
{
    free(crashes->path);
    cJSON_Delete(crashes->lines);
    *crashes = (tune_crashes){.path = NULL};
}

/* Whether what a line tells still holds for somebody who waits limit_s. */
static bool holds(const cJSON *line, double limit_s)
{
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(line, "limit_s");
    return !cJSON_IsNumber(limit) || limit->valuedouble <= 0.0 || limit_s <= limit->valuedouble;
}

const char *tune_crashes_find(const tune_crashes *crashes, const cJSON *parameters, double limit_s)
{
    const cJSON *line = NULL;
    cJSON_ArrayForEach(line, crashes->lines)
    {
        if (cJSON_Compare(cJSON_GetObjectItemCaseSensitive(line, "kernel"), crashes->kernel, true) &&
            cJSON_Compare(cJSON_GetObjectItemCaseSensitive(line, "parameters"), parameters, true) &&
            holds(line, limit_s)) {
            const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "reason"));
            return reason ? reason : "";
        }
    }
    return NULL;
}

/* A line that has a copy of everything; NULL for want of memory. */
static cJSON *make_line(const tune_crashes *crashes, const cJSON *parameters, const char *reason, double limit_s)
{
    cJSON *line = cJSON_CreateObject();
    cJSON *kernel = cJSON_Duplicate(crashes->kernel, true);
    cJSON *copied = cJSON_Duplicate(parameters, true);
    if (line && kernel && cJSON_AddItemToObject(line, "kernel", kernel))
        kernel = NULL;
    if (line && copied && cJSON_AddItemToObject(line, "parameters", copied))
        copied = NULL;
    if (line && !kernel && !copied && cJSON_AddStringToObject(line, "reason", reason) &&
        cJSON_AddNumberToObject(line, "limit_s", limit_s))
        return line;
    cJSON_Delete(kernel);
    cJSON_Delete(copied);
    cJSON_Delete(line);
    return NULL;
}

bool tune_crashes_add(tune_crashes *crashes, const cJSON *parameters, const char *reason, double limit_s)
{
    cJSON *line = make_line(crashes, parameters, reason, limit_s);
    if (!line || !cJSON_AddItemToArray(crashes->lines, line))
        return tool_error("out of memory");
    const int file = open(crashes->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    const bool good = (file >= 0 && tune_lines_append(file, line)) ||
                      tool_error("cannot write %s: %s", crashes->path, strerror(errno));
    if (file >= 0)
        close(file);
    return good;
}
