/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode for CPUs: the few rows of a sequence against a run of its pages, with the head dimension in the vector lanes
 * while products are summed, and the softmax states in them afterwards.
 *
 * What bounds it is memory, so the pages are read in their own order: one work item takes HEADS kv heads, block of keys
 * after block of keys, and of a block token after token. A state is a row of a kv head. The states of all HEADS are in
 * local memory.
 *
 *     for a block of BLOCK_KV keys:
 *         S[key][state] = sum over d of Q K      QK_KEYS keys of all heads, then the next ones: ROW_REGS x QK_KEYS
 *                                                partial sums per lane, folded until a vector holds one score per lane,
 *                                                those of SCORE_STATES states and KEY_LANES keys
 *         softmax                                with the state's maximum in each of its KEY_LANES lanes, and its sum
 *                                                spread over them
 *         acc[state][d] += P[key][state] V       ROW_REGS rows x PV_CHUNK vectors of d in registers
 *
 * Grid      one work-item per work-group; group = item * (num_kv_heads / HEADS) + head block
 * Memory    HEADS * BLOCK_Q * (HEAD_DIM + HEAD_DIM_V + BLOCK_KV + 2 * KEY_LANES) floats of local memory, an argument for
 *           the reason that prefill.cl gives
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. */
#ifndef HEAD_DIM_V
#error "HEAD_DIM_V is missing"
#endif

/*
 * Tunables. BLOCK_Q: rows per kv head. BLOCK_KV: keys per block. HEADS: kv heads per work-group. QK_KEYS, ACCUMULATORS:
 * below, where their defaults are derived.
 */
#ifndef BLOCK_Q
#define BLOCK_Q 4
#endif
#ifndef BLOCK_KV
#define BLOCK_KV 16
#endif
#ifndef HEADS
#define HEADS 1
#endif

#define NUM_STATES (HEADS * BLOCK_Q)

/* Derived: the states of a vector of scores, and its keys. */
#if LANES == 16 && NUM_STATES % 16 == 0
#define SCORE_STATES 16
#elif LANES >= 8 && NUM_STATES % 8 == 0
#define SCORE_STATES 8
#elif NUM_STATES % 4 == 0
#define SCORE_STATES 4
#elif NUM_STATES % 2 == 0
#define SCORE_STATES 2
#else
#define SCORE_STATES 1
#endif
#define KEY_LANES (LANES / SCORE_STATES)
#define SCORE_VECTORS (NUM_STATES / SCORE_STATES) /* of a key */
#define KEY_VECTORS (BLOCK_KV / KEY_LANES)        /* of a state */

/* Derived: ROW_REGS x PV_CHUNK accumulators fill half of the 16 or 32 vector registers, ROW_REGS x QK_KEYS no more. */
#if BLOCK_Q % 8 == 0 && LANES >= 8
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
#define PV_CHUNK (ACCUMULATORS / ROW_REGS)
/* Keys whose scores are summed at a time: of all heads one token in a line, or two where 8 rows of Q are read for them. */
#ifndef QK_KEYS
#if KEY_LANES > 1
#define QK_KEYS (PV_CHUNK < KEY_LANES ? PV_CHUNK : KEY_LANES)
#elif ROW_REGS == 8 && BLOCK_KV % 2 == 0
#define QK_KEYS 2
#else
#define QK_KEYS 1
#endif
#endif
#define STEP_KEYS (QK_KEYS > KEY_LANES ? QK_KEYS : KEY_LANES) /* keys that fill whole vectors of scores */
#define STEP_PARTS (SCORE_STATES / ROW_REGS)                  /* runs of rows that fill them */
#define K_UNROLL 2 /* vectors of 16 bits in a cache line of 16 lanes: leaves no test for where a line begins */
#define V_VECTORS (HEAD_DIM_V / LANES)

#if HEAD_DIM % LANES != 0 || HEAD_DIM_V % LANES != 0
#error "LANES must divide both head dimensions"
#endif
#if BLOCK_KV % KEY_LANES != 0 || BLOCK_KV % QK_KEYS != 0
#error "BLOCK_KV must be a multiple of QK_KEYS, and of the keys of a vector of scores"
#endif
#if QK_KEYS % KEY_LANES != 0 && KEY_LANES % QK_KEYS != 0
#error "QK_KEYS must divide the keys of a vector of scores, or be a multiple of them"
#endif

/* The lane of a vector of scores that holds a key's score for a state: the leaves of the fold tree are keys of states. */
#define LANE_OF(key, state) FOLD_LEAF((key) * SCORE_STATES + (state))
#define KEY_INDEX (FOLD_POSITION(LANE_INDEX) / SCORE_STATES)
#define STATE_IN(lane) (FOLD_POSITION(lane) % SCORE_STATES)

typedef global const STORAGE(K_DTYPE) *key_pointer;
typedef global const STORAGE(V_DTYPE) *value_pointer;

/* A block of keys, and where their rows of the work item's first kv head lie. */
typedef struct {
    ulong k_offsets[BLOCK_KV];
    ulong v_offsets[BLOCK_KV];
    int first_key;
    int num_keys; /* 0 = past the end */
} key_block;

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

/*
 * Asks for the cache line that begins at element d of a row of the next block, once per line, while the same row of this
 * block is worked on: no hardware prefetcher looks that far, and many requests at once would wait for each other.
 */
#define PREFETCH_LINE(row, d)                                       \
    do {                                                            \
        if ((d) % (CACHE_LINE_BYTES / (int)sizeof(*(row))) == 0)    \
            PREFETCH((row) + (d));                                  \
    } while (0)

/* Asks for a whole block at once: a work item's first one, while its queries are read. */
static inline void prefetch_block(const key_block *keys, key_pointer k, value_pointer v, const attention_args *args)
{
    for (int key = 0; key < keys->num_keys; ++key) {
        for (int head = 0; head < HEADS; ++head) {
            const key_pointer k_row = k + keys->k_offsets[key] + (ulong)head * args->k_head_stride;
            const value_pointer v_row = v + keys->v_offsets[key] + (ulong)head * args->v_head_stride;
            for (int d = 0; d < HEAD_DIM; d += LANES)
                PREFETCH_LINE(k_row, d);
            for (int d = 0; d < HEAD_DIM_V; d += LANES)
                PREFETCH_LINE(v_row, d);
        }
    }
}

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

/* The keys that each lane's row sees. */
static inline void spread_key_ranges(int_lanes_t *first_keys, int_lanes_t *past_keys, const key_range *of_rows)
{
    for (int i = 0; i < SCORE_VECTORS; ++i) {
        int first[LANES];
        int past[LANES];
        for (int lane = 0; lane < LANES; ++lane) {
            const int row = (i * SCORE_STATES + STATE_IN(lane)) % BLOCK_Q;
            first[lane] = of_rows[row].first;
            past[lane] = of_rows[row].past;
        }
        first_keys[i] = PASTE(vload, LANES)(0, first);
        past_keys[i] = PASTE(vload, LANES)(0, past);
    }
}

/* Joins num_subtrees subtrees of num_leaves vectors each; both are constants. */
SPECIALISED lanes_t fold_all(lanes_t *subtrees, const int num_subtrees, const int num_leaves)
{
#pragma unroll
    for (int joined = 1; joined < num_subtrees; joined *= 2) {
#pragma unroll
        for (int i = 0; i < num_subtrees; i += 2 * joined)
            subtrees[i] = fold(subtrees[i], subtrees[i + joined], joined * num_leaves);
    }
    return subtrees[0];
}

/* Partial sums of ROW_REGS rows of a kv head and QK_KEYS keys from `first` on, folded over the rows. */
static inline void sum_products(lanes_t *folded, local const float *q_rows, key_pointer k, const key_block *keys,
                                const key_block *next, int first)
{
    lanes_t sums[QK_KEYS][ROW_REGS];
#pragma unroll
    for (int key = 0; key < QK_KEYS; ++key) {
#pragma unroll
        for (int row = 0; row < ROW_REGS; ++row)
            sums[key][row] = (lanes_t)(0.0f);
    }
#pragma unroll K_UNROLL
    for (int d = 0; d < HEAD_DIM; d += LANES) {
        lanes_t k_priv[QK_KEYS];
#pragma unroll
        for (int key = 0; key < QK_KEYS; ++key) {
            k_priv[key] = LOAD_LANES(K_DTYPE)(k + keys->k_offsets[first + key] + d);
            PREFETCH_LINE(k + next->k_offsets[first + key], d);
        }
#pragma unroll
        for (int row = 0; row < ROW_REGS; ++row) {
            const lanes_t q_priv = AT(q_rows, row * HEAD_DIM + d);
#pragma unroll
            for (int key = 0; key < QK_KEYS; ++key)
                sums[key][row] = k_priv[key] * q_priv + sums[key][row];
        }
    }
#pragma unroll
    for (int key = 0; key < QK_KEYS; ++key)
        folded[key * STEP_PARTS] = fold_all(sums[key], ROW_REGS, 1);
}

/* Scores of SCORE_STATES states from `state` on against the STEP_KEYS keys from `first` on: whole vectors. */
static inline void compute_qk(local float *scores, local const float *q_tile, key_pointer k, const key_block *keys,
                              const key_block *next, int first, int state, const attention_args *args)
{
    lanes_t folded[STEP_KEYS * STEP_PARTS];
#pragma unroll
    for (int part = 0; part < STEP_PARTS; ++part) {
        const int row = state + part * ROW_REGS;
        const key_pointer k_head = k + (ulong)(row / BLOCK_Q) * args->k_head_stride;
        for (int key = 0; key < STEP_KEYS; key += QK_KEYS)
            sum_products(folded + key * STEP_PARTS + part, q_tile + row * HEAD_DIM, k_head, keys, next, first + key);
    }
#pragma unroll
    for (int i = 0; i < STEP_KEYS / KEY_LANES; ++i) {
        const lanes_t dot_products = fold_all(folded + i * (LANES / ROW_REGS), LANES / ROW_REGS, ROW_REGS);
        AT(scores, i * LANES) = LOGIT(dot_products, args);
    }
}

/*
 * Turns the scores of SCORE_STATES states into weights, in place, and moves the states on; a key that a row does not see
 * gets weight 0 whatever its score. A state's sum is kept per lane until the end. `first` and `past`: the keys that the
 * rows see, counted from the block's first; masked is a constant.
 */
SPECIALISED void softmax_update(local float *scores, local float *state_max, local float *state_sum, local float *acc,
                                int_lanes_t first, int_lanes_t past, const int masked)
{
    if (masked) {
        for (int i = 0; i < KEY_VECTORS; ++i) {
            const int_lanes_t index = KEY_INDEX + i * KEY_LANES;
            AT(scores, i * LANES) = select((lanes_t)(NO_LOGIT), AT(scores, i * LANES), (index >= first) & (index < past));
        }
    }
    lanes_t largest = AT(scores, 0);
#pragma unroll
    for (int i = 1; i < KEY_VECTORS; ++i)
        largest = larger(AT(scores, i * LANES), largest);
    const lanes_t old_max = AT(state_max, 0);
    const lanes_t new_max = larger(largest_of_leaves(largest, SCORE_STATES), old_max);
    lanes_t sum = AT(state_sum, 0);
    if (any(new_max > old_max)) {
        const lanes_t correction = weight_of(old_max, new_max);
        AT(state_max, 0) = new_max;
        sum *= correction;
        float corrections[LANES];
        PASTE(vstore, LANES)(correction, 0, corrections);
        for (int state = 0; state < SCORE_STATES; ++state) {
            const float of_state = corrections[LANE_OF(0, state)];
            for (int d = 0; d < HEAD_DIM_V && of_state != 1.0f; d += LANES)
                AT(acc, state * HEAD_DIM_V + d) *= of_state;
        }
    }
#pragma unroll
    for (int i = 0; i < KEY_VECTORS; ++i) {
        lanes_t weight = weight_of(AT(scores, i * LANES), new_max);
        if (masked) {
            const int_lanes_t index = KEY_INDEX + i * KEY_LANES;
            weight = select((lanes_t)(0.0f), weight, (index >= first) & (index < past));
        }
        AT(scores, i * LANES) = weight;
        sum += weight;
    }
    AT(state_sum, 0) = sum;
}

/* A state's sum, from its lanes. */
static inline float sum_of_state(local const float *sums, int state)
{
    float sum = 0.0f;
    for (int key = 0; key < KEY_LANES; ++key)
        sum += sums[state / SCORE_STATES * LANES + LANE_OF(key, state % SCORE_STATES)];
    return sum;
}

/*
 * Adds the weighted V rows for `chunk` vectors from `vector` on to ROW_REGS rows, the first of which is `state` in its
 * vector of scores; `masked` (both constants): a zero weight must not meet a V that holds NaN.
 */
SPECIALISED void accumulate_pv(local float *acc_rows, local const float *weights, int state, value_pointer v,
                               const key_block *keys, const key_block *next, int vector, const int chunk, const int masked)
{
    local float *acc_chunk = acc_rows + vector * LANES;
    lanes_t acc[ROW_REGS][PV_CHUNK];
#pragma unroll
    for (int row = 0; row < ROW_REGS; ++row) {
#pragma unroll
        for (int i = 0; i < chunk; ++i)
            acc[row][i] = AT(acc_chunk, row * HEAD_DIM_V + i * LANES);
    }
    for (int key = 0; key < keys->num_keys; ++key) {
        const value_pointer from = v + keys->v_offsets[key] + vector * LANES;
        local const float *of_key = weights + key / KEY_LANES * LANES + LANE_OF(key % KEY_LANES, state);
        lanes_t v_priv[PV_CHUNK];
#pragma unroll
        for (int i = 0; i < chunk; ++i) {
            v_priv[i] = LOAD_LANES(V_DTYPE)(from + i * LANES);
            PREFETCH_LINE(v + next->v_offsets[key], (vector + i) * LANES);
        }
#pragma unroll
        for (int row = 0; row < ROW_REGS; ++row) {
            const float weight = of_key[FOLD_LEAF(row)];
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
            AT(acc_chunk, row * HEAD_DIM_V + i * LANES) = acc[row][i];
    }
}

/* A block, once all scores are there: weights, and the weighted V rows of all of head_dim_v, in whole chunks and the rest. */
SPECIALISED void add_block(local float *scores, local float *state_max, local float *state_sum, local float *acc,
                           value_pointer v, const key_block *keys, const key_block *next, const attention_args *args,
                           const int_lanes_t *first_keys, const int_lanes_t *past_keys, const int masked)
{
    for (int i = 0; i < SCORE_VECTORS; ++i)
        softmax_update(scores + i * KEY_VECTORS * LANES, state_max + i * LANES, state_sum + i * LANES,
                       acc + i * SCORE_STATES * HEAD_DIM_V, first_keys[i] - keys->first_key,
                       past_keys[i] - keys->first_key, masked);
    for (int state = 0; state < NUM_STATES; state += ROW_REGS) {
        local float *acc_rows = acc + state * HEAD_DIM_V;
        local const float *weights = scores + state / SCORE_STATES * KEY_VECTORS * LANES;
        const int lane_state = state % SCORE_STATES;
        const value_pointer v_head = v + (ulong)(state / BLOCK_Q) * args->v_head_stride;
        int vector = 0;
        for (; vector + PV_CHUNK <= V_VECTORS; vector += PV_CHUNK)
            accumulate_pv(acc_rows, weights, lane_state, v_head, keys, next, vector, PV_CHUNK, masked);
#if V_VECTORS % PV_CHUNK != 0
        accumulate_pv(acc_rows, weights, lane_state, v_head, keys, next, vector, V_VECTORS % PV_CHUNK, masked);
#endif
    }
}

__attribute__((reqd_work_group_size(1, 1, 1))) kernel void
clattn_decode(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
              global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
              global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
              global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args,
              local float *restrict tiles)
{
    local float *q_tile = tiles;
    local float *acc = q_tile + NUM_STATES * HEAD_DIM;
    local float *scores = acc + NUM_STATES * HEAD_DIM_V;
    local float *state_sum = scores + NUM_STATES * BLOCK_KV;
    local float *state_max = state_sum + SCORE_VECTORS * LANES;
    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);

    const int num_head_blocks = args.num_kv_heads / HEADS;
    const int first_head = (int)get_group_id(0) % num_head_blocks * HEADS;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / num_head_blocks);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);

    key_block blocks[2];
    kv_cursor cursor = kv_cursor_at(plan, &sequence, &args, item.kv_begin);
    load_key_block(&blocks[0], &cursor, &args, item.kv_begin, item.kv_end, first_head);
    prefetch_block(&blocks[0], k, v, &args);

    load_q_tile(q_tile, q, &sequence, &args, &item, first_head);
    int_lanes_t first_keys[SCORE_VECTORS];
    int_lanes_t past_keys[SCORE_VECTORS];
    key_range visible[BLOCK_Q];
    for (int row = 0; row < BLOCK_Q; ++row)
        visible[row] = visible_keys(&sequence, &args, &item, row);
    spread_key_ranges(first_keys, past_keys, visible);
    for (int i = 0; i < SCORE_VECTORS * LANES; i += LANES) {
        AT(state_max, i) = (lanes_t)(NO_LOGIT);
        AT(state_sum, i) = (lanes_t)(0.0f);
    }
    for (int i = 0; i < NUM_STATES * HEAD_DIM_V; i += LANES)
        AT(acc, i) = (lanes_t)(0.0f);

    for (int turn = 0; blocks[turn].num_keys > 0; turn = 1 - turn) {
        const key_block *keys = &blocks[turn];
        load_key_block(&blocks[1 - turn], &cursor, &args, keys->first_key + BLOCK_KV, item.kv_end, first_head);
        const key_block *next = &blocks[blocks[1 - turn].num_keys > 0 ? 1 - turn : turn];

        for (int key = 0; key < BLOCK_KV; key += STEP_KEYS) {
            for (int state = 0; state < NUM_STATES; state += SCORE_STATES)
                compute_qk(scores + (state / SCORE_STATES * KEY_VECTORS + key / KEY_LANES) * LANES, q_tile, k, keys, next,
                           key, state, &args);
        }
        if (keys->first_key < visible[BLOCK_Q - 1].first || keys->first_key + BLOCK_KV > visible[0].past)
            add_block(scores, state_max, state_sum, acc, v, keys, next, &args, first_keys, past_keys, 1);
        else
            add_block(scores, state_max, state_sum, acc, v, keys, next, &args, first_keys, past_keys, 0);
    }

    for (int head = 0; head < HEADS; ++head) {
        for (int row = 0; row < item.num_rows; ++row) {
            const int kv_head = first_head + head;
            const int packed_row = item.first_row + row;
            const int state = head * BLOCK_Q + row;
            local const float *from = acc + state * HEAD_DIM_V;
            const row_sums sums = {state_max[state / SCORE_STATES * LANES + LANE_OF(0, state % SCORE_STATES)],
                                   sum_of_state(state_sum, state)};
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
