/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trained parameters of a Llama transformer, from the legacy checkpoint format of llama2.c: seven int32 header
 * fields, then float32 weights (github.com/karpathy/llama2.c, export.py, legacy_export).
 */
#ifndef LLAMA_CHECKPOINT_H
#define LLAMA_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

/** Sizes of a model; every one at least 1. */
typedef struct llama_config {
    int32_t dim;        /* width of the residual stream: num_q_heads * head_dim */
    int32_t hidden_dim; /* width of the feed-forward layer */
    int32_t num_layers;
    int32_t num_q_heads; /* a multiple of num_kv_heads */
    int32_t num_kv_heads;
    int32_t vocab_size;
    int32_t seq_len;  /* most positions of a sequence */
    int32_t head_dim; /* dim / num_q_heads, even */
    int32_t kv_dim;   /* num_kv_heads * head_dim */
} llama_config;

/** Row-major matrices [rows, columns] for out = matrix * in; those of all layers follow each other. */
typedef struct llama_weights {
    const float *token_embedding; /* [vocab_size, dim] */
    const float *rms_attention;   /* [num_layers, dim] */
    const float *wq;              /* [num_layers, dim, dim] */
    const float *wk;              /* [num_layers, kv_dim, dim] */
    const float *wv;              /* [num_layers, kv_dim, dim] */
    const float *wo;              /* [num_layers, dim, dim] */
    const float *rms_ffn;         /* [num_layers, dim] */
    const float *w1;              /* [num_layers, hidden_dim, dim], the gate */
    const float *w2;              /* [num_layers, dim, hidden_dim], down */
    const float *w3;              /* [num_layers, hidden_dim, dim], up */
    const float *rms_final;       /* [dim] */
    const float *classifier;      /* [vocab_size, dim]; the token embedding where the checkpoint shares it */
} llama_weights;

typedef struct llama_checkpoint {
    llama_config config;
    llama_weights weights; /* pointers into storage */
    float *storage;
} llama_checkpoint;

/** Loads a checkpoint; a file of any other size than its header asks for is refused. Nothing to free on failure. */
bool llama_checkpoint_load(llama_checkpoint *checkpoint, const char *path);

/** Accepts a zero-initialised checkpoint. */
void llama_checkpoint_free(llama_checkpoint *checkpoint);

#endif
