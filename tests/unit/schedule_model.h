/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules for tests: batches built from lengths, the lists that the scheduler writes with canaries around them, and
 * a naive model that counts every (row, key) pair.
 */
#ifndef UNIT_SCHEDULE_MODEL_H
#define UNIT_SCHEDULE_MODEL_H

#include "attention/schedule.h"

enum { MODEL_MAX_SEQS = 1024 };

/* A batch and the device that it is cut for; init it, change fields, then plan it. */
typedef struct model_case {
    clattn_row row;
    clattn_span spans[MODEL_MAX_SEQS];
    clattn_schedule_params params; /* its row and spans are the ones above */
} model_case;

/* No sequences, one head per kv head, no window, automatic splits, small tiles and a device of 16 units. */
void model_init(model_case *problem);

/* Appends a causal sequence: q_len queries at the end of context_len keys. */
void model_add(model_case *problem, int32_t q_len, int32_t context_len);

/* Appends rows that no sequence owns. */
void model_add_tail(model_case *problem, int32_t num_tokens);

/* What the scheduler wrote. */
typedef struct model_schedule {
    clattn_schedule_counts counts;
    clattn_work_item *items[CLATTN_NUM_PHASES];
    clattn_merge_item *merge_items;
    void *memory[CLATTN_NUM_PHASES + 2]; /* of the lists and the scratch, canaries included */
} model_schedule;

/* Measures and fills lists of exactly the measured sizes; fails the test if what lies around them changes. */
void model_plan(const model_case *problem, model_schedule *schedule);
void model_release(model_schedule *schedule);

/*
 * Fails the test, naming the case, unless
 *   the tiles of a sequence partition its rows, all in the one phase that its rows speak for;
 *   the items of a tile cover each key that some row of it sees once, and no other key;
 *   every (row, visible key) pair is covered once;
 *   partial rows of split tiles are disjoint and fill [0, num_partial_rows), and one merge item joins each split tile;
 *   clear items cover exactly the rows that no sequence owns;
 *   the items of each share come heavy first, and their unused fields are 0.
 */
void model_check(const model_case *problem, const model_schedule *schedule, const char *name);

/* Fails the test unless clattn_schedule_bound() for these totals is no smaller than the counts, in every field. */
void model_check_bound(const model_case *problem, const model_schedule *schedule, const char *name);

/* The items of a sequence in both phases, by row, then key; returns their number. `items` is malloc'ed. */
int32_t model_items_of(const model_schedule *schedule, int32_t sequence, clattn_work_item **items);

#endif
