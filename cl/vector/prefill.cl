/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefill for CPUs: a tile of packed query rows of one kv head against its keys, FlashAttention-2 (arXiv 2307.08691,
 * algorithm 1) with the rows in the vector lanes. Scores and output are kept transposed, [key][row] and [d][row], so
 * that elements of K, straight from its pages, and of V are broadcast and softmax never crosses lanes. Of a tile of
 * keys, each block of rows takes those that some of its rows see.
 *
 *     q_tile [block][d][row]      S = K Q    s_tile [key][row]      O += V P    acc [block][d][row]
 *            rows ->                         rows ->                            rows ->
 *        d  ########   x K[key][d]      key  ########    x V[key][d]       d    ########
 *
 * Grid      one work-item per work-group; group = item * num_kv_heads + kv_head
 * Memory    BLOCK_Q * (HEAD_DIM + HEAD_DIM_V + 4) + BLOCK_KV * (ROW_BLOCK + HEAD_DIM_V) floats of local memory, and
 *           BLOCK_KV * HEAD_DIM more for a K of 16 bits. It comes as an argument: PoCL 3.1 turns a local array of the
 *           kernel, reached through inlined functions at constant offsets only, into one that all its threads share
 */

/* Problem: HEAD_DIM, HEAD_DIM_V, Q_DTYPE, K_DTYPE, V_DTYPE, OUT_DTYPE, SOFT_CAP, SINKS, STATE, NUMERATOR. */
#ifndef HEAD_DIM_V
#error "HEAD_DIM_V is missing"
#endif

/* Tunables. BLOCK_Q: packed rows per tile, a multiple of ROW_BLOCK. BLOCK_KV: keys per tile. */
#ifndef BLOCK_Q
#define BLOCK_Q 128
#endif
#ifndef BLOCK_KV
#define BLOCK_KV 48
#endif

/* Derived: the register tile is QK_KEYS x VECTORS for scores and PV_DIMS x VECTORS for the output. */
#if LANES == 16
#define VECTORS 4
#else
#define VECTORS 2
#endif
#define ROW_BLOCK (LANES * VECTORS)
#define NUM_ROW_BLOCKS (BLOCK_Q / ROW_BLOCK)
#define PV_DIMS 4
#if BLOCK_KV % 6 == 0
#define QK_KEYS 6
#elif BLOCK_KV % 4 == 0
#define QK_KEYS 4
#elif BLOCK_KV % 2 == 0
#define QK_KEYS 2
#else
#define QK_KEYS 1
#endif
#define K_IN_PLACE (K_DTYPE == DTYPE_FLOAT32)

#if BLOCK_Q % ROW_BLOCK != 0
#error "BLOCK_Q must be a multiple of the row block"
#endif
#if HEAD_DIM % 8 != 0 || HEAD_DIM_V % 8 != 0
#error "head dimensions must be multiples of 8"
#endif

/* A row of K as float32: in its page, or converted once per tile. */
#if K_IN_PLACE
typedef global const float *key_row;
#else
typedef local const float *key_row;
#endif

/*
 * Copies a row into local memory as float32. V is copied whatever its type: it is read once for every PV_DIMS columns,
 * and where token lies behind token the rows of many tokens fall into the same few sets of a cache.
 */
#define DEFINE_CONVERT_ROW(name, dtype, width)                                      \
    static inline void name(local float *row, global const STORAGE(dtype) *address) \
    {                                                                               \
        for (int d = 0; d < (width); d += 8)                                        \
            vstore8(LOAD_VECTOR(8, dtype)(address + d), 0, row + d);                \
    }

#if !K_IN_PLACE
DEFINE_CONVERT_ROW(convert_key_row, K_DTYPE, HEAD_DIM)
#endif
DEFINE_CONVERT_ROW(convert_value_row, V_DTYPE, HEAD_DIM_V)

/* Rows of the tile in use: whole blocks of them. */
static inline int padded_rows(const work_item_t *item)
{
    return (item->num_rows + ROW_BLOCK - 1) / ROW_BLOCK * ROW_BLOCK;
}

/* Transposes the tile's rows to [block][d][row]; rows past the last repeat it. */
static inline void load_q_tile(local float *q_tile, global const STORAGE(Q_DTYPE) *q, const sequence_t *sequence,
                               const attention_args *args, const work_item_t *item, int kv_head)
{
    ulong offsets[BLOCK_Q];
    for (int row = 0; row < padded_rows(item); ++row) {
        offsets[row] = q_offset(args, sequence->first_token, kv_head, packed_row_of(item, row));
        PREFETCH_ROW(PREFETCH, q + offsets[row], HEAD_DIM);
    }
    for (int row = 0; row < padded_rows(item); row += LANES) {
        const ulong *from = offsets + row;
        local float *to = q_tile + row / ROW_BLOCK * (ROW_BLOCK * HEAD_DIM) + row % ROW_BLOCK;
        int d = 0;
        for (; d + LANES <= HEAD_DIM; d += LANES) {
            lanes_t block[LANES];
#pragma unroll
            for (int i = 0; i < LANES; ++i)
                block[i] = LOAD_LANES(Q_DTYPE)(q + from[i] + d);
            transpose(block);
#pragma unroll
            for (int i = 0; i < LANES; ++i)
                AT(to, (d + i) * ROW_BLOCK) = block[i];
        }
        for (; d < HEAD_DIM; ++d)
            for (int i = 0; i < LANES; ++i)
                to[d * ROW_BLOCK + i] = LOAD(Q_DTYPE)(q, from[i] + (ulong)d);
    }
}

/* Scores of one block of rows against keys of the tile, in whole groups of QK_KEYS. */
static inline void compute_qk(local float *s_tile, local const float *q_block, const key_row *keys, key_range range,
                              const attention_args *args)
{
    for (int key = range.first - range.first % QK_KEYS; key < range.past; key += QK_KEYS) {
        lanes_t scores[QK_KEYS][VECTORS];
        key_row rows[QK_KEYS];
#pragma unroll
        for (int i = 0; i < QK_KEYS; ++i) {
            rows[i] = keys[key + i];
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                scores[i][v] = (lanes_t)(0.0f);
        }
        for (int d = 0; d < HEAD_DIM; ++d) {
            lanes_t q_priv[VECTORS];
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                q_priv[v] = AT(q_block, d * ROW_BLOCK + v * LANES);
#pragma unroll
            for (int i = 0; i < QK_KEYS; ++i) {
                const lanes_t element = (lanes_t)(rows[i][d]);
#pragma unroll
                for (int v = 0; v < VECTORS; ++v)
                    scores[i][v] = element * q_priv[v] + scores[i][v];
            }
        }
#pragma unroll
        for (int i = 0; i < QK_KEYS; ++i) {
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                AT(s_tile, (key + i) * ROW_BLOCK + v * LANES) = LOGIT(scores[i][v], args);
        }
    }
}

/* Lanes whose row sees `key`, as a select() mask. */
static inline int_lanes_t visible(int key, int_lanes_t first, int_lanes_t past)
{
    return ((int_lanes_t)(key) >= first) & ((int_lanes_t)(key) < past);
}

/* The scores of one key, as small as none for the rows that do not see it if the tile is `masked` (a constant). */
SPECIALISED lanes_t visible_score(local const float *scores, int key, int_lanes_t first, int_lanes_t past, const int masked)
{
    const lanes_t score = AT(scores, key * ROW_BLOCK);
    return masked ? select((lanes_t)(NO_LOGIT), score, visible(key, first, past)) : score;
}

/*
 * Turns the scores of one vector of rows into weights, in place, and moves their softmax state on. In a masked tile a
 * key that a row does not see gets weight 0 whatever its score. Returns what the rows' earlier sums have to be
 * multiplied by.
 */
SPECIALISED lanes_t softmax_update(local float *scores, local float *row_max, local float *row_sum, key_range range,
                                   int_lanes_t first, int_lanes_t past, const int masked)
{
    const lanes_t old_max = AT(row_max, 0);
    lanes_t max_even = old_max; /* two chains, since each step waits for the one before */
    lanes_t max_odd = old_max;
    int key = range.first;
    for (; key + 1 < range.past; key += 2) {
        max_even = larger(visible_score(scores, key, first, past, masked), max_even);
        max_odd = larger(visible_score(scores, key + 1, first, past, masked), max_odd);
    }
    if (key < range.past)
        max_even = larger(visible_score(scores, key, first, past, masked), max_even);
    const lanes_t new_max = larger(max_even, max_odd);
    lanes_t sum = (lanes_t)(0.0f);
    for (key = range.first; key < range.past; ++key) {
        lanes_t weight = weight_of(AT(scores, key * ROW_BLOCK), new_max);
        if (masked)
            weight = select((lanes_t)(0.0f), weight, visible(key, first, past));
        AT(scores, key * ROW_BLOCK) = weight;
        sum += weight;
    }
    const lanes_t correction = weight_of(old_max, new_max);
    AT(row_max, 0) = new_max;
    AT(row_sum, 0) = AT(row_sum, 0) * correction + sum;
    return correction;
}

/*
 * Adds the weighted V rows. `masked` is a constant: where a row may not see a key, a zero weight must not meet a V
 * that holds NaN.
 */
SPECIALISED void accumulate_pv(local float *acc_block, local const float *weights, local const float *v_tile, key_range range,
                               const int masked)
{
    for (int d = 0; d < HEAD_DIM_V; d += PV_DIMS) {
        lanes_t acc[PV_DIMS][VECTORS];
#pragma unroll
        for (int i = 0; i < PV_DIMS; ++i) {
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                acc[i][v] = AT(acc_block, (d + i) * ROW_BLOCK + v * LANES);
        }
        local const float *key_weights = weights + range.first * ROW_BLOCK;
        for (int key = range.first; key < range.past; ++key, key_weights += ROW_BLOCK) {
            local const float *row = v_tile + key * HEAD_DIM_V + d;
            lanes_t weight[VECTORS];
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                weight[v] = AT(key_weights, v * LANES);
#pragma unroll
            for (int i = 0; i < PV_DIMS; ++i) {
                const lanes_t element = (lanes_t)(row[i]);
#pragma unroll
                for (int v = 0; v < VECTORS; ++v) {
                    const lanes_t sum = element * weight[v] + acc[i][v];
                    acc[i][v] = masked ? select(acc[i][v], sum, weight[v] != (lanes_t)(0.0f)) : sum;
                }
            }
        }
#pragma unroll
        for (int i = 0; i < PV_DIMS; ++i) {
#pragma unroll
            for (int v = 0; v < VECTORS; ++v)
                AT(acc_block, (d + i) * ROW_BLOCK + v * LANES) = acc[i][v];
        }
    }
}

static inline void rescale(local float *acc_block, const lanes_t *correction)
{
    for (int d = 0; d < HEAD_DIM_V; ++d) {
#pragma unroll
        for (int v = 0; v < VECTORS; ++v)
            AT(acc_block, d * ROW_BLOCK + v * LANES) *= correction[v];
    }
}

/* What a block of ROW_BLOCK rows owns of the local arrays. */
typedef struct {
    local const float *q_block;
    local float *acc_block;
    local float *row_max;
    local float *row_sum;
    local const int *first_key;
    local const int *past_key;
} block_state;

/*
 * Scores of one block of rows for the keys of a tile that some of them see, turned into weights; `masked` is a constant:
 * some row does not see some of these.
 */
SPECIALISED void compute_weights(const block_state *state, local float *s_tile, const key_row *keys, int tile, key_range range,
                                 const attention_args *args, const int masked)
{
    compute_qk(s_tile, state->q_block, keys, range, args);
    lanes_t correction[VECTORS];
    int moved = 0;
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
        const int lane = v * LANES;
        const int_lanes_t first = *(local const int_lanes_t *)(state->first_key + lane) - tile;
        const int_lanes_t past = *(local const int_lanes_t *)(state->past_key + lane) - tile;
        correction[v] = softmax_update(s_tile + lane, state->row_max + lane, state->row_sum + lane, range, first, past, masked);
        moved |= any(correction[v] != (lanes_t)(1.0f));
    }
    if (moved)
        rescale(state->acc_block, correction);
}

#if SINKS
/* join_sinks() of LANES rows. Returns what their output has to be multiplied by. */
static inline lanes_t join_sinks_of_lanes(local float *row_max, local float *row_sum, global const float *sinks,
                                          const attention_args *args, const work_item_t *item, int kv_head, int first)
{
    ulong from[LANES];
    for (int i = 0; i < LANES; ++i)
        from[i] = sink_offset(args, kv_head, q_head_of(args, kv_head, packed_row_of(item, first + i)));
    const lanes_t max = AT(row_max, 0);
    const lanes_t sum = AT(row_sum, 0);
    lanes_t joint_max = max;
    for (int sink = 0; sink < args->num_sinks; ++sink)
        joint_max = larger(gather(sinks + sink, from), joint_max);
    const lanes_t correction = weight_of(max, joint_max);
    lanes_t joint_sum = sum * correction;
    for (int sink = 0; sink < args->num_sinks; ++sink)
        joint_sum += weight_of(gather(sinks + sink, from), joint_max);
    AT(row_max, 0) = joint_max;
    AT(row_sum, 0) = select(joint_sum, sum, sum == (lanes_t)(0.0f));
    return correction;
}
#endif

/* Asks for the cache lines that the final results will be written to, while there is time. */
static inline void prefetch_out(global const STORAGE(OUT_DTYPE) *out, const sequence_t *sequence, const attention_args *args,
                                const work_item_t *item, int kv_head)
{
    if (item->partial >= 0)
        return;
    for (int row = 0; row < item->num_rows; ++row) {
        const ulong to = args->out_offset + out_offset(args, sequence->first_token, kv_head, item->first_row + row);
        PREFETCH_ROW(PREFETCH_TO_WRITE, out + to, HEAD_DIM_V);
    }
}

/* Ends LANES rows, or as many as there are: writes them, transposed back, or their partial states. */
static inline void store_rows(const results_t *results, local const float *acc_rows, local float *row_max,
                              local float *row_sum, const sequence_t *sequence, const attention_args *args,
                              const work_item_t *item, int kv_head, int first)
{
    const int num_rows = min(LANES, item->num_rows - first);
    const int is_partial = item->partial >= 0;
    lanes_t corrections = (lanes_t)(1.0f);
#if SINKS
    if (!is_partial)
        corrections = join_sinks_of_lanes(row_max, row_sum, results->sinks, args, item, kv_head, first);
#endif
    float scales[LANES];
    PASTE(vstore, LANES)(corrections, 0, scales);
    ulong to[LANES];
    for (int i = 0; i < num_rows; ++i) {
        const int packed_row = item->first_row + first + i;
        if (is_partial) {
            const ulong index = partial_row(args, item->partial, first + i, kv_head);
            results->partial_sums[index] = (float2)(row_max[i], row_sum[i]);
            to[i] = index * HEAD_DIM_V;
            continue;
        }
        const row_sums sums = {row_max[i], row_sum[i]};
        const row_result result = finish_row(&sums, scales[i], args);
        scales[i] = result.scale;
        to[i] = out_offset(args, sequence->first_token, kv_head, packed_row);
        store_state(results, args, sequence->first_token, kv_head, packed_row, &result);
    }

    int d = 0;
    for (; d + LANES <= HEAD_DIM_V; d += LANES) {
        lanes_t block[LANES];
#pragma unroll
        for (int i = 0; i < LANES; ++i)
            block[i] = AT(acc_rows, (d + i) * ROW_BLOCK);
        transpose(block);
        for (int i = 0; i < num_rows; ++i) {
            if (is_partial)
                STORE_VECTOR(LANES, DTYPE_FLOAT32)(results->partial_acc + to[i] + d, block[i]);
            else
                STORE_VECTOR(LANES, OUT_DTYPE)(results->out + to[i] + d, block[i] * scales[i]);
        }
    }
    for (; d < HEAD_DIM_V; ++d) {
        for (int i = 0; i < num_rows; ++i) {
            if (is_partial)
                results->partial_acc[to[i] + (ulong)d] = acc_rows[d * ROW_BLOCK + i];
            else
                STORE(OUT_DTYPE)(results->out, to[i] + (ulong)d, acc_rows[d * ROW_BLOCK + i] * scales[i]);
        }
    }
}

__attribute__((reqd_work_group_size(1, 1, 1))) kernel void
clattn_prefill(global const STORAGE(Q_DTYPE) *restrict q, global const STORAGE(K_DTYPE) *restrict k,
               global const STORAGE(V_DTYPE) *restrict v, global STORAGE(OUT_DTYPE) *restrict out, global float *restrict states,
               global float *restrict denominators, global const float *restrict sinks, global float *restrict partial_acc,
               global float2 *restrict partial_sums, global const int *restrict plan, const attention_args args,
               local float *restrict tiles)
{
    local float *q_tile = tiles;
    local float *acc = q_tile + BLOCK_Q * HEAD_DIM;
    local float *s_tile = acc + BLOCK_Q * HEAD_DIM_V;
    local float *row_max = s_tile + BLOCK_KV * ROW_BLOCK;
    local float *row_sum = row_max + BLOCK_Q;
    local int *first_key = (local int *)(row_sum + BLOCK_Q);
    local int *past_key = first_key + BLOCK_Q;
    local float *v_tile = (local float *)(past_key + BLOCK_Q);
#if !K_IN_PLACE
    local float *k_tile = v_tile + BLOCK_KV * HEAD_DIM_V;
#endif

    const int kv_head = (int)get_group_id(0) % args.num_kv_heads;
    const work_item_t item = load_work_item(plan, &args, (int)get_group_id(0) / args.num_kv_heads);
    const sequence_t sequence = load_sequence(plan, &args, item.sequence);

    load_q_tile(q_tile, q, &sequence, &args, &item, kv_head);
    for (int row = 0; row < padded_rows(&item); ++row) {
        const key_range range = visible_keys(&sequence, &args, &item, row);
        first_key[row] = range.first;
        past_key[row] = range.past;
        row_max[row] = NO_LOGIT;
        row_sum[row] = 0.0f;
    }
    for (int i = 0; i < padded_rows(&item) * HEAD_DIM_V; i += LANES)
        AT(acc, i) = (lanes_t)(0.0f);
    prefetch_out(out, &sequence, &args, &item, kv_head);

    kv_cursor cursor = kv_cursor_at(plan, &sequence, &args, item.kv_begin);
    for (int tile = item.kv_begin; tile < item.kv_end; tile += BLOCK_KV) {
        const int num_keys = min(BLOCK_KV, item.kv_end - tile);
        key_row keys[BLOCK_KV];
        global const STORAGE(V_DTYPE) *values[BLOCK_KV];
        for (int key = 0; key < num_keys; ++key) {
            global const STORAGE(K_DTYPE) *key_address = k + k_offset(&cursor, &args) + (ulong)kv_head * args.k_head_stride;
            values[key] = v + v_offset(&cursor, &args) + (ulong)kv_head * args.v_head_stride;
            PREFETCH_ROW(PREFETCH_L2, values[key], HEAD_DIM_V);
            kv_cursor_advance(&cursor);
#if K_IN_PLACE
            keys[key] = key_address;
#else
            convert_key_row(k_tile + key * HEAD_DIM, key_address);
            keys[key] = k_tile + key * HEAD_DIM;
#endif
        }
        for (int key = num_keys; key % QK_KEYS != 0; ++key)
            keys[key] = keys[num_keys - 1]; /* scored but seen by no row */

        int num_values = 0; /* in v_tile: copied when scores are there, since V comes from memory meanwhile */
        for (int block = 0; block * ROW_BLOCK < item.num_rows; ++block) {
            const int row = block * ROW_BLOCK;
            const int last_row = row + ROW_BLOCK - 1;
            const key_range some_see = {max(first_key[row] - tile, 0), min(past_key[last_row] - tile, num_keys)};
            if (some_see.first >= some_see.past)
                continue;
            const block_state state = {q_tile + row * HEAD_DIM, acc + row * HEAD_DIM_V, row_max + row, row_sum + row,
                                       first_key + row,         past_key + row};
            const int masked = first_key[last_row] - tile > some_see.first || past_key[row] - tile < some_see.past;
            if (masked)
                compute_weights(&state, s_tile, keys, tile, some_see, &args, 1);
            else
                compute_weights(&state, s_tile, keys, tile, some_see, &args, 0);
            for (; num_values < num_keys; ++num_values)
                convert_value_row(v_tile + num_values * HEAD_DIM_V, values[num_values]);
            if (masked)
                accumulate_pv(state.acc_block, s_tile, v_tile, some_see, 1);
            else
                accumulate_pv(state.acc_block, s_tile, v_tile, some_see, 0);
        }
    }

    const results_t results = results_at(out, states, denominators, sinks, partial_acc, partial_sums, &args);
    for (int row = 0; row < item.num_rows; row += LANES)
        store_rows(&results, acc + row / ROW_BLOCK * (ROW_BLOCK * HEAD_DIM_V) + row % ROW_BLOCK, row_max + row, row_sum + row,
                   &sequence, &args, &item, kv_head, row);
}
