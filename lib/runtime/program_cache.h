/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk cache: one file per key, written under a temporary name and renamed, with a checksum. Without OpenCL.
 * Nothing here fails a caller: what cannot be read is absent, what cannot be written is reported once.
 */
#ifndef CLATTN_RUNTIME_PROGRAM_CACHE_H
#define CLATTN_RUNTIME_PROGRAM_CACHE_H

#include "runtime/cache_file.h"

#define CLATTN_CACHE_NAME_BYTES 48
#define CLATTN_CACHE_SUFFIX ".clattn"
#define CLATTN_CACHE_TEMPORARY_PREFIX ".clattn-" /* of a file that is being written */

/* The name of a key's file: a 128-bit hash and the suffix. */
void clattn_program_cache_name(const char *key, char name[CLATTN_CACHE_NAME_BYTES]);

/* Makes a directory and its parents; that it did not work shows when a file is made in it. False without memory. */
bool clattn_program_cache_make_directory(const char *directory);

/*
 * Reads the binary of `key` (the full text that identifies it: sources, defines, device, driver, platform; only
 * its hash names the file, the text itself is stored and compared). On a hit *data is malloc'ed and the caller frees
 * it, and the file's time becomes now: evictions go by it. What the system does not let us read is a miss.
 */
clattn_cache_result clattn_program_cache_load(const char *directory, const char *key, void **data, size_t *num_bytes);

/* Writes the binary of `key`, atomically replacing what is there; creates the directory. False if that did not work. */
bool clattn_program_cache_save(const char *directory, const char *key, const void *data, size_t num_bytes);

/* Removes the file of `key`, if any. */
void clattn_program_cache_remove(const char *directory, const char *key);

/* `requested`, or the default directory from the environment; malloc'ed, NULL = no disk cache. */
char *clattn_program_cache_directory(const char *requested);

#endif
