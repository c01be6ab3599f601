/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds of the kernels' loops, counted from their sources; see loops.h. Every loop has one round more than its body
 * runs, in which it ends. A loop under #pragma unroll has none, unless it is too long to be unrolled. Both sides of a
 * branch count: where work-items run in lockstep, the loops of the side that is not taken go round once.
 */
#include "tuning/loops.h"

#include "runtime/size.h"
#include "tuning/rows.h"

/* Loops under #pragma unroll that compilers unroll: Mesa's, whose drivers alone are known to limit the others. */
#define MOST_UNROLLED 32

/* Of a device's rounds this share is used. Compilers differ in what they make of a loop. */
#define SAFETY 2

/* What is used, less the quarter that sinks may take. */
static int64_t usable_rounds(const clattn_device_facts *facts)
{
    return (int64_t)facts->max_loop_iterations / SAFETY * 3 / 4;
}

static int64_t sink_rounds(const clattn_device_facts *facts)
{
    return (int64_t)facts->max_loop_iterations / SAFETY / 4;
}

/* A loop of so many rounds, each of which goes through `body` rounds of inner loops. */
static int64_t loop(int64_t num_rounds, int64_t body)
{
    return num_rounds * (body + 1) + 1;
}

static int64_t unrolled(int64_t num_rounds, int64_t body)
{
    return num_rounds <= MOST_UNROLLED ? num_rounds * body : loop(num_rounds, body);
}

/* A loop over num_elements that the work-items of a group share. */
static int64_t shared_loop(int64_t num_elements, const clattn_tile *tile, int64_t body)
{
    return loop(clattn_ceil_div(num_elements, tile->work_group_size), body);
}

/* The rounds of a kernel: once per work item, and for each block of its keys. */
typedef struct kernel_rounds {
    int64_t item;
    int64_t block;
    int64_t finished_rows; /* that one work-item finishes, one by one, each with two loops over the sinks */
} kernel_rounds;

/* cl/plain/attention.cl; a block is block_kv keys. */
static kernel_rounds plain_rounds(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t sums = 8; /* NUM_SUMS */
    const int64_t rows = clattn_ceil_div(tile->block_q, tile->work_group_size);
    const int64_t qk = loop(sums, 0) + loop(request->head_dim / sums, loop(sums, 0)) + loop(sums, 0);
    const int64_t pv = loop(request->head_dim_v, 0);
    const int64_t start_and_store = 3 * loop(request->head_dim_v, 0);
    return (kernel_rounds){
        .item = loop(rows, start_and_store + 1),
        .block = rows * tile->block_kv * (1 + qk + pv),
        .finished_rows = rows,
    };
}

/* The two loops over a row's keys in softmax_update(), and that over its work-items: cl/simt/tile.cl. */
static int64_t simt_softmax(const clattn_tile *tile)
{
    const int64_t threads_per_row = tile->work_group_size / tile->block_q;
    return 2 * loop(clattn_ceil_div(tile->block_kv, threads_per_row), 0) + loop(threads_per_row, 0);
}

/* Row bounds and result rows at the start, and the sums of finish_rows(). */
static int64_t simt_rows(const clattn_tile *tile)
{
    return 2 * shared_loop(tile->block_q, tile, 0) + loop(tile->work_group_size / tile->block_q, 0);
}

/* cl/simt/prefill.cl. */
static kernel_rounds simt_prefill_rounds(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t tile_columns = 16;
    const int64_t k_chunk = 32;
    const int64_t v_chunk = request->head_dim_v > 256 ? 4 : 8;
    const int64_t rows = tile->block_q / (tile->work_group_size / tile_columns);
    const int64_t keys = tile->block_kv / tile_columns;
    const int64_t columns = clattn_ceil_div(request->head_dim_v, tile_columns);
    const int64_t outer_product = unrolled(rows, 0) + unrolled(keys, unrolled(rows, 0));
    const int64_t qk = 2 * unrolled(rows, unrolled(keys, 0)) +
                       loop(clattn_ceil_div(request->head_dim, k_chunk),
                            shared_loop(tile->block_kv * k_chunk, tile, 0) + loop(k_chunk, outer_product));
    const int64_t pv = loop(clattn_ceil_div(tile->block_kv, v_chunk),
                            shared_loop(v_chunk * request->head_dim_v, tile, 0) +
                                loop(v_chunk, unrolled(rows, 0) + unrolled(columns, unrolled(rows, 0))));
    const int64_t all_sums = unrolled(rows, unrolled(columns, 0));
    return (kernel_rounds){
        .item = shared_loop((int64_t)tile->block_q * request->head_dim, tile, 0) + simt_rows(tile) + 2 * all_sums,
        .block = 1 + shared_loop(tile->block_kv, tile, 0) + qk + simt_softmax(tile) + all_sums + pv,
        .finished_rows = 1,
    };
}

/* cl/simt/decode.cl. */
static kernel_rounds simt_decode_rounds(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t size = tile->work_group_size;
    const int64_t lanes_per_key = request->head_dim >= 32 ? 8 : 2;
    const int64_t v_vectors = clattn_ceil_div(request->head_dim_v / 4, size);
    const int64_t v_columns = clattn_ceil_div(request->head_dim_v / 4, v_vectors);
    const int64_t key_groups = size / v_columns;
    const int64_t rows = unrolled(tile->block_q, 0);
    const int64_t scores = loop(clattn_ceil_div(request->head_dim, 4 * lanes_per_key), rows);
    const int64_t qk = loop(clattn_ceil_div(tile->block_kv, size / lanes_per_key), 2 * rows + scores) +
                       shared_loop((int64_t)tile->block_q * tile->block_kv, tile, loop(lanes_per_key, 0));
    const int64_t all_sums = unrolled(v_vectors, rows);
    const int64_t pv = loop(clattn_ceil_div(tile->block_kv, key_groups), all_sums);
    return (kernel_rounds){
        .item = shared_loop((int64_t)tile->block_q * request->head_dim, tile, 0) + simt_rows(tile) + 2 * all_sums +
                shared_loop((int64_t)tile->block_q * request->head_dim_v, tile, loop(key_groups, 0)),
        .block = 1 + shared_loop(tile->block_kv, tile, 0) + qk + simt_softmax(tile) + all_sums + pv,
        .finished_rows = 1,
    };
}

/* Asking for the cache lines of a row, as cl/vector/vector.cl does. */
static int64_t prefetch_row(int32_t width)
{
    const int64_t line_elements = 16; /* of float32, the fewest */
    return loop(clattn_ceil_div(width, line_elements), 0);
}

/* cl/vector/prefill.cl; attend() stands there twice, with masks and without. */
static kernel_rounds vector_prefill_rounds(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t lanes = tile->lanes;
    const int64_t vectors = lanes == 16 ? 4 : 2;
    const int64_t keys = tile->block_kv;
    const int64_t qk_keys = keys % 6 == 0 ? 6 : keys % 4 == 0 ? 4 : keys % 2 == 0 ? 2 : 1;
    const int64_t rest = loop(lanes - 1, loop(lanes, 0)); /* columns behind the last whole vector */
    const int64_t qk = loop(keys / qk_keys, loop(request->head_dim, 0));
    const int64_t softmax = vectors * (loop(keys / 2, 0) + loop(keys, 0));
    const int64_t pv = loop(request->head_dim_v, 0) + loop(request->head_dim_v / 4, loop(keys, 0));
    const int64_t rows = loop(keys, loop(request->head_dim / 8, 0) + loop(request->head_dim_v / 8, 0)) + loop(keys, 0);
    const int64_t load = loop(tile->block_q, prefetch_row(request->head_dim)) +
                         loop(tile->block_q / lanes, loop(request->head_dim / lanes, 0) + rest);
    const int64_t store =
        loop(tile->block_q, prefetch_row(request->head_dim_v)) +
        loop(tile->block_q / lanes, 2 * loop(lanes, 0) + loop(request->head_dim_v / lanes, loop(lanes, 0)) + rest);
    return (kernel_rounds){
        .item = load + loop(tile->block_q, 0) + loop((int64_t)tile->block_q * request->head_dim_v / lanes, 0) + store,
        .block = 1 + rows + loop(tile->block_q / (lanes * vectors), 2 * (qk + softmax + pv)),
        .finished_rows = tile->block_q / lanes, /* whole vectors of them */
    };
}

/* cl/vector/decode.cl, with as few accumulators as it ever has: one key at a time, one vector of V. */
static kernel_rounds vector_decode_rounds(const clattn_tile_request *request, const clattn_tile *tile)
{
    const int64_t lanes = tile->lanes;
    const int64_t keys = tile->block_kv;
    const int64_t num_rows = (int64_t)tile->heads * tile->block_q;
    const int64_t k_vectors = clattn_ceil_div(request->head_dim, lanes);
    const int64_t v_vectors = clattn_ceil_div(request->head_dim_v, lanes);
    const int64_t offsets = 2 * loop(keys, 0);
    const int64_t qk = loop(keys, loop(num_rows, loop(k_vectors, 0)));
    const int64_t softmax = loop(num_rows, 2 * loop(keys, 0) + loop(v_vectors, 0));
    const int64_t pv = loop(v_vectors, loop(keys, 0)); /* of one row at least */
    const int64_t load = loop(tile->heads, loop(tile->block_q, loop(k_vectors, 0)));
    const int64_t store = loop(tile->heads, loop(tile->block_q, 2 * loop(v_vectors, 0)));
    return (kernel_rounds){
        .item = load + loop(tile->block_q, 0) + loop(num_rows, loop(lanes, 0)) + loop(num_rows * v_vectors, 0) +
                2 * offsets + store,
        .block = 1 + offsets + qk + softmax + loop(num_rows, pv),
        .finished_rows = num_rows,
    };
}

static kernel_rounds rounds_of(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile)
{
    if (request->family == CLATTN_FAMILY_PLAIN)
        return plain_rounds(request, tile);
    if (request->family == CLATTN_FAMILY_SIMT)
        return phase == CLATTN_PHASE_PREFILL ? simt_prefill_rounds(request, tile) : simt_decode_rounds(request, tile);
    return phase == CLATTN_PHASE_PREFILL ? vector_prefill_rounds(request, tile) : vector_decode_rounds(request, tile);
}

static int32_t at_most_int32(int64_t value)
{
    return value < 0 ? 0 : value < INT32_MAX ? (int32_t)value : INT32_MAX;
}

int32_t clattn_loops_item_keys(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_phase phase,
                               const clattn_tile *tile)
{
    if (facts->max_loop_iterations == 0)
        return INT32_MAX;
    const kernel_rounds rounds = rounds_of(request, phase, tile);
    return at_most_int32((usable_rounds(facts) - rounds.item) / rounds.block * tile->block_kv);
}

/* cl/merge.cl: a row without states, with its loops over none and two over the columns; and what each state adds. */
static void merge_rounds(const clattn_device_facts *facts, clattn_family family, int32_t head_dim_v, int64_t *row,
                         int64_t *state)
{
    const int64_t columns = loop(clattn_ceil_div(head_dim_v, clattn_row_wise_work_group_size(facts, family)), 0);
    *row = 1 + 2 * loop(0, 0) + 2 * columns;
    *state = 1 + 1 + columns;
}

int32_t clattn_loops_merge_states(const clattn_device_facts *facts, clattn_family family, int32_t head_dim_v)
{
    if (facts->max_loop_iterations == 0)
        return INT32_MAX;
    int64_t row = 0;
    int64_t state = 0;
    merge_rounds(facts, family, head_dim_v, &row, &state);
    return at_most_int32((usable_rounds(facts) - 1 - row) / state);
}

/* One at least: where a row does not fit, no tile does. */
static int32_t clear_rows(const clattn_device_facts *facts, const clattn_tile_request *request)
{
    int64_t row = 0;
    int64_t state = 0;
    merge_rounds(facts, request->family, request->head_dim_v, &row, &state);
    return at_most_int32((usable_rounds(facts) - 1) / row);
}

clattn_status clattn_loops_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                 clattn_phase phase, const clattn_tile *tile, clattn_error *error)
{
    if (facts->max_loop_iterations == 0)
        return CLATTN_OK;
    const kernel_rounds rounds = rounds_of(request, phase, tile);
    CLATTN_REQUIRE(error, rounds.item + rounds.block <= usable_rounds(facts), CLATTN_INVALID_TUNING,
                   "tuning: a %s tile of %d x %d at head_dim %d takes %lld rounds of loops, %lld are allowed on a "
                   "device that ends them after %u",
                   clattn_phase_name(phase), (int)tile->block_q, (int)tile->block_kv, (int)request->head_dim,
                   (long long)(rounds.item + rounds.block), (long long)usable_rounds(facts),
                   (unsigned)facts->max_loop_iterations);
    CLATTN_REQUIRE(error, clattn_loops_merge_states(facts, request->family, request->head_dim_v) > 0,
                   CLATTN_INVALID_TUNING,
                   "tuning: at head_dim_v %d no partial results can be merged on a device that ends loops after %u "
                   "rounds",
                   (int)request->head_dim_v, (unsigned)facts->max_loop_iterations);
    return CLATTN_OK;
}

void clattn_loops_limit_row(const clattn_device_facts *facts, const clattn_tile_request *request, clattn_row *row)
{
    if (facts->max_loop_iterations == 0)
        return;
    row->max_sinks = INT32_MAX;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        const clattn_tile *tile = &row->tiles[phase];
        const int64_t finished_rows = rounds_of(request, (clattn_phase)phase, tile).finished_rows;
        const int32_t num_sinks = at_most_int32(sink_rounds(facts) / finished_rows / 2 - 1);
        row->max_item_keys[phase] = clattn_loops_item_keys(facts, request, (clattn_phase)phase, tile);
        row->max_sinks = num_sinks < row->max_sinks ? num_sinks : row->max_sinks;
    }
    row->max_splits = clattn_loops_merge_states(facts, request->family, request->head_dim_v);
    row->max_merge_rows = 1;
    row->max_clear_rows = clear_rows(facts, request);
}
