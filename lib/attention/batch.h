/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ragged batch over pages or a dense cache: checks the caller's arrays and turns them into one span per sequence and
 * a compact list of the pages in use. Without OpenCL.
 */
#ifndef CLATTN_ATTENTION_BATCH_H
#define CLATTN_ATTENTION_BATCH_H

#include "runtime/error.h"
#include "tuning/space.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most keys of a sequence: kernels step from tile to tile in an int, past the last key by less than a tile. */
#define CLATTN_MOST_KEYS (INT32_MAX - CLATTN_LARGEST_TILE_SIDE)

/* The caller's arrays, as clattn_plan_params words them. */
typedef struct clattn_batch {
    int32_t num_seqs;
    int32_t total_tokens;
    const int32_t *query_start_loc;
    const int32_t *context_lens;
    const int32_t *sequence_start;
    const int32_t *block_tables;
    int32_t pages_per_seq;
    bool dense;
    int32_t page_size;
    int32_t num_pages;
} clattn_batch;

/* A sequence as kernels read it: eight int32, see cl/common/plan.cl. */
typedef struct clattn_span {
    int32_t first_token;    /* of its queries in the batch */
    int32_t first_position; /* of its first query in the sequence */
    int32_t kv_start;       /* visible keys [kv_start, kv_end) before causality and windows */
    int32_t kv_end;
    int32_t pages_at;   /* of its first page number in the compact list */
    int32_t num_tokens; /* queries */
    int32_t unused[2];
} clattn_span;

/* Everything that can be wrong with a batch, in the order of the fields; `num_used_pages` counts the compact list. */
clattn_status clattn_batch_check(const clattn_batch *batch, int64_t *num_used_pages, clattn_error *error);

/* Fill spans[num_seqs] and pages[num_used_pages] of a checked batch. */
void clattn_batch_fill_spans(const clattn_batch *batch, clattn_span *spans);
void clattn_batch_fill_pages(const clattn_batch *batch, int32_t *pages);

/* Query tokens that sequences own. */
int32_t clattn_batch_num_query_tokens(const clattn_batch *batch);

/* Whether each sequence has one query token, and sequence s is token s. */
bool clattn_batch_has_one_query_each(const clattn_batch *batch);

/* The largest context_len, 0 without sequences. */
int32_t clattn_batch_longest_context(const clattn_batch *batch);

#endif
