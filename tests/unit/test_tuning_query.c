/* SPDX-License-Identifier: Apache-2.0 */
/* What a query of the tuning answers for faked devices, and what it refuses. That plans run with it: kernel tests. */
#include "tuning/resolve.h"

#include <clattn/tuning_query.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define KIB UINT64_C(1024)

static const clattn_device_facts gpu = {
    .type = CLATTN_DEVICE_GPU,
    .num_compute_units = 80,
    .max_work_group_size = 1024,
    .preferred_multiple = 32,
    .float_vector_width = 1,
    .local_memory_bytes = 48 * KIB,
};

static const clattn_device_facts cpu = {
    .type = CLATTN_DEVICE_CPU,
    .num_compute_units = 16,
    .max_work_group_size = 4096,
    .preferred_multiple = 8,
    .float_vector_width = 16,
    .local_memory_bytes = 2048 * KIB,
};

static clattn_tuning_query_params plain_params(void)
{
    return (clattn_tuning_query_params){
        .num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128, .page_size = 16, .kv_layout = CLATTN_KV_NHD};
}

static clattn_tuning_answer require_answer(const clattn_device_facts *facts, const clattn_tuning_query_params *params)
{
    clattn_tuning_answer answer;
    memset(&answer, 0x5a, sizeof answer);
    const clattn_status status = clattn_tuning_query(facts, params, &answer);
    if (status != CLATTN_OK)
        fail_msg("head_dim=%d status=%s refusal=\"%s\"", params->head_dim, clattn_status_name(status), answer.refusal);
    assert_string_equal(answer.refusal, "");
    return answer;
}

static void assert_tile(const clattn_tuning_tile *answered, const clattn_tile_request *request, clattn_phase phase,
                        const clattn_row *row)
{
    const clattn_tile *tile = &row->tiles[phase];
    assert_int_equal(answered->level, CLATTN_TUNING_DEFAULT);
    assert_int_equal(answered->tile.block_q, tile->block_q);
    assert_int_equal(answered->tile.block_kv, tile->block_kv);
    assert_int_equal(answered->tile.work_group_size, tile->work_group_size);
    assert_int_equal(answered->tile.heads, tile->heads);
    assert_int_equal(answered->tile.lanes, tile->lanes);
    assert_int_equal(answered->tile.sub_group_size, tile->sub_group_size);
    assert_int_equal(answered->local_memory_bytes, clattn_tile_local_bytes(request, phase, tile));
}

static void the_devices_row_answers(void **state)
{
    static const clattn_device_facts *const devices[] = {&gpu, &cpu};
    static const int32_t heads[][2] = {{32, 8}, {14, 2}, {32, 32}, {64, 8}, {1, 1}};
    (void)state;
    for (int i = 0; i < COUNT(devices) * COUNT(heads) * CLATTN_NUM_KV_LAYOUTS; i++) {
        clattn_tuning_query_params params = plain_params();
        params.num_q_heads = heads[i % COUNT(heads)][0];
        params.num_kv_heads = heads[i % COUNT(heads)][1];
        params.head_dim_v = i % 2 == 0 ? 0 : 64;
        params.kv_layout = (clattn_kv_layout)(i / COUNT(heads) % CLATTN_NUM_KV_LAYOUTS);
        const clattn_device_facts *facts = devices[i / COUNT(heads) / CLATTN_NUM_KV_LAYOUTS];
        const clattn_tile_request request = {
            .family = facts == &cpu ? CLATTN_FAMILY_VECTOR : CLATTN_FAMILY_SIMT,
            .head_dim = 128,
            .head_dim_v = i % 2 == 0 ? 128 : 64,
            .group_size = params.num_q_heads / params.num_kv_heads,
            .num_kv_heads = params.num_kv_heads,
            .token_major = params.kv_layout == CLATTN_KV_NHD || params.kv_layout == CLATTN_KV_COMBINED,
            .page_size = 16,
        };
        const clattn_tuning_database database = {.facts = facts};
        clattn_error error;
        clattn_row row;
        assert_int_equal(clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error), CLATTN_OK);
        const clattn_tuning_answer answer = require_answer(facts, &params);
        assert_int_equal(answer.family, request.family);
        assert_tile(&answer.decode, &request, CLATTN_PHASE_DECODE, &row);
        assert_tile(&answer.prefill, &request, CLATTN_PHASE_PREFILL, &row);
        assert_int_equal(answer.decode_max_rows, row.decode_max_rows);
        assert_int_equal(answer.target_groups, row.target_groups);
        assert_int_equal(answer.min_split_tokens, row.min_split_tokens);
    }
}

static void assert_family(clattn_device_type type, uint64_t local_memory_bytes, clattn_family family,
                          const char *reason)
{
    clattn_device_facts facts = cpu;
    facts.type = type;
    facts.local_memory_bytes = local_memory_bytes;
    const clattn_tuning_query_params params = plain_params();
    const clattn_tuning_answer answer = require_answer(&facts, &params);
    assert_int_equal(answer.family, family);
    assert_string_equal(answer.family_reason, reason);
}

static void the_family_is_explained(void **state)
{
    (void)state;
    assert_family(CLATTN_DEVICE_CPU, 1024 * KIB, CLATTN_FAMILY_VECTOR,
                  "the device is a CPU, and its work-groups have 1048576 bytes of local memory: at least 1048576");
    assert_family(CLATTN_DEVICE_CPU, 1024 * KIB - 1, CLATTN_FAMILY_SIMT,
                  "the device is a CPU, and its work-groups have 1048575 bytes of local memory: treated as a GPU, "
                  "having less than 1048576");
    assert_family(CLATTN_DEVICE_GPU, 2048 * KIB, CLATTN_FAMILY_SIMT, "the device is a GPU");
    assert_family(CLATTN_DEVICE_ACCELERATOR, 2048 * KIB, CLATTN_FAMILY_SIMT,
                  "the device is no CPU, and treated as a GPU");

    clattn_tuning_query_params params = plain_params();
    params.family = CLATTN_FAMILY_SIMT;
    clattn_tuning_answer answer = require_answer(&cpu, &params);
    assert_int_equal(answer.family, CLATTN_FAMILY_SIMT);
    assert_string_equal(answer.family_reason, "it was asked for by name");
    params.tuning = &(clattn_tuning){.family = CLATTN_FAMILY_VECTOR};
    answer = require_answer(&cpu, &params);
    assert_int_equal(answer.family, CLATTN_FAMILY_VECTOR);
    assert_string_equal(answer.family_reason, "the call's override names it");
}

static void a_cpu_that_ends_loops_is_treated_as_a_gpu(void **state)
{
    clattn_device_facts facts = cpu;
    (void)state;
    facts.local_memory_bytes = 1024 * KIB;
    facts.max_loop_iterations = 65535;
    const clattn_tuning_query_params params = plain_params();
    const clattn_tuning_answer answer = require_answer(&facts, &params);
    assert_int_equal(answer.family, CLATTN_FAMILY_SIMT);
    assert_string_equal(answer.family_reason,
                        "the device is a CPU, treated as a GPU, since it ends a work-item's loops "
                        "after 65535 rounds");
}

/* An override that says nothing about a phase's tile leaves that phase with its row. */
static void the_level_is_told_for_each_phase(void **state)
{
    static const struct {
        clattn_tuning tuning;
        clattn_tuning_level decode, prefill;
    } cases[] = {
        {{.family = CLATTN_FAMILY_SIMT}, CLATTN_TUNING_DEFAULT, CLATTN_TUNING_DEFAULT},
        {{.num_stages = 1, .local_memory_limit_bytes = 48 << 10}, CLATTN_TUNING_DEFAULT, CLATTN_TUNING_DEFAULT},
        {{.block_q = 16}, CLATTN_TUNING_DEFAULT, CLATTN_TUNING_OVERRIDE},
        {{.num_queries_per_block = 4}, CLATTN_TUNING_DEFAULT, CLATTN_TUNING_OVERRIDE},
        {{.block_kv = 16}, CLATTN_TUNING_OVERRIDE, CLATTN_TUNING_OVERRIDE},
        {{.num_kv_pages_per_block = 1}, CLATTN_TUNING_OVERRIDE, CLATTN_TUNING_OVERRIDE},
        {{.work_group_size = 128}, CLATTN_TUNING_OVERRIDE, CLATTN_TUNING_OVERRIDE},
        {{.num_warps = 4}, CLATTN_TUNING_OVERRIDE, CLATTN_TUNING_OVERRIDE},
    };
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        clattn_tuning_query_params params = plain_params();
        params.tuning = &cases[i].tuning;
        const clattn_tuning_answer answer = require_answer(&gpu, &params);
        assert_int_equal(answer.decode.level, cases[i].decode);
        assert_int_equal(answer.prefill.level, cases[i].prefill);
    }
    clattn_tuning_query_params params = plain_params();
    params.tuning = &(clattn_tuning){.num_kv_pages_per_block = 3};
    params.page_size = 16;
    const clattn_tuning_answer answer = require_answer(&gpu, &params);
    assert_int_equal(answer.decode.tile.block_kv, 48);
    assert_int_equal(answer.prefill.tile.block_kv, 48);
}

static void assert_refused(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                           clattn_status status, clattn_family family, const char *words)
{
    static const clattn_tuning_tile no_tile;
    clattn_tuning_answer answer;
    memset(&answer, 0x5a, sizeof answer);
    assert_int_equal(clattn_tuning_query(facts, params, &answer), status);
    if (strstr(answer.refusal, words) == NULL)
        fail_msg("refusal=\"%s\", expected \"%s\"", answer.refusal, words);
    assert_int_equal(answer.family, family);
    assert_int_equal(answer.family_reason[0] != '\0', family != CLATTN_FAMILY_DEFAULT);
    assert_memory_equal(&answer.decode, &no_tile, sizeof no_tile);
    assert_memory_equal(&answer.prefill, &no_tile, sizeof no_tile);
    assert_int_equal(answer.decode_max_rows, 0);
    assert_int_equal(answer.target_groups, 0);
    assert_int_equal(answer.min_split_tokens, 0);
}

static void questions_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        clattn_tuning_query_params params;
        clattn_status status;
        const char *words;
    } cases[] = {
        {{.page_size = 0, .num_q_heads = 8, .num_kv_heads = 8, .head_dim = 8},
         CLATTN_INVALID_ARGUMENT,
         "page_size is 0, expected 1 or more"},
        {{.page_size = 1, .num_q_heads = 0, .num_kv_heads = 8, .head_dim = 8},
         CLATTN_INVALID_ARGUMENT,
         "num_q_heads is 0"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 0, .head_dim = 8},
         CLATTN_INVALID_ARGUMENT,
         "num_kv_heads is 0"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 3, .head_dim = 8},
         CLATTN_INVALID_ARGUMENT,
         "num_q_heads 8 is no multiple of num_kv_heads 3"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 8, .head_dim = 12}, CLATTN_UNSUPPORTED, "head_dim is 12"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 8, .head_dim = 512, .head_dim_v = 520},
         CLATTN_UNSUPPORTED,
         "head_dim_v is 520"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 8, .head_dim = 8, .kv_layout = CLATTN_NUM_KV_LAYOUTS},
         CLATTN_INVALID_ARGUMENT,
         "kv_layout is 4"},
        {{.page_size = 1, .num_q_heads = 8, .num_kv_heads = 8, .head_dim = 8, .family = CLATTN_NUM_FAMILIES},
         CLATTN_INVALID_ARGUMENT,
         "family: expected 0.."},
    };
    (void)state;
    for (int i = 0; i < COUNT(cases); i++)
        assert_refused(&gpu, &cases[i].params, cases[i].status, CLATTN_FAMILY_DEFAULT, cases[i].words);
    clattn_tuning_query_params params = plain_params();
    params.tuning = &(clattn_tuning){.family = CLATTN_NUM_FAMILIES};
    assert_refused(&gpu, &params, CLATTN_INVALID_TUNING, CLATTN_FAMILY_DEFAULT, "tuning: family");
    assert_refused(NULL, &params, CLATTN_INVALID_ARGUMENT, CLATTN_FAMILY_DEFAULT, "facts is NULL");
    assert_refused(&gpu, NULL, CLATTN_INVALID_ARGUMENT, CLATTN_FAMILY_DEFAULT, "params is NULL");
    assert_int_equal(clattn_tuning_query(&gpu, &params, NULL), CLATTN_INVALID_ARGUMENT);
}

/* The family is told also where none of its tiles fits. */
static void devices_without_room_are_refused_with_the_reason(void **state)
{
    clattn_tuning_query_params params = plain_params();
    clattn_device_facts small = gpu;
    (void)state;
    small.local_memory_bytes = 4 * KIB;
    params.family = CLATTN_FAMILY_SIMT; /* by itself such a device takes the plain one */
    assert_refused(&small, &params, CLATTN_INVALID_TUNING, CLATTN_FAMILY_SIMT, "bytes of local memory, the limit is");
    params.family = CLATTN_FAMILY_DEFAULT;
    assert_int_equal(require_answer(&small, &params).family, CLATTN_FAMILY_PLAIN);
    params.tuning = &(clattn_tuning){.local_memory_limit_bytes = 1};
    assert_refused(&cpu, &params, CLATTN_INVALID_TUNING, CLATTN_FAMILY_VECTOR, "the limit is 1");
    params.tuning = &(clattn_tuning){.block_q = 7};
    assert_refused(&gpu, &params, CLATTN_INVALID_TUNING, CLATTN_FAMILY_SIMT, "block_q 7 does not divide");
}

static void facts_out_of_the_ordinary_have_rows(void **state)
{
    const clattn_tuning_query_params params = plain_params();
    static const clattn_device_facts *const devices[] = {&gpu, &cpu};
    (void)state;
    for (int i = 0; i < COUNT(devices); i++) {
        clattn_device_facts facts = *devices[i];
        facts.num_compute_units = 0; /* as a driver may say that does not know */
        assert_int_equal(require_answer(&facts, &params).target_groups, 8);
        facts.num_compute_units = UINT32_MAX;
        facts.local_memory_bytes = UINT64_MAX;
        facts.preferred_multiple = UINT32_MAX;
        facts.max_work_group_size = UINT32_MAX;
        facts.float_vector_width = UINT32_MAX;
        assert_true(require_answer(&facts, &params).target_groups > 8);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(clattn_tuning_level_name(CLATTN_TUNING_NONE), "none");
    assert_string_equal(clattn_tuning_level_name(CLATTN_TUNING_OVERRIDE), "override");
    assert_string_equal(clattn_tuning_level_name(CLATTN_TUNING_DEFAULT), "default");
    assert_string_equal(clattn_tuning_level_name(CLATTN_NUM_TUNING_LEVELS), "invalid");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_devices_row_answers),
        cmocka_unit_test(the_family_is_explained),
        cmocka_unit_test(a_cpu_that_ends_loops_is_treated_as_a_gpu),
        cmocka_unit_test(the_level_is_told_for_each_phase),
        cmocka_unit_test(questions_that_make_no_sense_are_refused),
        cmocka_unit_test(devices_without_room_are_refused_with_the_reason),
        cmocka_unit_test(facts_out_of_the_ordinary_have_rows),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
