/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention for any device, both phases: one work-item per packed row, which reads the keys that the row sees one by
 * one. No barrier, no local memory, no vector: what a device that computes at all gets right.
 *
 * Grid      work-groups of WORK_GROUP_SIZE; group = item * num_kv_heads + kv_head; work-items take the item's rows in
 *           turns, so that any family's items will do
 * Memory    HEAD_DIM_V floats of private memory
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. */
#if !defined(HEAD_DIM) || !defined(HEAD_DIM_V) || !defined(Q_DTYPE) || !defined(K_DTYPE) || !defined(V_DTYPE) || !defined(SOFT_CAP)
#error "HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE and SOFT_CAP are missing"
#endif
/* Tunable: any number of work-items. */
#ifndef WORK_GROUP_SIZE
#error "WORK_GROUP_SIZE is missing"
#endif

/* Sums that a dot product is kept in: a single one rounds more often, and waits for itself. */
#define NUM_SUMS 8
#if HEAD_DIM % NUM_SUMS != 0
#error "NUM_SUMS must divide HEAD_DIM"
#endif

static inline float compute_qk(global const STORAGE(Q_DTYPE) *q, ulong q_row, global const STORAGE(K_DTYPE) *k, ulong k_row)
{
    float sums[NUM_SUMS];
    for (int i = 0; i < NUM_SUMS; ++i)
        sums[i] = 0.0f;
    for (int d = 0; d < HEAD_DIM; d += NUM_SUMS) {
        for (int i = 0; i < NUM_SUMS; ++i)
            sums[i] += LOAD(Q_DTYPE)(q, q_row + (ulong)(d + i)) * LOAD(K_DTYPE)(k, k_row + (ulong)(d + i));
    }
    float sum = 0.0f;
    for (int i = 0; i < NUM_SUMS; ++i)
        sum += sums[i];
    return sum;
}

/* Takes one more key into a row's state. */
static inline void softmax_update(row_sums *state, float *acc, float score, global const STORAGE(V_DTYPE) *v, ulong v_row)
{
    const float new_max = fmax(state->max, score);
    const float correction = WEIGHT(state->max, new_max);
    const float weight = WEIGHT(score, new_max);
    state->max = new_max;
    state->sum = state->sum * correction + weight;
    for (int d = 0; d < HEAD_DIM_V; ++d)
        acc[d] = acc[d] * correction + weight * LOAD(V_DTYPE)(v, v_row + (ulong)d);
}

/* Writes the row, or its partial state. */
static inline void store_row(const results_t *results, const sequence_t *sequence, const attention_args *args, const work_item_t *item,
                             int kv_head, int row, const row_sums *state, const float *acc)
{
    if (item->partial >= 0) {
        const ulong to = partial_row(args, item->partial, row, kv_head);
        results->partial_sums[to] = (float2)(state->max, state->sum);
        for (int d = 0; d < HEAD_DIM_V; ++d)
            results->partial_acc[to * HEAD_DIM_V + (ulong)d] = acc[d];
        return;
    }
    const int packed_row = item->first_row + row;
    const row_result result = finalize_row(state, results->sinks, args, kv_head, packed_row);
    const ulong to = out_offset(args, sequence->first_token, kv_head, packed_row);
    for (int d = 0; d < HEAD_DIM_V; ++d)
        STORE(OUT_DTYPE)(results->out, to + (ulong)d, acc[d] * result.scale);
    store_state(results, args, sequence->first_token, kv_head, packed_row, &result);
}

__attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) kernel void
clattn_attention(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
                 global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
                 global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
                 global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args)
{
    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);
    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / args.num_kv_heads);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);

    for (int row = (int)get_local_id(0); row < item.num_rows; row += WORK_GROUP_SIZE) {
        const key_range keys = visible_keys(&sequence, &args, &item, row);
        const ulong q_row = q_offset(&args, sequence.first_token, kv_head, item.first_row + row);
        row_sums state = {NO_LOGIT, 0.0f};
        float acc[HEAD_DIM_V];
        for (int d = 0; d < HEAD_DIM_V; ++d)
            acc[d] = 0.0f;

        kv_cursor cursor = kv_cursor_at(plan, &sequence, &args, keys.first);
        for (int key = keys.first; key < keys.past; ++key) {
            const ulong k_row = k_offset(&cursor, &args) + (ulong)kv_head * args.k_head_stride;
            const ulong v_row = v_offset(&cursor, &args) + (ulong)kv_head * args.v_head_stride;
            const float score = compute_qk(q, q_row, k, k_row);
            softmax_update(&state, acc, LOGIT(score, &args), v, v_row);
            kv_cursor_advance(&cursor);
        }
        store_row(&results, &sequence, &args, &item, kv_head, row, &state, acc);
    }
}
