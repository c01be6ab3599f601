/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ragged paged attention problem for tests: described by a plain struct, built with poison wherever no query
 * looks, run through the public API, and compared with the reference.
 */
#ifndef SUPPORT_RAGGED_H
#define SUPPORT_RAGGED_H

#include "image.h"

/* What stands in page tails, unlisted pages and the gaps of inputs, and in poisoned tokens. */
typedef enum support_filler { SUPPORT_FILLER_NAN = 0, SUPPORT_FILLER_INFINITY, SUPPORT_FILLER_NUMBER } support_filler;

/*
 * A problem; zero fields mean the plain choice. What a token holds depends only on its sequence's seed, its position
 * and its head, so that two descriptions that share a sequence share its contents.
 */
typedef struct support_ragged_case {
    uint64_t seed;
    const uint64_t *sequence_seeds; /* [num_seqs], NULL = made from seed and the sequence's number */
    uint64_t page_seed;             /* which physical page holds which logical one */
    int32_t num_seqs;
    const int32_t *q_lens;       /* [num_seqs] */
    const int32_t *context_lens; /* [num_seqs] */
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t kv_head_repeats; /* neighbouring kv heads with the same contents, 0 = 1 */
    int32_t head_dim;
    int32_t page_size;
    clattn_kv_layout kv_layout;
    clattn_dtype query_dtype; /* 0 = float32, as kv_dtype and out_dtype */
    clattn_dtype kv_dtype;
    clattn_dtype value_dtype; /* of V where it has its own tensor, 0 = kv_dtype */
    clattn_dtype out_dtype;
    int32_t tail_rows; /* rows of queries and out that no sequence owns */
    bool strided;      /* every tensor with an offset and gaps */
    int32_t sliding_window;
    float softmax_scale;
    float logits_soft_cap;
    float query_factor; /* multiplies the queries, 0 = 1 */
    bool sinks;
    bool lse;
    bool constant_values; /* every token of a sequence has the same V */
    int32_t num_splits;
    bool batch_invariant;
    clattn_tuning tuning;
    support_filler filler;
    int32_t poisoned_seq;    /* the last poisoned_tokens tokens of this sequence hold the filler in K and V */
    int32_t poisoned_tokens; /* 0 = none */
} support_ragged_case;

/* A built problem: host arrays and images of every tensor, on the device. */
typedef struct support_ragged {
    support_ragged_case description; /* its pointers stay the caller's */
    int32_t total_tokens;
    int32_t num_pages;
    int32_t pages_per_seq;
    int32_t *query_start_loc;
    int32_t *block_tables;
    support_image queries;
    support_image keys;   /* the combined pages in the combined layout */
    support_image values; /* absent in the combined layout */
    support_image out;
    support_image lse;
    support_image sinks;
} support_ragged;

/* Where K and V of the problem lie, in elements of its images. */
typedef struct support_kv_strides {
    int64_t page;
    int64_t slot;
    int64_t head;
    int64_t value_offset; /* from a K row to its V row where one image holds both */
} support_kv_strides;

support_ragged *support_ragged_create(const support_device *device, const support_ragged_case *description);
void support_ragged_destroy(support_ragged **ragged);

support_kv_strides support_ragged_kv_strides(const support_ragged *ragged);

/* The description as k=v pairs, for messages. */
void support_ragged_describe(const support_ragged *ragged, char *text, size_t num_bytes);

/* The operands of the one-call form, and those of a plan for the same problem. */
clattn_ragged_page_attention_params support_ragged_params(const support_ragged *ragged);
clattn_plan_params support_ragged_plan_params(const support_ragged *ragged);

/* The operands with the batch taken out, for a call with this plan. */
clattn_ragged_page_attention_params support_ragged_params_with_plan(const support_ragged *ragged,
                                                                    const clattn_plan *plan);

/* Fill the outputs with the canary pattern; run; read back and look at the canaries. They fail the test, not return. */
void support_ragged_reset(support_ragged *ragged, const support_device *device);
void support_ragged_run(support_ragged *ragged, const support_device *device);
void support_ragged_run_with_plan(support_ragged *ragged, const support_device *device);
void support_ragged_read(support_ragged *ragged, const support_device *device);

/* Compares what was read back with the reference, under the contract's accuracy bound. */
void support_ragged_check(const support_ragged *ragged);

/* Builds, runs and checks; then runs again with a plan, which must give the same bits. */
void support_ragged_verify(const support_device *device, const support_ragged_case *description);

/* Fails unless the rows at positions [first, first + count) of a sequence are the same in two problems, bit for bit. */
void support_ragged_expect_same(const support_ragged *a, int32_t seq_a, const support_ragged *b, int32_t seq_b,
                                int32_t first, int32_t count);

/* The same within a tolerance: |a - b| <= tolerance * (1 + |a|). */
void support_ragged_expect_close(const support_ragged *a, int32_t seq_a, const support_ragged *b, int32_t seq_b,
                                 int32_t first, int32_t count, double tolerance);

/* Fails unless all bytes of the outputs are the same in two problems of the same geometry. */
void support_ragged_expect_same_bytes(const support_ragged *a, const support_ragged *b);

#endif
