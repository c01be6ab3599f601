/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses by time of use what to remove, and looks into files only once something has to go; see cache_evict.h. */
#include "runtime/cache_evict.h"

#include "runtime/cache_walk.h"
#include "runtime/program_cache.h"
#include "runtime/user_path.h"
#include "runtime/verdict_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a file is to an eviction. */
typedef enum candidate_worth {
    WORTH_PROGRAM, /* or damaged, and no loss */
    WORTH_VERDICT,
    WORTH_KEEPING, /* the verdict that a kernel crashed, or nobody knows */
} candidate_worth;

/* A file that may have to go. */
typedef struct candidate {
    char name[CLATTN_CACHE_NAME_BYTES];
    uint64_t num_bytes;
    int64_t used_nanoseconds;
    candidate_worth worth; /* as far as it is known: a program until it has been looked at */
} candidate;

typedef struct candidate_list {
    candidate *files;
    size_t num_files;
    size_t capacity;
    uint64_t num_bytes;
    bool out_of_memory;
} candidate_list;

static bool reserve_candidate(candidate_list *list)
{
    if (list->num_files < list->capacity)
        return true;
    const size_t capacity = list->capacity > 0 ? 2 * list->capacity : 64;
    candidate *files = realloc(list->files, capacity * sizeof *files);
    if (files == NULL)
        return false;
    list->files = files;
    list->capacity = capacity;
    return true;
}

/* A clattn_cache_walker: lists programs and verdicts, and removes what was left behind. */
static bool list_candidate(void *user, const clattn_cache_entry *entry)
{
    candidate_list *list = user;
    if (entry->kind == CLATTN_CACHE_ENTRY_TEMPORARY && clattn_cache_is_stale(entry->used_nanoseconds))
        (void)unlink(entry->path);
    if (entry->kind != CLATTN_CACHE_ENTRY_FILE)
        return true;
    list->out_of_memory = !reserve_candidate(list);
    if (list->out_of_memory)
        return false;
    candidate *file = &list->files[list->num_files++];
    *file = (candidate){.num_bytes = entry->num_bytes, .used_nanoseconds = entry->used_nanoseconds};
    memcpy(file->name, entry->name, strlen(entry->name) + 1);
    list->num_bytes += entry->num_bytes;
    return true;
}

/* Least recently used first; the names make it an order. */
static int compare_candidates(const void *left, const void *right)
{
    const candidate *a = left;
    const candidate *b = right;
    if (a->used_nanoseconds != b->used_nanoseconds)
        return a->used_nanoseconds < b->used_nanoseconds ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Looks at the beginning of a file. */
static candidate_worth guess_worth(int file)
{
    char start[sizeof CLATTN_VERDICT_KEY_START - 1];
    switch (clattn_cache_file_peek(file, start, sizeof start)) {
    case CLATTN_CACHE_HIT:
        return memcmp(start, CLATTN_VERDICT_KEY_START, sizeof start) == 0 ? WORTH_VERDICT : WORTH_PROGRAM;
    case CLATTN_CACHE_REJECTED:
        return WORTH_PROGRAM;
    default:
        return WORTH_KEEPING;
    }
}

/* Reads a file that began as a verdict. */
static candidate_worth read_worth(int file)
{
    clattn_cache_contents contents;
    clattn_verdict verdict;
    const clattn_cache_result result = clattn_cache_file_read(file, &contents);
    const bool is_crash = result == CLATTN_CACHE_HIT
                              ? clattn_verdict_decode(contents.data, contents.data_bytes, &verdict) &&
                                    verdict.kind == CLATTN_VERDICT_CRASHED
                              : result != CLATTN_CACHE_REJECTED;
    free(contents.key);
    return is_crash ? WORTH_KEEPING : WORTH_VERDICT;
}

/* What a file really is that is taken for a program or a verdict. */
static candidate_worth check_worth(const char *path, candidate_worth assumed)
{
    const int file = clattn_cache_file_open(path);
    if (file < 0)
        return errno == ENOENT ? assumed : WORTH_KEEPING;
    const candidate_worth worth = assumed == WORTH_PROGRAM ? guess_worth(file) : read_worth(file);
    close(file);
    return worth;
}

static void remove_file(const char *path, const candidate *file, clattn_cache_eviction *eviction)
{
    const bool removed = unlink(path) == 0;
    eviction->num_evicted += removed;
    if (removed || errno == ENOENT) /* or somebody else has removed it */
        eviction->num_bytes -= file->num_bytes;
}

/* Removes files that are worth so much, in their order, until the rest fits. */
static void remove_candidates(const char *directory, uint64_t max_bytes, const char *kept_name, candidate_worth worth,
                              candidate_list *list, clattn_cache_eviction *eviction)
{
    for (size_t i = 0; i < list->num_files && eviction->num_bytes > max_bytes; i++) {
        candidate *file = &list->files[i];
        if (file->worth != worth || strcmp(file->name, kept_name) == 0)
            continue;
        char *path = clattn_path_join(directory, file->name);
        if (path == NULL)
            return;
        file->worth = check_worth(path, worth);
        if (file->worth == worth)
            remove_file(path, file, eviction);
        free(path);
    }
}

bool clattn_cache_evict(const char *directory, uint64_t max_bytes, const char *kept_key,
                        clattn_cache_eviction *eviction)
{
    char kept_name[CLATTN_CACHE_NAME_BYTES];
    candidate_list list = {.files = NULL};
    clattn_program_cache_name(kept_key, kept_name);
    const bool listed = clattn_cache_walk(directory, list_candidate, &list) == 0 && !list.out_of_memory;
    *eviction = (clattn_cache_eviction){.num_bytes = list.num_bytes};
    if (listed && list.num_bytes > max_bytes) {
        qsort(list.files, list.num_files, sizeof *list.files, compare_candidates);
        remove_candidates(directory, max_bytes, kept_name, WORTH_PROGRAM, &list, eviction);
        remove_candidates(directory, max_bytes, kept_name, WORTH_VERDICT, &list, eviction);
    }
    free(list.files);
    return listed;
}
