/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode for GPUs: the few rows of one kv head against a run of its keys. K and V go from memory straight into
 * registers, neighbouring work-items reading neighbouring elements of a row.
 *
 * Scores: LANES_PER_KEY work-items share a key; each sums its part of d for all rows, and the parts meet in local
 * memory. Output: V_COLUMNS work-items share a V row, V_VECTORS vectors of 4 columns each; KEY_GROUPS such teams take
 * every KEY_GROUPS-th key, and their sums meet in local memory once, at the end.
 *
 * Grid      work-groups of WORK_GROUP_SIZE; group = item * num_kv_heads + kv_head
 * Memory    BLOCK_Q * (HEAD_DIM + BLOCK_KV + 1) + max(BLOCK_Q * BLOCK_KV * LANES_PER_KEY, KEY_GROUPS * BLOCK_Q * HEAD_DIM_V)
 *           + WORK_GROUP_SIZE + 5 * BLOCK_Q + 4 * BLOCK_KV floats of local memory, each array padded to whole vectors
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. Tunables: see tile.cl. */
#if HEAD_DIM >= 32
#define LANES_PER_KEY 8
#else
#define LANES_PER_KEY 2
#endif
#define KEYS_PER_PASS (WORK_GROUP_SIZE / LANES_PER_KEY)
#define V_VECTORS ((HEAD_DIM_V / 4 + WORK_GROUP_SIZE - 1) / WORK_GROUP_SIZE)
#define V_COLUMNS ((HEAD_DIM_V / 4 + V_VECTORS - 1) / V_VECTORS)
#define KEY_GROUPS (WORK_GROUP_SIZE / V_COLUMNS)
#define PART_FLOATS (BLOCK_Q * BLOCK_KV * LANES_PER_KEY)
#define SUM_FLOATS (KEY_GROUPS * BLOCK_Q * HEAD_DIM_V)
#define STAGE_FLOATS (PART_FLOATS > SUM_FLOATS ? PART_FLOATS : SUM_FLOATS)

#if WORK_GROUP_SIZE % LANES_PER_KEY != 0
#error "LANES_PER_KEY must divide WORK_GROUP_SIZE"
#endif

static inline void load_q_tile(local float *q_tile, global const STORAGE(Q_DTYPE) *q, const sequence_t *sequence,
                               const attention_args *args, const work_item_t *item, int kv_head)
{
    for (int i = (int)get_local_id(0); i < BLOCK_Q * HEAD_DIM; i += WORK_GROUP_SIZE) {
        const ulong from = q_offset(args, sequence->first_token, kv_head, packed_row_of(item, i / HEAD_DIM));
        q_tile[i] = LOAD(Q_DTYPE)(q, from + (ulong)(i % HEAD_DIM));
    }
}

/* Scores of the tile, to s_tile. Ends with a barrier. */
static inline void compute_qk(local float *s_tile, local float *stage, local const float *q_tile, global const STORAGE(K_DTYPE) *k,
                              local const tile_rows *rows, const attention_args *args)
{
    const int thread = (int)get_local_id(0);
    const int lane = thread % LANES_PER_KEY;
    for (int key = thread / LANES_PER_KEY; key < BLOCK_KV; key += KEYS_PER_PASS) {
        float sums[BLOCK_Q];
#pragma unroll
        for (int row = 0; row < BLOCK_Q; ++row)
            sums[row] = 0.0f;
        for (int d = 4 * lane; d < HEAD_DIM; d += 4 * LANES_PER_KEY) {
            const float4 k_priv = LOAD_VECTOR(4, K_DTYPE)(k + rows->k[key] + d);
#pragma unroll
            for (int row = 0; row < BLOCK_Q; ++row)
                sums[row] += dot(k_priv, vload4(0, q_tile + row * HEAD_DIM + d));
        }
#pragma unroll
        for (int row = 0; row < BLOCK_Q; ++row)
            stage[(row * BLOCK_KV + key) * LANES_PER_KEY + lane] = sums[row];
    }
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW stage */
    for (int i = thread; i < BLOCK_Q * BLOCK_KV; i += WORK_GROUP_SIZE) {
        float score = 0.0f;
        for (int part = 0; part < LANES_PER_KEY; ++part)
            score += stage[i * LANES_PER_KEY + part];
        s_tile[i / BLOCK_KV * SCORE_STRIDE + i % BLOCK_KV] = LOGIT(score, args);
    }
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW s_tile; WAR stage */
}

/* First of a work-item's columns of its i-th vector; one past the last vector of the row repeats it and is never stored. */
static inline int column_of(int i)
{
    return 4 * min((int)get_local_id(0) % V_COLUMNS + i * V_COLUMNS, HEAD_DIM_V / 4 - 1);
}

/* Adds the weighted V rows of the work-item's keys; where the tile is masked, a zero weight must not meet a V that holds NaN. */
static inline void accumulate_pv(float4 acc[V_VECTORS][BLOCK_Q], local const float *weights, global const STORAGE(V_DTYPE) *v,
                                 local const tile_rows *rows, const bool masked)
{
    for (int key = (int)get_local_id(0) / V_COLUMNS; key < BLOCK_KV; key += KEY_GROUPS) {
#pragma unroll
        for (int i = 0; i < V_VECTORS; ++i) {
            const float4 v_priv = LOAD_VECTOR(4, V_DTYPE)(v + rows->v[key] + column_of(i));
#pragma unroll
            for (int row = 0; row < BLOCK_Q; ++row) {
                const float weight = weights[row * SCORE_STRIDE + key];
                acc[i][row] = masked && weight == 0.0f ? acc[i][row] : (float4)(weight) * v_priv + acc[i][row];
            }
        }
    }
}

SUB_GROUPS __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) kernel void
clattn_decode(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
              global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
              global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
              global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args)
{
    local float q_tile[BLOCK_Q * HEAD_DIM];
    local float s_tile[PADDED(BLOCK_Q * SCORE_STRIDE)];
    local float stage[PADDED(STAGE_FLOATS)];
    local float scratch[PADDED(WORK_GROUP_SIZE)];
    local float factors[PADDED(BLOCK_Q)];
    local ulong result_rows[PADDED(BLOCK_Q)];
    local row_bounds bounds;
    local tile_rows rows;
    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);

    const int thread = (int)get_local_id(0);
    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / args.num_kv_heads);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);
    const int in_team = thread < KEY_GROUPS * V_COLUMNS;

    load_q_tile(q_tile, q, &sequence, &args, &item, kv_head);
    load_row_bounds(&bounds, &sequence, &args, &item);
    load_result_rows(result_rows, &sequence, &args, &item, kv_head);
    k += args.k_offset + (ulong)kv_head * args.k_head_stride;
    v += args.v_offset + (ulong)kv_head * args.v_head_stride;
    row_sums state = {NO_LOGIT, 0.0f};
    float4 acc[V_VECTORS][BLOCK_Q];
#pragma unroll
    for (int i = 0; i < V_VECTORS; ++i) {
#pragma unroll
        for (int row = 0; row < BLOCK_Q; ++row)
            acc[i][row] = (float4)(0.0f);
    }

    for (int tile = item.kv_begin; tile < item.kv_end; tile += BLOCK_KV) {
        load_tile_rows(&rows, plan, &sequence, &args, &item, tile);
        barrier(CLK_LOCAL_MEM_FENCE); /* RAW rows, q_tile, bounds */
        compute_qk(s_tile, stage, q_tile, k, &rows, &args);
        softmax_update(s_tile, scratch, factors, &bounds, tile, &state);
#pragma unroll
        for (int i = 0; i < V_VECTORS; ++i) {
#pragma unroll
            for (int row = 0; row < BLOCK_Q; ++row)
                acc[i][row] *= factors[row];
        }
        if (in_team)
            accumulate_pv(acc, s_tile, v, &rows, tile_is_masked(&bounds, tile));
        barrier(CLK_LOCAL_MEM_FENCE); /* WAR rows, s_tile, factors */
    }

#pragma unroll
    for (int i = 0; i < V_VECTORS; ++i) {
        const bool stores = in_team && thread % V_COLUMNS + i * V_COLUMNS < HEAD_DIM_V / 4;
#pragma unroll
        for (int row = 0; row < BLOCK_Q; ++row) {
            if (stores)
                vstore4(acc[i][row], 0, stage + (thread / V_COLUMNS * BLOCK_Q + row) * HEAD_DIM_V + column_of(i));
        }
    }
    finish_rows(scratch, factors, &state, &sequence, &args, &item, kv_head, &results); /* RAW stage */
    for (int i = thread; i < BLOCK_Q * HEAD_DIM_V; i += WORK_GROUP_SIZE) {
        const int row = i / HEAD_DIM_V;
        float sum = 0.0f;
        for (int team = 0; team < KEY_GROUPS; ++team)
            sum += stage[team * BLOCK_Q * HEAD_DIM_V + i];
        if (row < item.num_rows)
            store_result(&results, &item, result_rows[row] + (ulong)(i % HEAD_DIM_V), sum * factors[row]);
    }
}
