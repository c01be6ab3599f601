/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode for CPUs: the few rows of a sequence against a run of its pages, with the head dimension in the vector lanes.
 *
 * What bounds it is memory, so the pages are read in their own order: where all kv heads of a token lie together, one
 * work item takes HEADS of them, block of keys after block of keys, with the states of all heads in local memory;
 * where a head's tokens lie together, HEADS is 1.
 *
 *     for a block of BLOCK_KV keys, for a head, for ROW_REGS rows:
 *         S[row][key] = sum over d of Q K    LANES keys, or 8 keys of two rows, at a time: partial sums per lane,
 *                                            folded until one vector holds one key of a row per lane
 *         softmax                            one vector of keys per step, one maximum per row and block
 *         acc[row][d] += P[row][key] V       ROW_REGS rows x PV_CHUNK vectors of d in registers
 *
 * Grid      one work-item per work-group; group = item * (num_kv_heads / HEADS) + head block
 * Memory    HEADS * BLOCK_Q * (HEAD_DIM + HEAD_DIM_V + KEY_LANES + 1) + BLOCK_Q * BLOCK_KV floats of local memory,
 *           an argument for the reason that prefill.cl gives
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. */
#ifndef HEAD_DIM_V
#error "HEAD_DIM_V is missing"
#endif

/*
 * Tunables. BLOCK_Q: rows per kv head. BLOCK_KV: keys per block, a multiple of LANES, or 8. HEADS: kv heads per work-group.
 * PREFETCH_ORDER: the order in which the rows that come next are asked for.
 */
#ifndef BLOCK_Q
#define BLOCK_Q 4
#endif
#ifndef BLOCK_KV
#define BLOCK_KV 32
#endif
#ifndef HEADS
#define HEADS 1
#endif
#define ORDER_OF_WORK 0   /* a kv head ahead */
#define ORDER_OF_MEMORY 1 /* a block ahead, a token's kv heads one after the other: lines as they lie */
#define ORDER_NONE 2      /* left to the processor */
#ifndef PREFETCH_ORDER
#define PREFETCH_ORDER ORDER_OF_WORK
#endif

/* Derived: ROW_REGS x QK_KEYS and ROW_REGS x PV_CHUNK accumulators fill half of the 16 or 32 vector registers. */
#if BLOCK_Q % 8 == 0
#define ROW_REGS 8
#elif BLOCK_Q % 4 == 0
#define ROW_REGS 4
#elif BLOCK_Q % 2 == 0
#define ROW_REGS 2
#else
#define ROW_REGS 1
#endif
#ifndef ACCUMULATORS
#if LANES == 16 || defined(__AVX512VL__) || defined(__aarch64__)
#define ACCUMULATORS 16
#else
#define ACCUMULATORS 8
#endif
#endif
#if BLOCK_KV == 8 && LANES == 16
#define SCORE_ROWS 2 /* rows whose scores share a vector */
#else
#define SCORE_ROWS 1
#endif
#define KEY_LANES (LANES / SCORE_ROWS) /* keys of a row in a vector of scores */
#if ACCUMULATORS / ROW_REGS > KEY_LANES
#define QK_KEYS KEY_LANES
#else
#define QK_KEYS (ACCUMULATORS / ROW_REGS)
#endif
#define PV_CHUNK (ACCUMULATORS / ROW_REGS)
#define K_VECTORS (HEAD_DIM / LANES)
#define V_VECTORS (HEAD_DIM_V / LANES)
#define NUM_ROWS (HEADS * BLOCK_Q)

#if HEAD_DIM % LANES != 0 || HEAD_DIM_V % LANES != 0
#error "LANES must divide both head dimensions"
#endif
#if BLOCK_KV % KEY_LANES != 0
#error "BLOCK_KV must be a multiple of LANES, or 8"
#endif
#if BLOCK_Q % SCORE_ROWS != 0 || QK_KEYS % SCORE_ROWS != 0
#error "8 keys of 16 lanes need an even number of rows, and two accumulators for each of them"
#endif

/*
 * A tree of folds gives a vector of scores: of LANES keys of a row, or of 8 keys of two rows. Its leaves in the order
 * in which they are folded belong to the row LEAF_ROW(position) and to its sum LEAF_SUM(position), that of the key
 * KEY_OF_SUM().
 */
#if SCORE_ROWS == 1
#define KEY_OF_SUM(sum) FOLD_LEAF(sum)
#define LEAF_ROW(position) 0
#define LEAF_SUM(position) (position)
#define KEY_INDEX LANE_INDEX
#define SPREAD(type, rows) ((PASTE(type, LANES))((rows)[0]))
#else
#define KEY_OF_SUM(sum) ((sum) % 2 * 4 + (sum) / 2)
#define LEAF_ROW(position) ((position) % 4 / 2)
#define LEAF_SUM(position) ((position) / 4 * 2 + (position) % 2)
#define KEY_INDEX (LANE_INDEX % KEY_LANES)
#define SPREAD(type, rows) ((PASTE(type, 16))((PASTE(type, 8))((rows)[0]), (PASTE(type, 8))((rows)[1])))
#endif
#define QK_STEPS (KEY_LANES / QK_KEYS)
#define STEP_LEAVES (LANES / QK_STEPS)

typedef global const STORAGE(K_DTYPE) *key_pointer;
typedef global const STORAGE(V_DTYPE) *value_pointer;

/* A block of keys, and where their rows of the work item's first kv head lie. */
typedef struct {
    ulong k_offsets[BLOCK_KV];
    ulong v_offsets[BLOCK_KV];
    int first_key;
    int num_keys; /* 0 = past the end */
} key_block;

/*
 * The rows that come next, asked for while the present ones are worked on: their order in memory is the order of the
 * work only if seen from afar, and no hardware prefetcher looks that far. The requests stand between the products,
 * since many at once would wait for each other.
 */
typedef struct {
    key_pointer k;
    value_pointer v;
    const key_block *keys;
} upcoming_rows;

/* The block at the cursor; what is past the item's last key repeats it: it is scored, but seen by no row. */
static inline void load_key_block(key_block *keys, kv_cursor *cursor, const attention_args *args, int first_key, int kv_end, int head)
{
    keys->first_key = first_key;
    keys->num_keys = clamp(kv_end - first_key, 0, BLOCK_KV);
    for (int key = 0; key < keys->num_keys; ++key) {
        keys->k_offsets[key] = k_offset(cursor, args) + (ulong)head * args->k_head_stride;
        keys->v_offsets[key] = v_offset(cursor, args) + (ulong)head * args->v_head_stride;
        kv_cursor_advance(cursor);
    }
    for (int key = keys->num_keys; key < BLOCK_KV && keys->num_keys > 0; ++key) {
        keys->k_offsets[key] = keys->k_offsets[keys->num_keys - 1];
        keys->v_offsets[key] = keys->v_offsets[keys->num_keys - 1];
    }
}

/* Asks for the cache line that begins at element d of a row, once per line. */
#if PREFETCH_ORDER == ORDER_NONE
#define PREFETCH_LINE(row, d)
#else
#define PREFETCH_LINE(row, d)                                       \
    do {                                                            \
        if ((d) % (CACHE_LINE_BYTES / (int)sizeof(*(row))) == 0)    \
            PREFETCH((row) + (d));                                  \
    } while (0)
#endif

#if PREFETCH_ORDER == ORDER_OF_MEMORY
/* While a head is worked on: the HEADS'th part of the next block, token after token. */
static inline upcoming_rows rows_ahead(key_block *part, key_pointer k, value_pointer v, const key_block *next, int head,
                                       const attention_args *args)
{
    for (int i = 0; i < BLOCK_KV; ++i) {
        const int token = (head * BLOCK_KV + i) / HEADS;
        const ulong of_token = (ulong)((head * BLOCK_KV + i) % HEADS);
        part->k_offsets[i] = next->k_offsets[token] + of_token * args->k_head_stride;
        part->v_offsets[i] = next->v_offsets[token] + of_token * args->v_head_stride;
    }
    const upcoming_rows rows = {k, v, part};
    return rows;
}
#endif

static inline void load_q_tile(local float *q_tile, global const STORAGE(Q_DTYPE) *q, const sequence_t *sequence,
                               const attention_args *args, const work_item_t *item, int first_head)
{
    for (int head = 0; head < HEADS; ++head) {
        for (int row = 0; row < BLOCK_Q; ++row) {
            const ulong from = q_offset(args, sequence->first_token, first_head + head, packed_row_of(item, row));
            for (int d = 0; d < HEAD_DIM; d += LANES)
                AT(q_tile, (head * BLOCK_Q + row) * HEAD_DIM + d) = LOAD_LANES(Q_DTYPE)(q + from + d);
        }
    }
}

/* Scores of ROW_REGS rows against the block's KEY_LANES keys from `first` on, to s_tile[row][key]. */
static inline void compute_qk(local float *s_tile, local const float *q_rows, key_pointer k, const key_block *keys, int first,
                              const upcoming_rows *upcoming, const attention_args *args)
{
    lanes_t folded[ROW_REGS / SCORE_ROWS][QK_STEPS];
    for (int step = 0; step < QK_STEPS; ++step) {
        lanes_t sums[ROW_REGS][QK_KEYS];
#pragma unroll
        for (int row = 0; row < ROW_REGS; ++row) {
#pragma unroll
            for (int key = 0; key < QK_KEYS; ++key)
                sums[row][key] = (lanes_t)(0.0f);
        }
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            lanes_t k_priv[QK_KEYS];
#pragma unroll
            for (int key = 0; key < QK_KEYS; ++key) {
                const int from = first + KEY_OF_SUM(step * QK_KEYS + key);
                k_priv[key] = LOAD_LANES(K_DTYPE)(k + keys->k_offsets[from] + d);
                PREFETCH_LINE(upcoming->k + upcoming->keys->k_offsets[from], d);
            }
#pragma unroll
            for (int row = 0; row < ROW_REGS; ++row) {
                const lanes_t q_priv = AT(q_rows, row * HEAD_DIM + d);
#pragma unroll
                for (int key = 0; key < QK_KEYS; ++key)
                    sums[row][key] = k_priv[key] * q_priv + sums[row][key];
            }
        }
#pragma unroll
        for (int rows = 0; rows < ROW_REGS / SCORE_ROWS; ++rows) {
            lanes_t leaves[STEP_LEAVES];
#pragma unroll
            for (int i = 0; i < STEP_LEAVES; ++i)
                leaves[i] = sums[rows * SCORE_ROWS + LEAF_ROW(i)][LEAF_SUM(i)];
#pragma unroll
            for (int num_leaves = 1; num_leaves < STEP_LEAVES; num_leaves *= 2) {
#pragma unroll
                for (int i = 0; i < STEP_LEAVES; i += 2 * num_leaves)
                    leaves[i] = fold(leaves[i], leaves[i + num_leaves], num_leaves);
            }
            folded[rows][step] = leaves[0];
        }
    }
#pragma unroll
    for (int rows = 0; rows < ROW_REGS / SCORE_ROWS; ++rows) {
#pragma unroll
        for (int num_steps = 1; num_steps < QK_STEPS; num_steps *= 2) {
#pragma unroll
            for (int i = 0; i < QK_STEPS; i += 2 * num_steps)
                folded[rows][i] = fold(folded[rows][i], folded[rows][i + num_steps], num_steps * STEP_LEAVES);
        }
        AT(s_tile, rows * SCORE_ROWS * BLOCK_KV) = LOGIT(folded[rows][0], args);
    }
}

/* The largest of a row's lanes. */
static inline float largest_key(lanes_t scores, const int row)
{
#if SCORE_ROWS == 1
    return largest_lane(scores);
#else
    return largest_lane(row == 0 ? scores.s0123456701234567 : scores.s89abcdef89abcdef);
#endif
}

/*
 * Turns the scores of SCORE_ROWS rows into weights, in place, and moves their softmax states on; a key that a row does
 * not see gets weight 0 whatever its score. A row's sum is kept per lane until the end. `first` and `past`: the keys
 * that the rows see, counted from the block's first.
 */
static inline void softmax_update(local float *scores, local float *row_max, local float *row_sum, local float *acc_rows,
                                  int_lanes_t first, int_lanes_t past, int masked)
{
    if (masked) {
        for (int key = 0; key < BLOCK_KV; key += KEY_LANES) {
            const int_lanes_t index = KEY_INDEX + key;
            AT(scores, key) = select((lanes_t)(NO_LOGIT), AT(scores, key), (index >= first) & (index < past));
        }
    }
    lanes_t largest = AT(scores, 0);
#pragma unroll
    for (int key = KEY_LANES; key < BLOCK_KV; key += KEY_LANES)
        largest = larger(AT(scores, key), largest);
    float new_max[SCORE_ROWS];
    float correction[SCORE_ROWS];
    bool moved = false;
#pragma unroll
    for (int row = 0; row < SCORE_ROWS; ++row) {
        new_max[row] = fmax(row_max[row], largest_key(largest, row));
        moved = moved || new_max[row] > row_max[row];
    }
    lanes_t sum = AT(row_sum, 0);
    if (moved) {
#pragma unroll
        for (int row = 0; row < SCORE_ROWS; ++row) {
            correction[row] = WEIGHT(row_max[row], new_max[row]);
            row_max[row] = new_max[row];
            for (int d = 0; d < HEAD_DIM_V; d += LANES)
                AT(acc_rows, row * HEAD_DIM_V + d) *= correction[row];
        }
        sum *= SPREAD(float, correction);
    }
    const lanes_t max_lanes = SPREAD(float, new_max);
#pragma unroll
    for (int key = 0; key < BLOCK_KV; key += KEY_LANES) {
        lanes_t weight = WEIGHT(AT(scores, key), max_lanes);
        if (masked) {
            const int_lanes_t index = KEY_INDEX + key;
            weight = select((lanes_t)(0.0f), weight, (index >= first) & (index < past));
        }
        AT(scores, key) = weight;
        sum += weight;
    }
    AT(row_sum, 0) = sum;
}

/* A row's sum, from its lanes. */
static inline float sum_of_row(local const float *row_sum)
{
    float sum = 0.0f;
    for (int lane = 0; lane < KEY_LANES; ++lane)
        sum += row_sum[lane];
    return sum;
}

/*
 * Adds the weighted V rows for `chunk` vectors from `vector` on; `masked` (both constants): a zero weight must not meet
 * a V that holds NaN.
 */
SPECIALISED void accumulate_pv(local float *acc_rows, local const float *weights, value_pointer v, const key_block *keys,
                                 const upcoming_rows *upcoming, int vector, const int chunk, const int masked)
{
    const int first_d = vector * LANES;
    lanes_t acc[ROW_REGS][PV_CHUNK];
#pragma unroll
    for (int row = 0; row < ROW_REGS; ++row) {
#pragma unroll
        for (int i = 0; i < chunk; ++i)
            acc[row][i] = AT(acc_rows, row * HEAD_DIM_V + first_d + i * LANES);
    }
    for (int key = 0; key < keys->num_keys; ++key) {
        const value_pointer from = v + keys->v_offsets[key] + first_d;
        lanes_t v_priv[PV_CHUNK];
#pragma unroll
        for (int i = 0; i < chunk; ++i) {
            v_priv[i] = LOAD_LANES(V_DTYPE)(from + i * LANES);
            PREFETCH_LINE(upcoming->v + upcoming->keys->v_offsets[key], first_d + i * LANES);
        }
#pragma unroll
        for (int row = 0; row < ROW_REGS; ++row) {
            const float weight = weights[row * BLOCK_KV + key];
#pragma unroll
            for (int i = 0; i < chunk; ++i) {
                const lanes_t sum = (lanes_t)(weight) * v_priv[i] + acc[row][i];
                acc[row][i] = masked && weight == 0.0f ? acc[row][i] : sum;
            }
        }
    }
#pragma unroll
    for (int row = 0; row < ROW_REGS; ++row) {
#pragma unroll
        for (int i = 0; i < chunk; ++i)
            AT(acc_rows, row * HEAD_DIM_V + first_d + i * LANES) = acc[row][i];
    }
}

/* All of head_dim_v: whole chunks, then what is left. */
SPECIALISED void accumulate_pv_rows(local float *acc_rows, local const float *weights, value_pointer v, const key_block *keys,
                                      const upcoming_rows *upcoming, const int masked)
{
    int vector = 0;
    for (; vector + PV_CHUNK <= V_VECTORS; vector += PV_CHUNK)
        accumulate_pv(acc_rows, weights, v, keys, upcoming, vector, PV_CHUNK, masked);
#if V_VECTORS % PV_CHUNK != 0
    accumulate_pv(acc_rows, weights, v, keys, upcoming, vector, V_VECTORS % PV_CHUNK, masked);
#endif
}

__attribute__((reqd_work_group_size(1, 1, 1))) kernel void
clattn_decode(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
              global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
              global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
              global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args,
              local float *restrict tiles)
{
    local float *q_tile = tiles;
    local float *acc = q_tile + NUM_ROWS * HEAD_DIM;
    local float *row_sum = acc + NUM_ROWS * HEAD_DIM_V;
    local float *s_tile = row_sum + NUM_ROWS * KEY_LANES;
    local float *row_max = s_tile + BLOCK_Q * BLOCK_KV;
    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);

    const int num_head_blocks = args.num_kv_heads / HEADS;
    const int first_head = (int)get_group_id(0) % num_head_blocks * HEADS;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / num_head_blocks);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);

    load_q_tile(q_tile, q, &sequence, &args, &item, first_head);
    int first_key[BLOCK_Q];
    int past_key[BLOCK_Q];
    for (int row = 0; row < BLOCK_Q; ++row) {
        const key_range range = visible_keys(&sequence, &args, &item, row);
        first_key[row] = range.first;
        past_key[row] = range.past;
    }
    for (int row = 0; row < NUM_ROWS; ++row)
        row_max[row] = NO_LOGIT;
    for (int i = 0; i < NUM_ROWS * KEY_LANES; i += LANES)
        AT(row_sum, i) = (lanes_t)(0.0f);
    for (int i = 0; i < NUM_ROWS * HEAD_DIM_V; i += LANES)
        AT(acc, i) = (lanes_t)(0.0f);

    key_block blocks[2];
    kv_cursor cursor = kv_cursor_at(plan, &sequence, &args, item.kv_begin);
    load_key_block(&blocks[0], &cursor, &args, item.kv_begin, item.kv_end, first_head);
    for (int turn = 0; blocks[turn].num_keys > 0; turn = 1 - turn) {
        const key_block *keys = &blocks[turn];
        key_block *next = &blocks[1 - turn];
        load_key_block(next, &cursor, &args, keys->first_key + BLOCK_KV, item.kv_end, first_head);
        const int masked = keys->first_key < first_key[BLOCK_Q - 1] || keys->first_key + BLOCK_KV > past_key[0];

        for (int head = 0; head < HEADS; ++head) {
            const key_pointer k_head = k + (ulong)head * args.k_head_stride;
            const value_pointer v_head = v + (ulong)head * args.v_head_stride;
            const key_block *following = next->num_keys > 0 ? next : keys;
#if PREFETCH_ORDER == ORDER_OF_MEMORY
            key_block part;
            const upcoming_rows upcoming = rows_ahead(&part, k, v, following, head, &args);
#else
            const int ahead = (head + 1) % HEADS;
            const upcoming_rows upcoming = {k + (ulong)ahead * args.k_head_stride, v + (ulong)ahead * args.v_head_stride,
                                            head + 1 < HEADS ? keys : following};
#endif
            for (int rows = 0; rows < BLOCK_Q; rows += ROW_REGS) {
                const int state = head * BLOCK_Q + rows;
                local float *scores = s_tile + rows * BLOCK_KV;
                for (int key = 0; key < BLOCK_KV; key += KEY_LANES)
                    compute_qk(scores + key, q_tile + state * HEAD_DIM, k_head, keys, key, &upcoming, &args);
                for (int row = 0; row < ROW_REGS; row += SCORE_ROWS)
                    softmax_update(scores + row * BLOCK_KV, row_max + state + row, row_sum + (state + row) * KEY_LANES,
                                   acc + (state + row) * HEAD_DIM_V,
                                   SPREAD(int, first_key + rows + row) - keys->first_key,
                                   SPREAD(int, past_key + rows + row) - keys->first_key, masked);
                if (masked)
                    accumulate_pv_rows(acc + state * HEAD_DIM_V, scores, v_head, keys, &upcoming, 1);
                else
                    accumulate_pv_rows(acc + state * HEAD_DIM_V, scores, v_head, keys, &upcoming, 0);
            }
        }
    }

    for (int head = 0; head < HEADS; ++head) {
        for (int row = 0; row < item.num_rows; ++row) {
            const int kv_head = first_head + head;
            const int packed_row = item.first_row + row;
            const int state = head * BLOCK_Q + row;
            local const float *from = acc + state * HEAD_DIM_V;
            const row_sums sums = {row_max[state], sum_of_row(row_sum + state * KEY_LANES)};
            if (item.partial >= 0) {
                const ulong index = partial_row(&args, item.partial, row, kv_head);
                results.partial_sums[index] = (float2)(sums.max, sums.sum);
                for (int d = 0; d < HEAD_DIM_V; d += LANES)
                    STORE_VECTOR(LANES, DTYPE_FLOAT32)(results.partial_acc + index * HEAD_DIM_V + d, AT(from, d));
                continue;
            }
            const row_result result = finalize_row(&sums, results.sinks, &args, kv_head, packed_row);
            const ulong to = out_offset(&args, sequence.first_token, kv_head, packed_row);
            for (int d = 0; d < HEAD_DIM_V; d += LANES)
                STORE_VECTOR(LANES, OUT_DTYPE)(results.out + to + d, AT(from, d) * result.scale);
            store_state(&results, &args, sequence.first_token, kv_head, packed_row, &result);
        }
    }
}
