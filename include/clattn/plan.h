/* SPDX-License-Identifier: Apache-2.0 */
/* The plan that one step's layers share. */
#ifndef CLATTN_PLAN_H
#define CLATTN_PLAN_H

#include <clattn/context.h>
#include <clattn/dtype.h>
#include <clattn/layout.h>
#include <clattn/tuning.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Everything about a step that its layers share: lengths, pages and the geometry of the heads.
 * Zero-initialise, then fill in.
 */
typedef struct clattn_plan_params {
    int32_t num_seqs;               /* >= 0 */
    int32_t total_tokens;           /* rows of queries and out, >= query_start_loc[num_seqs] */
    const int32_t *query_start_loc; /* [num_seqs+1], from 0, not decreasing; NULL = one query for each sequence */
    const int32_t *context_lens;    /* [num_seqs], KV tokens including this step's; dense: exclusive end of the keys */
    const int32_t *sequence_start;  /* [num_seqs], first visible key, < 0 counts as 0; NULL = 0; dense only */
    const int32_t *block_tables;    /* [num_seqs, pages_per_seq]; entries behind the used ones are not read */
    int32_t pages_per_seq;          /* row length of block_tables */
    bool dense;                     /* no block_tables: sequence s is page s, as in [num_seqs, page_size, Hkv, D] */
    const int64_t *slot_mapping;    /* [total_tokens] for clattn_kv_cache_append(); NULL = not used */
    int32_t num_q_heads;            /* a multiple of num_kv_heads */
    int32_t num_kv_heads;           /* >= 1 */
    int32_t head_dim;               /* 8..512, a multiple of 8 */
    int32_t head_dim_v;             /* width of V and out, 8..512, a multiple of 8; 0 = head_dim */
    int32_t page_size;              /* KV tokens per page, >= 1 */
    int32_t num_pages;              /* physical pages, >= 0 */
    clattn_kv_layout kv_layout;     /* decides in which order a CPU reads the pages */
    clattn_dtype kv_dtype;          /* of K and V, 0 = not known: chooses among tuning rows, and nothing else */
    int32_t sliding_window;         /* keys that a query sees, its own included; 0 = all */
    int32_t num_splits;             /* KV partitions of every row; 0 = chosen from the batch and the device. A device
                                       that ends long loops (max_loop_iterations) may need more or allow fewer */
    bool batch_invariant;           /* choose splits from each row's own KV length; excludes num_splits > 0 */
    const clattn_tuning *tuning;    /* override, read during the call; NULL = the device's row */
} clattn_plan_params;

/**
 * The work list of one step on the device, with the workspace for its splits: made once per step, used by every layer.
 * Same thread rule as its context; destroyed by clattn_plan_destroy() before the context. Work that was enqueued with a
 * plan keeps what it needs: a plan may be updated or destroyed while that work is still running.
 */
typedef struct clattn_plan clattn_plan;

/**
 * Checks a batch, cuts it into work items and uploads them.
 *
 * Edge      num_seqs 0 and sequences without queries are legal. Without query_start_loc there are as many tokens as
 *           sequences (or no sequence at all), and a context_len of 0 is legal: that row is written 0. Dense: the keys
 *           of a sequence are sequence_start..min(context_len, page_size)-1, none if that is empty, whatever the two
 *           numbers are; its query stands at context_len - 1. A window pair (L, R) is a sliding_window of L+1 there, of
 *           0 for an L of 2^31-1
 *           The device's row is chosen by the class of num_seqs among others, but not with num_splits or
 *           batch_invariant
 * Numerics  with num_splits > 0 or batch_invariant the work items of a sequence do not depend on the others
 * Async     the arrays are copied before the call returns; the upload is enqueued
 * Errors    INVALID_ARGUMENT  a NULL pointer, a count out of range, num_splits together with batch_invariant;
 *                             block_tables, pages_per_seq, query_start_loc or fewer pages than sequences with dense,
 *                             sequence_start without it
 *           INVALID_BATCH     query_start_loc not from 0 or decreasing, more queries than total_tokens, q_len >
 *                             context_len, a table too short for its context_len, a total_tokens other than num_seqs
 *                             where query_start_loc is NULL
 *           INVALID_PAGE      a used block table entry outside [0, num_pages): names sequence, logical page and value;
 *                             a slot outside [0, num_pages*page_size) or given twice
 *           UNSUPPORTED       head_dim or head_dim_v not a multiple of 8 in 8..512; a device that ends long loops
 *                             needs more partitions of a row's keys than it can join
 *           INVALID_TUNING    an override that the device cannot run
 *           SIZE_OVERFLOW     the work list or the workspace is larger than 2^31-1 entries, a sequence has more than
 *                             2^31-1-2^14 keys
 *           OUT_OF_DEVICE_MEMORY  the work list, or a workspace for splits that were asked for or are needed, is
 *                             larger than the device's largest buffer; or there is no memory
 *           OUT_OF_MEMORY, OPENCL_ERROR
 * Since     0.1
 */
CLATTN_API clattn_status clattn_plan_create(clattn_context *ctx, const clattn_plan_params *params, clattn_plan **plan);

/**
 * Replaces the batch of a plan, reusing its memory.
 *
 * Async     waits until the upload of the update before the last has been read: a caller that holds back the queue
 *           with a user event can make two updates ahead of it, not three
 * Errors    as clattn_plan_create(); the plan is unchanged then
 */
CLATTN_API clattn_status clattn_plan_update(clattn_plan *plan, const clattn_plan_params *params);

/**
 * Takes the memory now for every batch of at most num_seqs sequences, total_tokens query rows and max_context_len KV
 * tokens a sequence, so that updates with them allocate nothing. The plan stays what it is. The bound holds for the
 * plan's heads, page size, dtype, tuning and splits: an update that changes those may allocate again.
 *
 * Errors    INVALID_ARGUMENT  a NULL plan or a negative count
 *           SIZE_OVERFLOW     the work list or the workspace is larger than 2^31-1 entries
 *           OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY, OPENCL_ERROR; the plan works on, with as much memory as it got
 * Since     0.1
 */
CLATTN_API clattn_status clattn_plan_reserve(clattn_plan *plan, int32_t num_seqs, int32_t total_tokens,
                                             int32_t max_context_len);

/** Releases the plan and sets *plan to NULL; NULL and *plan == NULL are accepted. */
CLATTN_API void clattn_plan_destroy(clattn_plan **plan);

/** What a plan decided, for reports and tests. */
typedef struct clattn_plan_info {
    clattn_family family;
    int32_t num_decode_items;  /* work items of the decode kernel */
    int32_t num_prefill_items; /* work items of the prefill kernel */
    int32_t num_merge_items;   /* work items of the merge kernel: split rows, and rows that no sequence owns */
    int32_t max_splits;        /* most KV partitions of any row */
    int32_t block_q, block_kv; /* prefill tile */
    uint64_t workspace_bytes;  /* device memory for partial results */
    uint64_t metadata_bytes;   /* device memory for the work list */
} clattn_plan_info;

CLATTN_API clattn_status clattn_plan_get_info(const clattn_plan *plan, clattn_plan_info *info);

#ifdef __cplusplus
}
#endif

#endif
