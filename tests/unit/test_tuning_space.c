/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to choose from, on faked devices: the default row of every family is a candidate on all that the
 * family can run on, what clattn_tuning_check() lets pass compiles and fits by what the kernels' sources say
 * (tile_shape.h), and a plan takes it. Nothing is compiled here.
 */
#include "attention/geometry.h"
#include "attention/variant.h"
#include "runtime/sources.h"
#include "support/tile_shape.h"
#include "tuning/tunables.h"

#include <clattn/tuning_space.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
#define KIB UINT64_C(1024)

enum { MAX_CANDIDATES = 1000000 };

/* The limits are those that the vendors' device databases give; the names say which machine is meant. */
static const clattn_device_facts devices[] = {
    {.name = "Mali",
     .type = CLATTN_DEVICE_GPU,
     .num_compute_units = 4,
     .max_work_group_size = 256,
     .preferred_multiple = 16,
     .float_vector_width = 4,
     .local_memory_bytes = 32 * KIB},
    {.name = "Adreno",
     .type = CLATTN_DEVICE_GPU,
     .num_compute_units = 2,
     .max_work_group_size = 1024,
     .preferred_multiple = 64,
     .float_vector_width = 1,
     .local_memory_bytes = 32 * KIB},
    {.name = "integrated Intel",
     .type = CLATTN_DEVICE_GPU,
     .num_compute_units = 24,
     .max_work_group_size = 256,
     .preferred_multiple = 32,
     .narrowest_sub_group = 8,
     .float_vector_width = 1,
     .local_memory_bytes = 64 * KIB},
    {.name = "discrete AMD",
     .type = CLATTN_DEVICE_GPU,
     .num_compute_units = 60,
     .max_work_group_size = 256,
     .preferred_multiple = 64,
     .float_vector_width = 1,
     .local_memory_bytes = 64 * KIB},
    {.name = "H200",
     .type = CLATTN_DEVICE_GPU,
     .num_compute_units = 132,
     .max_work_group_size = 1024,
     .preferred_multiple = 32,
     .float_vector_width = 1,
     .local_memory_bytes = 48 * KIB},
    {.name = "PoCL",
     .type = CLATTN_DEVICE_CPU,
     .num_compute_units = 2,
     .max_work_group_size = 4096,
     .preferred_multiple = 8,
     .float_vector_width = 16,
     .local_memory_bytes = 1024 * KIB},
    {.name = "CPU of 8 lanes",
     .type = CLATTN_DEVICE_CPU,
     .num_compute_units = 8,
     .max_work_group_size = 4096,
     .preferred_multiple = 8,
     .float_vector_width = 8,
     .local_memory_bytes = 8192 * KIB},
};

static const clattn_tuning_query_params problems[] = {
    {.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128, .page_size = 16},
    {.num_q_heads = 16, .num_kv_heads = 8, .head_dim = 256, .page_size = 16},
    {.num_q_heads = 14, .num_kv_heads = 2, .head_dim = 64, .page_size = 32, .kv_layout = CLATTN_KV_NHD},
    {.num_q_heads = 32, .num_kv_heads = 32, .head_dim = 96, .page_size = 16, .kv_layout = CLATTN_KV_HND},
    {.num_q_heads = 3, .num_kv_heads = 1, .head_dim = 72, .head_dim_v = 40, .page_size = 1},
};

/* One question: a device, a problem and the kernel of a phase. */
typedef struct question {
    const clattn_device_facts *facts;
    clattn_tuning_query_params params;
    clattn_phase phase;
    clattn_tile_request request;
    clattn_tile default_tile;
} question;

static void fail_tile(const question *q, const clattn_tile *tile, const char *what)
{
    fail_msg("%s: device=\"%s\" family=%s phase=%s head_dim=%d/%d heads=%d/%d block_q=%d block_kv=%d "
             "work_group_size=%d heads=%d lanes=%d sub_group_size=%d accumulators=%d",
             what, q->facts->name, clattn_family_name(q->request.family), clattn_phase_name(q->phase),
             (int)q->request.head_dim, (int)q->request.head_dim_v, (int)q->params.num_q_heads,
             (int)q->params.num_kv_heads, (int)tile->block_q, (int)tile->block_kv, (int)tile->work_group_size,
             (int)tile->heads, (int)tile->lanes, (int)tile->sub_group_size, (int)tile->accumulators);
}

/* Calls visit() for every device, problem and phase, with the family that the device gets and with plain. */
static void for_every_question(void (*visit)(const question *q))
{
    for (int32_t i = 0; i < COUNT(devices) * COUNT(problems) * 2 * CLATTN_NUM_PHASES; i++) {
        question q = {
            .facts = &devices[i / CLATTN_NUM_PHASES / 2 / COUNT(problems)],
            .params = problems[i / CLATTN_NUM_PHASES / 2 % COUNT(problems)],
            .phase = (clattn_phase)(i % CLATTN_NUM_PHASES),
        };
        q.params.family = i / CLATTN_NUM_PHASES % 2 == 0 ? CLATTN_FAMILY_DEFAULT : CLATTN_FAMILY_PLAIN;
        clattn_tuning_answer answer;
        if (clattn_tuning_query(q.facts, &q.params, &answer) != CLATTN_OK)
            fail_msg("device=\"%s\" has no row: %s", q.facts->name, answer.refusal);
        clattn_geometry geometry = {
            .num_q_heads = q.params.num_q_heads,
            .num_kv_heads = q.params.num_kv_heads,
            .head_dim = q.params.head_dim,
            .head_dim_v = q.params.head_dim_v,
            .page_size = q.params.page_size,
            .kv_layout = q.params.kv_layout,
        };
        clattn_error error;
        assert_int_equal(clattn_geometry_check(&geometry, &error), CLATTN_OK);
        q.request = clattn_geometry_request(&geometry, answer.family, NULL);
        q.default_tile = (q.phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill)->tile;
        visit(&q);
    }
}

/* Calls visit() with every tile that the values make, the fields that are no tunables being the default's. */
static int32_t for_every_candidate(const question *q, void (*visit)(const question *q, const clattn_tile *tile))
{
    const clattn_tunable_list list = clattn_tunables_of(q->request.family, q->phase);
    int32_t num_candidates = 1;
    for (int32_t i = 0; i < list.num_tunables; i++)
        num_candidates *= list.tunables[i].num_values;
    assert_in_range(num_candidates, 2, MAX_CANDIDATES);
    for (int32_t number = 0; number < num_candidates; number++) {
        clattn_tile tile = q->default_tile;
        int32_t rest = number;
        for (int32_t i = 0; i < list.num_tunables; i++) {
            const clattn_tunable *tunable = &list.tunables[i];
            clattn_tile_set(&tile, tunable, tunable->values[rest % tunable->num_values]);
            assert_int_equal(clattn_tile_get(&tile, tunable), tunable->values[rest % tunable->num_values]);
            rest /= tunable->num_values;
        }
        visit(q, &tile);
    }
    return num_candidates;
}

/* ---- the default row ---- */

static void require_default_to_be_a_candidate(const question *q)
{
    char reason[CLATTN_SENTENCE_BYTES];
    if (clattn_tuning_check(q->facts, &q->params, q->phase, &q->default_tile, reason) != CLATTN_OK)
        fail_tile(q, &q->default_tile, reason);
    assert_string_equal(reason, "");
}

static void the_default_row_runs_everywhere(void **state)
{
    (void)state;
    for_every_question(require_default_to_be_a_candidate);
}

/* ---- candidates ---- */

static void require_fit(const question *q, const clattn_tile *tile)
{
    const kernel_shape shape = shape_of_tile(&q->request, q->phase, tile);
    const char *misfit = kernel_shape_error(&shape);
    if (misfit != NULL)
        fail_tile(q, tile, misfit);
    if (kernel_shape_local_bytes(&shape) > (int64_t)q->facts->local_memory_bytes)
        fail_tile(q, tile, "more local memory than the device has");
    if ((uint32_t)tile->work_group_size > q->facts->max_work_group_size)
        fail_tile(q, tile, "a larger work-group than the device has");
    if (tile->sub_group_size != 0 &&
        (q->facts->narrowest_sub_group == 0 || (uint32_t)tile->sub_group_size < q->facts->narrowest_sub_group))
        fail_tile(q, tile, "a sub-group that the device does not have");
    if (q->params.num_kv_heads % tile->heads != 0)
        fail_tile(q, tile, "a part of the kv heads");
}

static int32_t num_passed;
static int32_t num_refused;

/* What passes fits, and a call takes it; what is refused has a reason. */
static void judge(const question *q, const clattn_tile *tile)
{
    char reason[CLATTN_SENTENCE_BYTES];
    const clattn_status status = clattn_tuning_check(q->facts, &q->params, q->phase, tile, reason);
    if (status != CLATTN_OK) {
        if (status != CLATTN_INVALID_TUNING || strncmp(reason, "tuning: ", 8) != 0)
            fail_tile(q, tile, reason);
        num_refused++;
        return;
    }
    num_passed++;
    require_fit(q, tile);
    clattn_tuning tuning = {0};
    *(q->phase == CLATTN_PHASE_DECODE ? &tuning.decode_tile : &tuning.prefill_tile) = tile;
    clattn_tuning_query_params params = q->params;
    params.tuning = &tuning;
    clattn_tuning_answer answer;
    if (clattn_tuning_query(q->facts, &params, &answer) != CLATTN_OK)
        fail_tile(q, tile, answer.refusal);
    const clattn_tuning_tile *answered = q->phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill;
    const clattn_tuning_tile *other = q->phase == CLATTN_PHASE_DECODE ? &answer.prefill : &answer.decode;
    assert_memory_equal(&answered->tile, tile, sizeof *tile);
    assert_int_equal(answered->level, CLATTN_TUNING_OVERRIDE);
    assert_int_equal(other->level, CLATTN_TUNING_DEFAULT);
}

static void judge_all(const question *q)
{
    num_passed = 0;
    num_refused = 0;
    const int32_t num_candidates = for_every_candidate(q, judge);
    assert_int_equal(num_passed + num_refused, num_candidates);
    if (num_passed < 4)
        fail_tile(q, &q->default_tile, "hardly anything to choose from");
}

static void what_passes_fits_and_is_taken(void **state)
{
    (void)state;
    for_every_question(judge_all);
}

/* ---- the table ---- */

/* What 0 stands for when it is not passed on must be said by the kernel itself. */
static void check_define(const clattn_program_source *source, const clattn_tunable *tunable)
{
    char line[80];
    snprintf(line, sizeof line, "#ifndef %s\n", tunable->define);
    bool has_default = false;
    bool is_used = false;
    for (int i = 0; i < source->num_parts; i++) {
        has_default = has_default || strstr(source->parts[i], line) != NULL;
        is_used = is_used || strstr(source->parts[i], tunable->define) != NULL;
    }
    if (!is_used || (tunable->values[0] == 0 && !has_default))
        fail_msg("%s knows nothing of %s, or has no default for it", source->name, tunable->define);
}

static void the_kernels_know_their_defines(void **state)
{
    static const clattn_program_id programs[CLATTN_NUM_FAMILIES][CLATTN_NUM_PHASES] = {
        [CLATTN_FAMILY_VECTOR] = {CLATTN_PROGRAM_VECTOR_DECODE, CLATTN_PROGRAM_VECTOR_PREFILL},
        [CLATTN_FAMILY_SIMT] = {CLATTN_PROGRAM_SIMT_DECODE, CLATTN_PROGRAM_SIMT_PREFILL},
        [CLATTN_FAMILY_PLAIN] = {CLATTN_PROGRAM_PLAIN_ATTENTION, CLATTN_PROGRAM_PLAIN_ATTENTION},
    };
    (void)state;
    for (int family = CLATTN_FAMILY_VECTOR; family < CLATTN_NUM_FAMILIES; family++)
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            const clattn_tunable *tunables = NULL;
            int32_t num_tunables = 0;
            assert_int_equal(clattn_tuning_space((clattn_family)family, (clattn_phase)phase, &tunables, &num_tunables),
                             CLATTN_OK);
            assert_true(num_tunables >= 1);
            for (int32_t i = 0; i < num_tunables; i++) {
                for (int32_t v = 1; v < tunables[i].num_values; v++)
                    assert_true(tunables[i].values[v - 1] < tunables[i].values[v]);
                assert_true(tunables[i].offset % sizeof(int32_t) == 0 && tunables[i].offset < sizeof(clattn_tile));
                if (tunables[i].define[0] != '\0')
                    check_define(&clattn_program_sources[programs[family][phase]], &tunables[i]);
            }
        }
}

/* A value of 0 leaves the choice to the kernel; any other reaches it. */
static void tunables_become_defines(void **state)
{
    const clattn_problem problem = {.num_q_heads = 8, .num_kv_heads = 8, .head_dim = 64, .head_dim_v = 64};
    clattn_row row = {.family = CLATTN_FAMILY_VECTOR,
                      .tiles = {[CLATTN_PHASE_DECODE] = {.block_q = 8, .block_kv = 32, .heads = 2, .lanes = 16}}};
    (void)state;
    clattn_variant variant = clattn_variant_of_phase(&problem, &row, CLATTN_PHASE_DECODE);
    assert_int_equal(clattn_variant_value(&variant, "BLOCK_Q"), 8);
    assert_int_equal(clattn_variant_value(&variant, "BLOCK_KV"), 32);
    assert_int_equal(clattn_variant_value(&variant, "HEADS"), 2);
    assert_int_equal(clattn_variant_value(&variant, "LANES"), 16);
    for (int32_t i = 0; i < variant.num_defines; i++)
        assert_string_not_equal(variant.defines[i].name, "ACCUMULATORS");
    row.tiles[CLATTN_PHASE_DECODE].accumulators = 8;
    variant = clattn_variant_of_phase(&problem, &row, CLATTN_PHASE_DECODE);
    assert_int_equal(clattn_variant_value(&variant, "ACCUMULATORS"), 8);
}

/* ---- refusals ---- */

#define FIELD(name)                                                                                                    \
    &(const clattn_tunable)                                                                                            \
    {                                                                                                                  \
#name, "", NULL, 0, offsetof(clattn_tile, name)                                                                \
    }

static void refuse_tile(int device, clattn_phase phase, const clattn_tunable *field, int32_t value, const char *words)
{
    clattn_tuning_answer answer;
    char reason[CLATTN_SENTENCE_BYTES];
    assert_int_equal(clattn_tuning_query(&devices[device], &problems[0], &answer), CLATTN_OK);
    clattn_tile tile = (phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill)->tile;
    clattn_tile_set(&tile, field, value);
    assert_int_equal(clattn_tuning_check(&devices[device], &problems[0], phase, &tile, reason), CLATTN_INVALID_TUNING);
    if (strstr(reason, words) == NULL)
        fail_msg("%s=%d: \"%s\", expected \"%s\"", field->name, (int)value, reason, words);
}

static void what_does_not_fit_is_refused_with_its_reason(void **state)
{
    enum { MALI = 0, INTEL = 2, POCL = 5, EIGHT_LANES = 6 };
    const clattn_phase decode = CLATTN_PHASE_DECODE;
    const clattn_phase prefill = CLATTN_PHASE_PREFILL;
    (void)state;
    refuse_tile(POCL, decode, FIELD(heads), 3, "heads is 3, expected a divisor of the 8 kv heads");
    refuse_tile(POCL, decode, FIELD(heads), 0, "heads is 0, expected a divisor");
    refuse_tile(POCL, prefill, FIELD(heads), 2, "heads is 2, but for vector prefill it can only be 1");
    refuse_tile(POCL, decode, FIELD(lanes), 2, "lanes is 2, expected 4, 8 or 16");
    refuse_tile(EIGHT_LANES, decode, FIELD(lanes), 16, "lanes is 16, the device's vectors have 8");
    refuse_tile(POCL, decode, FIELD(accumulators), 12, "accumulators is 12, expected 0, 8 or 16");
    refuse_tile(POCL, prefill, FIELD(accumulators), 8, "accumulators is 8, but for vector prefill it can only be 0");
    refuse_tile(POCL, decode, FIELD(qk_keys), 3, "qk_keys is 3, expected 0 or a power of two up to 16");
    refuse_tile(POCL, decode, FIELD(qk_keys), 16,
                "block_kv is 2, expected a multiple of 16 with lanes 16, heads 8, block_q 4 and qk_keys 16");
    refuse_tile(MALI, decode, FIELD(qk_keys), 1, "qk_keys is 1, but for simt decode it can only be 0");
    refuse_tile(POCL, decode, FIELD(sub_group_size), 8, "sub_group_size is 8, but for vector decode it can only be 0");
    refuse_tile(MALI, decode, FIELD(sub_group_size), 8, "on this device a kernel cannot ask for one");
    refuse_tile(INTEL, prefill, FIELD(sub_group_size), 4, "expected a power of two from 8 on");
    refuse_tile(INTEL, prefill, FIELD(sub_group_size), 24, "expected a power of two from 8 on");
    refuse_tile(MALI, decode, FIELD(lanes), 4, "lanes is 4, but for simt decode it can only be 1");
    refuse_tile(POCL, decode, FIELD(groups_per_unit), 0, "groups_per_unit is 0, expected 1..");
    refuse_tile(POCL, prefill, FIELD(groups_per_unit), 8,
                "groups_per_unit is 8, but for vector prefill it can only be 0");
    refuse_tile(POCL, decode, FIELD(min_split_tokens), 0, "min_split_tokens is 0, expected 1 or more");
    refuse_tile(MALI, prefill, FIELD(block_q), 128, "bytes of local memory, the limit is 32768");
}

static void questions_without_sense_are_refused(void **state)
{
    const clattn_tunable *tunables = NULL;
    int32_t num_tunables = 7;
    char reason[CLATTN_SENTENCE_BYTES];
    const clattn_tile tile = {0};
    (void)state;
    assert_int_equal(clattn_tuning_space(CLATTN_FAMILY_DEFAULT, CLATTN_PHASE_DECODE, &tunables, &num_tunables),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(num_tunables, 0);
    assert_int_equal(clattn_tuning_space(CLATTN_NUM_FAMILIES, CLATTN_PHASE_DECODE, &tunables, &num_tunables),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_space(CLATTN_FAMILY_SIMT, CLATTN_NUM_PHASES, &tunables, &num_tunables),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_space(CLATTN_FAMILY_SIMT, CLATTN_PHASE_DECODE, NULL, &num_tunables),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_space(CLATTN_FAMILY_SIMT, CLATTN_PHASE_DECODE, &tunables, NULL),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_check(&devices[0], &problems[0], CLATTN_PHASE_DECODE, &tile, NULL),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_check(NULL, &problems[0], CLATTN_PHASE_DECODE, &tile, reason),
                     CLATTN_INVALID_ARGUMENT);
    assert_string_equal(reason, "facts is NULL");
    assert_int_equal(clattn_tuning_check(&devices[0], NULL, CLATTN_PHASE_DECODE, &tile, reason),
                     CLATTN_INVALID_ARGUMENT);
    assert_string_equal(reason, "params is NULL");
    assert_int_equal(clattn_tuning_check(&devices[0], &problems[0], CLATTN_PHASE_DECODE, NULL, reason),
                     CLATTN_INVALID_ARGUMENT);
    assert_string_equal(reason, "tile is NULL");
    assert_int_equal(clattn_tuning_check(&devices[0], &problems[0], CLATTN_NUM_PHASES, &tile, reason),
                     CLATTN_INVALID_ARGUMENT);
    assert_string_equal(reason, "phase: expected 0..1, got 2");
    const clattn_tuning_query_params nothing = {0};
    assert_int_equal(clattn_tuning_check(&devices[0], &nothing, CLATTN_PHASE_DECODE, &tile, reason),
                     CLATTN_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_row_runs_everywhere),
        cmocka_unit_test(what_passes_fits_and_is_taken),
        cmocka_unit_test(the_kernels_know_their_defines),
        cmocka_unit_test(tunables_become_defines),
        cmocka_unit_test(what_does_not_fit_is_refused_with_its_reason),
        cmocka_unit_test(questions_without_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
