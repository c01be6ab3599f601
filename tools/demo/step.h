/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of a serving engine: prefills and decodes of several sequences in one batch, over a paged KV cache of a few
 * layers. Owns the cache, the rows on the host from which a reference can be computed, and their device buffers.
 */
#ifndef DEMO_STEP_H
#define DEMO_STEP_H

#include <clattn/clattn.h>
#include <stdbool.h>

#define DEMO_NUM_SEQS 6
#define DEMO_NUM_LAYERS 2
#define DEMO_NUM_Q_HEADS 32
#define DEMO_NUM_KV_HEADS 8
#define DEMO_HEAD_DIM 128
#define DEMO_PAGE_SIZE 16

/* Rows of random float16 values, on the host and on the device. */
typedef struct demo_rows {
    uint16_t *host; /* [num_tokens, num_heads, head_dim] */
    cl_mem buffer;
    int64_t num_tokens;
    int64_t num_heads;
} demo_rows;

typedef struct demo_layer {
    demo_rows past_keys, past_values; /* what earlier steps have appended, of all sequences */
    demo_rows keys, values;           /* what this step appends */
    demo_rows queries;
    cl_mem out;      /* [total_tokens, Hq, D] float32 */
    float *out_host; /* the same, read back */
} demo_layer;

typedef struct demo_step {
    clattn_context *ctx; /* borrowed */
    clattn_kv_cache *cache;
    clattn_sequence sequences[DEMO_NUM_SEQS];
    clattn_plan *plan;
    int32_t total_tokens; /* new tokens of all sequences */
    int32_t past_tokens;  /* tokens before this step, of all sequences */
    demo_layer layers[DEMO_NUM_LAYERS];
    int32_t next_layer; /* which one demo_step_enqueue() computes */
} demo_step;

/* Tokens of each sequence: new in this step, and in all. */
extern const int32_t demo_q_lens[DEMO_NUM_SEQS];
extern const int32_t demo_context_lens[DEMO_NUM_SEQS];

/* Fills the cache, appends the step's tokens, runs every layer's attention and reads the results back. */
bool demo_step_init(demo_step *step, clattn_context *ctx);

/* Accepts a half-made or zeroed object. */
void demo_step_finish(demo_step *step);

/* Enqueues the attention of the next layer once more: a bench_enqueue over a demo_step. */
bool demo_step_enqueue(void *step);

#endif
