/* SPDX-License-Identifier: Apache-2.0 */
/* Which row of a database answers: its level, its nearness, and what it says of itself. */
#include "tuning/builtin.h"
#include "tuning/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Woverride-init" /* rows are one row with some fields changed */

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const clattn_device_facts gpu = {
    .name = "a GPU",
    .vendor = "its vendor",
    .driver = "2.0",
    .architecture = "sm_99",
    .type = CLATTN_DEVICE_GPU,
    .num_compute_units = 80,
    .max_work_group_size = 1024,
    .preferred_multiple = 32,
    .float_vector_width = 1,
    .local_memory_bytes = 48 << 10,
};

static clattn_tile_request plain_request(void)
{
    return (clattn_tile_request){.family = CLATTN_FAMILY_SIMT,
                                 .head_dim = 128,
                                 .head_dim_v = 128,
                                 .group_size = 4,
                                 .num_kv_heads = 8,
                                 .token_major = true,
                                 .kv_dtype = CLATTN_FLOAT16,
                                 .page_size = 16,
                                 .num_seqs = 4};
}

/* The row of plain_request() on that GPU; tests know rows by their block_kv. */
#define PLAIN_ROW                                                                                                      \
    .device = "a GPU", .vendor = "its vendor", .driver = "2.0", .architecture = "sm_99", .type = CLATTN_DEVICE_GPU,    \
    .version = "0.1.0", .phase = CLATTN_PHASE_DECODE, .family = CLATTN_FAMILY_SIMT, .kv_dtype = CLATTN_FLOAT16,        \
    .head_dim = 128, .head_dim_v = 128, .group_size = 4, .num_kv_heads = 8, .kv_layout = CLATTN_KV_NHD,                \
    .page_size = 16, .batch = CLATTN_BATCH_SMALL, .date = ""

#define BLOCK_KV(value)                                                                                                \
    .num_parameters = 1, .parameters = (const clattn_tuning_parameter[])                                               \
    {                                                                                                                  \
        {                                                                                                              \
            "block_kv", value                                                                                          \
        }                                                                                                              \
    }

/* In the place of the library's own. */
const clattn_tuning_row clattn_builtin_rows[] = {
    {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .device = "another GPU", .architecture = "sm_98", BLOCK_KV(16)},
    {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .device = "another GPU", BLOCK_KV(32)},
    {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .driver = "1.0", BLOCK_KV(48)},
    {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .device = "", .vendor = "", .architecture = "", BLOCK_KV(96)},
};
const int32_t clattn_num_builtin_rows = COUNT(clattn_builtin_rows);

/* block_kv of what answers with these user's rows, and its level. */
typedef struct answer {
    int32_t block_kv;
    clattn_tuning_level level;
} answer;

static clattn_tuning_database database_of(const clattn_device_facts *facts, int32_t num_rows,
                                          const clattn_tuning_row *rows)
{
    clattn_tuning_database database = {.facts = facts};
    clattn_error error;
    for (int32_t i = 0; i < num_rows; i++)
        assert_int_equal(clattn_tuning_database_add(&database, &rows[i], &error), CLATTN_OK);
    assert_int_equal(clattn_tuning_database_add_builtin(&database, &error), CLATTN_OK);
    clattn_tuning_database_sort(&database);
    return database;
}

static answer ask(const clattn_device_facts *facts, const clattn_tile_request *request, int32_t num_rows,
                  const clattn_tuning_row *rows)
{
    clattn_tuning_database database = database_of(facts, num_rows, rows);
    clattn_row row;
    clattn_error error;
    assert_int_equal(clattn_tuning_resolve(&database, request, NULL, &row, NULL, &error), CLATTN_OK);
    clattn_tuning_database_finish(&database);
    return (answer){row.tiles[CLATTN_PHASE_DECODE].block_kv, row.levels[CLATTN_PHASE_DECODE]};
}

static void assert_answers(const clattn_tile_request *request, int32_t num_rows, const clattn_tuning_row *rows,
                           int32_t block_kv)
{
    const answer found = ask(&gpu, request, num_rows, rows);
    assert_int_equal(found.block_kv, block_kv);
    assert_int_equal(found.level, CLATTN_TUNING_USER_DRIVER);
}

/* ---- levels ---- */

/* One level after another is taken away. */
static void first_level_that_has_a_row_answers(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .device = "another GPU", BLOCK_KV(112)},
        {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, .driver = "1.0", BLOCK_KV(64)},
        {PLAIN_ROW, .head_dim = 64, .head_dim_v = 64, BLOCK_KV(128)},
    };
    clattn_tile_request request = plain_request();
    clattn_device_facts facts = gpu;
    (void)state;
    request.head_dim = request.head_dim_v = 64;
    answer found = ask(&facts, &request, 3, rows);
    assert_true(found.block_kv == 128 && found.level == CLATTN_TUNING_USER_DRIVER);
    found = ask(&facts, &request, 2, rows);
    assert_true(found.block_kv == 64 && found.level == CLATTN_TUNING_USER_DEVICE);
    found = ask(&facts, &request, 1, rows);
    assert_true(found.block_kv == 48 && found.level == CLATTN_TUNING_DEVICE);
    strcpy(facts.name, "a newer GPU");
    found = ask(&facts, &request, 3, rows);
    assert_true(found.block_kv == 32 && found.level == CLATTN_TUNING_ARCHITECTURE);
    strcpy(facts.architecture, "sm_97");
    found = ask(&facts, &request, 3, rows);
    assert_true(found.block_kv == 16 && found.level == CLATTN_TUNING_VENDOR);
    facts.type = CLATTN_DEVICE_ACCELERATOR;
    found = ask(&facts, &request, 3, rows);
    assert_int_equal(found.level, CLATTN_TUNING_DEFAULT);
    facts.type = CLATTN_DEVICE_GPU;
    strcpy(facts.vendor, "another vendor");
    found = ask(&facts, &request, 3, rows);
    assert_int_equal(found.level, CLATTN_TUNING_DEFAULT);
}

static void names_that_are_empty_match_nothing(void **state)
{
    const clattn_tuning_row row = {PLAIN_ROW,    .head_dim = 64, .head_dim_v = 64,
                                   .device = "", .driver = "",   BLOCK_KV(64)};
    clattn_tile_request request = plain_request();
    clattn_device_facts facts = gpu;
    (void)state;
    request.head_dim = request.head_dim_v = 64;
    facts.name[0] = facts.vendor[0] = facts.driver[0] = facts.architecture[0] = '\0';
    assert_int_equal(ask(&facts, &request, 1, &row).level, CLATTN_TUNING_DEFAULT);
}

/* Nothing but the facts: the built-in rows, without a copy of them. */
static void device_without_a_database_has_the_builtin_rows(void **state)
{
    clattn_tuning_database database = {.facts = &gpu};
    clattn_tile_request request = plain_request();
    clattn_tuning_entry found[CLATTN_NUM_PHASES];
    clattn_row row;
    clattn_error error;
    (void)state;
    request.head_dim = request.head_dim_v = 64;
    assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, found, &error), CLATTN_OK);
    assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_DEVICE);
    assert_int_equal(row.tiles[CLATTN_PHASE_DECODE].block_kv, 48);
    assert_int_equal(found[CLATTN_PHASE_DECODE].level, CLATTN_TUNING_DEVICE);
    assert_int_equal(row.levels[CLATTN_PHASE_PREFILL], CLATTN_TUNING_DEFAULT);
    assert_int_equal(found[CLATTN_PHASE_PREFILL].level, CLATTN_TUNING_NONE);
    assert_null(database.entries);
}

/* ---- nearness ---- */

static void what_must_be_equal_is(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .phase = CLATTN_PHASE_PREFILL, BLOCK_KV(64)},
        {PLAIN_ROW, .family = CLATTN_FAMILY_VECTOR, BLOCK_KV(64)},
        {PLAIN_ROW, .head_dim = 120, BLOCK_KV(64)},
        {PLAIN_ROW, .head_dim_v = 120, BLOCK_KV(64)},
        {PLAIN_ROW, .kv_layout = CLATTN_KV_HND, BLOCK_KV(64)},
        {PLAIN_ROW, .kv_layout = CLATTN_KV_HEADS_FIRST, BLOCK_KV(64)},
        {PLAIN_ROW, .device = "a gpu", BLOCK_KV(64)},
        {PLAIN_ROW, .kv_dtype = CLATTN_FLOAT32, BLOCK_KV(64)},
        {PLAIN_ROW, .group_size = 2, BLOCK_KV(64)},
        {PLAIN_ROW, .group_size = 5, BLOCK_KV(64)},
    };
    const clattn_tuning_row control = {PLAIN_ROW, .kv_layout = CLATTN_KV_COMBINED, BLOCK_KV(64)};
    const clattn_tile_request request = plain_request();
    (void)state;
    for (int32_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(ask(&gpu, &request, 1, &rows[i]).level, CLATTN_TUNING_DEFAULT);
    assert_answers(&request, 1, &control, 64);
}

/* Of each pair the first is nearer; the further one stands first in the file. */
static const clattn_tuning_row pairs[][2] = {
    {{PLAIN_ROW, BLOCK_KV(64)}, {PLAIN_ROW, .dense = true, BLOCK_KV(16)}},
    {{PLAIN_ROW, BLOCK_KV(64)}, {PLAIN_ROW, .kv_dtype = CLATTN_BFLOAT16, BLOCK_KV(16)}},
    {{PLAIN_ROW, BLOCK_KV(64)}, {PLAIN_ROW, .group_size = 3, BLOCK_KV(16)}},
    {{PLAIN_ROW, .page_size = 31, BLOCK_KV(64)}, {PLAIN_ROW, .page_size = 32, BLOCK_KV(16)}},
    {{PLAIN_ROW, .page_size = 32, BLOCK_KV(64)}, {PLAIN_ROW, .page_size = 4, BLOCK_KV(16)}},
    {{PLAIN_ROW, BLOCK_KV(64)}, {PLAIN_ROW, .batch = CLATTN_BATCH_SINGLE, BLOCK_KV(16)}},
    {{PLAIN_ROW, BLOCK_KV(64)}, {PLAIN_ROW, .batch = CLATTN_BATCH_LARGE, BLOCK_KV(16)}},
    {{PLAIN_ROW, .num_kv_heads = 4, BLOCK_KV(64)}, {PLAIN_ROW, .num_kv_heads = 32, BLOCK_KV(16)}},
    {{PLAIN_ROW, .num_kv_heads = 9, BLOCK_KV(64)}, {PLAIN_ROW, .num_kv_heads = 6, BLOCK_KV(16)}},
    /* One difference against another: the operation, the group, the batch, the page, the heads. */
    {{PLAIN_ROW, .group_size = 3, BLOCK_KV(64)}, {PLAIN_ROW, .dense = true, BLOCK_KV(16)}},
    {{PLAIN_ROW, .group_size = 3, BLOCK_KV(64)}, {PLAIN_ROW, .batch = CLATTN_BATCH_LARGE, BLOCK_KV(16)}},
    {{PLAIN_ROW, .page_size = 32, BLOCK_KV(64)}, {PLAIN_ROW, .batch = CLATTN_BATCH_LARGE, BLOCK_KV(16)}},
    {{PLAIN_ROW, .kv_dtype = CLATTN_BFLOAT16, BLOCK_KV(64)}, {PLAIN_ROW, .num_kv_heads = 16, BLOCK_KV(16)}},
};

static void nearest_row_answers(void **state)
{
    const clattn_tile_request request = plain_request();
    (void)state;
    for (int32_t i = 0; i < COUNT(pairs); i++) {
        const clattn_tuning_row rows[] = {pairs[i][1], pairs[i][0]};
        const answer found = ask(&gpu, &request, 2, rows);
        if (found.block_kv != 64)
            fail_msg("pair %d: the further row answers", (int)i);
        assert_answers(&request, 1, &pairs[i][1], 16); /* alone, it does */
    }
}

/* Groups that fill a decode tile are of one kind, and the nearest of them answers. */
static void large_groups_are_alike(void **state)
{
    const clattn_tuning_row rows[] = {{PLAIN_ROW, .group_size = 4, BLOCK_KV(96)},
                                      {PLAIN_ROW, .group_size = 1 << 30, BLOCK_KV(16)},
                                      {PLAIN_ROW, .group_size = 5, BLOCK_KV(48)},
                                      {PLAIN_ROW, .group_size = 16, BLOCK_KV(64)}};
    clattn_tile_request request = plain_request();
    (void)state;
    request.group_size = 13;
    assert_answers(&request, COUNT(rows), rows, 64);
    request.group_size = 6;
    assert_answers(&request, COUNT(rows), rows, 48);
    assert_answers(&request, 2, rows, 16);
}

/* A further row of a better level comes before a near one. */
static void level_counts_more_than_nearness(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .driver = "1.0", BLOCK_KV(16)},
        {PLAIN_ROW, .dense = true, .kv_dtype = CLATTN_BFLOAT16, .group_size = 3, .batch = CLATTN_BATCH_LARGE,
         BLOCK_KV(64)},
    };
    const clattn_tile_request request = plain_request();
    (void)state;
    const clattn_tuning_row mixed[] = {{PLAIN_ROW, .dense = true, BLOCK_KV(16)},
                                       {PLAIN_ROW, .driver = "1.0", BLOCK_KV(32)},
                                       {PLAIN_ROW, BLOCK_KV(64)}};
    assert_answers(&request, 3, mixed, 64);
    assert_answers(&request, 2, rows, 64);
}

static void first_of_equally_near_rows_answers(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .group_size = 3, BLOCK_KV(16)},
        {PLAIN_ROW, BLOCK_KV(64)},
        {PLAIN_ROW, BLOCK_KV(128)},
        {PLAIN_ROW, .page_size = 17, BLOCK_KV(16)},
    };
    const clattn_tuning_row both_sides[] = {{PLAIN_ROW, .batch = CLATTN_BATCH_LARGE, BLOCK_KV(64)},
                                            {PLAIN_ROW, .batch = CLATTN_BATCH_SINGLE, BLOCK_KV(16)}};
    const clattn_tile_request request = plain_request();
    (void)state;
    assert_answers(&request, COUNT(rows), rows, 64);
    assert_answers(&request, 2, both_sides, 64);
}

/* Otherwise the further one, which stands first, would have to give way. */
static void what_the_request_does_not_say_is_near_to_everything(void **state)
{
    const clattn_tuning_row dtypes[] = {{PLAIN_ROW, .kv_dtype = CLATTN_FLOAT32, BLOCK_KV(64)},
                                        {PLAIN_ROW, BLOCK_KV(16)}};
    const clattn_tuning_row batches[] = {{PLAIN_ROW, .batch = CLATTN_BATCH_LARGE, BLOCK_KV(64)},
                                         {PLAIN_ROW, .batch = CLATTN_BATCH_SINGLE, BLOCK_KV(16)}};
    const clattn_tuning_row pages[] = {{PLAIN_ROW, .page_size = 128, BLOCK_KV(64)}, {PLAIN_ROW, BLOCK_KV(16)}};
    clattn_tile_request request = plain_request();
    (void)state;
    request.kv_dtype = CLATTN_DTYPE_DEFAULT;
    assert_answers(&request, 2, dtypes, 64);
    request = plain_request();
    request.num_seqs = 0;
    assert_answers(&request, 2, batches, 64);
    request = plain_request();
    request.page_size = 0;
    assert_answers(&request, 2, pages, 64);
}

/* ---- tiles ---- */

/* The nearest one needs more local memory than there is, the next one does not tile, the third is of this device. */
static void row_that_the_device_cannot_run_is_passed_over(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, BLOCK_KV(1024)},
        {PLAIN_ROW, .num_kv_heads = 9, .num_parameters = 1,
         .parameters = (const clattn_tuning_parameter[]){{"work_group_size", 20}}},
        {PLAIN_ROW, .num_kv_heads = 11, .num_parameters = 1,
         .parameters = (const clattn_tuning_parameter[]){{"block_q", 0}}},
        {PLAIN_ROW, .num_kv_heads = 12, BLOCK_KV(64)},
        {PLAIN_ROW, .num_kv_heads = 16, BLOCK_KV(16)},
    };
    const clattn_tile_request request = plain_request();
    (void)state;
    assert_answers(&request, COUNT(rows), rows, 64);
    assert_int_equal(ask(&gpu, &request, 3, rows).level, CLATTN_TUNING_DEFAULT);
}

/* Passed over at one level, the next one is asked. */
static void level_without_a_row_that_fits_is_passed_over(void **state)
{
    const clattn_tuning_row rows[] = {{PLAIN_ROW, BLOCK_KV(1024)}, {PLAIN_ROW, .driver = "1.0", BLOCK_KV(64)}};
    const clattn_tile_request request = plain_request();
    (void)state;
    const answer found = ask(&gpu, &request, 2, rows);
    assert_true(found.block_kv == 64 && found.level == CLATTN_TUNING_USER_DEVICE);
}

/* Rows of one machine answer on others of its architecture or vendor: not with vectors that those do not have. */
static void row_of_wider_vectors_is_passed_over(void **state)
{
    const clattn_tuning_row row = {PLAIN_ROW, .family = CLATTN_FAMILY_VECTOR, .num_parameters = 2,
                                   .parameters = (const clattn_tuning_parameter[]){{"block_kv", 48}, {"lanes", 16}}};
    clattn_device_facts cpu = gpu;
    clattn_tile_request request = plain_request();
    (void)state;
    request.family = CLATTN_FAMILY_VECTOR;
    cpu.type = CLATTN_DEVICE_CPU;
    cpu.local_memory_bytes = 1 << 20;
    cpu.float_vector_width = 16;
    assert_int_equal(ask(&cpu, &request, 1, &row).level, CLATTN_TUNING_USER_DRIVER);
    cpu.float_vector_width = 8;
    assert_int_equal(ask(&cpu, &request, 1, &row).level, CLATTN_TUNING_DEFAULT);
}

static void row_says_what_it_says_and_the_default_the_rest(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .num_parameters = 6,
         .parameters = (const clattn_tuning_parameter[]){{"block_q", 2},
                                                         {"block_kv", 64},
                                                         {"work_group_size", 128},
                                                         {"sub_group_size", 0},
                                                         {"groups_per_unit", 3},
                                                         {"min_split_tokens", 200}}},
        {PLAIN_ROW, .phase = CLATTN_PHASE_PREFILL, .num_parameters = 0},
    };
    const clattn_tile_request request = plain_request();
    clattn_tuning_database database = database_of(&gpu, COUNT(rows), rows);
    clattn_tuning_database empty = database_of(&gpu, 0, NULL);
    clattn_row row, plain;
    clattn_error error;
    (void)state;
    assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error), CLATTN_OK);
    assert_int_equal(clattn_tuning_resolve(&empty, &request, NULL, &plain, NULL, &error), CLATTN_OK);
    const clattn_tile expected = {.block_q = 2,
                                  .block_kv = 64,
                                  .work_group_size = 128,
                                  .heads = 1,
                                  .lanes = 1,
                                  .groups_per_unit = 3,
                                  .min_split_tokens = 200};
    assert_memory_equal(&row.tiles[CLATTN_PHASE_DECODE], &expected, sizeof expected);
    assert_memory_equal(&row.tiles[CLATTN_PHASE_PREFILL], &plain.tiles[CLATTN_PHASE_PREFILL], sizeof expected);
    assert_int_equal(row.levels[CLATTN_PHASE_PREFILL], CLATTN_TUNING_USER_DRIVER);
    assert_int_equal(row.target_groups, 3 * 80);
    assert_int_equal(row.min_split_tokens, 200);
    clattn_tuning_database_finish(&database);
    clattn_tuning_database_finish(&empty);
}

/* ---- overrides ---- */

static void override_lies_over_the_row(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, .num_parameters = 2,
         .parameters = (const clattn_tuning_parameter[]){{"block_kv", 64}, {"work_group_size", 32}}},
        {PLAIN_ROW, .num_kv_heads = 16, .num_parameters = 1,
         .parameters = (const clattn_tuning_parameter[]){{"work_group_size", 128}}},
    };
    const clattn_tile_request request = plain_request();
    const clattn_tuning tuning = {.block_kv = 32};
    clattn_tuning_database database = database_of(&gpu, 2, rows);
    clattn_tuning_entry found[CLATTN_NUM_PHASES];
    clattn_row row;
    clattn_error error;
    (void)state;
    assert_int_equal(clattn_tuning_resolve(&database, &request, &tuning, &row, found, &error), CLATTN_OK);
    assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_OVERRIDE);
    assert_int_equal(row.tiles[CLATTN_PHASE_DECODE].block_kv, 32);
    assert_int_equal(row.tiles[CLATTN_PHASE_DECODE].work_group_size, 32);
    assert_int_equal(found[CLATTN_PHASE_DECODE].num_kv_heads, 8);
    clattn_tuning_database_finish(&database);
}

/* A row must not make a program fail whose override runs without it. */
static void row_with_which_an_override_cannot_run_is_passed_over(void **state)
{
    const clattn_tuning_row greedy = {PLAIN_ROW, .num_parameters = 2,
                                      .parameters =
                                          (const clattn_tuning_parameter[]){{"block_q", 16}, {"block_kv", 48}}};
    const clattn_tile_request request = plain_request();
    const clattn_tuning tuning = {.local_memory_limit_bytes = 30 << 10};
    clattn_tuning_database database = database_of(&gpu, 1, &greedy);
    clattn_row row;
    clattn_error error;
    (void)state;
    assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error), CLATTN_OK);
    assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_USER_DRIVER);
    assert_int_equal(clattn_tuning_resolve(&database, &request, &tuning, &row, NULL, &error), CLATTN_OK);
    assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_DEFAULT);
    clattn_tuning_database_finish(&database);
}

static void whole_tile_asks_no_row(void **state)
{
    const clattn_tuning_row plain_row = {PLAIN_ROW, BLOCK_KV(64)};
    const clattn_tile_request request = plain_request();
    const clattn_tile tile = {.block_q = 2,
                              .block_kv = 32,
                              .work_group_size = 32,
                              .heads = 1,
                              .lanes = 1,
                              .groups_per_unit = 1,
                              .min_split_tokens = 1};
    const clattn_tuning tuning = {.decode_tile = &tile};
    clattn_tuning_database database = database_of(&gpu, 1, &plain_row);
    clattn_tuning_entry found[CLATTN_NUM_PHASES];
    clattn_row row;
    clattn_error error;
    (void)state;
    assert_int_equal(clattn_tuning_resolve(&database, &request, &tuning, &row, found, &error), CLATTN_OK);
    assert_memory_equal(&row.tiles[CLATTN_PHASE_DECODE], &tile, sizeof tile);
    assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_OVERRIDE);
    assert_int_equal(found[CLATTN_PHASE_DECODE].level, CLATTN_TUNING_NONE);
    clattn_tuning_database_finish(&database);
}

static void kept_override_is_its_own(void **state)
{
    clattn_tile decode = {.block_q = 1}, prefill = {.block_q = 2};
    clattn_tuning tuning = {.decode_tile = &decode, .prefill_tile = &prefill};
    clattn_kept_tuning kept;
    (void)state;
    clattn_tuning_keep(&tuning, &kept);
    decode.block_q = prefill.block_q = 0;
    assert_true(kept.is_given);
    assert_int_equal(kept.tuning.decode_tile->block_q, 1);
    assert_int_equal(kept.tuning.prefill_tile->block_q, 2);
    tuning = (clattn_tuning){.block_kv = 16};
    clattn_tuning_keep(&tuning, &kept);
    assert_int_equal(kept.tuning.block_kv, 16);
    assert_null(kept.tuning.decode_tile);
    assert_null(kept.tuning.prefill_tile);
    clattn_tuning_keep(NULL, &kept);
    assert_false(kept.is_given);
}

/* ---- what is said ---- */

static void row_tells_device_version_and_problem(void **state)
{
    const clattn_tuning_row rows[] = {
        {PLAIN_ROW, BLOCK_KV(64)},
        {PLAIN_ROW, .head_dim = 64, .head_dim_v = 128, .dense = true, .page_size = 4096,
         .version = "10.20.30-a-long-suffix-that-is-cut", BLOCK_KV(64)},
    };
    static const char *const expected[] = {
        "a GPU, clattn 0.1.0: float16 decode, 8 x 4 heads of 128/128, nhd pages of 16, small batch",
        "a GPU, clattn 10.20.30-a-long-suffix-that-is-: float16 decode, 8 x 4 heads of 64/128, nhd sequences of 4096, "
        "small "
        "batch"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        clattn_tile_request request = plain_request();
        request.head_dim = rows[i].head_dim;
        request.head_dim_v = rows[i].head_dim_v;
        clattn_tuning_database database = database_of(&gpu, 1, &rows[i]);
        clattn_tuning_entry found[CLATTN_NUM_PHASES];
        clattn_row row;
        clattn_error error;
        char text[CLATTN_SENTENCE_BYTES];
        assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, found, &error), CLATTN_OK);
        clattn_tuning_entry_describe(&found[CLATTN_PHASE_DECODE], text);
        assert_string_equal(text, expected[i]);
        clattn_tuning_database_finish(&database);
    }
}

/* Many rows of many problems, in an order of no meaning: each problem finds its own. */
static void every_row_of_many_is_found(void **state)
{
    enum { NUM_ROWS = 2000 };
    static clattn_tuning_row rows[NUM_ROWS];
    static clattn_tuning_parameter parameters[NUM_ROWS];
    (void)state;
    for (int32_t i = 0; i < NUM_ROWS; i++) {
        const int32_t problem = (i * 7919) % NUM_ROWS;
        rows[i] = (clattn_tuning_row){PLAIN_ROW, .head_dim = 8 + 8 * (problem % 50), .group_size = 1 + problem / 50};
        parameters[i] = (clattn_tuning_parameter){"min_split_tokens", 1 + problem};
        rows[i].num_parameters = 1;
        rows[i].parameters = &parameters[i];
    }
    clattn_tuning_database database = database_of(&gpu, NUM_ROWS, rows);
    clattn_tile_request request = plain_request();
    for (int32_t problem = 0; problem < 50 * 16; problem++) { /* logarithms tell sixteen groups apart */
        clattn_row row;
        clattn_error error;
        request.head_dim = 8 + 8 * (problem % 50);
        request.group_size = 1 + problem / 50;
        assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error), CLATTN_OK);
        assert_int_equal(row.levels[CLATTN_PHASE_DECODE], CLATTN_TUNING_USER_DRIVER);
        assert_int_equal(row.min_split_tokens, 1 + problem);
    }
    clattn_tuning_database_finish(&database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_level_that_has_a_row_answers),
        cmocka_unit_test(names_that_are_empty_match_nothing),
        cmocka_unit_test(device_without_a_database_has_the_builtin_rows),
        cmocka_unit_test(what_must_be_equal_is),
        cmocka_unit_test(nearest_row_answers),
        cmocka_unit_test(large_groups_are_alike),
        cmocka_unit_test(level_counts_more_than_nearness),
        cmocka_unit_test(first_of_equally_near_rows_answers),
        cmocka_unit_test(what_the_request_does_not_say_is_near_to_everything),
        cmocka_unit_test(row_that_the_device_cannot_run_is_passed_over),
        cmocka_unit_test(level_without_a_row_that_fits_is_passed_over),
        cmocka_unit_test(row_of_wider_vectors_is_passed_over),
        cmocka_unit_test(row_says_what_it_says_and_the_default_the_rest),
        cmocka_unit_test(override_lies_over_the_row),
        cmocka_unit_test(row_with_which_an_override_cannot_run_is_passed_over),
        cmocka_unit_test(whole_tile_asks_no_row),
        cmocka_unit_test(kept_override_is_its_own),
        cmocka_unit_test(row_tells_device_version_and_problem),
        cmocka_unit_test(every_row_of_many_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
