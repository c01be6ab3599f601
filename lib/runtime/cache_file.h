/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of a cache file: a header, a key and data, under one checksum. Which files there are and how they are
 * named is program_cache.c's business, what a key says program_key.c's. Without OpenCL.
 */
#ifndef CLATTN_RUNTIME_CACHE_FILE_H
#define CLATTN_RUNTIME_CACHE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum clattn_cache_result {
    CLATTN_CACHE_HIT,
    CLATTN_CACHE_MISS,       /* no such file, or no memory for it */
    CLATTN_CACHE_REJECTED,   /* a file that is damaged, of another format or of another key */
    CLATTN_CACHE_UNREADABLE, /* the system does not give its bytes: nobody knows what they are */
} clattn_cache_result;

/* What a file holds, in one allocation that starts at `key`. */
typedef struct clattn_cache_contents {
    char *key; /* key_bytes and a NUL; owned */
    size_t key_bytes;
    char *data; /* within that allocation */
    size_t data_bytes;
} clattn_cache_contents;

/* Opens a file of the cache for reading; below 0 if there is none. Never waits, whatever lies under that name. */
int clattn_cache_file_open(const char *path);

/* Reads an open file. On a hit the caller frees contents->key; otherwise *contents is zero. */
clattn_cache_result clattn_cache_file_read(int file, clattn_cache_contents *contents);

/* The first bytes of an open file's key, for which nothing vouches. Rejected also if there are not so many. */
clattn_cache_result clattn_cache_file_peek(int file, char *start, size_t num_bytes);

/* The size of the file of a key and data. */
uint64_t clattn_cache_file_bytes(const char *key, size_t num_bytes);

/* Writes an open, empty file. */
bool clattn_cache_file_write(int file, const char *key, const void *data, size_t num_bytes);

#endif
