/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Llama transformer around the attention: RMSNorm, rotary positions, SwiGLU and the matrix products, in plain C on
 * the host (Touvron et al., arXiv 2302.13971; Su et al., arXiv 2104.09864; Shazeer, arXiv 2002.05202).
 */
#ifndef LLAMA_MODEL_H
#define LLAMA_MODEL_H

#include "attention.h"
#include "checkpoint.h"

/** The tokens of one step, sequence after sequence. */
typedef struct llama_step {
    int32_t num_tokens;
    const int32_t *tokens;    /* [num_tokens] */
    const int32_t *positions; /* [num_tokens], each in its own sequence */
    int32_t num_outputs;
    const int32_t *output_rows; /* [num_outputs], the tokens whose successors are asked for */
} llama_step;

typedef struct llama_model llama_model;

/** Workspace for steps of max_step_tokens; the checkpoint must outlive the model. *model is NULL on failure. */
bool llama_model_create(const llama_checkpoint *checkpoint, int32_t max_step_tokens, llama_model **model);

/** Sets *model to NULL; accepts NULL there. */
void llama_model_destroy(llama_model **model);

/** Runs the step that llama_attention_begin_step() announced. logits [num_outputs, vocab_size]. */
bool llama_model_forward(llama_model *model, llama_attention *attention, const llama_step *step, float *logits);

#endif
