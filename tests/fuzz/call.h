/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention calls made from the bytes of an input: valid by construction, and then, in some, fields replaced by
 * others. One struct stands for all five operations; their own structs are filled from it.
 */
#ifndef FUZZ_CALL_H
#define FUZZ_CALL_H

#include "fuzz.h"

#include <clattn/attention.h>

typedef enum call_operation {
    CALL_RAGGED_PAGE,
    CALL_PAGE,
    CALL_RAGGED_DECODE,
    CALL_RAGGED,
    CALL_MERGE_STATES,
    CALL_NUM_OPERATIONS
} call_operation;

/* The tensors of a call; what an operation has not stays zero. */
typedef enum call_tensor {
    CALL_QUERY, /* merge_states: states_out */
    CALL_KEY,   /* combined pages: both */
    CALL_VALUE,
    CALL_OUT,
    CALL_LSE,
    CALL_MAX,
    CALL_DENOMINATOR,
    CALL_SINKS,
    CALL_STATES_LSE,
    CALL_STATES_MAX,
    CALL_STATES_DENOMINATOR,
    CALL_NUM_TENSORS
} call_tensor;

/* The tables of a batch, each malloc'ed in exactly its size, for reads behind their ends to be seen. */
typedef struct call_batch {
    int32_t num_seqs;
    int32_t num_entries;      /* that the tables have, counted in sequences */
    int32_t *query_start_loc; /* NULL = one query for each sequence */
    int32_t *context_lens;
    int32_t *sequence_start;
    int32_t *block_tables;
    int32_t pages_per_seq;
    int32_t num_splits;
    bool batch_invariant;
    bool has_tuning;
    clattn_tuning tuning;
} call_batch;

typedef struct fuzz_call {
    call_operation operation;
    clattn_tensor tensors[CALL_NUM_TENSORS];
    cl_mem owned[CALL_NUM_TENSORS]; /* the buffers to release */
    clattn_kv_layout layout;
    float softmax_scale;
    float logits_soft_cap;
    float mask_value;
    int32_t sliding_window;
    bool has_window_pair;
    clattn_window window_pair;
    int32_t max_context_len;
    bool numerator;
    clattn_dtype compute_dtype;
    call_batch batch;
    bool changed; /* no longer what was valid by construction */
} fuzz_call;

/* A valid call with buffers and tables of its own. */
void call_make(fuzz_bytes *bytes, fuzz_call *call);

/* Replaces fields of the call; of the batch as well if `with_batch`. */
void call_change(fuzz_bytes *bytes, fuzz_call *call, bool with_batch);

/* Behind changes: tables as long as the query's first dimension says where that counts the sequences, or none. */
void call_settle(fuzz_call *call);

void call_release(fuzz_call *call);

/* Whether the operation's keys lie in a dense cache. */
bool call_is_dense(const fuzz_call *call);

/* Keys that a query sees, its own included, by the operation's window; 0 = all. */
int32_t call_window(const fuzz_call *call);

/* The parameters of a plan for the call. */
clattn_plan_params call_plan_params(const fuzz_call *call);

/* Calls the operation, with the plan or, if that is NULL, with the batch. */
clattn_status call_issue(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan, cl_event *event);

/* A device that there may be. */
clattn_device_facts call_make_device(fuzz_bytes *bytes);

#endif
