/* SPDX-License-Identifier: Apache-2.0 */
/* Looks through a cache directory; what a file holds and what its key says is asked of those who write them. */
#include "runtime/cache_visit.h"

#include "runtime/program_cache.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    case CLATTN_NUM_CACHE_FILE_STATES:
        break;
    }
    return "invalid";
}

static bool starts_with(const char *text, const char *part)
{
    return strncmp(text, part, strlen(part)) == 0;
}

static bool ends_with(const char *text, const char *part)
{
    const size_t text_bytes = strlen(text);
    const size_t part_bytes = strlen(part);
    return text_bytes >= part_bytes && strcmp(text + text_bytes - part_bytes, part) == 0;
}

static clattn_cache_file file_without_key(const char *name, clattn_cache_file_state state, uint64_t num_bytes)
{
    return (clattn_cache_file){
        .name = name,
        .state = state,
        .num_bytes = num_bytes,
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

/* Reads one file of the cache and hands it over. */
static clattn_status visit_file(const char *path, const char *name, clattn_cache_visitor visit, void *user,
                                clattn_error *error)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return CLATTN_OK;
    clattn_cache_file file = file_without_key(name, CLATTN_CACHE_FILE_DAMAGED, (uint64_t)facts.st_size);
    if (!ends_with(name, CLATTN_CACHE_SUFFIX)) {
        file.state = CLATTN_CACHE_FILE_TEMPORARY;
        visit(user, &file);
        return CLATTN_OK;
    }
    clattn_cache_contents contents = {0};
    clattn_verdict verdict;
    const int descriptor = clattn_cache_file_open(path);
    if (descriptor >= 0) {
        const clattn_cache_result result = clattn_cache_file_read(descriptor, &contents);
        close(descriptor);
        CLATTN_REQUIRE(error, result != CLATTN_CACHE_MISS, CLATTN_OUT_OF_MEMORY, "no memory for the cache file %s",
                       path);
        if (result == CLATTN_CACHE_HIT)
            describe(&contents, &file, &verdict);
    }
    visit(user, &file);
    free(contents.key);
    return CLATTN_OK;
}

static clattn_status visit_entry(const char *directory, const char *name, clattn_cache_visitor visit, void *user,
                                 clattn_error *error)
{
    if (!starts_with(name, CLATTN_CACHE_TEMPORARY_PREFIX) && !ends_with(name, CLATTN_CACHE_SUFFIX))
        return CLATTN_OK;
    char *path = clattn_program_cache_path(directory, name);
    CLATTN_REQUIRE(error, path != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the path of the cache file %s", name);
    const clattn_status status = visit_file(path, name, visit, user, error);
    free(path);
    return status;
}

static clattn_status refuse_directory(const char *directory, int reason, clattn_error *error)
{
    char text[128];
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return clattn_error_set(error, reason == ENOMEM ? CLATTN_OUT_OF_MEMORY : CLATTN_INVALID_ARGUMENT,
                            "cache directory %s cannot be read: %s", directory, text);
}

/* NULL behind the last one, and then errno is 0, or if it cannot be read. */
static const struct dirent *next_entry(DIR *entries)
{
    errno = 0;
    return readdir(entries);
}

clattn_status clattn_cache_visit(const char *directory, clattn_cache_visitor visit, void *user, clattn_error *error)
{
    if (directory == NULL)
        return CLATTN_OK;
    DIR *entries = opendir(directory);
    if (entries == NULL && errno == ENOENT)
        return CLATTN_OK;
    if (entries == NULL)
        return refuse_directory(directory, errno, error);
    clattn_status status = CLATTN_OK;
    const struct dirent *entry = next_entry(entries);
    for (; status == CLATTN_OK && entry != NULL; entry = next_entry(entries))
        status = visit_entry(directory, entry->d_name, visit, user, error);
    if (status == CLATTN_OK && errno != 0)
        status = refuse_directory(directory, errno, error);
    closedir(entries);
    return status;
}
