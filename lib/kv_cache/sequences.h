/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sequences of a KV cache: handles, lengths, block tables, and which pages an extension takes and copies.
 * Without OpenCL: the pages' contents are the caller's business.
 *
 * An extension has two phases around the device work: clattn_sequences_prepare() checks, measures and allocates without
 * changing anything that can be observed; then the caller copies pages; then clattn_sequences_commit() cannot fail. A
 * caller whose copies fail does not commit, and nothing has happened.
 */
#ifndef CLATTN_KV_CACHE_SEQUENCES_H
#define CLATTN_KV_CACHE_SEQUENCES_H

#include "kv_cache/pages.h"

#include <stdbool.h>

/* A page whose contents move to another page before it is written. */
typedef struct clattn_page_copy {
    int32_t source;
    int32_t target;
    int32_t member; /* place in the batch */
} clattn_page_copy;

/* Memory that is reused from step to step. */
typedef struct clattn_step_array {
    void *data;
    uint64_t num_bytes; /* allocated */
} clattn_step_array;

/* What one extension does, and the arrays of its batch; owned by the sequences. */
typedef struct clattn_extension {
    int32_t num_seqs;
    int32_t total_tokens;
    int32_t pages_per_seq;
    int32_t num_new_pages; /* taken from the free list, targets of copies included */
    int32_t num_copies;
    int32_t *query_start_loc; /* [num_seqs+1] */
    int32_t *context_lens;    /* [num_seqs], the new tokens included */
    int32_t *block_tables;    /* [num_seqs, pages_per_seq], -1 behind the used entries */
    int64_t *slot_mapping;    /* [total_tokens] */
    clattn_page_copy *copies; /* [num_copies] */
    int32_t *slots;           /* [num_seqs], the members' places in clattn_sequences.slots */
    clattn_step_array storage[6];
} clattn_extension;

typedef struct clattn_sequence_slot {
    int32_t *block_table; /* [pages of length], room for [table_capacity] */
    int32_t table_capacity;
    int32_t length;      /* tokens */
    uint32_t generation; /* counts up when the sequence ends, so that its handle is refused */
    bool alive;
    int32_t listed_at; /* place in the batch of the extension numbered listed_in */
    uint64_t listed_in;
} clattn_sequence_slot;

typedef struct clattn_sequences {
    clattn_pages pages;
    int32_t page_size;
    int32_t max_seqs;
    clattn_sequence_slot *slots; /* [max_seqs] */
    int32_t *free_slots;         /* stack of [num_free_slots]; below num_used_slots, all others were never used */
    int32_t num_free_slots;
    int32_t num_used_slots;
    int32_t *num_leaving; /* [num_pages], holders that the extension being measured moves away; 0 otherwise */
    uint64_t num_extensions;
    clattn_extension extensions[2]; /* one is the last batch, the other is prepared */
    int32_t current;                /* the last batch */
} clattn_sequences;

/* Finish also after a failure. */
clattn_status clattn_sequences_init(clattn_sequences *sequences, int32_t num_pages, int32_t page_size, int32_t max_seqs,
                                    clattn_error *error);

void clattn_sequences_finish(clattn_sequences *sequences);

/* Handles are those of the public clattn_sequence: generation << 32 | slot + 1. */
clattn_status clattn_sequences_create(clattn_sequences *sequences, uint64_t *handle, clattn_error *error);

clattn_status clattn_sequences_fork(clattn_sequences *sequences, uint64_t parent, uint64_t *child, clattn_error *error);

clattn_status clattn_sequences_truncate(clattn_sequences *sequences, uint64_t handle, int32_t num_tokens,
                                        clattn_error *error);

clattn_status clattn_sequences_release(clattn_sequences *sequences, uint64_t handle, clattn_error *error);

/* Tokens; -1 if the sequence is not alive. */
int32_t clattn_sequences_length(const clattn_sequences *sequences, uint64_t handle);

/* Phase one. The result lives until the prepare after the next commit. */
clattn_status clattn_sequences_prepare(clattn_sequences *sequences, int32_t num_seqs, const uint64_t *handles,
                                       const int32_t *num_new_tokens, const clattn_extension **extension,
                                       clattn_error *error);

/* Phase two, for the last successful prepare, with nothing called in between. */
void clattn_sequences_commit(clattn_sequences *sequences);

#endif
