/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in a context's cache directory, and how to clear it. */
#ifndef CLATTN_CACHE_H
#define CLATTN_CACHE_H

#include <clattn/context.h>
#include <clattn/verdict.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a file of the cache is good for. */
typedef enum clattn_cache_file_state {
    CLATTN_CACHE_FILE_VALID = 0,     /* whole, and of this format */
    CLATTN_CACHE_FILE_DAMAGED = 1,   /* truncated, altered or unreadable: replaced when its program is next needed */
    CLATTN_CACHE_FILE_FOREIGN = 2,   /* whole, but of another format or renamed: never used */
    CLATTN_CACHE_FILE_TEMPORARY = 3, /* being written, or left behind by a process that died */
    CLATTN_CACHE_FILE_NOTE = 4, /* a process tries a kernel, or died doing so: becomes the verdict that it crashed */
    CLATTN_NUM_CACHE_FILE_STATES = 5
} clattn_cache_file_state;

/** "valid", "damaged", "foreign", "temporary", "note"; "invalid" otherwise. */
CLATTN_API const char *clattn_cache_file_state_name(clattn_cache_file_state state);

/** A file of the cache: a program or, where kernels prove themselves, the verdict on one. The texts behind the numbers
 * are "" unless the state is VALID. */
typedef struct clattn_cache_file {
    const char *name; /* within the directory */
    clattn_cache_file_state state;
    uint64_t num_bytes;       /* of the file */
    int64_t used_nanoseconds; /* since 1970: when it was written, or last loaded; evictions go by it */
    const char *version;      /* of clattn, that wrote it */
    const char *platform;     /* these four as in clattn_device_facts */
    const char *device;
    const char *vendor;
    const char *driver;
    const char *program;           /* such as "simt/decode" */
    const char *options;           /* that the program was built with */
    const clattn_verdict *verdict; /* on that program; NULL = the file is the program, or is not VALID */
} clattn_cache_file;

/** Receives one file; what it points to lives during the call. */
typedef void (*clattn_cache_visitor)(void *user, const clattn_cache_file *file);

/** The directory of the context's disk cache; NULL = none. Valid as long as the context. */
CLATTN_API const char *clattn_context_cache_dir(const clattn_context *ctx);

/**
 * Reads every file of the context's cache directory and hands it to `visit`, in no particular order: also those of
 * other devices, drivers and versions. Files that are not the cache's are passed over: those that have none of its
 * names, and, if they only end like one, are not whole either.
 *
 * Edge      a context without a disk cache and a directory that is not there hold no files; a file that vanishes
 *           meanwhile is not one of them
 * Errors    INVALID_ARGUMENT  ctx or visit is NULL; the directory cannot be read; the process has too many files open
 *           OUT_OF_MEMORY     with both of the last some files may have been visited
 * Since     0.1
 */
CLATTN_API clattn_status clattn_context_visit_cache(clattn_context *ctx, clattn_cache_visitor visit, void *user);

/** Which files a clearing removes: those of all devices, drivers and versions. */
typedef enum clattn_cache_part {
    CLATTN_CACHE_USELESS = 0,  /* damaged, foreign, and temporary ones that have been there for an hour */
    CLATTN_CACHE_PROGRAMS = 1, /* those, and programs; what is known of kernels stays: verdicts and notes */
    CLATTN_CACHE_ALL = 2,      /* everything */
    CLATTN_NUM_CACHE_PARTS = 3
} clattn_cache_part;

/** "useless", "programs", "all"; "invalid" otherwise. */
CLATTN_API const char *clattn_cache_part_name(clattn_cache_part part);

/** What a clearing has removed. */
typedef struct clattn_cache_cleared {
    uint64_t num_files;
    uint64_t num_bytes;
} clattn_cache_cleared;

/**
 * Removes files from the context's cache directory, after reading them as clattn_context_visit_cache() does. No other
 * file is touched, and the directory stays. The programs that the context holds in memory stay in use.
 *
 * Edge      *cleared counts what was removed, also on failure; NULL = not wanted. A context without a disk cache and a
 *           directory that is not there hold no files. Other processes may be using the directory: they build what
 *           they miss. A foreign file may be of use to another version of clattn
 * Errors    INVALID_ARGUMENT  ctx is NULL; part out of range; the directory cannot be read; the process has too many
 *                             files open; a file cannot be removed: all others are
 *           OUT_OF_MEMORY     some files may have been removed
 * Since     0.1
 */
CLATTN_API clattn_status clattn_context_clear_cache(clattn_context *ctx, clattn_cache_part part,
                                                    clattn_cache_cleared *cleared);

#ifdef __cplusplus
}
#endif

#endif
