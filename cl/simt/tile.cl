/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both phases of the simt family share: the addresses of a tile's K and V rows, which keys a row sees, and the
 * softmax of a tile of scores in local memory. A work-group of WORK_GROUP_SIZE serves BLOCK_Q rows and BLOCK_KV keys;
 * for the softmax each row belongs to THREADS_PER_ROW neighbouring work-items.
 *
 * All barriers are unconditional: PoCL miscompiles some conditional ones, and divergent ones are undefined anywhere.
 */
#if !defined(BLOCK_Q) || !defined(BLOCK_KV) || !defined(WORK_GROUP_SIZE)
#error "BLOCK_Q, BLOCK_KV and WORK_GROUP_SIZE are missing"
#endif
#ifndef SUB_GROUP_SIZE
#define SUB_GROUP_SIZE 0
#endif
#if !defined(HEAD_DIM) || !defined(HEAD_DIM_V)
#error "HEAD_DIM and HEAD_DIM_V are missing"
#endif

#define THREADS_PER_ROW (WORK_GROUP_SIZE / BLOCK_Q)
#define SCORE_STRIDE (BLOCK_KV + 1) /* keeps the rows of a column out of one memory bank */

#if WORK_GROUP_SIZE % BLOCK_Q != 0
#error "BLOCK_Q must divide WORK_GROUP_SIZE"
#endif

/* Work-items that run as one, 0 = as the compiler likes. Only for compilers with cl_intel_required_subgroup_size. */
#if SUB_GROUP_SIZE > 0
#define SUB_GROUPS __attribute__((intel_reqd_sub_group_size(SUB_GROUP_SIZE)))
#else
#define SUB_GROUPS
#endif

/* Elements of a local array: whole vectors, since some compilers let each array begin at a vector's address. */
#define PADDED(num_elements) (((num_elements) + 3) / 4 * 4)

DEFINE_LOAD_VECTOR(4)
DEFINE_LOAD_HALF_VECTOR(4)

/* Where the rows of a tile's keys lie, from those of page 0 and slot 0 of the kv head on. */
typedef struct {
    ulong k[BLOCK_KV];
    ulong v[BLOCK_KV];
} tile_rows;

/* The keys that each row sees, within the item. */
typedef struct {
    int first[PADDED(BLOCK_Q)];
    int past[PADDED(BLOCK_Q)];
} row_bounds;

static inline void load_row_bounds(local row_bounds *bounds, const sequence_t *sequence, const attention_args *args,
                                   const work_item_t *item)
{
    for (int row = (int)get_local_id(0); row < BLOCK_Q; row += WORK_GROUP_SIZE) {
        const key_range keys = visible_keys(sequence, args, item, row);
        bounds->first[row] = keys.first;
        bounds->past[row] = keys.past;
    }
}

/* Where the output of each row goes, or of its partial state: worked out ahead, what it takes is not kept until the end. */
static inline void load_result_rows(local ulong *result_rows, const sequence_t *sequence, const attention_args *args,
                                    const work_item_t *item, int kv_head)
{
    for (int row = (int)get_local_id(0); row < BLOCK_Q; row += WORK_GROUP_SIZE)
        result_rows[row] = item->partial >= 0
                               ? partial_row(args, item->partial, row, kv_head) * HEAD_DIM_V
                               : out_offset(args, sequence->first_token, kv_head, packed_row_of(item, row));
}

/* Keys past the item's last repeat it: their rows may be read, and no query row sees them. */
static inline void load_tile_rows(local tile_rows *rows, global const int *plan, const sequence_t *sequence,
                                  const attention_args *args, const work_item_t *item, int tile)
{
    for (int key = (int)get_local_id(0); key < BLOCK_KV; key += WORK_GROUP_SIZE) {
        const kv_cursor cursor = kv_cursor_at(plan, sequence, args, min(tile + key, item->kv_end - 1));
        rows->k[key] = k_row_offset(&cursor, args);
        rows->v[key] = v_row_offset(&cursor, args);
    }
}

static inline bool sees(local const row_bounds *bounds, int row, int key)
{
    return key >= bounds->first[row] && key < bounds->past[row];
}

/* Whether some row of the tile does not see some of its keys. */
static inline bool tile_is_masked(local const row_bounds *bounds, int tile)
{
    return tile < bounds->first[BLOCK_Q - 1] || tile + BLOCK_KV > bounds->past[0];
}

/*
 * Turns scores into weights, in place, moves the state on and leaves in `corrections` what each row's accumulators are
 * to be multiplied by. Weights of unseen keys are 0 whatever their score. Ends with a barrier: weights and corrections are readable.
 */
static inline void softmax_update(local float *s_tile, local float *scratch, local float *corrections,
                                  local const row_bounds *bounds, int tile, row_sums *state)
{
    const int thread = (int)get_local_id(0);
    const int row = thread / THREADS_PER_ROW;
    const int part = thread % THREADS_PER_ROW;
    local float *scores = s_tile + row * SCORE_STRIDE;

    float largest = NO_LOGIT;
    for (int key = part; key < BLOCK_KV; key += THREADS_PER_ROW)
        largest = fmax(largest, sees(bounds, row, tile + key) ? scores[key] : NO_LOGIT);
    scratch[thread] = largest;
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW scratch */

    float new_max = state->max;
    for (int i = 0; i < THREADS_PER_ROW; ++i)
        new_max = fmax(new_max, scratch[row * THREADS_PER_ROW + i]);
    const float correction = WEIGHT(state->max, new_max);
    state->max = new_max;
    state->sum *= correction;
    for (int key = part; key < BLOCK_KV; key += THREADS_PER_ROW) {
        const float weight = sees(bounds, row, tile + key) ? WEIGHT(scores[key], new_max) : 0.0f;
        scores[key] = weight;
        state->sum += weight;
    }
    if (part == 0)
        corrections[row] = correction;
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW weights, corrections; WAR scratch */
}

/*
 * Ends the rows: writes their states or partial states, and leaves in `scales` what each row's accumulators are to be
 * multiplied by. Ends with a barrier.
 */
static inline void finish_rows(local float *scratch, local float *scales, const row_sums *state, const sequence_t *sequence,
                               const attention_args *args, const work_item_t *item, int kv_head, const results_t *results)
{
    const int thread = (int)get_local_id(0);
    const int row = thread / THREADS_PER_ROW;
    scratch[thread] = state->sum;
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW scratch */

    row_sums sums = {state->max, 0.0f};
    for (int i = 0; i < THREADS_PER_ROW; ++i)
        sums.sum += scratch[row * THREADS_PER_ROW + i];
    const int packed_row = packed_row_of(item, row);
    const row_result result = finalize_row(&sums, results->sinks, args, kv_head, packed_row);
    const bool writes = thread % THREADS_PER_ROW == 0;
    if (writes)
        scales[row] = item->partial >= 0 ? 1.0f : result.scale;
    if (writes && row < item->num_rows) {
        if (item->partial >= 0)
            results->partial_sums[partial_row(args, item->partial, row, kv_head)] = (float2)(sums.max, sums.sum);
        else
            store_state(results, args, sequence->first_token, kv_head, packed_row, &result);
    }
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW scales */
}

/* Writes one output element, or one of a partial state. */
static inline void store_result(const results_t *results, const work_item_t *item, ulong at, float value)
{
    if (item->partial >= 0)
        results->partial_acc[at] = value;
    else
        STORE(OUT_DTYPE)(results->out, at, value);
}
