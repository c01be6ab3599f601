/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a cache directory within a size. Processes that share it need not agree: who reads a file that another removes
 * has either opened it, and reads all of it, or misses it. Without OpenCL.
 */
#ifndef CLATTN_RUNTIME_CACHE_EVICT_H
#define CLATTN_RUNTIME_CACHE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

/* What an eviction found and did. */
typedef struct clattn_cache_eviction {
    uint64_t num_bytes;   /* of the programs and verdicts that are left */
    uint64_t num_evicted; /* files */
} clattn_cache_eviction;

/*
 * Removes the least recently used files until programs and verdicts together have at most `max_bytes`, but not the file
 * of `kept_key`, which has just been written. Verdicts go after the last program, and that a kernel crashed is never
 * forgotten: to find that out again costs a process its life. Temporary files that were left behind go in any case.
 * What cannot be read or removed stays. False, with nothing evicted, if the directory could not be listed.
 */
bool clattn_cache_evict(const char *directory, uint64_t max_bytes, const char *kept_key,
                        clattn_cache_eviction *eviction);

#endif
