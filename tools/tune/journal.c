/* SPDX-License-Identifier: Apache-2.0 */
/* See journal.h. */
#include "tune/journal.h"

#include "common/message.h"
#include "tune/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define END_EVENT "end"
#define RESULT_EVENT "trial"

cJSON *tune_event_new(const char *kind, const char *task)
{
    cJSON *event = cJSON_CreateObject();
    if (cJSON_AddStringToObject(event, "event", kind) && (!task || cJSON_AddStringToObject(event, "task", task)))
        return event;
    cJSON_Delete(event);
    return NULL;
}

static bool has_text(const cJSON *object, const char *key, const char *text)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return value && strcmp(value, text) == 0;
}

bool tune_event_is(const cJSON *event, const char *kind, const char *task)
{
    return has_text(event, "event", kind) && (!task || has_text(event, "task", task));
}

static int count_events(const cJSON *events, const char *kind)
{
    int count = 0;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, events) count += tune_event_is(event, kind, NULL);
    return count;
}

/* Whether two headers tell of the same search; says in what they differ. */
static bool check_header(const char *path, const cJSON *header, const cJSON *found)
{
    const cJSON *wanted = NULL;
    cJSON_ArrayForEach(wanted, header)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(found, wanted->string);
        if (cJSON_Compare(wanted, other, true))
            continue;
        char *wanted_text = cJSON_PrintUnformatted(wanted);
        char *other_text = other ? cJSON_PrintUnformatted(other) : NULL;
        (void)tool_error("--resume: the %s of %s is %s, this search's is %s", wanted->string, path,
                         other_text ? other_text : "missing", wanted_text ? wanted_text : "another");
        cJSON_free(wanted_text);
        cJSON_free(other_text);
        return false;
    }
    return true;
}

/* For this process alone, until it ends: locks of this kind are not inherited by children, however long they live. */
static bool lock(const tune_journal *journal)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(journal->file, F_SETLK, &whole) == 0)
        return true;
    if (errno == EACCES || errno == EAGAIN)
        return tool_error("%s: another search is writing it", journal->path);
    return tool_error("cannot lock %s: %s", journal->path, strerror(errno));
}

/* The lines that are there, without the part of one at the end; NULL after saying what is wrong. */
static cJSON *read_lines(const char *path, int file, size_t *whole_bytes)
{
    size_t num_bytes = 0;
    char *text = tune_lines_read(file, &num_bytes); /* another descriptor would end the lock when it closes */
    if (!text) {
        (void)tool_error("cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    int bad_line = 0;
    cJSON *lines = tune_lines_parse(text, num_bytes, whole_bytes, &bad_line);
    if (!lines && bad_line == 0)
        (void)tool_error("out of memory");
    else if (!lines)
        (void)tool_error("%s:%d is no line of a journal; removing the file forgets it", path, bad_line);
    free(text);
    return lines;
}

/* What is to be kept of the file: 0 = nothing, -1 after saying why neither is right. */
static long long choose_length(tune_journal *journal, const cJSON *header, bool resume)
{
    size_t whole_bytes = 0;
    cJSON *lines = read_lines(journal->path, journal->file, &whole_bytes);
    if (!lines)
        return -1;
    long long length = 0;
    if (resume && cJSON_GetArraySize(lines) > 0) {
        length = check_header(journal->path, header, cJSON_GetArrayItem(lines, 0)) ? (long long)whole_bytes : -1;
        if (length > 0) {
            cJSON_DeleteItemFromArray(lines, 0);
            journal->events = lines;
            return length;
        }
    } else if (count_events(lines, RESULT_EVENT) > 1 && count_events(lines, END_EVENT) == 0) { /* the first: default */
        (void)tool_error("%s is of a search that has not ended; --resume continues it, removing the file forgets it",
                         journal->path);
        length = -1;
    }
    cJSON_Delete(lines);
    return length;
}

static bool write_line(const tune_journal *journal, const cJSON *line)
{
    return tune_lines_append(journal->file, line) || tool_error("cannot write %s: %s", journal->path, strerror(errno));
}

/* Seconds of the world's clock, so that a page can tell when something happened. */
static bool add_time(cJSON *event)
{
    char text[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, sizeof text, "%.2f", (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    return cJSON_AddRawToObject(event, "time", text);
}

bool tune_journal_append(tune_journal *journal, cJSON *event)
{
    const bool good = event && add_time(event) ? write_line(journal, event) : tool_error("out of memory");
    cJSON_Delete(event);
    return good;
}

static bool begin(tune_journal *journal, const cJSON *header, bool resume)
{
    if (!lock(journal))
        return false;
    const long long length = choose_length(journal, header, resume);
    if (length < 0)
        return false;
    if (ftruncate(journal->file, (off_t)length) != 0)
        return tool_error("cannot write %s: %s", journal->path, strerror(errno));
    return length > 0 ? tune_journal_append(journal, tune_event_new(TUNE_EVENT_RESUME, NULL))
                      : write_line(journal, header);
}

bool tune_journal_open(tune_journal *journal, const char *path, const cJSON *header, bool resume)
{
    *journal = (tune_journal){.path = strdup(path), .file = -1};
    if (!journal->path)
        return tool_error("out of memory");
    journal->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (journal->file < 0)
        (void)tool_error("cannot open %s: %s", path, strerror(errno));
    else if (begin(journal, header, resume))
        return true;
    tune_journal_close(journal);
    return false;
}

void tune_journal_close(tune_journal *journal)
{
    if (journal->path && journal->file >= 0)
        close(journal->file);
    cJSON_Delete(journal->events);
    free(journal->path);
    *journal = (tune_journal){.path = NULL};
}

cJSON *tune_journal_read(const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t whole_bytes = 0;
    if (file < 0) {
        (void)tool_error("cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    cJSON *lines = read_lines(path, file, &whole_bytes);
    close(file);
    if (lines && !cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(lines, 0), "tasks"))) {
        (void)tool_error("%s is no journal of a search", path);
        cJSON_Delete(lines);
        return NULL;
    }
    return lines;
}

bool tune_journal_end(tune_journal *journal)
{
    return tune_journal_append(journal, tune_event_new(END_EVENT, NULL));
}
