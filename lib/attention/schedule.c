/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work items over a ragged batch; see schedule.h.
 *
 * Packing the heads of a group into the rows of a tile, and splitting KV with a merge behind it, follow
 * FlashAttention's pack_gqa and flash-decoding; choosing a chunk so that the items fill the device follows FlashInfer's
 * plan (arXiv 2501.01005, section 3.3).
 */
#include "attention/schedule.h"

#include "attention/order.h"
#include "runtime/size.h"

/* Rows that one merge item clears or joins, at most a tile's. */
#define CLEAR_ROWS 64

/* A tile of rows and how its keys are cut. */
typedef struct row_tile {
    clattn_phase phase;
    int32_t first_row;
    int32_t num_rows;
    int32_t kv_begin;
    int32_t kv_end;
    int32_t num_blocks; /* of block_kv keys */
    int32_t num_splits; /* >= 1 */
    int32_t blocks_per_split;
} row_tile;

static int32_t min_int32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t max_int32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int64_t packed_rows(const clattn_schedule_params *params, const clattn_span *span)
{
    return (int64_t)span->num_tokens * params->group_size;
}

/* A property of the sequence alone, so that its results do not depend on the batch. */
static clattn_phase phase_of(const clattn_schedule_params *params, const clattn_span *span)
{
    return packed_rows(params, span) <= params->row->decode_max_rows ? CLATTN_PHASE_DECODE : CLATTN_PHASE_PREFILL;
}

int32_t clattn_schedule_groups_per_item(const clattn_schedule_params *params, clattn_phase phase)
{
    return params->num_kv_heads / params->row->tiles[phase].heads;
}

/* Relative time of one block of keys: its products, and its reads, which weigh like eight more rows. */
static int64_t block_cost(const clattn_schedule_params *params, clattn_phase phase)
{
    const clattn_tile *tile = &params->row->tiles[phase];
    return (int64_t)tile->block_kv * (tile->block_q + 8) * tile->heads;
}

/* The keys that rows [first_row, first_row + num_rows) see between them. */
static void set_kv_range(const clattn_schedule_params *params, const clattn_span *span, row_tile *tile)
{
    const int32_t first = span->first_position + tile->first_row / params->group_size;
    const int32_t last = span->first_position + (tile->first_row + tile->num_rows - 1) / params->group_size;
    int64_t begin = span->kv_start;
    int64_t end = span->kv_end;
    if (params->window_left != CLATTN_UNLIMITED && (int64_t)first - params->window_left > begin)
        begin = (int64_t)first - params->window_left;
    if (params->window_right != CLATTN_UNLIMITED && (int64_t)last + params->window_right + 1 < end)
        end = (int64_t)last + params->window_right + 1;
    tile->kv_begin = (int32_t)begin;
    tile->kv_end = (int32_t)(end > begin ? end : begin);
}

/* The fewest splits of so many blocks of keys that no work item has more than the device can take. */
static int64_t least_splits(const clattn_row *row, clattn_phase phase, int64_t num_blocks)
{
    if (num_blocks == 0 || row->max_item_keys[phase] == 0)
        return 1;
    return clattn_ceil_div(num_blocks, row->max_item_keys[phase] / row->tiles[phase].block_kv);
}

static void set_splits(const clattn_schedule_params *params, const clattn_schedule_counts *counts, row_tile *tile)
{
    const int32_t block_kv = params->row->tiles[tile->phase].block_kv;
    const int32_t num_keys = tile->kv_end - tile->kv_begin;
    tile->num_blocks = (int32_t)clattn_ceil_div(num_keys, block_kv);
    int64_t wanted = 1;
    if (params->num_splits > 0)
        wanted = params->num_splits;
    else if (params->batch_invariant)
        wanted = clattn_ceil_div(num_keys, CLATTN_INVARIANT_SPLIT_TOKENS);
    else if (counts->chunk_blocks[tile->phase] > 0)
        wanted =
            ((int64_t)tile->num_blocks + counts->chunk_blocks[tile->phase] / 2) / counts->chunk_blocks[tile->phase];
    if (params->row->max_splits > 0 && wanted > params->row->max_splits)
        wanted = params->row->max_splits;
    const int64_t least = least_splits(params->row, tile->phase, tile->num_blocks);
    if (wanted < least)
        wanted = least;
    tile->blocks_per_split = (int32_t)clattn_ceil_div(tile->num_blocks, wanted);
    tile->num_splits = tile->num_blocks == 0 ? 1 : (int32_t)clattn_ceil_div(tile->num_blocks, tile->blocks_per_split);
}

/* Calls visit() with every tile of the batch, in order. */
typedef void (*tile_visitor)(void *state, int32_t sequence, const row_tile *tile);

static void visit_tiles(const clattn_schedule_params *params, const clattn_schedule_counts *counts, tile_visitor visit,
                        void *state)
{
    for (int32_t s = 0; s < params->num_seqs; ++s) {
        const clattn_span *span = &params->spans[s];
        const int64_t num_rows = packed_rows(params, span);
        row_tile tile = {.phase = phase_of(params, span)};
        const int32_t block_q = params->row->tiles[tile.phase].block_q;
        for (int64_t row = 0; row < num_rows; row += block_q) {
            tile.first_row = (int32_t)row;
            tile.num_rows = num_rows - row < block_q ? (int32_t)(num_rows - row) : block_q;
            set_kv_range(params, span, &tile);
            set_splits(params, counts, &tile);
            visit(state, s, &tile);
        }
    }
}

typedef struct cost_sum {
    const clattn_schedule_params *params;
    int64_t total;
} cost_sum;

static void add_cost(void *state, int32_t sequence, const row_tile *tile)
{
    (void)sequence;
    cost_sum *sum = state;
    sum->total += (int64_t)tile->num_blocks * block_cost(sum->params, tile->phase) *
                  clattn_schedule_groups_per_item(sum->params, tile->phase);
}

/*
 * Automatic splits: no item larger than an even share of the work for each of target_groups, so that few long
 * sequences still fill the device; but not so small that merging costs more than it gains.
 */
static void choose_chunks(const clattn_schedule_params *params, clattn_schedule_counts *counts)
{
    if (params->num_splits > 0 || params->batch_invariant)
        return;
    cost_sum sum = {.params = params};
    visit_tiles(params, counts, add_cost, &sum);
    const int64_t share = sum.total / params->row->target_groups;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const int64_t smallest = clattn_ceil_div(params->row->min_split_tokens, params->row->tiles[phase].block_kv);
        const int64_t blocks = share / block_cost(params, (clattn_phase)phase);
        counts->chunk_blocks[phase] = (int32_t)(blocks < smallest ? smallest : blocks > INT32_MAX ? INT32_MAX : blocks);
    }
}

/* Of so many rows those that one merge item joins; and those that one clears. */
static int32_t merge_rows(const clattn_row *row, int32_t num_rows)
{
    return row->max_merge_rows > 0 ? min_int32(num_rows, row->max_merge_rows) : num_rows;
}

static int32_t clear_rows(const clattn_row *row)
{
    return row->max_clear_rows > 0 ? min_int32(CLEAR_ROWS, row->max_clear_rows) : CLEAR_ROWS;
}

typedef struct tile_count {
    const clattn_schedule_params *params;
    clattn_schedule_counts *counts;
} tile_count;

static void count_tile(void *state, int32_t sequence, const row_tile *tile)
{
    (void)sequence;
    const tile_count *count = state;
    clattn_schedule_counts *counts = count->counts;
    const clattn_row *row = count->params->row;
    const int64_t split_keys = (int64_t)tile->blocks_per_split * row->tiles[tile->phase].block_kv;
    const int32_t num_keys = tile->kv_end - tile->kv_begin;
    counts->num_items[tile->phase] += tile->num_splits;
    counts->max_splits = max_int32(counts->max_splits, tile->num_splits);
    counts->max_item_keys[tile->phase] =
        max_int32(counts->max_item_keys[tile->phase], split_keys < num_keys ? (int32_t)split_keys : num_keys);
    if (tile->num_splits > 1) {
        counts->num_merge_items += clattn_ceil_div(tile->num_rows, merge_rows(row, tile->num_rows));
        counts->num_partial_rows += (int64_t)tile->num_splits * tile->num_rows;
    }
}

static int64_t num_clear_rows(const clattn_schedule_params *params)
{
    return (int64_t)(params->total_tokens - params->num_owned_tokens) * params->group_size;
}

void clattn_schedule_measure(const clattn_schedule_params *params, clattn_schedule_counts *counts)
{
    *counts = (clattn_schedule_counts){0};
    choose_chunks(params, counts);
    visit_tiles(params, counts, count_tile, &(tile_count){params, counts});
    counts->num_merge_items += clattn_ceil_div(num_clear_rows(params), clear_rows(params->row));
}

/* More items than any list holds, and few enough to be multiplied by a tile's sides. */
#define BEYOND_ANY_LIST ((int64_t)1 << 40)

/* Items that so many tiles have beyond their first, of num_splits each. */
static int64_t items_beyond_first(int64_t num_tiles, int64_t num_splits)
{
    if (num_splits <= 1)
        return 0;
    return num_tiles < BEYOND_ANY_LIST / (num_splits - 1) ? num_tiles * (num_splits - 1) : BEYOND_ANY_LIST;
}

/* The same, at most, of a phase's tiles with this many blocks of keys or fewer. */
static int64_t bound_extra_items(const clattn_schedule_params *params, clattn_phase phase, int64_t num_tiles,
                                 int32_t max_context_len)
{
    const int64_t num_blocks = clattn_ceil_div(max_context_len, params->row->tiles[phase].block_kv);
    int64_t extra = items_beyond_first(num_tiles, least_splits(params->row, phase, num_blocks));
    if (params->num_splits > 0)
        extra += items_beyond_first(num_tiles, params->num_splits < num_blocks ? params->num_splits : num_blocks);
    else if (params->batch_invariant)
        extra += items_beyond_first(num_tiles, clattn_ceil_div(max_context_len, CLATTN_INVARIANT_SPLIT_TOKENS));
    else /* splits <= 4/3 of a split tile's chunks; rounding shares and chunks down at most doubles each */
        extra += 6 * (int64_t)params->row->target_groups;
    return extra < BEYOND_ANY_LIST ? extra : BEYOND_ANY_LIST;
}

void clattn_schedule_bound(const clattn_schedule_params *params, int32_t max_context_len, clattn_schedule_counts *bound)
{
    *bound = (clattn_schedule_counts){.max_splits = 1};
    const int64_t num_rows = (int64_t)params->total_tokens * params->group_size;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const int32_t block_q = params->row->tiles[phase].block_q;
        /* Every sequence may leave one tile partly filled. */
        const int64_t num_tiles = num_rows / block_q + params->num_seqs;
        const int64_t extra = bound_extra_items(params, (clattn_phase)phase, num_tiles, max_context_len);
        bound->num_items[phase] = num_tiles + extra;
        bound->max_splits = max_int32(bound->max_splits, (int32_t)(extra + 1 < INT32_MAX ? extra + 1 : INT32_MAX));
        /* A split tile has at least one item beyond its first, and one merge item or one for so many rows. */
        bound->num_partial_rows += 2 * extra * block_q;
        bound->num_merge_items += extra * clattn_ceil_div(block_q, merge_rows(params->row, block_q));
    }
    bound->num_merge_items += num_rows / clear_rows(params->row) + 1;
}

typedef struct fill_state {
    clattn_work_item *items[CLATTN_NUM_PHASES];
    const clattn_schedule_params *params;
    int64_t num_items[CLATTN_NUM_PHASES];
    clattn_merge_item *merge_items;
    int64_t num_merge_items;
    int64_t num_partial_rows;
} fill_state;

/* The merge items of a split tile, whose partial states follow those that are there already. */
static void write_merge_items(fill_state *fill, const clattn_span *span, const row_tile *tile)
{
    const int32_t step = merge_rows(fill->params->row, tile->num_rows);
    for (int32_t row = 0; row < tile->num_rows; row += step)
        fill->merge_items[fill->num_merge_items++] = (clattn_merge_item){
            .first_token = span->first_token,
            .first_row = tile->first_row + row,
            .num_rows = min_int32(step, tile->num_rows - row),
            .partial = (int32_t)fill->num_partial_rows + row,
            .num_splits = tile->num_splits,
            .split_rows = tile->num_rows,
        };
}

static void write_tile(void *state, int32_t sequence, const row_tile *tile)
{
    fill_state *fill = state;
    const int32_t block_kv = fill->params->row->tiles[tile->phase].block_kv;
    const bool split = tile->num_splits > 1;
    if (split)
        write_merge_items(fill, &fill->params->spans[sequence], tile);
    for (int32_t i = 0; i < tile->num_splits; ++i) {
        const int64_t begin = tile->kv_begin + (int64_t)i * tile->blocks_per_split * block_kv;
        const int64_t end = begin + (int64_t)tile->blocks_per_split * block_kv;
        fill->items[tile->phase][fill->num_items[tile->phase]++] = (clattn_work_item){
            .sequence = sequence,
            .first_row = tile->first_row,
            .num_rows = tile->num_rows,
            .kv_begin = (int32_t)begin,
            .kv_end = (int32_t)(end < tile->kv_end ? end : tile->kv_end),
            .partial = split ? (int32_t)fill->num_partial_rows : -1,
        };
        if (split)
            fill->num_partial_rows += tile->num_rows;
    }
}

/* Rows that no sequence owns are merged from no state at all. */
static void write_clear_items(const clattn_schedule_params *params, clattn_merge_item *items)
{
    const int64_t num_rows = num_clear_rows(params);
    const int32_t step = clear_rows(params->row);
    for (int64_t row = 0; row < num_rows; row += step)
        *items++ = (clattn_merge_item){
            .first_token = params->num_owned_tokens,
            .first_row = (int32_t)row,
            .num_rows = (int32_t)(num_rows - row < step ? num_rows - row : step),
        };
}

void clattn_schedule_fill(const clattn_schedule_params *params, const clattn_schedule_counts *counts,
                          clattn_work_item *items[CLATTN_NUM_PHASES], clattn_merge_item *merge_items,
                          clattn_work_item *scratch)
{
    fill_state fill = {.params = params, .merge_items = merge_items};
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        fill.items[phase] = items[phase];
    visit_tiles(params, counts, write_tile, &fill);
    write_clear_items(params, merge_items + fill.num_merge_items);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        clattn_order_items(items[phase], counts->num_items[phase], params->row->run_threads, scratch);
}
