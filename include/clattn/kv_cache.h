/* SPDX-License-Identifier: Apache-2.0 */
/* The persistent paged KV cache: pages on the device, sequences and their block tables on the host. */
#ifndef CLATTN_KV_CACHE_H
#define CLATTN_KV_CACHE_H

#include <clattn/context.h>
#include <clattn/layout.h>
#include <clattn/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a KV cache holds. Zero-initialise, then fill in. */
typedef struct clattn_kv_cache_params {
    int32_t num_layers;      /* transformer layers, >= 1 */
    int32_t num_pages;       /* pages per layer, >= 1 */
    int32_t page_size;       /* KV tokens per page, >= 1 */
    int32_t num_kv_heads;    /* >= 1 */
    int32_t head_dim;        /* elements of a K row, >= 1 */
    int32_t head_dim_v;      /* elements of a V row, 0 = head_dim; COMBINED needs both equal */
    int32_t max_seqs;        /* sequences alive at once, 0 = num_pages */
    clattn_dtype dtype;      /* storage, 0 = float16 */
    clattn_kv_layout layout; /* 0 = combined */
} clattn_kv_cache_params;

/**
 * Pages of all layers and the sequences that own them. A page holds the same tokens in every layer.
 * Same thread rule as its context; destroyed by clattn_kv_cache_destroy() before the context.
 */
typedef struct clattn_kv_cache clattn_kv_cache;

/** A sequence of one cache: small, copied by value, never reused while alive. 0 is no sequence. */
typedef uint64_t clattn_sequence;

/**
 * Allocates the pages of every layer; their contents are undefined until appended.
 *
 * Errors    INVALID_ARGUMENT      a NULL pointer or a count out of range
 *           INVALID_DTYPE         no storage dtype
 *           UNSUPPORTED           head_dim_v != head_dim with the combined layout
 *           SIZE_OVERFLOW         the size of a layer overflows
 *           OUT_OF_DEVICE_MEMORY  a layer is larger than the device's largest buffer, or an allocation failed
 *           OUT_OF_MEMORY         host
 * Since     0.1
 */
CLATTN_API clattn_status clattn_kv_cache_create(clattn_context *ctx, const clattn_kv_cache_params *params,
                                                clattn_kv_cache **cache);

/** Releases pages and sequences and sets *cache to NULL; NULL and *cache == NULL are accepted. */
CLATTN_API void clattn_kv_cache_destroy(clattn_kv_cache **cache);

/** The parameters in use, with defaults filled in; valid as long as the cache. */
CLATTN_API const clattn_kv_cache_params *clattn_kv_cache_get_params(const clattn_kv_cache *cache);

/** Pages that no sequence holds. */
CLATTN_API int32_t clattn_kv_cache_num_free_pages(const clattn_kv_cache *cache);

/**
 * The K and V tensors of one layer, in the cache's layout.
 *
 * Shapes    key_pages    combined: [P, S, 2*Hkv, D]; else as the layout says
 *           value_pages  combined: all zero; else as the layout says
 * Errors    INVALID_ARGUMENT  a NULL pointer or a layer outside [0, num_layers)
 */
CLATTN_API clattn_status clattn_kv_cache_layer(const clattn_kv_cache *cache, int32_t layer, clattn_tensor *key_pages,
                                               clattn_tensor *value_pages);

/** Starts an empty sequence. Errors: INVALID_ARGUMENT, OUT_OF_PAGES when max_seqs sequences are alive. */
CLATTN_API clattn_status clattn_sequence_create(clattn_kv_cache *cache, clattn_sequence *sequence);

/**
 * Starts a sequence that shares every page of `parent`. A partly filled last page is copied for whoever writes to it
 * first.
 *
 * Errors    INVALID_ARGUMENT, INVALID_SEQUENCE, OUT_OF_PAGES when max_seqs sequences are alive, OUT_OF_MEMORY
 */
CLATTN_API clattn_status clattn_sequence_fork(clattn_kv_cache *cache, clattn_sequence parent, clattn_sequence *child);

/** Shortens a sequence to num_tokens and gives back pages behind it. Errors: INVALID_SEQUENCE, INVALID_ARGUMENT if
 * longer or negative. */
CLATTN_API clattn_status clattn_sequence_truncate(clattn_kv_cache *cache, clattn_sequence sequence, int32_t num_tokens);

/** Ends a sequence, gives back its pages and sets *sequence to 0. Errors: INVALID_ARGUMENT, INVALID_SEQUENCE. */
CLATTN_API clattn_status clattn_sequence_release(clattn_kv_cache *cache, clattn_sequence *sequence);

/** KV tokens of a sequence; -1 if there is no such sequence. */
CLATTN_API int32_t clattn_sequence_length(const clattn_kv_cache *cache, clattn_sequence sequence);

/**
 * The arrays of one step, for a list of sequences; they belong to the cache and live until its next
 * clattn_kv_cache_extend() or until it is destroyed.
 */
typedef struct clattn_kv_batch {
    int32_t num_seqs;
    int32_t total_tokens;           /* new tokens of all sequences */
    int32_t pages_per_seq;          /* row length of block_tables */
    const int32_t *query_start_loc; /* [num_seqs+1] */
    const int32_t *context_lens;    /* [num_seqs], the new tokens included */
    const int32_t *block_tables;    /* [num_seqs, pages_per_seq], -1 behind the used entries */
    const int64_t *slot_mapping;    /* [total_tokens], page * page_size + slot of each new token */
} clattn_kv_batch;

/**
 * Lengthens sequences by num_new_tokens each, takes the pages for it and gives the arrays of the step.
 * All sequences or none. A shared page that is to be written is copied on the device first, in all layers.
 *
 * Shapes    sequences, num_new_tokens [num_seqs]; 0 new tokens are legal
 * Async     page copies are enqueued on the context's queue
 * Errors    INVALID_ARGUMENT  a NULL pointer, a negative count, a sequence listed twice
 *           INVALID_SEQUENCE  a sequence that is not alive
 *           SIZE_OVERFLOW     a length over 2^31-1
 *           OUT_OF_PAGES      too few free pages; nothing has changed
 *           OUT_OF_MEMORY, OPENCL_ERROR  nothing has changed
 * Since     0.1
 */
CLATTN_API clattn_status clattn_kv_cache_extend(clattn_kv_cache *cache, int32_t num_seqs,
                                                const clattn_sequence *sequences, const int32_t *num_new_tokens,
                                                clattn_kv_batch *batch);

/** New rows for one layer. Zero-initialise, then fill in. */
typedef struct clattn_kv_append_params {
    int32_t layer;               /* [0, num_layers) */
    clattn_tensor keys;          /* [total_tokens, Hkv, D], any dtype, any token and head stride */
    clattn_tensor values;        /* [total_tokens, Hkv, head_dim_v], any dtype */
    const clattn_plan *plan;     /* a plan that was made with slot_mapping; NULL = slot_mapping below */
    const int64_t *slot_mapping; /* [total_tokens] host, copied before the call returns; NULL if plan is given */
} clattn_kv_append_params;

/**
 * Writes new K and V rows into their slots, converting to the cache's dtype (round to nearest even).
 *
 * Edge      total_tokens 0 enqueues nothing but the event; two tokens with one slot are refused
 * Async     enqueued on the context's queue; keys and values live until the event completes
 * Errors    INVALID_ARGUMENT, INVALID_SHAPE, INVALID_DTYPE, BUFFER_TOO_SMALL, SIZE_OVERFLOW
 *           INVALID_PAGE      a slot outside [0, num_pages*page_size), or given twice
 *           PLAN_MISMATCH     the plan has no slot_mapping, or one of another length or page geometry
 *           BUILD_FAILED, KERNEL_REJECTED, OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY, OPENCL_ERROR
 * Since     0.1
 */
CLATTN_API clattn_status clattn_kv_cache_append(clattn_kv_cache *cache, const clattn_kv_append_params *params,
                                                cl_uint num_wait_events, const cl_event *wait_events, cl_event *event);

#ifdef __cplusplus
}
#endif

#endif
