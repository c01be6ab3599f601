/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector family with as many lanes as asked for, on a device that says it has vectors of that width: both phases,
 * every number of rows that the decode kernel keeps in registers, each storage type.
 *
 * usage: test_lanes vector LANES
 */
#include "support/attention.h"
#include <clattn/tuning_query.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static cl_uint lanes;

cl_int __real_clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *value, size_t *num_bytes);
cl_int __wrap_clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *value, size_t *num_bytes);

cl_int __wrap_clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *value, size_t *num_bytes)
{
    const cl_int result = __real_clGetDeviceInfo(device, what, size, value, num_bytes);
    if (what == CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT && result == CL_SUCCESS && value != NULL)
        memcpy(value, &lanes, sizeof lanes);
    return result;
}

static int set_up(void **state)
{
    if (support_device_setup(state) != 0)
        return -1;
    const support_device *device = *state;
    assert_int_equal(clattn_context_device(device->ctx)->float_vector_width, lanes);
    clattn_tuning_answer answer;
    clattn_tuning_query(
        clattn_context_device(device->ctx),
        &(clattn_tuning_query_params){
            .num_q_heads = 1, .num_kv_heads = 1, .head_dim = 64, .page_size = 16, .family = CLATTN_FAMILY_VECTOR},
        &answer);
    assert_int_equal(answer.decode.tile.lanes, lanes);
    assert_int_equal(answer.prefill.tile.lanes, lanes);
    return 0;
}

/* Decodes of lengths on both sides of a block of keys, and a prefill with a partial tile. */
static const int32_t q_lens[] = {1, 1, 1, 150};
static const int32_t context_lens[] = {1, 37, 100, 170};

static support_attention_case case_of(uint64_t seed, int32_t num_q_heads, int32_t num_kv_heads, int32_t head_dim)
{
    return (support_attention_case){
        .seed = seed,
        .num_seqs = COUNT(q_lens),
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = num_q_heads,
        .num_kv_heads = num_kv_heads,
        .head_dim = head_dim,
        .page_size = 7,
        .lse = true,
    };
}

static void single_heads_match(void **state)
{
    support_attention_case problem = case_of(1, 3, 3, 96);
    problem.kv_dtype = CLATTN_BFLOAT16;
    support_attention_verify(*state, &problem);
}

static void groups_of_two_match(void **state)
{
    support_attention_case problem = case_of(2, 4, 2, 48);
    problem.kv_layout = CLATTN_KV_HND;
    support_attention_verify(*state, &problem);
}

static void groups_of_four_match(void **state)
{
    support_attention_case problem = case_of(3, 8, 2, 128);
    problem.kv_dtype = CLATTN_FLOAT16;
    problem.num_splits = 3;
    support_attention_verify(*state, &problem);
}

static void groups_of_eight_with_every_option_match(void **state)
{
    support_attention_case problem = case_of(4, 8, 1, 64);
    problem.query_dtype = CLATTN_FLOAT16;
    problem.kv_dtype = CLATTN_FLOAT16;
    problem.kv_layout = CLATTN_KV_NHD;
    problem.sliding_window = 41;
    problem.logits_soft_cap = 5.0f;
    problem.sinks = SUPPORT_SINKS_PER_HEAD;
    support_attention_verify(*state, &problem);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_heads_match),
        cmocka_unit_test(groups_of_two_match),
        cmocka_unit_test(groups_of_four_match),
        cmocka_unit_test(groups_of_eight_with_every_option_match),
    };

    if (argc != 3 || strcmp(argv[1], "vector") != 0 || (strcmp(argv[2], "4") != 0 && strcmp(argv[2], "8") != 0)) {
        fprintf(stderr, "usage: %s vector 4|8\n", argv[0]);
        return EXIT_FAILURE;
    }
    support_select_family(argc, argv);
    lanes = (cl_uint)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("lanes", tests, set_up, support_device_teardown);
}
