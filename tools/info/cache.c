/* SPDX-License-Identifier: Apache-2.0 */
/* Copies what a visit of the cache meets, sorts it and counts it. */
#include "info/cache.h"

#include "common/message.h"

#include <stdlib.h>
#include <string.h>

/* A visit in progress. */
typedef struct collection {
    info_cache *cache;
    int capacity;
    bool failed; /* for want of memory */
} collection;

static void file_finish(info_file *file)
{
    for (int text = 0; text < INFO_NUM_TEXTS; text++)
        free(file->texts[text]);
}

static bool copy_file(info_file *copy, const clattn_cache_file *file)
{
    const char *const texts[INFO_NUM_TEXTS] = {
        [INFO_DEVICE] = file->device,   [INFO_VENDOR] = file->vendor,   [INFO_PLATFORM] = file->platform,
        [INFO_DRIVER] = file->driver,   [INFO_VERSION] = file->version, [INFO_PROGRAM] = file->program,
        [INFO_OPTIONS] = file->options, [INFO_NAME] = file->name,
    };
    *copy = (info_file){.state = file->state,
                        .num_bytes = file->num_bytes,
                        .used_nanoseconds = file->used_nanoseconds,
                        .has_verdict = file->verdict != NULL};
    if (file->verdict)
        copy->verdict = *file->verdict;
    bool good = true;
    for (int text = 0; text < INFO_NUM_TEXTS; text++) {
        copy->texts[text] = strdup(texts[text]);
        good = good && copy->texts[text];
    }
    if (!good)
        file_finish(copy);
    return good;
}

static bool reserve_file(collection *collected)
{
    info_cache *cache = collected->cache;
    if (cache->num_files < collected->capacity)
        return true;
    const int capacity = collected->capacity > 0 ? 2 * collected->capacity : 64;
    info_file *files = realloc(cache->files, (size_t)capacity * sizeof *files);
    if (!files)
        return false;
    cache->files = files;
    collected->capacity = capacity;
    return true;
}

/* A clattn_cache_visitor. */
static void collect(void *user, const clattn_cache_file *file)
{
    collection *collected = user;
    info_cache *cache = collected->cache;
    if (collected->failed || !reserve_file(collected) || !copy_file(&cache->files[cache->num_files], file)) {
        collected->failed = true;
        return;
    }
    cache->num_files++;
}

/* -1, 0 or 1 as the first `num_texts` texts compare. */
static int compare_texts(const info_file *a, const info_file *b, int num_texts)
{
    int order = 0;
    for (int text = 0; order == 0 && text < num_texts; text++)
        order = strcmp(a->texts[text], b->texts[text]);
    return order;
}

static int compare_files(const void *left, const void *right)
{
    const info_file *a = left;
    const info_file *b = right;
    return a->state != b->state ? (int)a->state - (int)b->state : compare_texts(a, b, INFO_NUM_TEXTS);
}

/* What is wrong with the directory is part of what is told; false if it is something else. */
static bool check_status(info_cache *cache, clattn_context *ctx, clattn_status status, const char *call)
{
    if (status != CLATTN_INVALID_ARGUMENT)
        return tool_check(ctx, status, call);
    if (!cache->error)
        cache->error = strdup(clattn_context_last_error(ctx));
    return cache->error || tool_error("out of memory");
}

bool info_cache_init(info_cache *cache, clattn_context *ctx, int cleared_part)
{
    const char *directory = clattn_context_cache_dir(ctx);
    *cache = (info_cache){.num_files = 0};
    if (!directory)
        return true;
    collection collected = {.cache = cache};
    cache->directory = strdup(directory);
    clattn_status status = CLATTN_OK;
    if (cleared_part >= 0)
        status = clattn_context_clear_cache(ctx, (clattn_cache_part)cleared_part, &cache->cleared);
    if (!check_status(cache, ctx, status, "clattn_context_clear_cache"))
        return false;
    status = clattn_context_visit_cache(ctx, collect, &collected);
    if (!check_status(cache, ctx, status, "clattn_context_visit_cache"))
        return false;
    if (!cache->directory || collected.failed)
        return tool_error("out of memory");
    if (cache->num_files > 1)
        qsort(cache->files, (size_t)cache->num_files, sizeof *cache->files, compare_files);
    return true;
}

void info_cache_finish(info_cache *cache)
{
    for (int i = 0; i < cache->num_files; i++)
        file_finish(&cache->files[i]);
    free(cache->files);
    free(cache->error);
    free(cache->directory);
    *cache = (info_cache){.num_files = 0};
}

static void count_valid(info_count *count, const info_file *file)
{
    if (file->has_verdict) {
        count->num_verdicts[file->verdict.kind]++;
        count->verdict_bytes += file->num_bytes;
    } else {
        count->num_programs++;
        count->program_bytes += file->num_bytes;
    }
    if (count->first_used == 0 || file->used_nanoseconds < count->first_used)
        count->first_used = file->used_nanoseconds;
    if (file->used_nanoseconds > count->last_used)
        count->last_used = file->used_nanoseconds;
}

info_count info_cache_count(const info_cache *cache, int first, int end)
{
    info_count count = {.num_files = end - first};
    for (int i = first; i < end; i++) {
        const info_file *file = &cache->files[i];
        count.num_bytes += file->num_bytes;
        count.num_in_state[file->state]++;
        if (file->state == CLATTN_CACHE_FILE_VALID)
            count_valid(&count, file);
    }
    return count;
}

int info_cache_num_damaged(const info_cache *cache)
{
    return info_cache_count(cache, 0, cache->num_files).num_in_state[CLATTN_CACHE_FILE_DAMAGED];
}

int info_cache_group_end(const info_cache *cache, int first)
{
    int end = first;
    while (end < cache->num_files && cache->files[end].state == CLATTN_CACHE_FILE_VALID &&
           compare_texts(&cache->files[end], &cache->files[first], INFO_NUM_GROUP_TEXTS) == 0)
        end++;
    return end;
}
