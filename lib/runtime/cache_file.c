/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes cache files. A file is a header, the key's text and the data, and is nothing but these: every byte
 * is either compared or under the checksum, because drivers crash on a damaged binary instead of refusing it.
 */
#include "runtime/cache_file.h"

#include <errno.h>
#include <fcntl.h>
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

/* A hit, or a file that ends before, or one that cannot be read. */
static clattn_cache_result read_all(int file, void *target, size_t num_bytes)
{
    char *position = target;
    while (num_bytes > 0) {
        const ssize_t count = read(file, position, num_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? CLATTN_CACHE_UNREADABLE : CLATTN_CACHE_REJECTED;
        position += count;
        num_bytes -= (size_t)count;
    }
    return CLATTN_CACHE_HIT;
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

int clattn_cache_file_open(const char *path)
{
    /* Not blocking, or a named pipe of that name would hold the caller for ever. */
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Reads the header and compares everything in it that can be known before the rest is read. */
static clattn_cache_result read_header(int file, file_header *header)
{
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return CLATTN_CACHE_UNREADABLE;
    if (!S_ISREG(facts.st_mode) || facts.st_size < 0)
        return CLATTN_CACHE_REJECTED;
    const clattn_cache_result result = read_all(file, header, sizeof *header);
    if (result != CLATTN_CACHE_HIT)
        return result;
    const uint64_t file_bytes = (uint64_t)facts.st_size;
    const bool is_ours = memcmp(header->magic, file_magic, sizeof file_magic) == 0 &&
                         header->version == FORMAT_VERSION && header->data_bytes > 0 && file_bytes > sizeof *header &&
                         file_bytes < SIZE_MAX && header->key_bytes < file_bytes - sizeof *header &&
                         header->data_bytes == file_bytes - sizeof *header - header->key_bytes;
    return is_ours ? CLATTN_CACHE_HIT : CLATTN_CACHE_REJECTED;
}

clattn_cache_result clattn_cache_file_read(int file, clattn_cache_contents *contents)
{
    *contents = (clattn_cache_contents){0};
    file_header header;
    clattn_cache_result result = read_header(file, &header);
    if (result != CLATTN_CACHE_HIT)
        return result;
    const size_t key_bytes = (size_t)header.key_bytes;
    const size_t data_bytes = (size_t)header.data_bytes;
    char *key = malloc(key_bytes + 1 + data_bytes);
    if (key == NULL)
        return CLATTN_CACHE_MISS;
    char *data = key + key_bytes + 1;
    key[key_bytes] = '\0';
    result = read_all(file, key, key_bytes);
    if (result == CLATTN_CACHE_HIT)
        result = read_all(file, data, data_bytes);
    if (result == CLATTN_CACHE_HIT && checksum_of(key, key_bytes, data, data_bytes) != header.checksum)
        result = CLATTN_CACHE_REJECTED;
    if (result != CLATTN_CACHE_HIT) {
        free(key);
        return result;
    }
    *contents = (clattn_cache_contents){.key = key, .key_bytes = key_bytes, .data = data, .data_bytes = data_bytes};
    return CLATTN_CACHE_HIT;
}

clattn_cache_result clattn_cache_file_peek(int file, char *start, size_t num_bytes)
{
    file_header header;
    const clattn_cache_result result = read_header(file, &header);
    if (result != CLATTN_CACHE_HIT)
        return result;
    return header.key_bytes >= num_bytes ? read_all(file, start, num_bytes) : CLATTN_CACHE_REJECTED;
}

uint64_t clattn_cache_file_bytes(const char *key, size_t num_bytes)
{
    return sizeof(file_header) + strlen(key) + (uint64_t)num_bytes;
}

bool clattn_cache_file_write(int file, const char *key, const void *data, size_t num_bytes)
{
    file_header header = {.version = FORMAT_VERSION, .key_bytes = strlen(key), .data_bytes = num_bytes};
    memcpy(header.magic, file_magic, sizeof file_magic);
    header.checksum = checksum_of(key, (size_t)header.key_bytes, data, num_bytes);
    return write_all(file, &header, sizeof header) && write_all(file, key, (size_t)header.key_bytes) &&
           write_all(file, data, num_bytes);
}
