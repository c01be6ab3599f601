/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles against the facts of faked devices: what the default rows promise on every one of them, and each field of the
 * override. Their numbers are free to change; that every kernel can run them is not.
 */
#include "support/tile_shape.h"
#include "tuning/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
#define KIB UINT64_C(1024)

static clattn_device_facts fake_cpu(uint64_t local_memory_bytes, uint32_t lanes)
{
    return (clattn_device_facts){
        .type = CLATTN_DEVICE_CPU,
        .num_compute_units = 16,
        .max_work_group_size = 4096,
        .preferred_multiple = 8,
        .float_vector_width = lanes,
        .local_memory_bytes = local_memory_bytes,
    };
}

static clattn_device_facts fake_gpu(uint64_t local_memory_bytes, uint32_t max_work_group_size, uint32_t multiple)
{
    return (clattn_device_facts){
        .type = CLATTN_DEVICE_GPU,
        .num_compute_units = 80,
        .max_work_group_size = max_work_group_size,
        .preferred_multiple = multiple,
        .float_vector_width = 1,
        .local_memory_bytes = local_memory_bytes,
    };
}

/* The device that the single cases are tried on. */
static clattn_device_facts plain_gpu(void)
{
    return fake_gpu(48 * KIB, 1024, 32);
}

static clattn_tile_request plain_request(clattn_family family)
{
    return (clattn_tile_request){.family = family,
                                 .head_dim = 64,
                                 .head_dim_v = 64,
                                 .group_size = 4,
                                 .num_kv_heads = 8,
                                 .token_major = true,
                                 .page_size = 16};
}

/* The row of a device without a tuning file. */
static clattn_status resolve_on(const clattn_device_facts *facts, const clattn_tile_request *request,
                                const clattn_tuning *tuning, clattn_row *row, clattn_error *error)
{
    const clattn_tuning_database database = {.facts = facts};
    return clattn_tuning_resolve(&database, request, tuning, row, NULL, error);
}

/* Calls visit with every head_dim, many of head_dim_v, group size, number of kv heads and order of tokens. */
static void for_every_request(const clattn_device_facts *facts,
                              void (*visit)(const clattn_device_facts *facts, const clattn_tile_request *request))
{
    static const int32_t group_sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 64};
    static const int32_t kv_heads[] = {1, 2, 8, 32};
    for (int32_t head_dim = 8; head_dim <= 512; head_dim += 8) {
        for (int32_t i = 0; i < COUNT(group_sizes) * COUNT(kv_heads) * 2; i++) {
            const int32_t widths[] = {head_dim, 8, 512, 520 - head_dim, 136};
            const clattn_tile_request request = {
                .family = clattn_family_of(facts),
                .head_dim = head_dim,
                .head_dim_v = widths[i % COUNT(widths)],
                .group_size = group_sizes[i % COUNT(group_sizes)],
                .num_kv_heads = kv_heads[i / COUNT(group_sizes) % COUNT(kv_heads)],
                .token_major = i >= COUNT(group_sizes) * COUNT(kv_heads),
            };
            visit(facts, &request);
        }
    }
}

static void fail_request(const clattn_device_facts *facts, const clattn_tile_request *request, const char *what,
                         const clattn_tile *tile)
{
    fail_msg("%s: family=%s local=%llu group=%u lanes=%u head_dim=%d/%d group_size=%d kv_heads=%d token_major=%d "
             "block_q=%d block_kv=%d work_group_size=%d heads=%d",
             what, clattn_family_name(request->family), (unsigned long long)facts->local_memory_bytes,
             facts->max_work_group_size, facts->float_vector_width, request->head_dim, request->head_dim_v,
             request->group_size, request->num_kv_heads, request->token_major, tile->block_q, tile->block_kv,
             tile->work_group_size, tile->heads);
}

/* What the grids, the scheduler and the device ask of a row. */
static void check_row(const clattn_device_facts *facts, const clattn_tile_request *request, const clattn_row *row)
{
    const bool vector = request->family == CLATTN_FAMILY_VECTOR;
    const bool plain = request->family == CLATTN_FAMILY_PLAIN;
    assert_int_equal(row->family, request->family);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const clattn_tile *tile = &row->tiles[phase];
        const int64_t local_bytes = clattn_tile_local_bytes(request, (clattn_phase)phase, tile);
        clattn_error error = {.text = ""};
        if (tile->block_q < 1 || tile->block_kv < 1 || tile->work_group_size < 1 || tile->heads < 1 ||
            request->num_kv_heads % tile->heads != 0)
            fail_request(facts, request, "no tile", tile);
        const kernel_shape shape = shape_of_tile(request, (clattn_phase)phase, tile);
        const char *misfit = kernel_shape_error(&shape);
        if (misfit != NULL)
            fail_request(facts, request, misfit, tile);
        if ((vector && tile->work_group_size != 1) || ((!vector || phase == CLATTN_PHASE_PREFILL) && tile->heads != 1))
            fail_request(facts, request, "a work-group that the kernel does not have", tile);
        if ((uint32_t)tile->work_group_size > facts->max_work_group_size)
            fail_request(facts, request, "more work-items than the device has", tile);
        if (plain ? local_bytes != 0 : local_bytes <= 0 || local_bytes > (int64_t)facts->local_memory_bytes)
            fail_request(facts, request, "more local memory than the device has", tile);
        if (!vector && (local_bytes > (int64_t)(32 * KIB) || tile->work_group_size > 256))
            fail_request(facts, request, "more than 32 KiB or 256 work-items", tile);
        if (clattn_tile_check(facts, request, (clattn_phase)phase, tile, 0, &error) != CLATTN_OK)
            fail_request(facts, request, error.text, tile);
        assert_int_equal(row->local_argument_bytes[phase], vector ? local_bytes : 0);
    }
    assert_true(row->decode_max_rows >= request->group_size); /* one token is decoded */
    assert_true(row->target_groups >= 1);
    assert_true(row->min_split_tokens >= 1);
}

static void require_row(const clattn_device_facts *facts, const clattn_tile_request *request)
{
    clattn_error error = {.text = ""};
    clattn_row row;
    memset(&row, 0x5a, sizeof row);
    if (resolve_on(facts, request, NULL, &row, &error) != CLATTN_OK)
        fail_request(facts, request, error.text, &(clattn_tile){0});
    check_row(facts, request, &row);
}

static void require_row_or_reason(const clattn_device_facts *facts, const clattn_tile_request *request)
{
    clattn_error error = {.text = ""};
    clattn_row row, untouched;
    memset(&row, 0x5a, sizeof row);
    memset(&untouched, 0x5a, sizeof untouched);
    const clattn_status status = resolve_on(facts, request, NULL, &row, &error);
    if (status == CLATTN_OK) {
        check_row(facts, request, &row);
        return;
    }
    assert_int_equal(status, CLATTN_INVALID_TUNING);
    assert_true(strncmp(error.text, "tuning: ", 8) == 0 && strlen(error.text) > 30);
    assert_memory_equal(&row, &untouched, sizeof row);
}

static void every_cpu_has_a_row(void **state)
{
    static const uint32_t lanes[] = {16, 8, 4, 1};
    (void)state;
    for (int32_t i = 0; i < COUNT(lanes); i++) {
        const clattn_device_facts facts = fake_cpu(2048 * KIB, lanes[i]);
        assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_VECTOR);
        for_every_request(&facts, require_row);
    }
    const clattn_device_facts least = fake_cpu(1024 * KIB, 16);
    for_every_request(&least, require_row);
    const clattn_device_facts simulator = fake_cpu(32 * KIB, 1);
    assert_int_equal(clattn_family_of(&simulator), CLATTN_FAMILY_SIMT);
    for_every_request(&simulator, require_row);
}

static void every_gpu_has_a_row_or_a_reason(void **state)
{
    static const uint64_t local_memory[] = {4, 16, 32, 48, 64};
    static const uint32_t group_limits[] = {1, 24, 64, 128, 256, 1024};
    static const uint32_t multiples[] = {1, 8, 32, 64};
    (void)state;
    for (int32_t i = 0; i < COUNT(local_memory) * COUNT(group_limits); i++) {
        const uint64_t local_bytes = local_memory[i / COUNT(group_limits)] * KIB;
        const uint32_t group_limit = group_limits[i % COUNT(group_limits)];
        const bool promised = local_bytes >= 16 * KIB && group_limit >= 16;
        for (int32_t k = 0; k < COUNT(multiples); k++) {
            const clattn_device_facts facts = fake_gpu(local_bytes, group_limit, multiples[k]);
            for_every_request(&facts, promised ? require_row : require_row_or_reason);
        }
    }
}

/* Where sub-groups are narrow, a work-item has the registers of 4 rows of prefill and of 16 sums of decode. */
static void require_small_row(const clattn_device_facts *facts, const clattn_tile_request *request)
{
    clattn_error error = {.text = ""};
    clattn_row row;
    if (resolve_on(facts, request, NULL, &row, &error) != CLATTN_OK)
        fail_request(facts, request, error.text, &(clattn_tile){0});
    check_row(facts, request, &row);
    const clattn_tile *prefill = &row.tiles[CLATTN_PHASE_PREFILL];
    const clattn_tile *decode = &row.tiles[CLATTN_PHASE_DECODE];
    const int32_t rows = prefill->block_q / (prefill->work_group_size / 16);
    const int32_t columns = (request->head_dim_v + 15) / 16;
    if (rows > 4 || (rows > 1 && rows * columns > 32))
        fail_request(facts, request, "too many accumulators", prefill);
    const int32_t vectors = (request->head_dim_v / 4 + decode->work_group_size - 1) / decode->work_group_size;
    if (decode->block_q > 1 && decode->block_q * vectors > 4)
        fail_request(facts, request, "too many accumulators", decode);
    assert_int_equal(prefill->sub_group_size, facts->narrowest_sub_group);
    assert_int_equal(decode->sub_group_size, facts->narrowest_sub_group);
}

static void few_registers_ask_for_small_tiles_and_narrow_sub_groups(void **state)
{
    static const uint32_t group_limits[] = {64, 256, 512, 1024};
    (void)state;
    for (int32_t i = 0; i < COUNT(group_limits); i++) {
        clattn_device_facts facts = fake_gpu(64 * KIB, group_limits[i], 32);
        facts.narrowest_sub_group = 8u << i % 2;
        for_every_request(&facts, require_small_row);
    }
}

/* A work-group without a whole row of work-items is the reason of the refusal, however few registers there are. */
static void few_registers_are_no_reason_to_refuse(void **state)
{
    const clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    clattn_device_facts facts = fake_gpu(64 * KIB, 8, 8);
    clattn_error error = {.text = ""};
    clattn_row row;
    (void)state;
    facts.narrowest_sub_group = 8;
    assert_int_equal(resolve_on(&facts, &request, NULL, &row, &error), CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "work_group_size 8 does not tile"));
}

/* Wide sub-groups only, none to be had, or those of a CPU, are no sign of few registers. */
static void other_devices_choose_sub_groups_themselves(void **state)
{
    static const uint32_t narrowest[] = {0, 32, 64, 4, 8};
    const clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    clattn_row plain = {0};
    (void)state;
    for (int32_t i = 0; i < COUNT(narrowest); i++) {
        clattn_device_facts facts = plain_gpu();
        clattn_error error = {.text = ""};
        clattn_row row;
        facts.narrowest_sub_group = narrowest[i];
        facts.type = narrowest[i] == 8 ? CLATTN_DEVICE_CPU : CLATTN_DEVICE_GPU;
        assert_int_equal(resolve_on(&facts, &request, NULL, &row, &error), CLATTN_OK);
        if (i == 0)
            plain = row;
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            assert_int_equal(row.tiles[phase].sub_group_size, 0);
            assert_int_equal(row.tiles[phase].block_q, plain.tiles[phase].block_q);
        }
    }
}

/* The family is a matter of facts; one that offers too little local memory for its tiles is refused with a reason. */
static void vector_rows_on_a_gpu_are_refused_or_fit(void **state)
{
    const clattn_device_facts facts = fake_gpu(48 * KIB, 1024, 32);
    clattn_tile_request request = plain_request(CLATTN_FAMILY_VECTOR);
    (void)state;
    for (request.head_dim = 8; request.head_dim <= 512; request.head_dim += 8) {
        request.head_dim_v = request.head_dim;
        require_row_or_reason(&facts, &request);
    }
}

/* The one family that no device is too small for. */
static void plain_runs_on_every_device(void **state)
{
    static const uint32_t group_limits[] = {1, 2, 24, 64, 4096};
    (void)state;
    for (int32_t i = 0; i < COUNT(group_limits); i++) {
        const clattn_device_facts facts = fake_gpu(0, group_limits[i], 32);
        clattn_tile_request request = plain_request(CLATTN_FAMILY_PLAIN);
        require_row(&facts, &request);
        request.head_dim = request.head_dim_v = 512;
        request.group_size = 64;
        require_row(&facts, &request);
    }
}

static void family_follows_the_facts(void **state)
{
    clattn_device_facts facts = fake_cpu(2048 * KIB, 16);
    (void)state;
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_VECTOR);
    facts.type = CLATTN_DEVICE_GPU;
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_SIMT);
    facts.type = CLATTN_DEVICE_ACCELERATOR;
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_SIMT);
    facts.type = CLATTN_DEVICE_OTHER;
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_SIMT);
    facts = fake_cpu(1024 * KIB - 1, 16);
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_SIMT);
    facts = fake_cpu(1024 * KIB, 16);
    assert_int_equal(clattn_family_of(&facts), CLATTN_FAMILY_VECTOR);
}

static void a_family_that_does_not_exist_is_refused(void **state)
{
    const clattn_device_facts facts = plain_gpu();
    static const clattn_family families[] = {CLATTN_FAMILY_DEFAULT, CLATTN_NUM_FAMILIES, (clattn_family)-1};
    (void)state;
    for (int32_t i = 0; i < COUNT(families); i++) {
        const clattn_tile_request request = plain_request(families[i]);
        clattn_error error = {.text = ""};
        clattn_row row;
        assert_int_equal(resolve_on(&facts, &request, NULL, &row, &error), CLATTN_INVALID_TUNING);
        assert_non_null(strstr(error.text, "family"));
    }
}

/* Resolves an override for pages of 16 tokens on the plain GPU or CPU. */
static clattn_status resolve(clattn_family family, const clattn_tuning *tuning, clattn_row *row, clattn_error *error)
{
    const clattn_device_facts facts = family == CLATTN_FAMILY_VECTOR ? fake_cpu(2048 * KIB, 16) : plain_gpu();
    const clattn_tile_request request = plain_request(family);
    *error = (clattn_error){.text = ""};
    return resolve_on(&facts, &request, tuning, row, error);
}

static clattn_row require_override(clattn_family family, const clattn_tuning *tuning)
{
    clattn_error error;
    clattn_row row;
    if (resolve(family, tuning, &row, &error) != CLATTN_OK)
        fail_msg("%s: %s", clattn_family_name(family), error.text);
    return row;
}

static void refuse_override(clattn_family family, const clattn_tuning *tuning, const char *words)
{
    clattn_error error;
    clattn_row row, untouched;
    memset(&row, 0x5a, sizeof row);
    memset(&untouched, 0x5a, sizeof untouched);
    const clattn_status status = resolve(family, tuning, &row, &error);
    if (status != CLATTN_INVALID_TUNING || strstr(error.text, words) == NULL)
        fail_msg("%s: status=%s sentence=\"%s\", expected \"%s\"", clattn_family_name(family),
                 clattn_status_name(status), error.text, words);
    assert_memory_equal(&row, &untouched, sizeof row);
}

/* The row of an override is the default but for the tile sides that `expected` has set. */
static void require_only(clattn_family family, const clattn_tuning *tuning, const clattn_tile expected[2])
{
    const clattn_row plain = require_override(family, NULL);
    const clattn_row row = require_override(family, tuning);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const clattn_tile *wanted = &expected[phase];
        const clattn_tile *base = &plain.tiles[phase];
        const clattn_tile *tile = &row.tiles[phase];
        assert_int_equal(tile->block_q, wanted->block_q ? wanted->block_q : base->block_q);
        assert_int_equal(tile->block_kv, wanted->block_kv ? wanted->block_kv : base->block_kv);
        assert_int_equal(tile->work_group_size,
                         wanted->work_group_size ? wanted->work_group_size : base->work_group_size);
        assert_int_equal(tile->heads, base->heads);
        assert_int_equal(tile->lanes, base->lanes);
    }
    assert_int_equal(row.decode_max_rows, plain.decode_max_rows);
    assert_int_equal(row.target_groups, plain.target_groups);
    assert_int_equal(row.min_split_tokens, plain.min_split_tokens);
}

static void every_field_is_taken_over(void **state)
{
    enum { D = CLATTN_PHASE_DECODE, P = CLATTN_PHASE_PREFILL };
    static const struct {
        clattn_family family;
        clattn_tuning tuning;
        clattn_tile expected[CLATTN_NUM_PHASES];
    } cases[] = {
        {CLATTN_FAMILY_SIMT,
         {.block_q = 16, .work_group_size = 64},
         {[D] = {.work_group_size = 64}, [P] = {.block_q = 16, .work_group_size = 64}}},
        {CLATTN_FAMILY_SIMT, {.block_kv = 48}, {[D] = {.block_kv = 48}, [P] = {.block_kv = 48}}},
        {CLATTN_FAMILY_SIMT,
         {.num_queries_per_block = 8, .work_group_size = 256},
         {[D] = {.work_group_size = 256}, [P] = {.block_q = 32, .work_group_size = 256}}},
        {CLATTN_FAMILY_SIMT, {.num_kv_pages_per_block = 1}, {[D] = {.block_kv = 16}, [P] = {.block_kv = 16}}},
        {CLATTN_FAMILY_SIMT,
         {.num_warps = 2, .block_q = 32},
         {[D] = {.work_group_size = 64}, [P] = {.block_q = 32, .work_group_size = 64}}},
        {CLATTN_FAMILY_SIMT, {.num_stages = 1}, {{0}}},
        {CLATTN_FAMILY_SIMT, {.local_memory_limit_bytes = INT64_MAX}, {{0}}},
        {CLATTN_FAMILY_SIMT, {.family = CLATTN_FAMILY_SIMT}, {{0}}},
        {CLATTN_FAMILY_VECTOR, {.block_q = 192}, {[P] = {.block_q = 192}}},
        {CLATTN_FAMILY_VECTOR, {.block_kv = 80}, {[D] = {.block_kv = 80}, [P] = {.block_kv = 80}}},
        {CLATTN_FAMILY_VECTOR, {.num_queries_per_block = 16}, {[P] = {.block_q = 64}}},
        {CLATTN_FAMILY_VECTOR, {.num_kv_pages_per_block = 3}, {[D] = {.block_kv = 48}, [P] = {.block_kv = 48}}},
        {CLATTN_FAMILY_VECTOR, {.work_group_size = 1}, {{0}}},
        {CLATTN_FAMILY_PLAIN, {.block_q = 1}, {[P] = {.block_q = 1}}},
        {CLATTN_FAMILY_PLAIN, {.num_queries_per_block = 3}, {[P] = {.block_q = 12}}},
        {CLATTN_FAMILY_PLAIN, {.work_group_size = 1}, {[D] = {.work_group_size = 1}, [P] = {.work_group_size = 1}}},
        {CLATTN_FAMILY_PLAIN, {.num_warps = 2}, {[D] = {.work_group_size = 64}, [P] = {.work_group_size = 64}}},
        {CLATTN_FAMILY_PLAIN,
         {.work_group_size = 1024},
         {[D] = {.work_group_size = 1024}, [P] = {.work_group_size = 1024}}},
        {CLATTN_FAMILY_PLAIN, {.work_group_size = 33}, {[D] = {.work_group_size = 33}, [P] = {.work_group_size = 33}}},
    };
    (void)state;
    for (int32_t i = 0; i < COUNT(cases); i++)
        require_only(cases[i].family, &cases[i].tuning, cases[i].expected);
}

static void both_units_of_one_side_are_refused(void **state)
{
    (void)state;
    for (int family = CLATTN_FAMILY_VECTOR; family < CLATTN_NUM_FAMILIES; family++) {
        refuse_override((clattn_family)family, &(clattn_tuning){.block_q = 64, .num_queries_per_block = 16},
                        "block_q and num_queries_per_block are both given");
        refuse_override((clattn_family)family, &(clattn_tuning){.block_kv = 32, .num_kv_pages_per_block = 2},
                        "block_kv and num_kv_pages_per_block are both given");
        refuse_override((clattn_family)family, &(clattn_tuning){.work_group_size = 64, .num_warps = 2},
                        "work_group_size and num_warps are both given");
    }
}

static void a_whole_tile_excludes_single_sizes(void **state)
{
    const clattn_row row = require_override(CLATTN_FAMILY_SIMT, NULL);
    const clattn_tile *decode = &row.tiles[CLATTN_PHASE_DECODE];
    const clattn_tile *prefill = &row.tiles[CLATTN_PHASE_PREFILL];
    (void)state;
    refuse_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.decode_tile = decode, .block_kv = 32},
                    "decode_tile is given together with single sizes");
    refuse_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.prefill_tile = prefill, .num_queries_per_block = 4},
                    "prefill_tile is given together with single sizes");
    clattn_tile finer = *decode;
    finer.min_split_tokens = 32;
    finer.groups_per_unit = 3;
    const clattn_row tuned = require_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.decode_tile = &finer});
    assert_int_equal(tuned.min_split_tokens, 32);
    assert_int_equal(tuned.target_groups, 3 * (int32_t)plain_gpu().num_compute_units);
}

static void negative_fields_are_refused_by_name(void **state)
{
    const clattn_family simt = CLATTN_FAMILY_SIMT;
    (void)state;
    refuse_override(simt, &(clattn_tuning){.block_q = -1}, "block_q is -1");
    refuse_override(simt, &(clattn_tuning){.block_kv = -16}, "block_kv is -16");
    refuse_override(simt, &(clattn_tuning){.num_queries_per_block = -1}, "num_queries_per_block is -1");
    refuse_override(simt, &(clattn_tuning){.num_kv_pages_per_block = INT32_MIN},
                    "num_kv_pages_per_block is -2147483648");
    refuse_override(simt, &(clattn_tuning){.work_group_size = -64}, "work_group_size is -64");
    refuse_override(simt, &(clattn_tuning){.num_warps = -1}, "num_warps is -1");
    refuse_override(simt, &(clattn_tuning){.num_stages = -1}, "num_stages is -1");
    refuse_override(simt, &(clattn_tuning){.local_memory_limit_bytes = -1}, "local_memory_limit_bytes is -1");
}

static void deeper_pipelines_are_refused(void **state)
{
    (void)state;
    refuse_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.num_stages = 2}, "num_stages is 2");
    refuse_override(CLATTN_FAMILY_VECTOR, &(clattn_tuning){.num_stages = 3}, "num_stages is 3");
}

static void tiles_that_no_kernel_runs_are_refused(void **state)
{
    const clattn_family simt = CLATTN_FAMILY_SIMT;
    const clattn_family vector = CLATTN_FAMILY_VECTOR;
    (void)state;
    refuse_override(vector, &(clattn_tuning){.block_q = 63}, "block_q is 63, expected a multiple of 64");
    refuse_override(vector, &(clattn_tuning){.num_queries_per_block = 15}, "block_q is 60");
    clattn_tile one_state = require_override(vector, NULL).tiles[CLATTN_PHASE_DECODE];
    one_state.heads = 1;
    one_state.block_q = 1;
    one_state.block_kv = 24;
    refuse_override(vector, &(clattn_tuning){.decode_tile = &one_state}, "block_kv is 24, expected a multiple of 16");
    refuse_override(vector, &(clattn_tuning){.work_group_size = 2}, "work_group_size is 2");
    refuse_override(vector, &(clattn_tuning){.num_warps = 1}, "work_group_size is 8");
    refuse_override(simt, &(clattn_tuning){.block_q = 24}, "block_q 24");
    refuse_override(simt, &(clattn_tuning){.block_kv = 17}, "block_kv is 17, expected a multiple of 16");
    refuse_override(simt, &(clattn_tuning){.block_q = 4, .work_group_size = 128}, "does not tile block_q 4");
    refuse_override(simt, &(clattn_tuning){.block_q = 8, .work_group_size = 8}, "work_group_size");
    refuse_override(simt, &(clattn_tuning){.work_group_size = 2048}, "work_group_size is 2048, the device allows 1024");
    refuse_override(simt, &(clattn_tuning){.num_warps = 33}, "work_group_size is 1056, the device allows 1024");
}

/* Whatever the value: nothing of it would be used. */
static void plain_refuses_tiles_and_local_memory(void **state)
{
    const clattn_family plain = CLATTN_FAMILY_PLAIN;
    (void)state;
    refuse_override(plain, &(clattn_tuning){.block_kv = 16}, "block_kv is 16, but the plain family has no tiles");
    refuse_override(plain, &(clattn_tuning){.num_kv_pages_per_block = 2}, "num_kv_pages_per_block is 2, but the plain");
    refuse_override(plain, &(clattn_tuning){.local_memory_limit_bytes = INT64_MAX}, "uses no local memory");
    refuse_override(plain, &(clattn_tuning){.local_memory_limit_bytes = -1}, "expected 0 or more");
    refuse_override(plain, &(clattn_tuning){.work_group_size = 1025}, "1025, the device allows 1024");
    refuse_override(plain, &(clattn_tuning){.block_q = (1 << 14) + 1}, "block_q is 16385");
}

/* A work-item of the decode kernel takes several vectors of a V row that is wider than its work-group. */
static void work_groups_may_be_narrower_than_a_row(void **state)
{
    const clattn_device_facts facts = plain_gpu();
    const clattn_tuning tuning = {.block_q = 2, .work_group_size = 16};
    clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    clattn_error error = {.text = ""};
    clattn_row row;
    (void)state;
    for (request.head_dim_v = 64; request.head_dim_v <= 512; request.head_dim_v += 8)
        assert_int_equal(resolve_on(&facts, &request, &tuning, &row, &error), CLATTN_OK);
}

/* Prefill asks for more; a decode tile by itself needs whole teams of work-items per key. */
static void work_groups_of_broken_teams_are_refused(void **state)
{
    const clattn_device_facts facts = plain_gpu();
    const clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    clattn_tile tile = {.block_q = 4,
                        .block_kv = 7,
                        .work_group_size = 40,
                        .heads = 1,
                        .lanes = 1,
                        .groups_per_unit = 1,
                        .min_split_tokens = 1};
    clattn_error error = {.text = ""};
    (void)state;
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_DECODE, &tile, 0, &error), CLATTN_OK);
    tile.work_group_size = 36;
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_DECODE, &tile, 0, &error), CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "work_group_size is 36, expected a multiple of 8"));
}

static void sides_that_are_too_long_are_refused(void **state)
{
    const clattn_tile_request request = plain_request(CLATTN_FAMILY_VECTOR);
    const clattn_device_facts facts = fake_cpu(UINT64_C(1) << 40, 16);
    clattn_error error = {.text = ""};
    clattn_tile tile = {.block_q = 1 << 14, .block_kv = 1 << 14, .work_group_size = 1, .heads = 1, .lanes = 16};
    (void)state;
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_PREFILL, &tile, 0, &error), CLATTN_OK);
    refuse_override(CLATTN_FAMILY_VECTOR, &(clattn_tuning){.block_q = (1 << 14) + 64}, "block_q is 16448");
    refuse_override(CLATTN_FAMILY_VECTOR, &(clattn_tuning){.block_kv = INT32_MAX}, "block_kv is 2147483647");
    tile.block_kv = 0;
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_PREFILL, &tile, 0, &error),
                     CLATTN_INVALID_TUNING);
}

static void products_that_overflow_are_refused(void **state)
{
    const clattn_device_facts facts = plain_gpu();
    clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    clattn_tuning tuning = {.num_kv_pages_per_block = 1 << 16};
    clattn_error error = {.text = ""};
    clattn_row row;
    (void)state;
    request.page_size = 1 << 15;
    assert_int_equal(resolve_on(&facts, &request, &tuning, &row, &error), CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "num_kv_pages_per_block is 65536, too large"));
    tuning.num_kv_pages_per_block = (1 << 16) - 1; /* the product is a number again, though no tile */
    assert_int_equal(resolve_on(&facts, &request, &tuning, &row, &error), CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "block_kv is 2147450880, expected 1..16384"));
    refuse_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.num_queries_per_block = INT32_MAX},
                    "num_queries_per_block is 2147483647, too large");
    refuse_override(CLATTN_FAMILY_SIMT, &(clattn_tuning){.num_warps = INT32_MAX}, "num_warps is 2147483647, too large");
}

/* Local memory of the larger of a row's tiles. */
static int64_t local_bytes_of(clattn_family family, const clattn_row *row)
{
    const clattn_tile_request request = plain_request(family);
    int64_t most = 0;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const int64_t bytes = clattn_tile_local_bytes(&request, (clattn_phase)phase, &row->tiles[phase]);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void local_memory_limit_is_exact(void **state)
{
    (void)state;
    for (int family = CLATTN_FAMILY_VECTOR; family <= CLATTN_FAMILY_SIMT; family++) {
        const clattn_row row = require_override((clattn_family)family, NULL);
        clattn_tuning tuning = {.local_memory_limit_bytes = local_bytes_of((clattn_family)family, &row)};
        char words[128];
        (void)require_override((clattn_family)family, &tuning);
        snprintf(words, sizeof words, "needs %lld bytes of local memory, the limit is %lld",
                 (long long)tuning.local_memory_limit_bytes, (long long)tuning.local_memory_limit_bytes - 1);
        tuning.local_memory_limit_bytes--;
        refuse_override((clattn_family)family, &tuning, words);
    }
}

/* The device's own limit is exact too, and no override lifts it. */
static void local_memory_of_the_device_is_a_limit(void **state)
{
    const clattn_tile_request request = plain_request(CLATTN_FAMILY_SIMT);
    const clattn_row row = require_override(CLATTN_FAMILY_SIMT, NULL);
    const clattn_tile *tile = &row.tiles[CLATTN_PHASE_PREFILL];
    clattn_device_facts facts = plain_gpu();
    clattn_error error = {.text = ""};
    (void)state;
    facts.local_memory_bytes = (uint64_t)clattn_tile_local_bytes(&request, CLATTN_PHASE_PREFILL, tile);
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_PREFILL, tile, INT64_MAX, &error), CLATTN_OK);
    facts.local_memory_bytes--;
    assert_int_equal(clattn_tile_check(&facts, &request, CLATTN_PHASE_PREFILL, tile, INT64_MAX, &error),
                     CLATTN_INVALID_TUNING);
    assert_non_null(strstr(error.text, "a prefill tile of"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cpu_has_a_row),
        cmocka_unit_test(every_gpu_has_a_row_or_a_reason),
        cmocka_unit_test(few_registers_ask_for_small_tiles_and_narrow_sub_groups),
        cmocka_unit_test(few_registers_are_no_reason_to_refuse),
        cmocka_unit_test(other_devices_choose_sub_groups_themselves),
        cmocka_unit_test(vector_rows_on_a_gpu_are_refused_or_fit),
        cmocka_unit_test(plain_runs_on_every_device),
        cmocka_unit_test(plain_refuses_tiles_and_local_memory),
        cmocka_unit_test(family_follows_the_facts),
        cmocka_unit_test(a_family_that_does_not_exist_is_refused),
        cmocka_unit_test(every_field_is_taken_over),
        cmocka_unit_test(both_units_of_one_side_are_refused),
        cmocka_unit_test(a_whole_tile_excludes_single_sizes),
        cmocka_unit_test(negative_fields_are_refused_by_name),
        cmocka_unit_test(deeper_pipelines_are_refused),
        cmocka_unit_test(tiles_that_no_kernel_runs_are_refused),
        cmocka_unit_test(work_groups_may_be_narrower_than_a_row),
        cmocka_unit_test(work_groups_of_broken_teams_are_refused),
        cmocka_unit_test(sides_that_are_too_long_are_refused),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(local_memory_limit_is_exact),
        cmocka_unit_test(local_memory_of_the_device_is_a_limit),
    };
    return cmocka_run_group_tests_name("tuning", tests, NULL, NULL);
}
