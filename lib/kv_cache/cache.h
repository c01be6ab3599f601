/* SPDX-License-Identifier: Apache-2.0 */
/* The KV cache's inside: page buffers of all layers, the sequences over them, and the last uploaded slot mapping. */
#ifndef CLATTN_KV_CACHE_CACHE_H
#define CLATTN_KV_CACHE_CACHE_H

#include "attention/problem.h"
#include "kv_cache/append.h"
#include "kv_cache/sequences.h"
#include "runtime/context.h"

#include <clattn/kv_cache.h>

struct clattn_kv_cache {
    clattn_context *ctx;           /* outlives the cache */
    clattn_kv_cache_params params; /* defaults filled in */
    clattn_sequences sequences;
    clattn_pages_address key_address; /* the same in every layer */
    clattn_pages_address value_address;
    cl_mem *key_pages;   /* [num_layers]; combined: K and V */
    cl_mem *value_pages; /* [num_layers]; combined: NULL */
    clattn_slot_upload slot_upload;
};

#endif
