/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous batching: prompts wait, join one per step with all their tokens while others decode, and leave when their
 * text is over, so that the next one takes their pages. Greedy decoding: the likeliest token, the first of equals.
 */
#ifndef LLAMA_BATCH_H
#define LLAMA_BATCH_H

#include "attention.h"
#include "checkpoint.h"
#include "tokenizer.h"

#include <stddef.h>

/** A text as far as it has been generated; its prompt is its beginning. */
typedef struct llama_text {
    char *bytes; /* not terminated */
    size_t num_bytes;
    bool finished;
} llama_text;

typedef struct llama_batch_params {
    const llama_checkpoint *checkpoint; /* outlives the batch, as the tokenizer does */
    const llama_tokenizer *tokenizer;
    int32_t num_prompts;              /* >= 1 */
    const char *const *prompts;       /* [num_prompts] */
    int32_t num_positions;            /* of every sequence, its prompt included; 1..seq_len of the model */
    int32_t max_running;              /* sequences at once; more prompts wait. >= 1 */
    llama_attention_params attention; /* device, family, kv_dtype and page_size; the batch sets the sizes */
} llama_batch_params;

/** Totals of a run. */
typedef struct llama_batch_figures {
    int64_t num_positions; /* computed, all sequences together */
    int32_t num_steps;
    int32_t num_mixed_steps; /* with prefill and decode in one call */
    int32_t most_running;
    llama_attention_usage attention;
} llama_batch_figures;

typedef struct llama_batch llama_batch;

/** Encodes the prompts, then opens the device. *batch is NULL on failure. */
bool llama_batch_create(const llama_batch_params *params, llama_batch **batch);

/** Sets *batch to NULL; accepts NULL there. */
void llama_batch_destroy(llama_batch **batch);

/** True once every text is finished. */
bool llama_batch_is_finished(const llama_batch *batch);

/** One pass of the model over everything that runs. */
bool llama_batch_step(llama_batch *batch);

/** The text of a prompt; valid until the next step. */
const llama_text *llama_batch_text(const llama_batch *batch, int32_t prompt);

llama_batch_figures llama_batch_get_figures(const llama_batch *batch);

#endif
