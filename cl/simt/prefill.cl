/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefill for GPUs: a tile of packed query rows of one kv head against its keys, FlashAttention-2 (arXiv 2307.08691,
 * algorithm 1) over local-memory tiles with a register tile per work-item.
 *
 * The work-items stand in TILE_ROWS x TILE_COLUMNS. Work-item (y, x) computes the scores of rows y, y + TILE_ROWS, ...
 * and keys x, x + TILE_COLUMNS, ..., and keeps the output of the same rows and of columns x, x + TILE_COLUMNS, ...
 *
 *     q_tile [d][row]     k chunk [d][key]      s_tile [row][key]     v chunk [key][d]
 *
 * The loops over a work-item's rows, keys and columns are unrolled, for their arrays to lie in registers; those over d
 * and over the keys of a chunk are kept rolled, since compilers for AMD GPUs otherwise hoist their loads and spill.
 *
 * Grid      work-groups of WORK_GROUP_SIZE; group = item * num_kv_heads + kv_head
 * Memory    HEAD_DIM * (BLOCK_Q + 1) + BLOCK_Q * (BLOCK_KV + 1) + max(K_CHUNK * (BLOCK_KV + 1), V_CHUNK * HEAD_DIM_V)
 *           + WORK_GROUP_SIZE + 5 * BLOCK_Q + 4 * BLOCK_KV floats of local memory, each array padded to whole vectors
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. Tunables: see tile.cl. */
#define TILE_COLUMNS 16
#define TILE_ROWS (WORK_GROUP_SIZE / TILE_COLUMNS)
#define ROWS_PER_THREAD (BLOCK_Q / TILE_ROWS)
#define KEYS_PER_THREAD (BLOCK_KV / TILE_COLUMNS)
#define COLUMNS_PER_THREAD ((HEAD_DIM_V + TILE_COLUMNS - 1) / TILE_COLUMNS)
#define Q_STRIDE (BLOCK_Q + 1)
#define K_STRIDE (BLOCK_KV + 1)
#define K_CHUNK 32 /* d per staged piece of K */
#define V_CHUNK (HEAD_DIM_V > 256 ? 4 : 8) /* keys per staged piece of V */
#define STAGE_FLOATS (K_CHUNK * K_STRIDE > V_CHUNK * HEAD_DIM_V ? K_CHUNK * K_STRIDE : V_CHUNK * HEAD_DIM_V)

#if WORK_GROUP_SIZE % TILE_COLUMNS != 0 || BLOCK_Q % TILE_ROWS != 0 || BLOCK_KV % TILE_COLUMNS != 0
#error "the tile does not divide among the work-items"
#endif
#if BLOCK_KV % V_CHUNK != 0
#error "BLOCK_KV must be a multiple of V_CHUNK"
#endif

static inline void load_q_tile(local float *q_tile, global const STORAGE(Q_DTYPE) *q, const sequence_t *sequence,
                               const attention_args *args, const work_item_t *item, int kv_head)
{
    for (int i = (int)get_local_id(0); i < BLOCK_Q * HEAD_DIM; i += WORK_GROUP_SIZE) {
        const int row = i / HEAD_DIM;
        const int d = i % HEAD_DIM;
        const ulong from = q_offset(args, sequence->first_token, kv_head, packed_row_of(item, row));
        q_tile[d * Q_STRIDE + row] = LOAD(Q_DTYPE)(q, from + (ulong)d);
    }
}

/* Stages K[all keys][d_begin, d_begin + K_CHUNK), transposed. */
static inline void load_k_chunk(local float *stage, global const STORAGE(K_DTYPE) *k, local const tile_rows *rows, int d_begin)
{
    const int width = min(K_CHUNK, HEAD_DIM - d_begin);
    for (int i = (int)get_local_id(0); i < BLOCK_KV * K_CHUNK; i += WORK_GROUP_SIZE) {
        const int key = i / K_CHUNK;
        const int d = i % K_CHUNK;
        if (d < width)
            stage[d * K_STRIDE + key] = LOAD(K_DTYPE)(k, rows->k[key] + (ulong)(d_begin + d));
    }
}

/* Stages V[key_begin, key_begin + V_CHUNK)[all d]. */
static inline void load_v_chunk(local float *stage, global const STORAGE(V_DTYPE) *v, local const tile_rows *rows, int key_begin)
{
    for (int i = (int)get_local_id(0); i < V_CHUNK * HEAD_DIM_V; i += WORK_GROUP_SIZE)
        stage[i] = LOAD(V_DTYPE)(v, rows->v[key_begin + i / HEAD_DIM_V] + (ulong)(i % HEAD_DIM_V));
}

/* Scores of the tile, to s_tile; every work-item passes every barrier. */
static inline void compute_qk(local float *s_tile, local const float *q_tile, local float *stage,
                              global const STORAGE(K_DTYPE) *k, local const tile_rows *rows, const attention_args *args)
{
    const int x = (int)get_local_id(0) % TILE_COLUMNS;
    const int y = (int)get_local_id(0) / TILE_COLUMNS;
    float scores[ROWS_PER_THREAD][KEYS_PER_THREAD];
#pragma unroll
    for (int i = 0; i < ROWS_PER_THREAD; ++i) {
#pragma unroll
        for (int j = 0; j < KEYS_PER_THREAD; ++j)
            scores[i][j] = 0.0f;
    }

    for (int d_begin = 0; d_begin < HEAD_DIM; d_begin += K_CHUNK) {
        barrier(CLK_LOCAL_MEM_FENCE); /* WAR stage; RAW q_tile, rows */
        load_k_chunk(stage, k, rows, d_begin);
        barrier(CLK_LOCAL_MEM_FENCE); /* RAW stage */
        const int width = min(K_CHUNK, HEAD_DIM - d_begin);
#pragma unroll 1
        for (int d = 0; d < width; ++d) {
            float q_priv[ROWS_PER_THREAD];
#pragma unroll
            for (int i = 0; i < ROWS_PER_THREAD; ++i)
                q_priv[i] = q_tile[(d_begin + d) * Q_STRIDE + y + i * TILE_ROWS];
#pragma unroll
            for (int j = 0; j < KEYS_PER_THREAD; ++j) {
                const float k_priv = stage[d * K_STRIDE + x + j * TILE_COLUMNS];
#pragma unroll
                for (int i = 0; i < ROWS_PER_THREAD; ++i)
                    scores[i][j] = q_priv[i] * k_priv + scores[i][j];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS_PER_THREAD; ++i) {
#pragma unroll
        for (int j = 0; j < KEYS_PER_THREAD; ++j) {
            s_tile[(y + i * TILE_ROWS) * SCORE_STRIDE + x + j * TILE_COLUMNS] = LOGIT(scores[i][j], args);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW s_tile; WAR stage */
}

/* Adds the weighted V rows; where the tile is masked, a zero weight must not meet a V that holds NaN. */
static inline void accumulate_pv(float acc[ROWS_PER_THREAD][COLUMNS_PER_THREAD], local const float *weights, local float *stage,
                                 global const STORAGE(V_DTYPE) *v, local const tile_rows *rows, const bool masked)
{
    const int x = (int)get_local_id(0) % TILE_COLUMNS;
    const int y = (int)get_local_id(0) / TILE_COLUMNS;
    for (int key_begin = 0; key_begin < BLOCK_KV; key_begin += V_CHUNK) {
        load_v_chunk(stage, v, rows, key_begin);
        barrier(CLK_LOCAL_MEM_FENCE); /* RAW stage */
#pragma unroll 1
        for (int key = 0; key < V_CHUNK; ++key) {
            float weight[ROWS_PER_THREAD];
#pragma unroll
            for (int i = 0; i < ROWS_PER_THREAD; ++i)
                weight[i] = weights[(y + i * TILE_ROWS) * SCORE_STRIDE + key_begin + key];
#pragma unroll
            for (int j = 0; j < COLUMNS_PER_THREAD; ++j) {
                const int d = min(x + j * TILE_COLUMNS, HEAD_DIM_V - 1); /* a column past the last is never stored */
                const float v_priv = stage[key * HEAD_DIM_V + d];
#pragma unroll
                for (int i = 0; i < ROWS_PER_THREAD; ++i)
                    acc[i][j] = masked && weight[i] == 0.0f ? acc[i][j] : weight[i] * v_priv + acc[i][j];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE); /* WAR stage */
    }
}

SUB_GROUPS __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) kernel void
clattn_prefill(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
               global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
               global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
               global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args)
{
    local float q_tile[HEAD_DIM * Q_STRIDE];
    local float s_tile[PADDED(BLOCK_Q * SCORE_STRIDE)];
    local float stage[STAGE_FLOATS];
    local float scratch[PADDED(WORK_GROUP_SIZE)];
    local float factors[PADDED(BLOCK_Q)];
    local ulong result_rows[PADDED(BLOCK_Q)];
    local row_bounds bounds;
    local tile_rows rows;
    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);

    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / args.num_kv_heads);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);
    const int x = (int)get_local_id(0) % TILE_COLUMNS;
    const int y = (int)get_local_id(0) / TILE_COLUMNS;

    load_q_tile(q_tile, q, &sequence, &args, &item, kv_head);
    load_row_bounds(&bounds, &sequence, &args, &item);
    load_result_rows(result_rows, &sequence, &args, &item, kv_head);
    k += args.k_offset + (ulong)kv_head * args.k_head_stride;
    v += args.v_offset + (ulong)kv_head * args.v_head_stride;
    row_sums state = {NO_LOGIT, 0.0f};
    float acc[ROWS_PER_THREAD][COLUMNS_PER_THREAD];
#pragma unroll
    for (int i = 0; i < ROWS_PER_THREAD; ++i) {
#pragma unroll
        for (int j = 0; j < COLUMNS_PER_THREAD; ++j)
            acc[i][j] = 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW q_tile, bounds */

    for (int tile = item.kv_begin; tile < item.kv_end; tile += BLOCK_KV) {
        load_tile_rows(&rows, plan, &sequence, &args, &item, tile);
        compute_qk(s_tile, q_tile, stage, k, &rows, &args);
        softmax_update(s_tile, scratch, factors, &bounds, tile, &state);
#pragma unroll
        for (int i = 0; i < ROWS_PER_THREAD; ++i) {
            const float correction = factors[y + i * TILE_ROWS];
#pragma unroll
            for (int j = 0; j < COLUMNS_PER_THREAD; ++j)
                acc[i][j] *= correction;
        }
        accumulate_pv(acc, s_tile, stage, v, &rows, tile_is_masked(&bounds, tile));
    }

    finish_rows(scratch, factors, &state, &sequence, &args, &item, kv_head, &results);
#pragma unroll
    for (int i = 0; i < ROWS_PER_THREAD; ++i) {
        const int row = y + i * TILE_ROWS;
#pragma unroll
        for (int j = 0; j < COLUMNS_PER_THREAD; ++j) {
            const int d = x + j * TILE_COLUMNS;
            if (row < item.num_rows && d < HEAD_DIM_V)
                store_result(&results, &item, result_rows[row] + (ulong)d, acc[i][j] * factors[row]);
        }
    }
}
