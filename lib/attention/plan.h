/* SPDX-License-Identifier: Apache-2.0 */
/* The plan object: a schedule, its copy on the device, and the workspace for split rows. */
#ifndef CLATTN_ATTENTION_PLAN_H
#define CLATTN_ATTENTION_PLAN_H

#include "attention/schedule.h"
#include "runtime/context.h"
#include "runtime/upload.h"
#include "tuning/resolve.h"

/* What the layers of a step have in common and an operation must agree on. */
typedef struct clattn_plan_shape {
    int32_t total_tokens;
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    bool one_query; /* each sequence has one query token, and sequence s is token s */
    bool dense;     /* page s is all of sequence s */
    int32_t longest_context;
    int32_t page_size;
    int32_t num_pages; /* the pages of the batch lie below it */
    int32_t window_left;
    bool token_major;
} clattn_plan_shape;

/* Where the sections of the metadata lie, in int32 from its start. */
typedef struct clattn_plan_sections {
    int64_t items[CLATTN_NUM_PHASES]; /* the spans lie before them, at 0 */
    int64_t merge_items;
    int64_t slots; /* int64 each; all before them are records of 8, so they stay aligned */
    int64_t pages;
    int64_t num_ints;
} clattn_plan_sections;

struct clattn_plan {
    clattn_context *ctx;
    clattn_plan_shape shape;
    clattn_tile_request request; /* what the row was asked for by, and with which override */
    clattn_kept_tuning tuning;
    clattn_row row;
    clattn_schedule_counts counts;
    clattn_plan_sections sections;
    int32_t num_splits; /* as asked for, 0 = automatic */
    bool batch_invariant;
    bool has_slots;
    clattn_upload metadata; /* sections of int32, see clattn_plan_sections */
    int32_t *slot_scratch;  /* of clattn_slots_check() */
    uint64_t slot_scratch_entries;
    cl_mem partial_acc;  /* [num_partial_rows, Hkv, head_dim_v] float32 */
    cl_mem partial_sums; /* [num_partial_rows, Hkv] float2: largest logit, sum */
    int64_t partial_acc_bytes;
    int64_t partial_sums_bytes;
};

/* Work-groups of a phase's kernel. */
int64_t clattn_plan_num_groups(const clattn_plan *plan, clattn_phase phase);

/* The slot mapping that the plan was made with; false = none. `offset` counts int64 elements. */
bool clattn_plan_slot_mapping(const clattn_plan *plan, cl_mem *buffer, uint64_t *offset, int32_t *total_tokens,
                              int64_t *num_slots);

#endif
