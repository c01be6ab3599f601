/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks every work item of the kernels that a call enqueues, in the kernels' own index arithmetic, and ends the process
 * (fuzz_fail()) where an index leaves its buffer, is not the one that the call means, or a row's keys are not covered
 * exactly once. Knows the call, and cl/; uses nothing of lib/.
 */
#ifndef FUZZ_WALK_H
#define FUZZ_WALK_H

#include "call.h"
#include "fake_opencl.h"

/* A packed query row of a work item and those of its keys that the row sees. */
typedef struct walk_visit {
    int64_t token;
    int64_t head_in_group;
    int64_t begin;
    int64_t end;
} walk_visit;

/* A row of the partial results, and the row that it is a part of. */
typedef struct walk_partial {
    int64_t partial_row;
    int64_t token;
    int64_t head_in_group;
    bool joined;
} walk_partial;

typedef struct call_walk {
    const fuzz_call *call;
    const clattn_device_facts *facts;
    bool begun;
    int64_t total_tokens;
    int64_t num_q_heads;
    int64_t num_kv_heads;
    int64_t group_size;
    int64_t page_size;
    int64_t num_seqs;
    unsigned char *written; /* [total_tokens, num_q_heads]: results */
    walk_visit *visits;
    int64_t num_visits;
    int64_t max_visits;
    walk_partial *partials;
    int64_t num_partials;
    int64_t max_partials;
    int64_t num_items; /* work items of the attention kernels */
} call_walk;

/* Before the call. Both outlive the walk. */
void walk_begin(call_walk *walk, const fuzz_call *call, const clattn_device_facts *facts);

/* The visitor of the call's kernels. */
void walk_launch(void *walk, const fake_launch *launch);

/* Behind a call that was accepted: everything has been computed, and once. */
void walk_check(call_walk *walk);

void walk_finish(call_walk *walk);

#endif
