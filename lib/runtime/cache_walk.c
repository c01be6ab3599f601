/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a directory; see cache_walk.h. */
#include "runtime/cache_walk.h"

#include "runtime/program_cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000)
#define HASH_CHARACTERS 32
#define RANDOM_CHARACTERS 6 /* that mkstemp() puts behind the prefix */

/* Whether a text begins with `count` characters of a set; *text is moved behind them. */
static bool take(const char **text, const char *set, size_t count)
{
    if (strspn(*text, set) < count)
        return false;
    *text += count;
    return true;
}

static bool take_hash(const char **text)
{
    return take(text, "0123456789abcdef", HASH_CHARACTERS);
}

/* False: not a name of the cache. */
static bool kind_of(const char *name, clattn_cache_entry_kind *kind)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const size_t prefix_bytes = strlen(CLATTN_CACHE_TEMPORARY_PREFIX);
    const size_t suffix_bytes = strlen(CLATTN_CACHE_SUFFIX);
    const size_t name_bytes = strlen(name);
    if (strncmp(name, CLATTN_CACHE_TEMPORARY_PREFIX, prefix_bytes) == 0) {
        const char *rest = name + prefix_bytes;
        *kind = take_hash(&rest) ? CLATTN_CACHE_ENTRY_NOTE : CLATTN_CACHE_ENTRY_TEMPORARY;
        return (*kind == CLATTN_CACHE_ENTRY_NOTE || take(&rest, letters, RANDOM_CHARACTERS)) && *rest == '\0';
    }
    const char *rest = name;
    *kind = take_hash(&rest) && strcmp(rest, CLATTN_CACHE_SUFFIX) == 0 ? CLATTN_CACHE_ENTRY_FILE
                                                                       : CLATTN_CACHE_ENTRY_RENAMED;
    return name_bytes >= suffix_bytes && strcmp(name + name_bytes - suffix_bytes, CLATTN_CACHE_SUFFIX) == 0;
}

/* An entry that can be looked at; others are passed over. */
static bool walk_entry(clattn_cache_entry *entry, clattn_cache_walker walk, void *user)
{
    struct stat facts;
    if (stat(entry->path, &facts) != 0)
        return true;
    entry->num_bytes = (uint64_t)facts.st_size;
    entry->used_nanoseconds = (int64_t)facts.st_mtim.tv_sec * NANOSECONDS + facts.st_mtim.tv_nsec;
    if (entry->kind == CLATTN_CACHE_ENTRY_NOTE && facts.st_size == 0)
        entry->kind = CLATTN_CACHE_ENTRY_TEMPORARY;
    return walk(user, entry);
}

/* NULL behind the last one, and then errno is 0, or if it cannot be read. */
static const struct dirent *next_entry(DIR *entries)
{
    errno = 0;
    return readdir(entries);
}

int clattn_cache_walk(const char *directory, clattn_cache_walker walk, void *user)
{
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return errno == ENOENT ? 0 : errno;
    const size_t path_bytes = strlen(directory) + sizeof "/" + sizeof((struct dirent *)NULL)->d_name;
    char *path = malloc(path_bytes);
    int result = path == NULL ? ENOMEM : 0;
    bool goes_on = path != NULL;
    while (goes_on) {
        const struct dirent *found = next_entry(entries);
        clattn_cache_entry entry = {.path = path};
        if (found == NULL) {
            result = errno;
            break;
        }
        entry.name = found->d_name;
        snprintf(path, path_bytes, "%s/%s", directory, found->d_name);
        if (kind_of(found->d_name, &entry.kind))
            goes_on = walk_entry(&entry, walk, user);
    }
    free(path);
    closedir(entries);
    return result;
}

bool clattn_cache_is_stale(int64_t used_nanoseconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec - used_nanoseconds / NANOSECONDS > CLATTN_CACHE_STALE_SECONDS;
}
