/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rows say of devices that end long loops, by their facts alone: Mesa's llvmpipe, and others that nobody has seen.
 * Whether a device gets as much right as is allowed there is tests/kernel/test_loop_limits.c's.
 */
#include "tuning/loops.h"
#include "tuning/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LLVMPIPE_ITERATIONS = 65535 };

static const clattn_family families[] = {CLATTN_FAMILY_PLAIN, CLATTN_FAMILY_SIMT, CLATTN_FAMILY_VECTOR};

/* Mesa 22.3's, but for the local memory where a test wants the vector family to fit. */
static clattn_device_facts device_of(uint32_t max_loop_iterations, uint64_t local_memory_bytes)
{
    return (clattn_device_facts){
        .type = CLATTN_DEVICE_CPU,
        .num_compute_units = 8,
        .max_work_group_size = 1024,
        .preferred_multiple = 32,
        .float_vector_width = 1,
        .max_loop_iterations = max_loop_iterations,
        .local_memory_bytes = local_memory_bytes,
    };
}

static clattn_tile_request request_of(clattn_family family, int32_t head_dim, int32_t head_dim_v)
{
    return (clattn_tile_request){
        .family = family, .head_dim = head_dim, .head_dim_v = head_dim_v, .group_size = 4, .num_kv_heads = 2};
}

static clattn_row resolved_row(const clattn_device_facts *facts, const clattn_tile_request *request,
                               const clattn_tuning *tuning)
{
    const clattn_tuning_database database = {.facts = facts};
    clattn_row row;
    clattn_error error = {.text = ""};
    if (clattn_tuning_resolve(&database, request, tuning, &row, NULL, &error) != CLATTN_OK)
        fail_msg("head_dim=%d/%d: %s", request->head_dim, request->head_dim_v, error.text);
    return row;
}

static void devices_that_end_no_loops_have_no_limits(void **state)
{
    const clattn_device_facts facts = device_of(0, 1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const clattn_tile_request request = request_of(families[i], 128, 128);
        const clattn_row row = resolved_row(&facts, &request, NULL);
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
            assert_int_equal(row.max_item_keys[phase], 0);
        assert_int_equal(row.max_splits, 0);
        assert_int_equal(row.max_merge_rows, 0);
        assert_int_equal(row.max_clear_rows, 0);
        assert_int_equal(row.max_sinks, 0);
        assert_int_equal(clattn_loops_merge_states(&facts, families[i], 512), INT32_MAX);
        assert_int_equal(
            clattn_loops_item_keys(&facts, &request, CLATTN_PHASE_PREFILL, &row.tiles[CLATTN_PHASE_PREFILL]),
            INT32_MAX);
    }
}

/* What llvmpipe is said to end has room for whole blocks of keys, several splits and sinks at all widths. */
static void llvmpipe_has_rows_for_every_head_dim(void **state)
{
    const clattn_device_facts facts = device_of(LLVMPIPE_ITERATIONS, 32 << 10);
    (void)state;
    for (int family = 0; family < 2; family++) {
        for (int32_t head_dim = 8; head_dim <= 512; head_dim += 8) {
            for (int32_t head_dim_v = 8; head_dim_v <= 512; head_dim_v += 24) {
                const clattn_tile_request request = request_of(families[family], head_dim, head_dim_v);
                const clattn_row row = resolved_row(&facts, &request, NULL);
                for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
                    assert_true(row.max_item_keys[phase] > 0);
                    assert_int_equal(row.max_item_keys[phase] % row.tiles[phase].block_kv, 0);
                }
                assert_true(row.max_splits >= 2000);
                assert_int_equal(row.max_merge_rows, 1);
                assert_true(row.max_clear_rows >= 64); /* as many as one clears elsewhere */
                assert_true(row.max_sinks >= 100);
            }
        }
    }
}

/* A row of 168 dimensions: 17 + 2 + 22 * 10 + 169 rounds for each key, and as many rows as a work-item has. */
static void a_plain_row_is_counted_by_hand(void **state)
{
    const clattn_device_facts facts = device_of(LLVMPIPE_ITERATIONS, 32 << 10);
    const clattn_tile_request request = request_of(CLATTN_FAMILY_PLAIN, 168, 168);
    clattn_tile tile = {.block_q = 32, .block_kv = 1, .work_group_size = 32, .heads = 1, .lanes = 1};
    (void)state;
    const int32_t per_key = 9 + (21 * (1 + 9) + 1) + 9 + 169 + 1;
    const int32_t usable = LLVMPIPE_ITERATIONS / 2 * 3 / 4;
    int32_t num_keys = clattn_loops_item_keys(&facts, &request, CLATTN_PHASE_DECODE, &tile);
    assert_int_equal(num_keys, (usable - (1 + 3 * 169 + 1 + 1)) / per_key);
    tile.work_group_size = 8;
    num_keys = clattn_loops_item_keys(&facts, &request, CLATTN_PHASE_DECODE, &tile);
    assert_int_equal(num_keys, (usable - (4 * (3 * 169 + 1 + 1) + 1)) / (4 * per_key));
}

static void more_iterations_allow_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const clattn_tile_request request = request_of(families[i], 16, 16);
        clattn_row before = {.max_splits = 0};
        for (uint32_t iterations = LLVMPIPE_ITERATIONS; iterations < UINT32_MAX / 4; iterations *= 4) {
            const clattn_device_facts facts = device_of(iterations, 1 << 20);
            const clattn_row row = resolved_row(&facts, &request, NULL);
            for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
                assert_true(row.max_item_keys[phase] > before.max_item_keys[phase]);
            assert_true(row.max_splits > before.max_splits);
            assert_true(row.max_sinks > before.max_sinks);
            before = row;
        }
    }
}

static void assert_refused(const clattn_device_facts *facts, const clattn_tile_request *request,
                           const clattn_tuning *tuning)
{
    const clattn_tuning_database database = {.facts = facts};
    clattn_row row;
    clattn_error error = {.text = ""};
    assert_int_equal(clattn_tuning_resolve(&database, request, tuning, &row, NULL, &error), CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "rounds"));
}

static void tiles_of_too_many_rounds_are_refused(void **state)
{
    clattn_device_facts facts = device_of(LLVMPIPE_ITERATIONS, 1 << 20);
    clattn_tile_request request = request_of(CLATTN_FAMILY_PLAIN, 512, 512);
    clattn_tuning tuning = {.work_group_size = 32};
    (void)state;
    resolved_row(&facts, &request, &tuning);
    tuning.work_group_size = 31; /* two rows for one of them */
    assert_refused(&facts, &request, &tuning);

    request.family = CLATTN_FAMILY_SIMT;
    tuning = (clattn_tuning){.block_kv = 32};
    resolved_row(&facts, &request, &tuning);
    tuning.block_kv = 1024;
    assert_refused(&facts, &request, &tuning);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        facts.max_loop_iterations = 100;
        request = request_of(families[i], 8, 8);
        assert_refused(&facts, &request, NULL);
        assert_int_equal(clattn_loops_merge_states(&facts, families[i], 512) <= 10, true);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_that_end_no_loops_have_no_limits),
        cmocka_unit_test(llvmpipe_has_rows_for_every_head_dim),
        cmocka_unit_test(a_plain_row_is_counted_by_hand),
        cmocka_unit_test(more_iterations_allow_more),
        cmocka_unit_test(tiles_of_too_many_rounds_are_refused),
    };
    return cmocka_run_group_tests_name("loop_rounds", tests, NULL, NULL);
}
