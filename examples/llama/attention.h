/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a transformer needs from clattn: a paged KV cache, a plan per step, and per layer one append and one call of
 * clattn_ragged_page_attention() for every sequence at once. Owns the OpenCL side; callers see host arrays only.
 */
#ifndef LLAMA_ATTENTION_H
#define LLAMA_ATTENTION_H

#include "checkpoint.h"

#include <clattn/clattn.h>

typedef struct llama_attention_params {
    const char *device;      /* as in clattn_context_params */
    clattn_family family;    /* 0 = the device's */
    clattn_dtype kv_dtype;   /* storage of the cache */
    int32_t page_size;       /* tokens, >= 1 */
    int32_t max_seqs;        /* sequences in the cache at once, >= 1 */
    int32_t max_seq_tokens;  /* tokens of each of them, >= 1 */
    int32_t max_step_tokens; /* new tokens of a step, all sequences together, >= 1 */
} llama_attention_params;

typedef struct llama_attention llama_attention;

/** Opens the device; the cache holds max_seqs sequences of max_seq_tokens. *attention is NULL on failure. */
bool llama_attention_create(const llama_config *config, const llama_attention_params *params,
                            llama_attention **attention);

/** Sets *attention to NULL; accepts NULL there. */
void llama_attention_destroy(llama_attention **attention);

/** Starts an empty sequence. */
bool llama_attention_join(llama_attention *attention, clattn_sequence *sequence);

/** Ends a sequence and gives its pages to the others. */
bool llama_attention_leave(llama_attention *attention, clattn_sequence *sequence);

/** Makes room for the new tokens of a step and plans the work that all its layers share. */
bool llama_attention_begin_step(llama_attention *attention, int32_t num_seqs, const clattn_sequence *sequences,
                                const int32_t *num_new_tokens);

/**
 * Stores the step's keys and values in one layer's pages and attends to all that its sequences have there.
 * queries, out [total_tokens, dim]; keys, values [total_tokens, kv_dim]; rows in the order of the step's sequences.
 */
bool llama_attention_run_layer(llama_attention *attention, int32_t layer, const float *queries, const float *keys,
                               const float *values, float *out);

/** What a run used, for the figures at its end. */
typedef struct llama_attention_usage {
    const char *device;
    clattn_family family;
    int32_t num_pages;
    int32_t most_pages_used; /* at the end of any step */
} llama_attention_usage;

llama_attention_usage llama_attention_get_usage(const llama_attention *attention);

#endif
