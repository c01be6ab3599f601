/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences against a model. The page numbers of a batch are tested by their use: a host array plays the pages, every
 * token has a number of its own, and every sequence must find its own tokens in its pages after every step.
 */
#ifndef SEQUENCE_MODEL_H
#define SEQUENCE_MODEL_H

#include "kv_cache/sequences.h"

enum {
    MAX_PAGES = 40,
    MAX_PAGE_SIZE = 16,
    MAX_SEQS = 12,
    MAX_TOKENS = MAX_PAGES * MAX_PAGE_SIZE,
};

/* A sequence as the tests know it: the tokens that it must find. */
typedef struct model_sequence {
    uint64_t handle; /* 0 = none */
    int32_t length;
    int32_t tokens[MAX_TOKENS];
} model_sequence;

typedef struct model {
    clattn_sequences sequences;
    clattn_error error;
    int32_t contents[MAX_TOKENS]; /* [num_pages, page_size] token numbers */
    int32_t next_token;
    model_sequence list[MAX_SEQS];
} model;

/* Where a test keeps its sequences is its own choice: a place in the list, 0 to MAX_SEQS-1. */
model *model_create(int32_t num_pages, int32_t page_size, int32_t max_seqs);
void model_destroy(model *tested);

void add_sequence(model *tested, int32_t place);
void fork_sequence(model *tested, int32_t parent, int32_t child);
void truncate_sequence(model *tested, int32_t place, int32_t num_tokens);
void release_sequence(model *tested, int32_t place);

clattn_status prepare(model *tested, int32_t num_seqs, const int32_t *places, const int32_t *num_new_tokens,
                      const clattn_extension **extension);

/* What the device does between the phases: the copies; then the commit; then the new tokens into their slots. */
void finish_extension(model *tested, const clattn_extension *extension, const int32_t *places);

/* Both phases; the test fails if the first one does. */
const clattn_extension *extend(model *tested, int32_t num_seqs, const int32_t *places, const int32_t *num_new_tokens);
const clattn_extension *extend_one(model *tested, int32_t place, int32_t num_new_tokens);

int32_t num_free_pages(const model *tested);

/* The block table of a place. */
const int32_t *table_of(const model *tested, int32_t place);

/* Reads every table by an extension without tokens; contents, counts and the free list must agree with the model. */
void check_model(model *tested);

/* Everything that can be seen of the sequences, the last batch included. */
typedef struct snapshot {
    int32_t num_free;
    int32_t free_pages[MAX_PAGES];
    int32_t num_references[MAX_PAGES];
    int32_t lengths[MAX_SEQS];
    int32_t tables[MAX_SEQS][MAX_PAGES];
    int32_t query_start_loc[MAX_SEQS + 1];
    int32_t context_lens[MAX_SEQS];
    int32_t block_tables[MAX_SEQS * MAX_PAGES];
    int64_t slot_mapping[MAX_TOKENS];
} snapshot;

/* `batch` is the last committed one. */
void snapshot_take(const model *tested, const clattn_extension *batch, snapshot *taken);
void assert_unchanged(const model *tested, const clattn_extension *batch, const snapshot *before);

#endif
