/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a cache directory, sorted and counted, and what was removed from it before. */
#ifndef INFO_CACHE_H
#define INFO_CACHE_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* The texts of a file, in the order that files are sorted by. */
typedef enum info_text {
    INFO_DEVICE,
    INFO_VENDOR,
    INFO_PLATFORM,
    INFO_DRIVER,
    INFO_VERSION,
    INFO_NUM_GROUP_TEXTS, /* those before it are the same throughout a group */
    INFO_PROGRAM = INFO_NUM_GROUP_TEXTS,
    INFO_OPTIONS,
    INFO_NAME,
    INFO_NUM_TEXTS
} info_text;

typedef struct info_file {
    clattn_cache_file_state state;
    uint64_t num_bytes;
    int64_t used_nanoseconds; /* as in clattn_cache_file */
    bool has_verdict;         /* the file is a verdict on a program, not the program */
    clattn_verdict verdict;
    char *texts[INFO_NUM_TEXTS]; /* owned; "" but for the name if the state is not VALID */
} info_file;

/* Zero-initialised: no cache. */
typedef struct info_cache {
    char *directory; /* NULL = none */
    char *error;     /* why the directory could not be read or cleared; NULL = it could */
    clattn_cache_cleared cleared;
    int num_files;
    info_file *files; /* valid ones first */
} info_cache;

/* What some files of a cache come to. */
typedef struct info_count {
    int num_files;
    uint64_t num_bytes;
    int num_programs; /* valid files that are programs */
    uint64_t program_bytes;
    int num_verdicts[CLATTN_NUM_VERDICT_KINDS];
    uint64_t verdict_bytes;
    int64_t
        first_used; /* nanoseconds since 1970: the least recently used of the valid files, and the last one; 0 = none */
    int64_t last_used;
    int num_in_state[CLATTN_NUM_CACHE_FILE_STATES];
} info_count;

/* Clears a part of the cache of a context, unless it is negative, and reads the rest. Says on stderr what is wrong if
 * it returns false. */
bool info_cache_init(info_cache *cache, clattn_context *ctx, int cleared_part);
void info_cache_finish(info_cache *cache);

/* The files from `first` up to, not including, `end`. */
info_count info_cache_count(const info_cache *cache, int first, int end);

int info_cache_num_damaged(const info_cache *cache);

/* Behind the last file of the group that `first` starts; `first` itself if no group starts there. */
int info_cache_group_end(const info_cache *cache, int first);

#endif
