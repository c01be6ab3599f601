/* SPDX-License-Identifier: Apache-2.0 */
/* Names, places and atomic replacement of cache files; what is in one is cache_file.c's. */
#include "runtime/program_cache.h"

#include "runtime/user_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void clattn_program_cache_name(const char *key, char name[CLATTN_CACHE_NAME_BYTES])
{
    const XXH128_hash_t hash = XXH3_128bits(key, strlen(key));
    snprintf(name, CLATTN_CACHE_NAME_BYTES, "%016llx%016llx" CLATTN_CACHE_SUFFIX, (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

/* NULL without memory. */
static char *path_of(const char *directory, const char *key)
{
    char name[CLATTN_CACHE_NAME_BYTES];
    clattn_program_cache_name(key, name);
    return clattn_path_join(directory, name);
}

/* The data of an open file, if it is this key's. */
static clattn_cache_result read_data(int file, const char *key, void **data, size_t *num_bytes)
{
    clattn_cache_contents contents;
    const clattn_cache_result result = clattn_cache_file_read(file, &contents);
    if (result != CLATTN_CACHE_HIT)
        return result;
    if (contents.key_bytes != strlen(key) || memcmp(contents.key, key, contents.key_bytes) != 0) {
        free(contents.key);
        return CLATTN_CACHE_REJECTED;
    }
    *data = memmove(contents.key, contents.data, contents.data_bytes);
    *num_bytes = contents.data_bytes;
    return CLATTN_CACHE_HIT;
}

clattn_cache_result clattn_program_cache_load(const char *directory, const char *key, void **data, size_t *num_bytes)
{
    *data = NULL;
    *num_bytes = 0;
    char *path = path_of(directory, key);
    if (path == NULL)
        return CLATTN_CACHE_MISS;
    const int file = clattn_cache_file_open(path);
    free(path);
    if (file < 0)
        return CLATTN_CACHE_MISS;
    const clattn_cache_result result = read_data(file, key, data, num_bytes);
    if (result == CLATTN_CACHE_HIT)
        (void)futimens(file, NULL); /* not where the directory is somebody else's: then the order is that of writing */
    close(file);
    return result != CLATTN_CACHE_UNREADABLE ? result : CLATTN_CACHE_MISS;
}

bool clattn_program_cache_make_directory(const char *directory)
{
    char *path = strdup(directory);
    if (path == NULL)
        return false;
    for (char *separator = strchr(path + 1, '/'); separator != NULL; separator = strchr(separator + 1, '/')) {
        *separator = '\0';
        (void)mkdir(path, 0700);
        *separator = '/';
    }
    (void)mkdir(path, 0700);
    free(path);
    return true;
}

/*
 * Writes under a name of its own and renames, so that readers and other writers see a whole file or none. Not synced:
 * what a power failure leaves behind fails its checksum.
 */
static bool write_file(char *temporary, const char *path, const char *key, const void *data, size_t num_bytes)
{
    const int file = mkstemp(temporary);
    if (file < 0)
        return false;
    bool written = clattn_cache_file_write(file, key, data, num_bytes);
    written = close(file) == 0 && written;
    written = written && rename(temporary, path) == 0;
    if (!written)
        (void)unlink(temporary);
    return written;
}

bool clattn_program_cache_save(const char *directory, const char *key, const void *data, size_t num_bytes)
{
    if (directory[0] == '\0' || num_bytes == 0 || !clattn_program_cache_make_directory(directory))
        return false;
    char *path = path_of(directory, key);
    char *temporary = clattn_path_join(directory, CLATTN_CACHE_TEMPORARY_PREFIX "XXXXXX");
    const bool written = path != NULL && temporary != NULL && write_file(temporary, path, key, data, num_bytes);
    free(temporary);
    free(path);
    return written;
}

void clattn_program_cache_remove(const char *directory, const char *key)
{
    char *path = path_of(directory, key);
    if (path != NULL)
        (void)unlink(path);
    free(path);
}

char *clattn_program_cache_directory(const char *requested)
{
    if (requested == NULL)
        return clattn_user_path("XDG_CACHE_HOME", "clattn", ".cache/clattn");
    return requested[0] != '\0' ? strdup(requested) : NULL;
}
