/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of a cache directory; what one holds and what its key says is asked of those who write them. */
#include "runtime/cache_visit.h"

#include "runtime/cache_walk.h"
#include "runtime/program_cache.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *clattn_cache_file_state_name(clattn_cache_file_state state)
{
    switch (state) {
    case CLATTN_CACHE_FILE_VALID:
        return "valid";
    case CLATTN_CACHE_FILE_DAMAGED:
        return "damaged";
    case CLATTN_CACHE_FILE_FOREIGN:
        return "foreign";
    case CLATTN_CACHE_FILE_TEMPORARY:
        return "temporary";
    case CLATTN_CACHE_FILE_NOTE:
        return "note";
    case CLATTN_NUM_CACHE_FILE_STATES:
        break;
    }
    return "invalid";
}

/* Who receives the files, and what went wrong. */
typedef struct visit_state {
    clattn_cache_visitor visit;
    void *user;
    clattn_status status;
    clattn_error *error;
} visit_state;

static clattn_cache_file file_without_key(const clattn_cache_entry *entry, clattn_cache_file_state state)
{
    return (clattn_cache_file){
        .name = entry->name,
        .state = state,
        .num_bytes = entry->num_bytes,
        .used_nanoseconds = entry->used_nanoseconds,
        .version = "",
        .platform = "",
        .device = "",
        .vendor = "",
        .driver = "",
        .program = "",
        .options = "",
    };
}

/*
 * Fills in what a whole file says of itself, if it is one that a load would find; cuts its key up. A verdict goes to
 * `verdict`.
 */
static void describe(const clattn_cache_contents *contents, clattn_cache_file *file, clattn_verdict *verdict)
{
    file->state = CLATTN_CACHE_FILE_FOREIGN;
    char name[CLATTN_CACHE_NAME_BYTES];
    clattn_program_cache_name(contents->key, name);
    char *judged = clattn_verdict_key_program(contents->key);
    if (judged != NULL && !clattn_verdict_decode(contents->data, contents->data_bytes, verdict))
        return;
    clattn_program_key key;
    if (strlen(contents->key) != contents->key_bytes || strcmp(name, file->name) != 0 ||
        !clattn_program_key_parse(judged != NULL ? judged : contents->key, &key))
        return;
    file->state = CLATTN_CACHE_FILE_VALID;
    file->version = key.version;
    file->platform = key.platform;
    file->device = key.device;
    file->vendor = key.vendor;
    file->driver = key.driver;
    file->program = key.program;
    file->options = key.options;
    file->verdict = judged != NULL ? verdict : NULL;
}

clattn_status clattn_cache_refuse(const char *path, const char *what, int reason, clattn_error *error)
{
    char text[128];
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return clattn_error_set(error, reason == ENOMEM ? CLATTN_OUT_OF_MEMORY : CLATTN_INVALID_ARGUMENT,
                            "cache: %s cannot be %s: %s", path, what, text);
}

/* Whether a file could not be opened for a reason that says nothing of the file. */
static bool is_ours_to_blame(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM;
}

/* Reads what has the name of a program or verdict, and hands it over. */
static bool visit_contents(visit_state *state, const clattn_cache_entry *entry)
{
    clattn_cache_contents contents = {.key = NULL};
    clattn_cache_result result = CLATTN_CACHE_REJECTED; /* also if it cannot be opened */
    clattn_verdict verdict;
    clattn_cache_file file = file_without_key(entry, CLATTN_CACHE_FILE_DAMAGED);
    const int descriptor = clattn_cache_file_open(entry->path);
    if (descriptor < 0 && errno == ENOENT) /* vanished */
        return true;
    if (descriptor < 0 && is_ours_to_blame(errno)) {
        state->status = clattn_cache_refuse(entry->path, "read", errno, state->error);
        return false;
    }
    if (descriptor >= 0) {
        result = clattn_cache_file_read(descriptor, &contents);
        close(descriptor);
    }
    if (result == CLATTN_CACHE_MISS) {
        state->status =
            clattn_error_set(state->error, CLATTN_OUT_OF_MEMORY, "no memory for the cache file %s", entry->path);
        return false;
    }
    if (result == CLATTN_CACHE_HIT)
        describe(&contents, &file, &verdict);
    if (result == CLATTN_CACHE_HIT || entry->kind == CLATTN_CACHE_ENTRY_FILE)
        state->visit(state->user, &file);
    free(contents.key);
    return true;
}

/* A clattn_cache_walker. */
static bool visit_entry(void *user, const clattn_cache_entry *entry)
{
    visit_state *state = user;
    if (entry->kind == CLATTN_CACHE_ENTRY_FILE || entry->kind == CLATTN_CACHE_ENTRY_RENAMED)
        return visit_contents(state, entry);
    const bool is_note = entry->kind == CLATTN_CACHE_ENTRY_NOTE;
    const clattn_cache_file file =
        file_without_key(entry, is_note ? CLATTN_CACHE_FILE_NOTE : CLATTN_CACHE_FILE_TEMPORARY);
    state->visit(state->user, &file);
    return true;
}

clattn_status clattn_cache_visit(const char *directory, clattn_cache_visitor visit, void *user, clattn_error *error)
{
    visit_state state = {.visit = visit, .user = user, .status = CLATTN_OK, .error = error};
    const int result = directory != NULL ? clattn_cache_walk(directory, visit_entry, &state) : 0;
    return result != 0 ? clattn_cache_refuse(directory, "read", result, error) : state.status;
}
