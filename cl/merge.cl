/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the partial states of rows whose keys were split: with M the largest maximum,
 * out = sum_i 2^(m_i - M) acc_i / sum_i 2^(m_i - M) sum_i (flash-decoding; FlashInfer, arXiv 2501.01005, section 2.2).
 * No state at all is the empty row: it writes 0 and -inf, which is how rows that no sequence owns are cleared.
 *
 * Grid      work-groups of WORK_GROUP_SIZE; group = item * num_kv_heads + kv_head; work-items share the columns
 */

/* Problem: HEAD_DIM_V, OUT_DTYPE, SINKS, LSE. Tunable: WORK_GROUP_SIZE. */
#ifndef HEAD_DIM_V
#error "HEAD_DIM_V is missing"
#endif
#ifndef WORK_GROUP_SIZE
#define WORK_GROUP_SIZE 1
#endif

/* Derived: each work-item takes every WORK_GROUP_SIZE-th column. */
#define COLUMNS ((HEAD_DIM_V + WORK_GROUP_SIZE - 1) / WORK_GROUP_SIZE)
#define COLUMN(i) ((int)get_local_id(0) + (i) * WORK_GROUP_SIZE)

__attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) kernel void
clattn_merge(global STORAGE(OUT_DTYPE) *restrict out, global float *restrict lse, global const float *restrict sinks,
             global const float *restrict partial_acc, global const float2 *restrict partial_state,
             global const int *restrict plan, const attention_args args)
{
    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    global const int *record = plan + args.items_at + RECORD_INTS * ((int)get_group_id(0) / args.num_kv_heads);
    const int first_token = record[0]; /* of the sequence */
    const int first_row = record[1];
    const int num_rows = record[2];
    const int first_partial = record[3];
    const int num_splits = record[4];

    for (int row = 0; row < num_rows; ++row) {
        const int packed_row = first_row + row;

        float joint_max = NO_SCORE;
        for (int split = 0; split < num_splits; ++split)
            joint_max = fmax(joint_max, partial_state[partial_row(&args, first_partial, split * num_rows + row, kv_head)].x);
        float joint_sum = 0.0f;
        float acc[COLUMNS];
        for (int i = 0; i < COLUMNS; ++i)
            acc[i] = 0.0f;
        for (int split = 0; split < num_splits; ++split) {
            const ulong index = partial_row(&args, first_partial, split * num_rows + row, kv_head);
            const float weight = exp2(partial_state[index].x - joint_max);
            joint_sum += weight * partial_state[index].y;
            global const float *from = partial_acc + index * HEAD_DIM_V;
            for (int i = 0; i < COLUMNS; ++i)
                acc[i] += weight * from[min(COLUMN(i), HEAD_DIM_V - 1)]; /* a column past the last is never stored */
        }
        const row_result result = row_finalize(joint_max, joint_sum, sinks, &args, q_head_of(&args, kv_head, packed_row));

        const ulong to = out_offset(&args, first_token, kv_head, packed_row);
        for (int i = 0; i < COLUMNS; ++i)
            if (COLUMN(i) < HEAD_DIM_V)
                STORE(OUT_DTYPE)(out, to + (ulong)COLUMN(i), acc[i] * result.scale);
#if LSE
        if (get_local_id(0) == 0)
            lse[lse_offset(&args, first_token, kv_head, packed_row)] = result.lse;
#endif
    }
}
