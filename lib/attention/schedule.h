/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a ragged batch into work items: tiles of packed query rows, their KV ranges split where there are too few of
 * them, in an order that keeps the device's threads busy (order.h). Plain host code: no OpenCL, no allocation, the
 * sizes known before anything is written.
 */
#ifndef CLATTN_ATTENTION_SCHEDULE_H
#define CLATTN_ATTENTION_SCHEDULE_H

#include "attention/batch.h"
#include "tuning/space.h"

#define CLATTN_UNLIMITED INT32_MAX

/* With the batch-invariant flag a row's keys are cut every so many tokens, whatever else is in the batch. */
#define CLATTN_INVARIANT_SPLIT_TOKENS 2048

typedef struct clattn_schedule_params {
    const clattn_span *spans;
    int32_t num_seqs;
    int32_t total_tokens;     /* rows of the output */
    int32_t num_owned_tokens; /* those that sequences own; the others are cleared */
    int32_t group_size;
    int32_t num_kv_heads;
    int32_t window_left; /* inclusive distances, CLATTN_UNLIMITED = none */
    int32_t window_right;
    int32_t num_splits; /* 0 = automatic */
    bool batch_invariant;
    const clattn_row *row;
} clattn_schedule_params;

/* What the kernels read: eight int32 each, see cl/common/plan.cl and cl/merge.cl. */
typedef struct clattn_work_item {
    int32_t sequence;
    int32_t first_row; /* packed row: token * group_size + head in group */
    int32_t num_rows;
    int32_t kv_begin;
    int32_t kv_end;
    int32_t partial; /* first row of its partial state, -1 = writes the result */
    int32_t unused[2];
} clattn_work_item;

typedef struct clattn_merge_item {
    int32_t first_token;
    int32_t first_row;
    int32_t num_rows;
    int32_t partial;
    int32_t num_splits; /* 0 = no state: the rows are cleared */
    int32_t split_rows; /* from a row's partial state to that of its next split */
    int32_t unused[2];
} clattn_merge_item;

/* Sizes of a schedule, and the KV partition that goes with it. */
typedef struct clattn_schedule_counts {
    int64_t num_items[CLATTN_NUM_PHASES];
    int64_t num_merge_items;
    int64_t num_partial_rows; /* rows of partial state per kv head */
    int32_t max_splits;
    int32_t max_item_keys[CLATTN_NUM_PHASES];
    int32_t chunk_blocks[CLATTN_NUM_PHASES]; /* automatic splits: blocks of keys per item */
} clattn_schedule_counts;

/* Counts what clattn_schedule_fill() will write. */
void clattn_schedule_measure(const clattn_schedule_params *params, clattn_schedule_counts *counts);

/* An upper bound of the counts from shapes alone: any batch of these totals, none longer than max_context_len. */
void clattn_schedule_bound(const clattn_schedule_params *params, int32_t max_context_len,
                           clattn_schedule_counts *bound);

/*
 * Writes the items of each phase, in their order, and the merge items. `scratch` has room for the larger of the two
 * item lists.
 */
void clattn_schedule_fill(const clattn_schedule_params *params, const clattn_schedule_counts *counts,
                          clattn_work_item *items[CLATTN_NUM_PHASES], clattn_merge_item *merge_items,
                          clattn_work_item *scratch);

/* Work-groups that one item needs: the blocks of kv heads that its tile does not hold together. */
int32_t clattn_schedule_groups_per_item(const clattn_schedule_params *params, clattn_phase phase);

#endif
