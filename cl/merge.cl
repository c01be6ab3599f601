/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins states over disjoint keys: with M the largest maximum,
 * out = sum_i exp(m_i - M) acc_i / sum_i exp(m_i - M) sum_i (flash-decoding; FlashInfer, arXiv 2501.01005, section 2.2).
 * PLANNED: the partial states of rows whose keys were split, by the plan's merge items; otherwise the caller's states.
 * No state at all is the empty row: it writes 0 and -inf, which is how rows that no sequence owns are cleared.
 *
 * Grid      work-groups of WORK_GROUP_SIZE; group = item * num_kv_heads + kv_head; work-items share the columns
 */

/* Problem: HEAD_DIM_V, STATES_DTYPE, STATES_LSE, PLANNED, OUT_DTYPE, SINKS, STATE, NUMERATOR. Tunable: WORK_GROUP_SIZE. */
#if !defined(HEAD_DIM_V) || !defined(STATES_DTYPE) || !defined(STATES_LSE) || !defined(PLANNED)
#error "HEAD_DIM_V, STATES_DTYPE, STATES_LSE and PLANNED are missing"
#endif
#ifndef WORK_GROUP_SIZE
#define WORK_GROUP_SIZE 1
#endif

/* Derived: each work-item takes every WORK_GROUP_SIZE-th column. */
#define COLUMNS ((HEAD_DIM_V + WORK_GROUP_SIZE - 1) / WORK_GROUP_SIZE)
#define COLUMN(i) ((int)get_local_id(0) + (i) * WORK_GROUP_SIZE)

/* Where one part of the states lies, in elements. */
typedef struct {
    ulong offset, state_stride, row_stride, head_stride;
} states_address;

/* What merging needs besides attention_args. The host writes it (lib/attention/merge.c): change them together. */
typedef struct {
    states_address acc, max, sum; /* sum: unused with STATES_LSE */
    int num_states, num_rows, rows_per_item; /* unless PLANNED */
    int unused;
} merge_args;

/* Rows [first_row, first_row + num_rows) of a sequence. State i of the first one is row first_state + i * states_apart. */
typedef struct {
    int first_token;
    int first_row, num_rows;
    int first_state, states_apart;
    int num_states;
} merge_item;

static inline merge_item load_merge_item(global const int *plan, const attention_args *args, const merge_args *states, int index)
{
#if PLANNED
    global const int *record = plan + args->items_at + RECORD_INTS * index;
    const merge_item item = {record[0], record[1], record[2], record[3], record[5], record[4]};
#else
    const int first_row = index * states->rows_per_item;
    const merge_item item = {0, first_row, min(states->rows_per_item, states->num_rows - first_row), first_row, 0,
                             states->num_states};
#endif
    return item;
}

static inline ulong state_at(const states_address *address, const merge_item *item, int state, int row, int head)
{
    const ulong state_row = (ulong)item->first_state + (ulong)state * (ulong)item->states_apart + (ulong)row;
    return address->offset + (ulong)state * address->state_stride + state_row * address->row_stride +
           (ulong)head * address->head_stride;
}

/* A state without keys has the sum 0. A state by its log-sum-exp is one whose sum is 1. */
static inline row_sums load_sums(global const float *max_or_lse, global const float *sum, const merge_args *states,
                                 const merge_item *item, int state, int row, int head)
{
    const float largest = max_or_lse[state_at(&states->max, item, state, row, head)];
#if STATES_LSE
    const row_sums sums = {largest, largest == -INFINITY ? 0.0f : 1.0f};
#else
    const row_sums sums = {largest, sum[state_at(&states->sum, item, state, row, head)]};
#endif
    return sums;
}

__attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) kernel void
clattn_merge(global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states_out, global float *restrict denominators,
             global const float *restrict sinks, global const STORAGE(STATES_DTYPE) *restrict acc_in,
             global const float *restrict max_in, global const float *restrict sum_in, global const int *restrict plan,
             const attention_args args, const merge_args states)
{
    const results_t results = results_at(out, states_out, denominators, sinks, 0, 0, &args);
    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    const merge_item item = load_merge_item(plan, &args, &states, (int)get_group_id(0) / args.num_kv_heads);

    for (int row = 0; row < item.num_rows; ++row) {
        row_sums joint = {NO_LOGIT, 0.0f};
        for (int i = 0; i < item.num_states; ++i) {
            const row_sums sums = load_sums(max_in, sum_in, &states, &item, i, row, kv_head);
            joint.max = fmax(joint.max, sums.sum == 0.0f ? NO_LOGIT : sums.max);
        }
        float acc[COLUMNS];
        for (int i = 0; i < COLUMNS; ++i)
            acc[i] = 0.0f;
        for (int i = 0; i < item.num_states; ++i) {
            const row_sums sums = load_sums(max_in, sum_in, &states, &item, i, row, kv_head);
            if (sums.sum == 0.0f)
                continue; /* whatever its other parts hold */
            const float weight = WEIGHT(sums.max, joint.max);
            joint.sum += weight * sums.sum;
            const ulong from = state_at(&states.acc, &item, i, row, kv_head);
            for (int j = 0; j < COLUMNS; ++j) /* a column past the last is never stored */
                acc[j] += weight * LOAD(STATES_DTYPE)(acc_in, from + (ulong)min(COLUMN(j), HEAD_DIM_V - 1));
        }

        const int packed_row = item.first_row + row;
        const row_result result = finalize_row(&joint, results.sinks, &args, kv_head, packed_row);
        const ulong to = out_offset(&args, item.first_token, kv_head, packed_row);
        for (int i = 0; i < COLUMNS; ++i)
            if (COLUMN(i) < HEAD_DIM_V)
                STORE(OUT_DTYPE)(results.out, to + (ulong)COLUMN(i), acc[i] * result.scale);
        if (get_local_id(0) == 0)
            store_state(&results, &args, item.first_token, kv_head, packed_row, &result);
    }
}
