/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RECORD_BYTES = 32, GUARD_RECORDS = 2, CANARY = 0x5a };

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg(__VA_ARGS__);                                                                                     \
    } while (0)

void model_init(model_case *problem)
{
    memset(problem, 0, sizeof *problem);
    problem->row = (clattn_row){
        .family = CLATTN_FAMILY_SIMT,
        .tiles = {[CLATTN_PHASE_DECODE] = {.block_q = 4, .block_kv = 16, .heads = 1},
                  [CLATTN_PHASE_PREFILL] = {.block_q = 16, .block_kv = 32, .heads = 1}},
        .decode_max_rows = 8,
        .target_groups = 128,
        .min_split_tokens = 128,
    };
    problem->params = (clattn_schedule_params){
        .spans = problem->spans,
        .group_size = 1,
        .num_kv_heads = 1,
        .window_left = CLATTN_UNLIMITED,
        .row = &problem->row,
    };
}

void model_add(model_case *problem, int32_t q_len, int32_t context_len)
{
    assert_true(problem->params.num_seqs < MODEL_MAX_SEQS);
    problem->spans[problem->params.num_seqs++] = (clattn_span){
        .first_token = problem->params.num_owned_tokens,
        .first_position = context_len - q_len,
        .kv_end = context_len,
        .num_tokens = q_len,
    };
    problem->params.num_owned_tokens += q_len;
    problem->params.total_tokens += q_len;
}

void model_add_tail(model_case *problem, int32_t num_tokens)
{
    problem->params.total_tokens += num_tokens;
}

/* Room for a list with canaries around it. */
static void *guarded(model_schedule *schedule, int place, int64_t num_records)
{
    unsigned char *bytes = malloc((size_t)(num_records + 2 * GUARD_RECORDS) * RECORD_BYTES);
    assert_non_null(bytes);
    memset(bytes, CANARY, (size_t)(num_records + 2 * GUARD_RECORDS) * RECORD_BYTES);
    schedule->memory[place] = bytes;
    return bytes + GUARD_RECORDS * RECORD_BYTES;
}

static void require_canaries(const void *list, int64_t num_records)
{
    unsigned char expected[GUARD_RECORDS * RECORD_BYTES];
    const unsigned char *bytes = list;
    memset(expected, CANARY, sizeof expected);
    assert_memory_equal(bytes - sizeof expected, expected, sizeof expected);
    assert_memory_equal(bytes + num_records * RECORD_BYTES, expected, sizeof expected);
}

void model_plan(const model_case *problem, model_schedule *schedule)
{
    *schedule = (model_schedule){0};
    clattn_schedule_counts *counts = &schedule->counts;
    clattn_schedule_measure(&problem->params, counts);
    const int64_t most_items =
        counts->num_items[0] > counts->num_items[1] ? counts->num_items[0] : counts->num_items[1];
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        schedule->items[phase] = guarded(schedule, phase, counts->num_items[phase]);
    schedule->merge_items = guarded(schedule, CLATTN_NUM_PHASES, counts->num_merge_items);
    clattn_work_item *scratch = guarded(schedule, CLATTN_NUM_PHASES + 1, most_items);

    clattn_schedule_fill(&problem->params, counts, schedule->items, schedule->merge_items, scratch);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        require_canaries(schedule->items[phase], counts->num_items[phase]);
    require_canaries(schedule->merge_items, counts->num_merge_items);
    require_canaries(scratch, most_items);
}

void model_release(model_schedule *schedule)
{
    for (int i = 0; i < CLATTN_NUM_PHASES + 2; i++)
        free(schedule->memory[i]);
    *schedule = (model_schedule){0};
}

static int compare_items(const void *a, const void *b)
{
    const clattn_work_item *left = a;
    const clattn_work_item *right = b;
    if (left->first_row != right->first_row)
        return left->first_row < right->first_row ? -1 : 1;
    return (left->kv_begin > right->kv_begin) - (left->kv_begin < right->kv_begin);
}

int32_t model_items_of(const model_schedule *schedule, int32_t sequence, clattn_work_item **items)
{
    const int64_t num_all = schedule->counts.num_items[0] + schedule->counts.num_items[1];
    int32_t num_items = 0;
    *items = malloc((size_t)(num_all + 1) * sizeof **items);
    assert_non_null(*items);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        for (int64_t i = 0; i < schedule->counts.num_items[phase]; i++)
            if (schedule->items[phase][i].sequence == sequence)
                (*items)[num_items++] = schedule->items[phase][i];
    qsort(*items, (size_t)num_items, sizeof **items, compare_items);
    return num_items;
}

/* A tile: its items in the order of their keys. */
typedef struct tile_items {
    const clattn_work_item *items;
    int32_t num_items;
} tile_items;

/* What one check knows. */
typedef struct checker {
    const model_case *problem;
    const model_schedule *schedule;
    const char *name;
    unsigned char *partial_taken; /* [num_partial_rows] */
    unsigned char *merge_taken;   /* [num_merge_items] */
    int32_t max_splits;
} checker;

/* SEMANTICS 1.2, for the row's token. */
static bool is_visible(const clattn_schedule_params *params, const clattn_span *span, int32_t row, int32_t key)
{
    const int64_t position = (int64_t)span->first_position + row / params->group_size;
    if (key < span->kv_start || key >= span->kv_end)
        return false;
    if (params->window_left != CLATTN_UNLIMITED && key < position - params->window_left)
        return false;
    return params->window_right == CLATTN_UNLIMITED || key <= position + params->window_right;
}

/* Every (row, visible key) pair once; no key that no row of the tile sees. */
static void check_pairs(const checker *c, int32_t sequence, const tile_items *tile)
{
    const clattn_schedule_params *params = &c->problem->params;
    const clattn_span *span = &c->problem->spans[sequence];
    const int32_t first_row = tile->items[0].first_row;
    const int32_t num_rows = tile->items[0].num_rows;
    unsigned char *num_covers = calloc((size_t)span->kv_end + 1, 1);
    assert_non_null(num_covers);
    for (int32_t i = 0; i < tile->num_items; i++) {
        const clattn_work_item *item = &tile->items[i];
        REQUIRE(item->kv_begin >= span->kv_start && item->kv_begin <= item->kv_end && item->kv_end <= span->kv_end,
                "%s: sequence %d row %d: keys [%d, %d) of [%d, %d)", c->name, sequence, first_row, item->kv_begin,
                item->kv_end, span->kv_start, span->kv_end);
        for (int32_t key = item->kv_begin; key < item->kv_end; key++)
            num_covers[key]++;
    }
    for (int32_t key = 0; key < span->kv_end; key++) {
        bool seen = false;
        for (int32_t row = first_row; row < first_row + num_rows && !seen; row++)
            seen = is_visible(params, span, row, key);
        REQUIRE(num_covers[key] == seen, "%s: sequence %d rows [%d, +%d): key %d is %s and covered %d times", c->name,
                sequence, first_row, num_rows, key, seen ? "seen" : "not seen", num_covers[key]);
    }
    free(num_covers);
}

/* Merge items join each row of a split tile once, of as many rows as one may have, from partial states at `base` on. */
static void check_merges(checker *c, int32_t sequence, const tile_items *tile, int32_t base)
{
    const clattn_work_item *first = &tile->items[0];
    const int32_t max_rows = c->problem->row.max_merge_rows;
    int32_t num_rows = 0;
    for (int64_t i = 0; i < c->schedule->counts.num_merge_items; i++) {
        const clattn_merge_item *merge = &c->schedule->merge_items[i];
        const int32_t row = merge->partial - base;
        if (merge->num_splits == 0 || row < 0 || row >= first->num_rows * tile->num_items)
            continue;
        REQUIRE(merge->first_token == c->problem->spans[sequence].first_token && row == num_rows &&
                    merge->first_row == first->first_row + row && merge->split_rows == first->num_rows &&
                    merge->num_splits == tile->num_items,
                "%s: sequence %d row %d: merge item %lld is not of its %d splits", c->name, sequence, first->first_row,
                (long long)i, tile->num_items);
        REQUIRE(merge->num_rows >= 1 && (max_rows == 0 || merge->num_rows <= max_rows),
                "%s: merge item %lld of %d rows", c->name, (long long)i, merge->num_rows);
        c->merge_taken[i]++;
        num_rows += merge->num_rows;
    }
    REQUIRE(num_rows == first->num_rows, "%s: sequence %d row %d: %d of %d rows are merged", c->name, sequence,
            first->first_row, num_rows, first->num_rows);
}

/* The partial states of a split tile lie side by side, where its merge items look for them. */
static void check_partials(checker *c, int32_t sequence, const tile_items *tile)
{
    const clattn_schedule_counts *counts = &c->schedule->counts;
    const clattn_work_item *first = &tile->items[0];
    int32_t base = first->partial;
    for (int32_t i = 0; i < tile->num_items; i++) {
        const clattn_work_item *item = &tile->items[i];
        REQUIRE(item->kv_begin < item->kv_end, "%s: sequence %d row %d: an empty split", c->name, sequence,
                first->first_row);
        REQUIRE(item->partial >= 0 && item->partial + (int64_t)item->num_rows <= counts->num_partial_rows,
                "%s: partial %d of %lld", c->name, item->partial, (long long)counts->num_partial_rows);
        for (int32_t row = 0; row < item->num_rows; row++)
            REQUIRE(!c->partial_taken[item->partial + row]++, "%s: partial row %d is used twice", c->name,
                    item->partial + row);
        base = item->partial < base ? item->partial : base;
    }
    for (int32_t i = 0; i < tile->num_items; i++)
        REQUIRE((tile->items[i].partial - base) % first->num_rows == 0 &&
                    (tile->items[i].partial - base) / first->num_rows < tile->num_items,
                "%s: partial %d does not belong to those from %d on", c->name, tile->items[i].partial, base);

    check_merges(c, sequence, tile, base);
}

static void check_tile(checker *c, int32_t sequence, const tile_items *tile, clattn_phase phase)
{
    const int32_t block_q = c->problem->row.tiles[phase].block_q;
    const int32_t max_keys = c->problem->row.max_item_keys[phase];
    const int64_t num_rows = (int64_t)c->problem->spans[sequence].num_tokens * c->problem->params.group_size;
    for (int32_t i = 0; i < tile->num_items; i++)
        REQUIRE(tile->items[i].num_rows == tile->items[0].num_rows && tile->items[i].num_rows >= 1 &&
                    tile->items[i].num_rows <= block_q &&
                    tile->items[i].first_row + (int64_t)tile->items[i].num_rows <= num_rows,
                "%s: sequence %d rows [%d, +%d) in tiles of %d", c->name, sequence, tile->items[i].first_row,
                tile->items[i].num_rows, block_q);
    for (int32_t i = 0; i < tile->num_items; i++)
        REQUIRE(max_keys == 0 || tile->items[i].kv_end - tile->items[i].kv_begin <= max_keys,
                "%s: sequence %d: an item of %d keys, at most %d are allowed", c->name, sequence,
                tile->items[i].kv_end - tile->items[i].kv_begin, max_keys);
    check_pairs(c, sequence, tile);
    if (tile->num_items > 1)
        check_partials(c, sequence, tile);
    else
        REQUIRE(tile->items[0].partial == -1, "%s: one item with partial %d", c->name, tile->items[0].partial);
    c->max_splits = tile->num_items > c->max_splits ? tile->num_items : c->max_splits;
}

/* Nothing undefined goes to the device. */
static void check_unused_fields(const checker *c)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        for (int64_t i = 0; i < c->schedule->counts.num_items[phase]; i++)
            REQUIRE(c->schedule->items[phase][i].unused[0] == 0 && c->schedule->items[phase][i].unused[1] == 0,
                    "%s: item %lld has undefined fields", c->name, (long long)i);
    for (int64_t i = 0; i < c->schedule->counts.num_merge_items; i++)
        for (int field = 0; field < 2; field++)
            REQUIRE(c->schedule->merge_items[i].unused[field] == 0, "%s: merge item %lld has undefined fields", c->name,
                    (long long)i);
}

static void check_sequence(checker *c, int32_t sequence)
{
    const clattn_row *row = &c->problem->row;
    const int64_t num_rows = (int64_t)c->problem->spans[sequence].num_tokens * c->problem->params.group_size;
    const clattn_phase phase = num_rows <= row->decode_max_rows ? CLATTN_PHASE_DECODE : CLATTN_PHASE_PREFILL;
    clattn_work_item *items = NULL;
    const int32_t num_items = model_items_of(c->schedule, sequence, &items);
    int64_t next_row = 0;
    for (int32_t i = 0; i < num_items;) {
        tile_items tile = {.items = &items[i]};
        while (i < num_items && items[i].first_row == tile.items[0].first_row) {
            i++;
            tile.num_items++;
        }
        REQUIRE(tile.items[0].first_row == next_row, "%s: sequence %d: a tile at row %d, expected %lld", c->name,
                sequence, tile.items[0].first_row, (long long)next_row);
        check_tile(c, sequence, &tile, phase);
        next_row += tile.items[0].num_rows;
    }
    REQUIRE(next_row == num_rows, "%s: sequence %d: tiles end at row %lld of %lld", c->name, sequence,
            (long long)next_row, (long long)num_rows);
    const clattn_phase other = phase == CLATTN_PHASE_DECODE ? CLATTN_PHASE_PREFILL : CLATTN_PHASE_DECODE;
    for (int64_t i = 0; i < c->schedule->counts.num_items[other]; i++)
        REQUIRE(c->schedule->items[other][i].sequence != sequence, "%s: sequence %d with %lld rows in both phases",
                c->name, sequence, (long long)num_rows);
    free(items);
}

/* Clear items cover the rows behind the owned tokens once each, and none before. */
static void check_clear_items(checker *c)
{
    const clattn_schedule_params *params = &c->problem->params;
    const int64_t begin = (int64_t)params->num_owned_tokens * params->group_size;
    const int64_t end = (int64_t)params->total_tokens * params->group_size;
    unsigned char *num_clears = calloc((size_t)(end - begin) + 1, 1);
    assert_non_null(num_clears);
    for (int64_t i = 0; i < c->schedule->counts.num_merge_items; i++) {
        const clattn_merge_item *item = &c->schedule->merge_items[i];
        if (item->num_splits != 0)
            continue;
        c->merge_taken[i]++;
        const int64_t first = (int64_t)item->first_token * params->group_size + item->first_row;
        REQUIRE(item->num_rows >= 1 && first >= begin && first + item->num_rows <= end, "%s: clears rows [%lld, +%d)",
                c->name, (long long)first, item->num_rows);
        REQUIRE(params->row->max_clear_rows == 0 || item->num_rows <= params->row->max_clear_rows,
                "%s: clears %d rows at once", c->name, item->num_rows);
        for (int64_t row = first; row < first + item->num_rows; row++)
            num_clears[row - begin]++;
    }
    for (int64_t row = begin; row < end; row++)
        REQUIRE(num_clears[row - begin] == 1, "%s: row %lld is cleared %d times", c->name, (long long)row,
                num_clears[row - begin]);
    free(num_clears);
}

/* Later items are lighter, but for the width of a weight class, an eighth, and where a share begins. */
static void check_order(const checker *c)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const int32_t run_threads = c->problem->row.run_threads;
        const int32_t most_shares = run_threads > 1 ? 4 * run_threads : 1;
        int32_t num_shares = 1;
        for (int64_t i = 1; i < c->schedule->counts.num_items[phase]; i++) {
            const clattn_work_item *items = &c->schedule->items[phase][i];
            const int64_t before = items[-1].kv_end - items[-1].kv_begin;
            const int64_t after = items[0].kv_end - items[0].kv_begin;
            num_shares += after > before && 8 * after >= 9 * before;
            REQUIRE(num_shares <= most_shares, "%s: item %lld has %lld keys, the next one %lld", c->name,
                    (long long)i - 1, (long long)before, (long long)after);
        }
    }
}

void model_check(const model_case *problem, const model_schedule *schedule, const char *name)
{
    const clattn_schedule_counts *counts = &schedule->counts;
    checker c = {
        .problem = problem,
        .schedule = schedule,
        .name = name,
        .partial_taken = calloc((size_t)counts->num_partial_rows + 1, 1),
        .merge_taken = calloc((size_t)counts->num_merge_items + 1, 1),
    };
    assert_true(c.partial_taken != NULL && c.merge_taken != NULL);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        for (int64_t i = 0; i < counts->num_items[phase]; i++)
            REQUIRE(schedule->items[phase][i].sequence >= 0 &&
                        schedule->items[phase][i].sequence < problem->params.num_seqs,
                    "%s: item %lld of sequence %d", name, (long long)i, schedule->items[phase][i].sequence);
    for (int32_t s = 0; s < problem->params.num_seqs; s++)
        check_sequence(&c, s);
    check_unused_fields(&c);
    check_clear_items(&c);
    for (int64_t row = 0; row < counts->num_partial_rows; row++)
        REQUIRE(c.partial_taken[row], "%s: partial row %lld of %lld is never written", name, (long long)row,
                (long long)counts->num_partial_rows);
    for (int64_t i = 0; i < counts->num_merge_items; i++)
        REQUIRE(c.merge_taken[i] == 1, "%s: merge item %lld serves %d tiles", name, (long long)i, c.merge_taken[i]);
    REQUIRE(counts->max_splits == c.max_splits, "%s: max_splits is %d, the most is %d", name, counts->max_splits,
            c.max_splits);
    check_order(&c);
    free(c.partial_taken);
    free(c.merge_taken);
}

void model_check_bound(const model_case *problem, const model_schedule *schedule, const char *name)
{
    const clattn_schedule_counts *counts = &schedule->counts;
    clattn_schedule_counts bound;
    int32_t max_context_len = 0;
    for (int32_t s = 0; s < problem->params.num_seqs; s++)
        if (problem->spans[s].kv_end > max_context_len)
            max_context_len = problem->spans[s].kv_end;
    clattn_schedule_bound(&problem->params, max_context_len, &bound);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        REQUIRE(counts->num_items[phase] <= bound.num_items[phase], "%s: %lld items of phase %d, bound %lld", name,
                (long long)counts->num_items[phase], phase, (long long)bound.num_items[phase]);
    REQUIRE(counts->num_merge_items <= bound.num_merge_items, "%s: %lld merge items, bound %lld", name,
            (long long)counts->num_merge_items, (long long)bound.num_merge_items);
    REQUIRE(counts->num_partial_rows <= bound.num_partial_rows, "%s: %lld partial rows, bound %lld", name,
            (long long)counts->num_partial_rows, (long long)bound.num_partial_rows);
    REQUIRE(counts->max_splits <= bound.max_splits, "%s: %d splits, bound %d", name, counts->max_splits,
            bound.max_splits);
}
