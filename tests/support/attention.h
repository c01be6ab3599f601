/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attention problem for tests, through any of the library's operations: described by a plain struct, built with
 * poison wherever no query looks, run through the public API, and compared with the reference.
 */
#ifndef SUPPORT_ATTENTION_H
#define SUPPORT_ATTENTION_H

#include "image.h"

/* The clattn_..._attention() that runs the problem. The last two have a dense cache, all but the first one query each.
 */
typedef enum support_operation {
    SUPPORT_RAGGED_PAGE = 0,
    SUPPORT_PAGE,
    SUPPORT_RAGGED_DECODE,
    SUPPORT_RAGGED,
} support_operation;

/* What stands in page tails, unlisted pages and the gaps of inputs, and in every token that no query sees. */
typedef enum support_filler {
    SUPPORT_FILLER_NAN = 0,
    SUPPORT_FILLER_INFINITY,
    SUPPORT_FILLER_NUMBER,
    SUPPORT_FILLER_HUGE, /* near the largest float32, infinity in float16 */
} support_filler;

/* The shape of the attention sinks. */
typedef enum support_sinks {
    SUPPORT_SINKS_NONE = 0,
    SUPPORT_SINKS_PER_HEAD,    /* [num_q_heads], paged operations */
    SUPPORT_SINKS_SHARED,      /* [num_sinks], ragged_decode_attention, as the next one */
    SUPPORT_SINKS_PER_KV_HEAD, /* [num_kv_heads, num_sinks] */
} support_sinks;

/*
 * A problem; zero fields mean the plain choice. What a token holds depends only on its sequence's seed, its position
 * and its head, so that two descriptions that share a sequence share its contents. A field that the operation does not
 * have must be 0.
 */
typedef struct support_attention_case {
    support_operation operation;
    uint64_t seed;
    const uint64_t *sequence_seeds; /* [num_seqs], NULL = made from seed and the sequence's number */
    uint64_t page_seed;             /* which physical page holds which logical one */
    bool shared_pages;              /* paged only: sequences with the same seed list the same pages */
    int32_t num_seqs;
    const int32_t *q_lens;       /* [num_seqs], NULL = 1 for each sequence */
    const int32_t *context_lens; /* [num_seqs]; dense: the exclusive ends, any number */
    const int32_t *kv_starts;    /* [num_seqs], dense only, any number; NULL = given to the library as NULL */
    int32_t seq_len;             /* dense only: keys of a row */
    int32_t max_context_len;     /* page_attention's promise */
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t kv_head_repeats; /* neighbouring kv heads with the same contents, 0 = 1 */
    int32_t head_dim;
    int32_t head_dim_v;         /* 0 = head_dim */
    int32_t page_size;          /* paged only */
    clattn_kv_layout kv_layout; /* paged only */
    clattn_dtype query_dtype;   /* 0 = float32, as kv_dtype and out_dtype */
    clattn_dtype kv_dtype;
    clattn_dtype value_dtype; /* of V where it has its own tensor, 0 = kv_dtype */
    clattn_dtype out_dtype;
    int32_t tail_rows;           /* rows of queries and out that no sequence owns */
    bool strided;                /* every tensor with an offset and gaps */
    int32_t sliding_window;      /* paged only */
    const clattn_window *window; /* ragged_decode_attention only */
    float softmax_scale;
    float logits_soft_cap;
    float mask_value;
    float query_factor; /* multiplies the queries, 0 = 1 */
    support_sinks sinks;
    int32_t num_sinks;    /* of a row, where the shape has that dimension */
    bool lse;             /* ragged_attention has max and denominator in its place, always */
    bool numerator;       /* ragged_attention only */
    bool constant_values; /* every token of a sequence has the same V */
    int32_t num_splits;
    bool batch_invariant;
    clattn_tuning tuning;
    support_filler filler;
    int32_t poisoned_seq;    /* the last poisoned_tokens tokens of this sequence hold the filler in K and V */
    int32_t poisoned_tokens; /* 0 = none */
} support_attention_case;

/* What the operations write; none of them writes all. */
typedef enum support_result {
    SUPPORT_OUT = 0,
    SUPPORT_LSE,
    SUPPORT_MAX,
    SUPPORT_DENOMINATOR,
    SUPPORT_NUM_RESULTS
} support_result;

const char *support_result_name(support_result result);

/* A built problem: host arrays and images of every tensor, on the device; absent tensors have rank 0. */
typedef struct support_attention {
    support_attention_case description; /* defaults filled in; its pointers stay the caller's, but for q_lens */
    int32_t *q_lens;                    /* what the description points to where the caller gave none */
    int32_t total_tokens;
    int32_t num_pages;
    int32_t pages_per_seq;
    int32_t *query_start_loc;
    int32_t *block_tables; /* dense: row s holds the one page s */
    support_image queries;
    support_image keys;   /* the combined pages in the combined layout */
    support_image values; /* absent in the combined layout */
    support_image sinks;
    double allowances[SUPPORT_NUM_RESULTS]; /* 0; what a result may be off besides the operation's own error */
    union {
        support_image results[SUPPORT_NUM_RESULTS];
        struct {
            support_image out;
            support_image lse;
            support_image max;
            support_image denominator;
        };
    };
} support_attention;

/* Where K or V of the problem lies, in elements of its image. */
typedef struct support_kv_strides {
    int64_t page;
    int64_t slot;
    int64_t head;
    int64_t offset; /* to V where one image holds both */
} support_kv_strides;

/* The keys [start, end) of a sequence; none if that is empty. */
typedef struct support_key_range {
    int64_t start;
    int64_t end;
} support_key_range;

support_attention *support_attention_create(const support_device *device, const support_attention_case *description);
void support_attention_destroy(support_attention **attention);

bool support_attention_is_dense(const support_attention *attention);

/* Where the first query of a sequence stands: what windows are measured from. */
int64_t support_attention_first_position(const support_attention *attention, int32_t seq);

/* The keys that the batch gives a sequence, and those of them that some query of it sees through its window. */
support_key_range support_attention_keys(const support_attention *attention, int32_t seq);
support_key_range support_attention_seen_keys(const support_attention *attention, int32_t seq);

/* The window as inclusive distances to both sides, -1 = unlimited. */
clattn_window support_attention_window(const support_attention *attention);

/* The tensors of a problem, attention_images.c: makes and fills the images, not yet on the device. */
void support_attention_create_images(support_attention *attention);

support_kv_strides support_attention_key_strides(const support_attention *attention);
support_kv_strides support_attention_value_strides(const support_attention *attention);

/*
 * Prints the description to stderr: one line of k=v pairs, all that is needed to build the problem again; fields that
 * are 0 are left out. A message of cmocka's would be cut.
 */
void support_attention_print(const support_attention *attention);

/* The operands of the operation: with this plan, or with plan NULL those of the one-call form. */
clattn_ragged_page_attention_params support_attention_ragged_page_params(const support_attention *attention,
                                                                         const clattn_plan *plan);
clattn_page_attention_params support_attention_page_params(const support_attention *attention, const clattn_plan *plan);
clattn_ragged_decode_attention_params support_attention_ragged_decode_params(const support_attention *attention,
                                                                             const clattn_plan *plan);
clattn_ragged_attention_params support_attention_ragged_params(const support_attention *attention,
                                                               const clattn_plan *plan);

/* The batch for a plan of the problem. */
clattn_plan_params support_attention_plan_params(const support_attention *attention);

/* Calls the operation once; *event may be NULL. */
clattn_status support_attention_call(const support_attention *attention, const support_device *device,
                                     const clattn_plan *plan, cl_uint num_wait_events, const cl_event *wait_events,
                                     cl_event *event);

/* Fill the outputs with the canary pattern; run; read back and look at the canaries. They fail the test, not return. */
void support_attention_reset(support_attention *attention, const support_device *device);
void support_attention_run(support_attention *attention, const support_device *device);
void support_attention_run_with_plan(support_attention *attention, const support_device *device);
void support_attention_read(support_attention *attention, const support_device *device);

/* Compares what was read back with the reference, under the contract's accuracy bound. */
void support_attention_check(const support_attention *attention);

/* Builds, runs and checks; then runs again with a plan, which must give the same bits. */
void support_attention_verify(const support_device *device, const support_attention_case *description);

/* Fails unless the rows at positions [first, first + count) of a sequence are the same in two problems, bit for bit. */
void support_attention_expect_same(const support_attention *a, int32_t seq_a, const support_attention *b, int32_t seq_b,
                                   int64_t first, int32_t count);

/* The same within a tolerance: |a - b| <= tolerance * (1 + |a|). */
void support_attention_expect_close(const support_attention *a, int32_t seq_a, const support_attention *b,
                                    int32_t seq_b, int64_t first, int32_t count, double tolerance);

/* Fails unless all elements of a result's rows are NaN: those of sequence seq at positions [first, first + count). */
void support_attention_expect_nan(const support_attention *attention, support_result result, int32_t seq, int64_t first,
                                  int32_t count);

/* Fails unless all bytes of the outputs are the same in two problems of the same geometry. */
void support_attention_expect_same_bytes(const support_attention *a, const support_attention *b);

#endif
