/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as JSON objects: what this program does not know of a row stays in it. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "tune/database.h"

#include "common/file.h"
#include "common/json.h"
#include "common/message.h"

#include <clattn/clattn.h>
#include <clattn/tuning_file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What tells rows apart, and in which order they stand. */
static const char *const keys[] = {"device",    "driver",    "op",         "phase",      "family",
                                   "kv_dtype",  "head_dim",  "head_dim_v", "group_size", "num_kv_heads",
                                   "kv_layout", "page_size", "batch"};

#define NUM_KEYS ((int)(sizeof keys / sizeof *keys))

bool tune_database_default_path(char path[TOOL_PATH_BYTES])
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (config && *config)
        length = snprintf(path, TOOL_PATH_BYTES, "%s/clattn/tuning.json", config);
    else if (home && *home)
        length = snprintf(path, TOOL_PATH_BYTES, "%s/.config/clattn/tuning.json", home);
    else
        return tool_error("neither XDG_CONFIG_HOME nor HOME is set: --output names the tuning file");
    return length < TOOL_PATH_BYTES || tool_error("the name of the tuning file is too long: --output names another");
}

static int compare_values(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
        return (a->valuedouble > b->valuedouble) - (a->valuedouble < b->valuedouble);
    if (cJSON_IsString(a) && cJSON_IsString(b))
        return strcmp(a->valuestring, b->valuestring);
    return (cJSON_IsString(a) - cJSON_IsString(b)) + (cJSON_IsNumber(b) - cJSON_IsNumber(a));
}

static int compare_key(const cJSON *a, const cJSON *b, int key)
{
    return compare_values(cJSON_GetObjectItemCaseSensitive(a, keys[key]),
                          cJSON_GetObjectItemCaseSensitive(b, keys[key]));
}

static int compare_rows(const cJSON *a, const cJSON *b)
{
    int order = 0;
    for (int key = 0; order == 0 && key < NUM_KEYS; key++)
        order = compare_key(a, b, key);
    return order;
}

bool tune_database_alike(const cJSON *row, const cJSON *other)
{
    bool alike = true;
    for (int key = 0; alike && key < NUM_KEYS; key++)
        alike = strcmp(keys[key], "driver") == 0 || compare_key(row, other, key) == 0;
    return alike;
}

static int compare_pointers(const void *a, const void *b)
{
    return compare_rows(*(const cJSON *const *)a, *(const cJSON *const *)b);
}

/* The array of a document's rows, detached from it; NULL after saying what is wrong. */
static cJSON *take_rows(cJSON *document, const char *path)
{
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(document, "schema");
    cJSON *rows = cJSON_GetObjectItemCaseSensitive(document, "rows");
    if (!cJSON_IsNumber(schema) || !cJSON_IsArray(rows)) {
        (void)tool_error("%s is no tuning file: it should have a schema and rows", path);
        return NULL;
    }
    if (schema->valuedouble != CLATTN_TUNING_SCHEMA) {
        (void)tool_error("%s has the schema %g, clattn %s knows %d: it is left as it is", path, schema->valuedouble,
                         CLATTN_VERSION_STRING, CLATTN_TUNING_SCHEMA);
        return NULL;
    }
    return cJSON_DetachItemViaPointer(document, rows);
}

cJSON *tune_database_read(const char *path)
{
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return cJSON_CreateArray();
    cJSON *document = tool_json_read(path);
    cJSON *rows = document ? take_rows(document, path) : NULL;
    cJSON_Delete(document);
    return rows;
}

/* Puts a copy of a row in the place of the one that is for the same, or behind all others. */
static bool put_row(cJSON *rows, const cJSON *row)
{
    cJSON *copy = cJSON_Duplicate(row, true);
    cJSON *old = NULL;
    cJSON_ArrayForEach(old, rows)
    {
        if (compare_rows(old, row) == 0)
            break;
    }
    const bool good = copy && (old ? cJSON_ReplaceItemViaPointer(rows, old, copy) : cJSON_AddItemToArray(rows, copy));
    if (!good)
        cJSON_Delete(copy);
    return good || tool_error("out of memory");
}

static bool write_rows(const cJSON *rows, FILE *file)
{
    const int count = cJSON_GetArraySize(rows);
    const cJSON **sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    if (!sorted)
        return false;
    int num_rows = 0;
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, rows) sorted[num_rows++] = row;
    qsort(sorted, (size_t)count, sizeof *sorted, compare_pointers);
    bool good = fprintf(file, "{\"schema\": %d, \"rows\": [", CLATTN_TUNING_SCHEMA) > 0;
    for (int i = 0; good && i < count; i++) {
        char *text = cJSON_PrintUnformatted(sorted[i]);
        good = text && fprintf(file, "%s\n%s", i > 0 ? "," : "", text) > 0;
        cJSON_free(text);
    }
    free(sorted);
    return good && fputs("\n]}\n", file) >= 0;
}

char *tune_database_text(const cJSON *rows)
{
    char *text = NULL;
    size_t num_bytes = 0;
    FILE *file = open_memstream(&text, &num_bytes);
    const bool good = file && write_rows(rows, file);
    if (file && fclose(file) == 0 && good)
        return text;
    free(text);
    (void)tool_error("out of memory");
    return NULL;
}

static bool replace_file(const char *path, const cJSON *rows)
{
    char *text = tune_database_text(rows);
    const bool good = text && tool_file_replace(path, text);
    free(text);
    return good;
}

/* The file that a name leads to, so that a link stays one. */
static void follow_links(const char *path, char followed[TOOL_PATH_BYTES])
{
    char *real = realpath(path, NULL);
    snprintf(followed, TOOL_PATH_BYTES, "%s", real ? real : path);
    free(real);
}

/* Makes the folders of a path that do not exist; what fails shows when the file is written. */
static void make_folders_of(const char *path)
{
    char folder[TOOL_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *end = strchr(folder + 1, '/'); end; end = strchr(end + 1, '/')) {
        *end = '\0';
        (void)mkdir(folder, 0777);
        *end = '/';
    }
}

/* The lock file, locked; -1 after saying why not. It stays there: whoever removed it would unlock it for others. */
static int take_lock(const char *path)
{
    char name[TOOL_PATH_BYTES + 16];
    snprintf(name, sizeof name, "%s.lock", path);
    const int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock >= 0 && flock(lock, LOCK_EX) == 0)
        return lock;
    (void)tool_error("cannot lock %s: %s", name, strerror(errno));
    if (lock >= 0)
        close(lock);
    return -1;
}

static bool merge_locked(const char *path, const cJSON *rows)
{
    cJSON *all = tune_database_read(path);
    bool good = all != NULL;
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, rows) good = good && put_row(all, row);
    good = good && replace_file(path, all);
    cJSON_Delete(all);
    return good;
}

bool tune_database_merge(const char *path, const cJSON *rows)
{
    char followed[TOOL_PATH_BYTES];
    follow_links(path, followed);
    const int lock = take_lock(followed);
    if (lock < 0)
        return false;
    const bool good = merge_locked(followed, rows);
    close(lock);
    return good;
}

bool tune_database_check(const char *path, bool make_folders)
{
    char followed[TOOL_PATH_BYTES];
    if (strlen(path) >= TOOL_PATH_BYTES)
        return tool_error("--output should be a name of less than %d bytes", TOOL_PATH_BYTES);
    if (make_folders)
        make_folders_of(path);
    follow_links(path, followed);
    cJSON *rows = tune_database_read(followed);
    const int lock = rows ? take_lock(followed) : -1;
    const bool good = lock >= 0 && tool_file_replace(followed, NULL);
    if (lock >= 0)
        close(lock);
    cJSON_Delete(rows);
    return good;
}
