/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to tokens and back: a byte-pair vocabulary from sentencepiece in llama2.c's tokenizer file (int32 longest piece,
 * then per token float32 score, int32 length, bytes).
 */
#ifndef LLAMA_TOKENIZER_H
#define LLAMA_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The token in front of every text; when a model predicts it, the text is over. */
#define LLAMA_TOKEN_BOS 1

typedef struct llama_piece {
    const char *bytes; /* not terminated */
    int32_t num_bytes;
    float score; /* of a merge that gives this piece: the larger one comes first */
} llama_piece;

typedef struct llama_tokenizer {
    int32_t vocab_size;
    int32_t max_piece_bytes;
    llama_piece *pieces;    /* [vocab_size] by token */
    int32_t *sorted_tokens; /* [vocab_size] by bytes, then by token */
    char *storage;
    char byte_values[256]; /* [b] is b: the text of byte token b */
} llama_tokenizer;

/** Loads a file that has exactly vocab_size tokens. Nothing to free on failure. */
bool llama_tokenizer_load(llama_tokenizer *tokenizer, const char *path, int32_t vocab_size);

/** Accepts a zero-initialised tokenizer. */
void llama_tokenizer_free(llama_tokenizer *tokenizer);

/**
 * The tokens of a text, LLAMA_TOKEN_BOS first; the caller frees *tokens. A text of more than max_tokens tokens is
 * refused.
 */
bool llama_tokenizer_encode(const llama_tokenizer *tokenizer, const char *text, int32_t max_tokens, int32_t **tokens,
                            int32_t *num_tokens);

/**
 * The bytes that `token` adds to a text after `previous`: without the space in front of a text, byte tokens as their
 * byte, and a lone byte only where it is printable or white space. Returns their number, 0 included; *bytes lives as
 * long as the tokenizer and is not terminated.
 */
size_t llama_tokenizer_decode(const llama_tokenizer *tokenizer, int32_t previous, int32_t token, const char **bytes);

#endif
