/* SPDX-License-Identifier: Apache-2.0 */
/* The attention operations and the plan that one step's layers share. */
#ifndef CLATTN_ATTENTION_H
#define CLATTN_ATTENTION_H

#include <clattn/kv_cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The logit that a masked position is said to have (SEMANTICS: it shows only as the maximum of an empty row). */
#define CLATTN_DEFAULT_MASK_VALUE (-2.381976426469702e38f)

/**
 * Everything about a step that its layers share: lengths, pages and the geometry of the heads.
 * Zero-initialise, then fill in.
 */
typedef struct clattn_plan_params {
    int32_t num_seqs;               /* >= 0 */
    int32_t total_tokens;           /* rows of queries and out, >= query_start_loc[num_seqs] */
    const int32_t *query_start_loc; /* [num_seqs+1], from 0, not decreasing */
    const int32_t *context_lens;    /* [num_seqs], KV tokens including this step's */
    const int32_t *block_tables;    /* [num_seqs, pages_per_seq]; entries behind the used ones are not read */
    int32_t pages_per_seq;          /* row length of block_tables */
    const int64_t *slot_mapping;    /* [total_tokens] for clattn_kv_cache_append(); NULL = not used */
    int32_t num_q_heads;            /* a multiple of num_kv_heads */
    int32_t num_kv_heads;           /* >= 1 */
    int32_t head_dim;               /* 8..256, a multiple of 8 */
    int32_t page_size;              /* KV tokens per page, >= 1 */
    int32_t num_pages;              /* physical pages, >= 0 */
    clattn_kv_layout kv_layout;     /* decides in which order a CPU reads the pages */
    int32_t sliding_window;         /* keys that a query sees, its own included; 0 = all */
    int32_t num_splits;             /* KV partitions of every row; 0 = chosen from the batch and the device */
    bool batch_invariant;           /* choose splits from each row's own KV length; excludes num_splits > 0 */
    const clattn_tuning *tuning;    /* override, read during the call; NULL = the device's row */
} clattn_plan_params;

/**
 * Checks a batch, cuts it into work items and uploads them. A plan is the work list of one step on the device, with the
 * workspace for its splits: made once per step, used by every layer. Same thread rule as its context; destroyed by
 * clattn_plan_destroy() before the context. Work that was enqueued with a plan keeps what it needs: a plan may be
 * updated or destroyed while that work is still running.
 *
 * Edge      num_seqs 0 and sequences without queries are legal
 * Numerics  with num_splits > 0 or batch_invariant the work items of a sequence do not depend on the others
 * Async     the arrays are copied before the call returns; the upload is enqueued
 * Errors    INVALID_ARGUMENT  a NULL pointer, a count out of range, num_splits together with batch_invariant
 *           INVALID_BATCH     query_start_loc not from 0 or decreasing, more queries than total_tokens,
 *                             q_len > context_len, a table too short for its context_len
 *           INVALID_PAGE      a used block table entry outside [0, num_pages): names sequence, logical page and value;
 *                             a slot outside [0, num_pages*page_size) or given twice
 *           UNSUPPORTED       head_dim not a multiple of 8 in 8..256
 *           INVALID_TUNING    an override that the device cannot run
 *           SIZE_OVERFLOW     the work list or the workspace is larger than 2^31-1 entries
 *           OUT_OF_MEMORY, OUT_OF_DEVICE_MEMORY, OPENCL_ERROR
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
 * plan's heads, page size, tuning and splits: an update that changes those may allocate again.
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

/**
 * Operands of clattn_ragged_page_attention(). Zero-initialise, then fill in. Either `plan` or the batch fields
 * (num_seqs to block_tables, num_splits, batch_invariant, tuning) are given, not both.
 */
typedef struct clattn_ragged_page_attention_params {
    clattn_tensor queries;      /* [total_tokens, Hq, D] */
    clattn_tensor kv_pages;     /* combined [P, S, 2*Hkv, D]; or absent, and the two below are given */
    clattn_tensor key_pages;    /* separate K in kv_layout */
    clattn_tensor value_pages;  /* separate V in kv_layout */
    clattn_kv_layout kv_layout; /* COMBINED with kv_pages; NHD, HND or HEADS_FIRST with key_pages and value_pages */
    clattn_tensor out;          /* [total_tokens, Hq, D] */
    clattn_tensor lse;          /* [total_tokens, Hq] float32, or absent */
    clattn_tensor softmax_aux;  /* [Hq] float32 attention sinks, or absent */
    float softmax_scale;        /* 0 = 1/sqrt(head_dim) */
    float logits_soft_cap;      /* 0 = off */
    float mask_value; /* 0 = CLATTN_DEFAULT_MASK_VALUE; finite and <= -1e30; here no row is empty, so it never shows */
    int32_t sliding_window;     /* keys that a query sees, its own included; 0 = all; equal to the plan's */
    clattn_dtype compute_dtype; /* arithmetic of the products: 0 or float32 */
    const clattn_plan *plan;    /* NULL = plan this call from the fields below */
    int32_t num_seqs;
    const int32_t *query_start_loc; /* [num_seqs+1] host */
    const int32_t *context_lens;    /* [num_seqs] host */
    const int32_t *block_tables;    /* [num_seqs, pages_per_seq] host */
    int32_t pages_per_seq;
    int32_t num_splits;
    bool batch_invariant;
    const clattn_tuning *tuning;
} clattn_ragged_page_attention_params;

/**
 * Causal attention of a ragged batch, prefill and decode mixed, over a paged KV cache:
 * out[t, h] = sum_k softmax_k(cap(scale * q[t, h] . K[k, h/group])) V[k, h/group] over the keys that t sees.
 *
 * Shapes    as in clattn_ragged_page_attention_params; Hq a multiple of Hkv; D a multiple of 8 in 8..256
 * Units     row j of a sequence with q_len rows stands at position p = context_len - q_len + j and sees the keys
 *           max(0, p-W+1)..p for a window of W tokens, 0..p without one. W counts the query itself
 *           (ejkernel's Triton kernel lets W+1 keys through)
 * Edge      rows at or past query_start_loc[num_seqs] are written 0, their lse -inf; a slot that no query sees is
 *           never multiplied, whatever it holds; table entries behind the used ones are not read. out and lse must not
 *           share bytes with each other or with an operand
 * Numerics  float32 accumulation for every dtype; the same inputs give bitwise the same output; with num_splits or
 *           batch_invariant a sequence's rows do not depend on the rest of the batch. lse is the natural logarithm
 *           of the sum of exponentials, sinks included
 * Async     enqueued on the context's queue; buffers live until the event completes. Host arrays are copied. Without a
 *           plan, waits as clattn_plan_update() does
 * Errors    INVALID_ARGUMENT  a missing tensor, a misaligned offset, head counts that do not divide, an option out of
 *                             range, a result that overlaps another tensor, fields of the batch with a plan
 *           INVALID_SHAPE, INVALID_DTYPE, BUFFER_TOO_SMALL  a tensor that does not fit the others or its buffer
 *           UNSUPPORTED       head_dim or compute_dtype
 *           PLAN_MISMATCH     the plan was made for other heads, pages, window or context
 *           and those of clattn_plan_create(). *event is NULL and nothing is enqueued then, except that BUILD_FAILED
 *           and OPENCL_ERROR may leave work behind that writes to out
 * Source    Kwon et al., PagedAttention, arXiv 2309.06180; Dao, FlashAttention-2, arXiv 2307.08691, Algorithm 1
 * Since     0.1
 */
CLATTN_API clattn_status clattn_ragged_page_attention(clattn_context *ctx,
                                                      const clattn_ragged_page_attention_params *params,
                                                      cl_uint num_wait_events, const cl_event *wait_events,
                                                      cl_event *event);

#ifdef __cplusplus
}
#endif

#endif
