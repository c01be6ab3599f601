/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the program cache. A file is a header, the key's text and the binary, and is nothing but these: every byte
 * is either compared or under the checksum, because drivers crash on a damaged binary instead of refusing it.
 */
#include "runtime/program_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORMAT_VERSION 1u

static const char file_magic[8] = {'C', 'L', 'A', 'T', 'T', 'N', 'P', 'C'};

/* In the byte order of the host: a file from a machine of the other order is rejected by its version. */
typedef struct file_header {
    char magic[8];
    uint64_t version;
    uint64_t key_bytes;
    uint64_t data_bytes;
    uint64_t checksum; /* XXH3 of key and data */
} file_header;

static uint64_t checksum_of(const char *key, size_t key_bytes, const void *data, size_t data_bytes)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, key, key_bytes);
    XXH3_64bits_update(&state, data, data_bytes);
    return XXH3_64bits_digest(&state);
}

static char *join(const char *directory, const char *name)
{
    const size_t num_bytes = strlen(directory) + strlen(name) + 2;
    char *path = malloc(num_bytes);
    if (path != NULL)
        snprintf(path, num_bytes, "%s/%s", directory, name);
    return path;
}

/* "<directory>/<128-bit hash of the key>.clattn"; NULL without memory. */
static char *path_of(const char *directory, const char *key)
{
    const XXH128_hash_t hash = XXH3_128bits(key, strlen(key));
    char name[48];
    snprintf(name, sizeof name, "%016llx%016llx.clattn", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    return join(directory, name);
}

static bool read_all(int file, void *target, size_t num_bytes)
{
    char *position = target;
    while (num_bytes > 0) {
        const ssize_t count = read(file, position, num_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        position += count;
        num_bytes -= (size_t)count;
    }
    return true;
}

static bool write_all(int file, const void *source, size_t num_bytes)
{
    const char *position = source;
    while (num_bytes > 0) {
        const ssize_t count = write(file, position, num_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        position += count;
        num_bytes -= (size_t)count;
    }
    return true;
}

/* Reads the header and compares everything in it that can be known before the rest is read. */
static bool read_header(int file, size_t key_bytes, file_header *header)
{
    struct stat facts;
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size < 0)
        return false;
    if (!read_all(file, header, sizeof *header))
        return false;
    const uint64_t file_bytes = (uint64_t)facts.st_size;
    return memcmp(header->magic, file_magic, sizeof file_magic) == 0 && header->version == FORMAT_VERSION &&
           header->key_bytes == key_bytes && header->data_bytes > 0 &&
           file_bytes > sizeof *header + header->key_bytes &&
           header->data_bytes == file_bytes - sizeof *header - header->key_bytes;
}

static clattn_cache_result read_file(int file, const char *key, void **data, size_t *num_bytes)
{
    const size_t key_bytes = strlen(key);
    file_header header;
    if (!read_header(file, key_bytes, &header))
        return CLATTN_CACHE_REJECTED;
    const size_t data_bytes = (size_t)header.data_bytes;
    char *contents = malloc(key_bytes + data_bytes);
    if (contents == NULL)
        return CLATTN_CACHE_MISS;
    if (!read_all(file, contents, key_bytes + data_bytes) || memcmp(contents, key, key_bytes) != 0 ||
        checksum_of(contents, key_bytes, contents + key_bytes, data_bytes) != header.checksum) {
        free(contents);
        return CLATTN_CACHE_REJECTED;
    }
    memmove(contents, contents + key_bytes, data_bytes);
    *data = contents;
    *num_bytes = data_bytes;
    return CLATTN_CACHE_HIT;
}

clattn_cache_result clattn_program_cache_load(const char *directory, const char *key, void **data, size_t *num_bytes)
{
    *data = NULL;
    *num_bytes = 0;
    char *path = path_of(directory, key);
    if (path == NULL)
        return CLATTN_CACHE_MISS;
    /* Not blocking, or a named pipe of that name would hold the caller for ever. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(path);
    if (file < 0)
        return CLATTN_CACHE_MISS;
    const clattn_cache_result result = read_file(file, key, data, num_bytes);
    close(file);
    return result;
}

/* Makes a directory and its parents. That it did not work shows when a file is made in it. */
static void make_directory(const char *directory)
{
    char *path = strdup(directory);
    if (path == NULL)
        return;
    for (char *separator = strchr(path + 1, '/'); separator != NULL; separator = strchr(separator + 1, '/')) {
        *separator = '\0';
        (void)mkdir(path, 0700);
        *separator = '/';
    }
    (void)mkdir(path, 0700);
    free(path);
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
    file_header header = {.version = FORMAT_VERSION, .key_bytes = strlen(key), .data_bytes = num_bytes};
    memcpy(header.magic, file_magic, sizeof file_magic);
    header.checksum = checksum_of(key, (size_t)header.key_bytes, data, num_bytes);
    bool written = write_all(file, &header, sizeof header) && write_all(file, key, (size_t)header.key_bytes) &&
                   write_all(file, data, num_bytes);
    written = close(file) == 0 && written;
    written = written && rename(temporary, path) == 0;
    if (!written)
        (void)unlink(temporary);
    return written;
}

bool clattn_program_cache_save(const char *directory, const char *key, const void *data, size_t num_bytes)
{
    if (directory[0] == '\0' || num_bytes == 0)
        return false;
    make_directory(directory);
    char *path = path_of(directory, key);
    char *temporary = join(directory, ".clattn-XXXXXX");
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
    if (requested != NULL)
        return requested[0] != '\0' ? strdup(requested) : NULL;
    const char *cache_home = getenv("XDG_CACHE_HOME");
    /* The XDG base directory specification has relative paths ignored. */
    if (cache_home != NULL && cache_home[0] == '/')
        return join(cache_home, "clattn");
    const char *home = getenv("HOME");
    if (home != NULL && home[0] != '\0')
        return join(home, ".cache/clattn");
    return NULL;
}
