/* SPDX-License-Identifier: Apache-2.0 */
/* The attention operations. */
#ifndef CLATTN_ATTENTION_H
#define CLATTN_ATTENTION_H

#include <clattn/kv_cache.h>
#include <clattn/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The logit that a masked position is said to have (SEMANTICS: it shows only as the maximum of an empty row). */
#define CLATTN_DEFAULT_MASK_VALUE (-2.381976426469702e38f)

/**
 * Operands of clattn_ragged_page_attention(). Zero-initialise, then fill in. Either `plan` or the batch fields
 * (num_seqs to block_tables, num_splits, batch_invariant, tuning) are given, not both.
 */
typedef struct clattn_ragged_page_attention_params {
    clattn_tensor queries;      /* [total_tokens, Hq, D] */
    clattn_tensor kv_pages;     /* combined [P, S, 2*Hkv, D]; or absent, and the two below are given */
    clattn_tensor key_pages;    /* separate K in kv_layout */
    clattn_tensor value_pages;  /* separate V in kv_layout, of width Dv */
    clattn_kv_layout kv_layout; /* COMBINED with kv_pages; NHD, HND or HEADS_FIRST with key_pages and value_pages */
    clattn_tensor out;          /* [total_tokens, Hq, Dv] */
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
 * Shapes    as in clattn_ragged_page_attention_params; Hq a multiple of Hkv; D and Dv multiples of 8 in
 *           8..512, equal in combined pages
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
 *           UNSUPPORTED       head_dim, head_dim_v or compute_dtype; or as clattn_plan_create()
 *           PLAN_MISMATCH     the plan was made for other heads, pages, window or context
 *           BUILD_FAILED, KERNEL_REJECTED and those of clattn_plan_create(). *event is NULL and nothing is enqueued
 *           then, except where the driver took one kernel of the call and refused the next: out is undefined then
 * Source    Kwon et al., PagedAttention, arXiv 2309.06180; Dao, FlashAttention-2, arXiv 2307.08691, Algorithm 1
 * Since     0.1
 */
CLATTN_API clattn_status clattn_ragged_page_attention(clattn_context *ctx,
                                                      const clattn_ragged_page_attention_params *params,
                                                      cl_uint num_wait_events, const cl_event *wait_events,
                                                      cl_event *event);

/**
 * Operands of clattn_page_attention(). Zero-initialise, then fill in. Either `plan` or the batch fields (context_lens
 * to pages_per_seq, num_splits, batch_invariant, tuning) are given, not both.
 */
typedef struct clattn_page_attention_params {
    clattn_tensor query;         /* [num_seqs, Hq, D] */
    clattn_tensor key_cache;     /* K in kv_layout */
    clattn_tensor value_cache;   /* V in kv_layout, of width Dv */
    clattn_kv_layout kv_layout;  /* HND (blocks first), HEADS_FIRST or NHD; never guessed from a shape */
    clattn_tensor out;           /* [num_seqs, Hq, Dv] */
    clattn_tensor lse;           /* [num_seqs, Hq] float32, or absent */
    clattn_tensor softmax_aux;   /* [Hq] float32 attention sinks, or absent */
    float softmax_scale;         /* 0 = 1/sqrt(head_dim) */
    float logits_soft_cap;       /* 0 = off */
    float mask_value;            /* 0 = CLATTN_DEFAULT_MASK_VALUE; finite and <= -1e30; not shown by out or lse */
    int32_t sliding_window;      /* the last W keys; 0 = all; equal to the plan's */
    int32_t max_context_len;     /* promise that no context_len is larger, checked; 0 = none; also with a plan */
    clattn_dtype compute_dtype;  /* arithmetic of the products: 0 or float32 */
    const clattn_plan *plan;     /* made without query_start_loc; NULL = plan this call from the fields below */
    const int32_t *context_lens; /* [num_seqs] host */
    const int32_t *block_tables; /* [num_seqs, pages_per_seq] host; what stands behind the used entries is ignored */
    int32_t pages_per_seq;
    int32_t num_splits; /* KV partitions of every row; 0 = automatic */
    bool batch_invariant;
    const clattn_tuning *tuning; /* num_kv_pages_per_block: pages per tile; NULL = the device's row */
} clattn_page_attention_params;

/**
 * Attention of one query token for each sequence over a paged KV cache: the decode step. Row s sees the keys
 * [max(0, context_len - W), context_len), all of them without a window.
 *
 * Shapes    as in clattn_page_attention_params; Hq a multiple of Hkv; D and Dv multiples of 8 in 8..512
 * Edge      context_len 0 gives a row of 0 with lse -inf (ejkernel's XLA kernel gives the mean of V); a slot that no
 *           query sees is never multiplied, whatever it holds. out and lse must not share bytes with each other or with
 *           an operand
 * Numerics, Async  as clattn_ragged_page_attention(), which gives the same bits for q_len 1
 * Errors    as clattn_ragged_page_attention(); besides
 *           INVALID_ARGUMENT  kv_layout COMBINED, max_context_len < 0
 *           INVALID_BATCH     a context_len above max_context_len
 *           PLAN_MISMATCH     the plan holds another number of queries than one for each sequence, or a dense cache
 * Source    Kwon et al., PagedAttention, arXiv 2309.06180; ejkernel's page_attention, whose XLA kernel refuses or
 *           ignores soft cap, window, num_splits and pages_per_compute_block: they work here.
 *           megacore_mode and inline_seq_dim are notions of a TPU without a counterpart
 * Since     0.1
 */
CLATTN_API clattn_status clattn_page_attention(clattn_context *ctx, const clattn_page_attention_params *params,
                                               cl_uint num_wait_events, const cl_event *wait_events, cl_event *event);

/** Keys that a query at position p sees: p - left to p + right, both included; -1 = unlimited. */
typedef struct clattn_window {
    int32_t left;  /* tokens, >= -1 */
    int32_t right; /* tokens, >= -1 */
} clattn_window;

/**
 * Operands of clattn_ragged_decode_attention(). Zero-initialise, then fill in. Either `plan` or the batch fields
 * (sequence_start, sequence_end, num_splits, batch_invariant, tuning) are given, not both.
 */
typedef struct clattn_ragged_decode_attention_params {
    clattn_tensor query;                 /* [B, Hq, D] */
    clattn_tensor key;                   /* [B, seq_len, Hkv, D] */
    clattn_tensor value;                 /* [B, seq_len, Hkv, Dv] */
    clattn_tensor out;                   /* [B, Hq, Dv] */
    clattn_tensor lse;                   /* [B, Hq] float32, or absent */
    clattn_tensor softmax_aux;           /* [num_sinks], for every head, or [Hkv, num_sinks] float32, or absent */
    float softmax_scale;                 /* 0 = 1/sqrt(head_dim) */
    float logits_soft_cap;               /* 0 = off */
    float mask_value;                    /* 0 = CLATTN_DEFAULT_MASK_VALUE; finite and <= -1e30; not shown */
    const clattn_window *sliding_window; /* around p = sequence_end - 1; NULL = all keys */
    clattn_dtype compute_dtype;          /* arithmetic of the products: 0 or float32 */
    const clattn_plan *plan;       /* dense, sliding_window left + 1; NULL = plan this call from the fields below */
    const int32_t *sequence_start; /* [B] host, first key, < 0 counts as 0; NULL = 0 for every row */
    const int32_t *sequence_end;   /* [B] host, exclusive, > seq_len counts as seq_len */
    int32_t num_splits;            /* num_key_splits: KV partitions of every row; 0 = automatic */
    bool batch_invariant;
    const clattn_tuning *tuning; /* what ejkernel's fwd_params holds; NULL = the device's row */
} clattn_ragged_decode_attention_params;

/**
 * Attention of one query token for each row of a batch over a dense cache. Row b sees the keys
 * [max(0, start), min(end, seq_len)) that its window lets through. Its query stands at p = end - 1, behind seq_len too:
 * (L, R) sees the keys from p - L on, and R has no key to let through.
 *
 * Shapes    as in clattn_ragged_decode_attention_params; Hq a multiple of Hkv; D and Dv multiples of 8 in 8..512; any
 *           seq_len >= 1
 * Edge      a row with an empty range is written 0, its lse -inf; a key that no row sees is never multiplied, whatever
 *           it holds. out and lse must not share bytes with each other or with an operand
 * Numerics  as clattn_ragged_page_attention(). Every sink of a row enters its maximum and its sum once, without scale,
 *           cap or value
 * Async     as clattn_ragged_page_attention()
 * Errors    as clattn_ragged_page_attention(); besides
 *           INVALID_ARGUMENT  sequence_end is NULL, a side of the window below -1
 *           INVALID_SHAPE     softmax_aux of another rank than 1 or 2, or of another number of kv heads
 *           UNSUPPORTED       more sinks than fit into the loops of a device that ends long ones
 *           PLAN_MISMATCH     the plan was not made for a dense cache
 * Source    ejkernel's ragged_decode_attention; its GPU kernel ignores window, soft cap and sinks, they work here
 * Since     0.1
 */
CLATTN_API clattn_status clattn_ragged_decode_attention(clattn_context *ctx,
                                                        const clattn_ragged_decode_attention_params *params,
                                                        cl_uint num_wait_events, const cl_event *wait_events,
                                                        cl_event *event);

/**
 * Operands of clattn_ragged_attention(). Zero-initialise, then fill in. Either `plan` or the batch fields (starts,
 * lengths, num_splits, batch_invariant, tuning) are given, not both.
 */
typedef struct clattn_ragged_attention_params {
    clattn_tensor query;        /* [B, Hq, D] */
    clattn_tensor key;          /* [B, seq_len, Hkv, D] */
    clattn_tensor value;        /* [B, seq_len, Hkv, Dv] */
    clattn_tensor out;          /* [B, Hq, Dv] float32 */
    clattn_tensor max;          /* [B, Hq] float32: the row's largest logit; mask_value without a key */
    clattn_tensor denominator;  /* [B, Hq] float32: sum of exp(logit - max); 0 without a key */
    bool numerator;             /* out = sum of exp(logit - max) * V; false = that over the denominator */
    float softmax_scale;        /* 0 = 1, not 1/sqrt(head_dim) as elsewhere */
    float mask_value;           /* 0 = CLATTN_DEFAULT_MASK_VALUE; finite and <= -1e30 */
    clattn_dtype compute_dtype; /* arithmetic of the products: 0 or float32 */
    const clattn_plan *plan;    /* dense; NULL = plan this call from the fields below */
    const int32_t *starts;      /* [B] host, first key, exact, < 0 counts as 0; NULL = 0 for every row */
    const int32_t *lengths;     /* [B] host, exclusive end, > seq_len counts as seq_len */
    int32_t num_splits;         /* KV partitions of every row; 0 = automatic */
    bool batch_invariant;
    const clattn_tuning *tuning; /* block_kv: the block_size of the source; NULL = the device's row */
} clattn_ragged_attention_params;

/**
 * clattn_ragged_decode_attention() with the statistics of its softmax, for results that are to be merged:
 * out, max and denominator of the keys [max(0, start), min(length, seq_len)).
 *
 * Shapes    as in clattn_ragged_attention_params; Hq a multiple of Hkv; D and Dv multiples of 8 in 8..512
 * Units     logits and max are natural: softmax_scale * q . k. The default softmax_scale is 1, that of the source
 * Edge      a row without keys: out 0, max mask_value, denominator 0. The three results must not share bytes with each
 *           other or with an operand
 * Numerics, Async  as clattn_ragged_page_attention()
 * Errors    as clattn_ragged_page_attention(); besides
 *           INVALID_ARGUMENT  lengths is NULL
 *           INVALID_DTYPE     out, max or denominator not float32
 *           PLAN_MISMATCH     the plan was not made for a dense cache, or with a window
 * Source    EasyDeL's ragged_attention, which returns the numerator from its kernel and the quotient from its
 *           reference, rounds starts up to its block and drops the keys behind the last whole block: here the flag
 *           decides, every start is exact and no key is dropped
 * Since     0.1
 */
CLATTN_API clattn_status clattn_ragged_attention(clattn_context *ctx, const clattn_ragged_attention_params *params,
                                                 cl_uint num_wait_events, const cl_event *wait_events, cl_event *event);

/**
 * Operands of clattn_merge_states(). Zero-initialise, then fill in. The states are given, and the result is asked for,
 * as (out normalised, lse) or as (numerator, max, denominator). The states lie in one tensor each, in any order that
 * strides can express: the calls that make them write each its own slice.
 */
typedef struct clattn_merge_states_params {
    clattn_tensor states_out;         /* [num_states, num_tokens, Hq, Dv]; numerators with states_denominator */
    clattn_tensor states_lse;         /* [num_states, num_tokens, Hq] float32; or absent, and the two below are given */
    clattn_tensor states_max;         /* [num_states, num_tokens, Hq] float32 */
    clattn_tensor states_denominator; /* [num_states, num_tokens, Hq] float32 */
    clattn_tensor out;                /* [num_tokens, Hq, Dv] */
    clattn_tensor lse;                /* [num_tokens, Hq] float32, or absent */
    clattn_tensor max;                /* [num_tokens, Hq] float32, or absent; together with denominator, without lse */
    clattn_tensor denominator;        /* [num_tokens, Hq] float32, or absent */
    bool numerator;                   /* out = the numerator; needs max and denominator. false = normalised */
    float mask_value;                 /* max of a row without keys: 0 = CLATTN_DEFAULT_MASK_VALUE; finite, <= -1e30 */
} clattn_merge_states_params;

/**
 * Joins attention over disjoint sets of keys into attention over their union: with M the largest maximum,
 * out = sum_i exp(m_i - M) numerator_i / sum_i exp(m_i - M) denominator_i. A state by its lse has m = lse, numerator
 * = out and denominator 1.
 *
 * Shapes    as in clattn_merge_states_params; num_states >= 0; Dv a multiple of 8 in 8..512
 * Edge      a state with lse -inf or denominator 0 is empty and has no influence, whatever its out and max hold. No
 *           state at all, or only empty ones: out 0, lse -inf, max mask_value, denominator 0. A sink that entered
 *           several states counts as often: give it to one of them. The results must not share bytes with each other
 *           or with an operand
 * Numerics  float32; associative and commutative up to rounding; the same inputs give bitwise the same output
 * Async     enqueued on the context's queue; buffers live until the event completes
 * Errors    INVALID_ARGUMENT  a missing tensor, both forms of a state given or neither, numerator without max and
 *                             denominator, mask_value, a result that overlaps another tensor
 *           INVALID_SHAPE, INVALID_DTYPE, BUFFER_TOO_SMALL  a tensor that does not fit the others or its buffer
 *           UNSUPPORTED       Dv; more states than fit into the loops of a device that ends long ones
 *           SIZE_OVERFLOW     more than 2^31-1 rows of a head
 *           BUILD_FAILED, KERNEL_REJECTED, OPENCL_ERROR. *event is NULL and nothing is enqueued then
 * Source    Ye et al., FlashInfer, arXiv 2501.01005, section 2.2; Dao et al., flash-decoding
 * Since     0.1
 */
CLATTN_API clattn_status clattn_merge_states(clattn_context *ctx, const clattn_merge_states_params *params,
                                             cl_uint num_wait_events, const cl_event *wait_events, cl_event *event);

#ifdef __cplusplus
}
#endif

#endif
