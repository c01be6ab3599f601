/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that nobody here owns, by their facts alone: for every head_dim, many of head_dim_v, group sizes, dtypes and
 * options, each family either has a row whose kernels fit the device, or says which limit it breaks; and the family
 * that a device gets by default always has one.
 *
 * What a kernel needs is worked out from the defines that it is built with, by what its source says (kernel_shape.h).
 * No kernel asks a device for half arithmetic, sub-groups or images: all are OpenCL C 1.2 without extensions, which the
 * tests of suite offline hold every kernel to.
 */
#include "attention/geometry.h"
#include "attention/variant.h"
#include "support/kernel_shape.h"
#include "tuning/resolve.h"

#include <clattn/tuning_query.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

enum { FIRST_HEAD_DIM = 8, LAST_HEAD_DIM = 512, HEAD_DIM_STEP = 8 };

/* A device that refuses, and one that is promised a row. */
typedef enum promise { MAY_REFUSE, NEVER_REFUSES } promise;

static clattn_device_facts facts_of(clattn_device_type type, uint64_t local_bytes, uint32_t group, uint32_t multiple,
                                    uint32_t vector_width)
{
    return (clattn_device_facts){
        .type = type,
        .num_compute_units = 20,
        .max_work_group_size = group,
        .preferred_multiple = multiple,
        .float_vector_width = vector_width,
        .local_memory_bytes = local_bytes,
        .global_memory_bytes = 512 * MIB,
        .max_allocation_bytes = 128 * MIB,
    };
}

/* The case of a failure. */
static void fail_case(const clattn_device_facts *facts, const clattn_geometry *geometry, clattn_family family,
                      const char *what)
{
    fail_msg("%s: family=%s type=%d local=%llu group=%u multiple=%u lanes=%u head_dim=%d/%d heads=%d/%d layout=%s",
             what, clattn_family_name(family), (int)facts->type, (unsigned long long)facts->local_memory_bytes,
             (unsigned)facts->max_work_group_size, (unsigned)facts->preferred_multiple,
             (unsigned)facts->float_vector_width, (int)geometry->head_dim, (int)geometry->head_dim_v,
             (int)geometry->num_q_heads, (int)geometry->num_kv_heads, clattn_kv_layout_name(geometry->kv_layout));
}

/* ---- from a row to what its kernels need ---- */

/* Dtypes and options in turns, by `number`, so that all of them meet all sizes. */
static clattn_problem problem_of(const clattn_geometry *geometry, uint32_t number)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};
    return (clattn_problem){
        .num_q_heads = geometry->num_q_heads,
        .num_kv_heads = geometry->num_kv_heads,
        .head_dim = geometry->head_dim,
        .head_dim_v = geometry->head_dim_v,
        .page_size = geometry->page_size,
        .q_dtype = dtypes[number % 3],
        .k_dtype = dtypes[number / 3 % 3],
        .v_dtype = dtypes[number / 9 % 3],
        .out_dtype = dtypes[number / 27 % 3],
        .logits_soft_cap = number % 2 == 0 ? 0.0f : 30.0f,
        .sinks = {.num_per_row = number % 5 == 0},
        .state_kind = (clattn_state_kind)(number % 4 % 3),
        .numerator = number % 7 == 0,
        .window_left = number % 11 == 0 ? 100 : INT32_MAX,
    };
}

static int32_t define_of(const clattn_variant *variant, const char *name, int32_t absent)
{
    for (int32_t i = 0; i < variant->num_defines; i++)
        if (strcmp(variant->defines[i].name, name) == 0)
            return variant->defines[i].value;
    return absent;
}

static shape_kernel kernel_of(const clattn_variant *variant)
{
    switch (variant->program) {
    case CLATTN_PROGRAM_VECTOR_DECODE:
        return SHAPE_VECTOR_DECODE;
    case CLATTN_PROGRAM_VECTOR_PREFILL:
        return SHAPE_VECTOR_PREFILL;
    case CLATTN_PROGRAM_SIMT_DECODE:
        return SHAPE_SIMT_DECODE;
    case CLATTN_PROGRAM_SIMT_PREFILL:
        return SHAPE_SIMT_PREFILL;
    default:
        assert_int_equal(variant->program, CLATTN_PROGRAM_PLAIN_ATTENTION);
        return SHAPE_PLAIN;
    }
}

static kernel_shape shape_of(const clattn_variant *variant)
{
    return (kernel_shape){
        .kernel = kernel_of(variant),
        .head_dim = define_of(variant, "HEAD_DIM", 0),
        .head_dim_v = define_of(variant, "HEAD_DIM_V", 0),
        .block_q = define_of(variant, "BLOCK_Q", 0),
        .block_kv = define_of(variant, "BLOCK_KV", 0),
        .work_group_size = define_of(variant, "WORK_GROUP_SIZE", 1),
        .lanes = define_of(variant, "LANES", 0),
        .heads = define_of(variant, "HEADS", 1),
        .qk_keys = define_of(variant, "QK_KEYS", 0),
        .converts_k = define_of(variant, "K_DTYPE", 0) != CLATTN_FLOAT32,
    };
}

/* The kernel of a phase builds, its work-group and its local memory are within the device's. */
static const char *misfit_of(const clattn_device_facts *facts, const clattn_row *row, const clattn_problem *problem,
                             clattn_phase phase)
{
    const clattn_variant variant = clattn_variant_of_phase(problem, row, phase);
    const kernel_shape shape = shape_of(&variant);
    const clattn_tile *tile = &row->tiles[phase];
    const char *error = kernel_shape_error(&shape);
    if (error != NULL)
        return error;
    if (shape.work_group_size != tile->work_group_size || shape.work_group_size < 1 ||
        (uint32_t)shape.work_group_size > facts->max_work_group_size)
        return "the work-group does not fit";
    if (problem->num_kv_heads % shape.heads != 0)
        return "a work-group takes a part of the kv heads";
    const int64_t local_bytes = kernel_shape_local_bytes(&shape);
    if (local_bytes < 0 || (uint64_t)local_bytes > facts->local_memory_bytes)
        return "the local memory does not fit";
    const size_t argument_bytes = row->local_argument_bytes[phase];
    if (shape.lanes > 0 ? argument_bytes < (size_t)local_bytes || argument_bytes > facts->local_memory_bytes
                        : argument_bytes != 0)
        return "the local argument does not fit";
    return NULL;
}

/* ---- one problem on one device ---- */

/* The refusal names the limit: the device's local memory, or the work-group that is left of a tile's. */
static void check_refusal(const clattn_device_facts *facts, const clattn_geometry *geometry, clattn_family family,
                          clattn_status status, const char *sentence)
{
    char local_limit[48];
    snprintf(local_limit, sizeof local_limit, "the limit is %llu", (unsigned long long)facts->local_memory_bytes);
    const bool named = strstr(sentence, local_limit) != NULL || strstr(sentence, "work_group_size ") != NULL;
    if (status != CLATTN_INVALID_TUNING || !named)
        fail_case(facts, geometry, family, sentence);
}

/* Whether the family has a row; if so it fits. */
static bool has_fitting_row(const clattn_device_facts *facts, const clattn_geometry *geometry, clattn_family family,
                            uint32_t number)
{
    const clattn_tuning_database database = {.facts = facts};
    const clattn_tile_request request = clattn_geometry_request(geometry, family, NULL);
    clattn_error error = {.text = ""};
    clattn_row row;
    const clattn_status status = clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error);
    if (status != CLATTN_OK) {
        check_refusal(facts, geometry, family, status, error.text);
        return false;
    }
    const clattn_problem problem = problem_of(geometry, number);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const char *misfit = misfit_of(facts, &row, &problem, (clattn_phase)phase);
        if (misfit != NULL)
            fail_case(facts, geometry, family, misfit);
    }
    return true;
}

static int64_t num_refused;

static void check_problem(const clattn_device_facts *facts, const clattn_geometry *geometry, promise given,
                          uint32_t number)
{
    const clattn_family chosen = clattn_family_of(facts);
    for (clattn_family family = CLATTN_FAMILY_DEFAULT + 1; family < CLATTN_NUM_FAMILIES; family++) {
        if (has_fitting_row(facts, geometry, family, number))
            continue;
        num_refused++;
        if (family == chosen)
            fail_case(facts, geometry, family, "the family of the device has no row");
        if (given == NEVER_REFUSES && family != CLATTN_FAMILY_VECTOR)
            fail_case(facts, geometry, family, "a family for all devices has no row");
    }
}

/* ---- all problems on all devices ---- */

static void for_every_problem(const clattn_device_facts *facts, promise given)
{
    static const int32_t groups[] = {1, 2, 3, 4, 5, 6, 7, 8, 16, 64, 71};
    static const int32_t kv_heads[] = {1, 2, 8, 3, 32};
    uint32_t number = 0;
    for (int32_t head_dim = FIRST_HEAD_DIM; head_dim <= LAST_HEAD_DIM; head_dim += HEAD_DIM_STEP) {
        const int32_t widths[] = {head_dim, FIRST_HEAD_DIM, LAST_HEAD_DIM, LAST_HEAD_DIM + FIRST_HEAD_DIM - head_dim,
                                  128};
        for (int32_t i = 0; i < COUNT(groups) * COUNT(widths); i++, number++) {
            const int32_t num_kv_heads = kv_heads[number % COUNT(kv_heads)];
            const clattn_geometry geometry = {
                .num_q_heads = groups[i % COUNT(groups)] * num_kv_heads,
                .num_kv_heads = num_kv_heads,
                .head_dim = head_dim,
                .head_dim_v = widths[i / COUNT(groups)],
                .page_size = 16,
                .kv_layout = (clattn_kv_layout)(number % CLATTN_NUM_KV_LAYOUTS),
            };
            check_problem(facts, &geometry, given, number);
        }
    }
}

static const uint32_t multiples[] = {8, 16, 32, 64};
static const uint32_t vector_widths[] = {1, 4, 8, 16};

static void for_every_device(clattn_device_type type, const uint64_t *local_kib, int32_t num_local,
                             const uint32_t *groups, int32_t num_groups, promise given)
{
    for (int32_t i = 0; i < num_local * num_groups; i++) {
        for (int32_t k = 0; k < COUNT(multiples); k++) { /* a width each: no row depends on both */
            const clattn_device_facts facts =
                facts_of(type, local_kib[i / num_groups] * KIB, groups[i % num_groups], multiples[k], vector_widths[k]);
            for_every_problem(&facts, given);
        }
    }
}

static const uint64_t local_kib[] = {16, 32, 48, 64};
static const uint32_t group_limits[] = {64, 128, 256, 512, 1024};

static void every_gpu_runs_everything(void **state)
{
    (void)state;
    for_every_device(CLATTN_DEVICE_GPU, local_kib, COUNT(local_kib), group_limits, COUNT(group_limits), NEVER_REFUSES);
}

static void every_cpu_runs_everything(void **state)
{
    static const uint64_t cache_kib[] = {16, 64, 512, 1024, 2048};
    static const uint32_t limits[] = {64, 4096};
    (void)state;
    for_every_device(CLATTN_DEVICE_CPU, cache_kib, COUNT(cache_kib), limits, COUNT(limits), NEVER_REFUSES);
}

static void a_device_too_small_for_tiles_runs_the_plain_family(void **state)
{
    static const uint64_t small_kib[] = {0, 1, 8, 15, 16, 32};
    static const uint32_t limits[] = {1, 8, 15, 16, 64};
    (void)state;
    num_refused = 0;
    for_every_device(CLATTN_DEVICE_GPU, small_kib, COUNT(small_kib), limits, COUNT(limits), MAY_REFUSE);
    assert_true(num_refused > 0); /* or nothing above looked at a refusal */
}

/* Also where the type of the device would say otherwise; and the query says why. */
static void the_plain_family_is_explained_by_the_limits(void **state)
{
    static const struct {
        clattn_device_facts facts;
        clattn_family family;
        const char *words;
    } cases[] = {
        {{.type = CLATTN_DEVICE_GPU, .local_memory_bytes = 16 * KIB - 1, .max_work_group_size = 256},
         CLATTN_FAMILY_PLAIN,
         "the device has 16383 bytes of local memory and 256 work-items for a work-group, the simt family needs 16384 "
         "and 16"},
        {{.type = CLATTN_DEVICE_GPU, .local_memory_bytes = 16 * KIB, .max_work_group_size = 15},
         CLATTN_FAMILY_PLAIN,
         "16384 bytes of local memory and 15 work-items"},
        {{.type = CLATTN_DEVICE_CPU, .local_memory_bytes = 8 * KIB, .max_work_group_size = 4096},
         CLATTN_FAMILY_PLAIN,
         "8192 bytes of local memory"},
        {{.type = CLATTN_DEVICE_GPU, .local_memory_bytes = 16 * KIB, .max_work_group_size = 16},
         CLATTN_FAMILY_SIMT,
         "the device is a GPU"},
    };
    (void)state;
    for (int32_t i = 0; i < COUNT(cases); i++) {
        const clattn_tuning_query_params params = {
            .num_q_heads = 8, .num_kv_heads = 2, .head_dim = 512, .page_size = 16, .kv_layout = CLATTN_KV_NHD};
        clattn_tuning_answer answer;
        assert_int_equal(clattn_tuning_query(&cases[i].facts, &params, &answer), CLATTN_OK);
        assert_int_equal(answer.family, cases[i].family);
        assert_non_null(strstr(answer.family_reason, cases[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gpu_runs_everything),
        cmocka_unit_test(every_cpu_runs_everything),
        cmocka_unit_test(a_device_too_small_for_tiles_runs_the_plain_family),
        cmocka_unit_test(the_plain_family_is_explained_by_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
