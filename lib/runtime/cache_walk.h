/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through a cache directory and tells by their names what is the cache's. What a file holds is cache_visit.c's
 * business, which files have to go that of cache_evict.c and cache_clear.c. Without OpenCL.
 */
#ifndef CLATTN_RUNTIME_CACHE_WALK_H
#define CLATTN_RUNTIME_CACHE_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* What somebody who died while writing leaves behind is older than this: a write takes milliseconds. */
#define CLATTN_CACHE_STALE_SECONDS 3600

typedef enum clattn_cache_entry_kind {
    CLATTN_CACHE_ENTRY_FILE,      /* has the name of a program or a verdict */
    CLATTN_CACHE_ENTRY_RENAMED,   /* ends like one: the cache's if its contents say so */
    CLATTN_CACHE_ENTRY_TEMPORARY, /* a file that is being written, or a note that says nothing yet */
    CLATTN_CACHE_ENTRY_NOTE,      /* of the trial of a kernel: see trial_note.h */
} clattn_cache_entry_kind;

typedef struct clattn_cache_entry {
    const char *name; /* within the directory */
    const char *path;
    clattn_cache_entry_kind kind;
    uint64_t num_bytes;
    int64_t used_nanoseconds; /* since 1970: when it was written, or last loaded */
} clattn_cache_entry;

/* Receives one entry, which lives during the call; may remove it. Returns whether to go on. */
typedef bool (*clattn_cache_walker)(void *user, const clattn_cache_entry *entry);

/*
 * Hands over everything in the directory that is the cache's by its name. Gives 0 or the errno of what went wrong; a
 * directory that is not there holds nothing, and what vanishes meanwhile is passed over.
 */
int clattn_cache_walk(const char *directory, clattn_cache_walker walk, void *user);

/* Whether a temporary file of that time has been left behind. */
bool clattn_cache_is_stale(int64_t used_nanoseconds);

#endif
