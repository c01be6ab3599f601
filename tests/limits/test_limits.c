/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few problems on a device with little room, which a simulator enforces: the widest heads, large groups, both phases
 * and every state, each with what the device gets by itself.
 *
 * usage: test_limits FAMILY LOCAL_MEMORY_BYTES MAX_WORK_GROUP_SIZE GLOBAL_MEMORY_BYTES
 *
 * The arguments are what the device must say of itself, and the family that it must get by that.
 */
#include "support/attention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* What the command line says of the device. */
static struct {
    clattn_family family;
    uint64_t local_memory_bytes;
    uint32_t max_work_group_size;
    uint64_t global_memory_bytes;
} expected;

static void the_device_has_the_limits(void **state)
{
    const support_device *device = *state;
    const clattn_device_facts *facts = clattn_context_device(device->ctx);
    assert_int_equal(facts->local_memory_bytes, expected.local_memory_bytes);
    assert_int_equal(facts->max_work_group_size, expected.max_work_group_size);
    assert_int_equal(facts->global_memory_bytes, expected.global_memory_bytes);
    assert_true(facts->max_allocation_bytes <= expected.global_memory_bytes);
    assert_int_equal(device->family, expected.family);
}

/* A decode and a prefill, as short as a simulator wants them. */
static const int32_t mixed_q_lens[] = {1, 5};
static const int32_t mixed_context_lens[] = {7, 5};

/* Once, without a plan: the same kernels would exceed the same limits. */
static void run_and_check(const support_device *device, const support_attention_case *description)
{
    support_attention *attention = support_attention_create(device, description);

    support_attention_run(attention, device);
    support_attention_check(attention);
    support_attention_destroy(&attention);
}

static void wide_heads_match(void **state)
{
    run_and_check(*state, &(support_attention_case){
                              .seed = 1,
                              .num_seqs = COUNT(mixed_q_lens),
                              .q_lens = mixed_q_lens,
                              .context_lens = mixed_context_lens,
                              .num_q_heads = 1,
                              .num_kv_heads = 1,
                              .head_dim = 512,
                              .page_size = 5,
                              .lse = true,
                              .tail_rows = 1,
                          });
}

static void wide_values_beside_narrow_keys_match(void **state)
{
    run_and_check(*state, &(support_attention_case){
                              .seed = 2,
                              .num_seqs = COUNT(mixed_q_lens),
                              .q_lens = mixed_q_lens,
                              .context_lens = mixed_context_lens,
                              .num_q_heads = 1,
                              .num_kv_heads = 1,
                              .head_dim = 24,
                              .head_dim_v = 264,
                              .page_size = 4,
                              .kv_layout = CLATTN_KV_HND,
                              .kv_dtype = CLATTN_BFLOAT16,
                              .logits_soft_cap = 5.0f,
                          });
}

static void large_groups_with_every_option_match(void **state)
{
    run_and_check(*state, &(support_attention_case){
                              .seed = 3,
                              .num_seqs = COUNT(mixed_q_lens),
                              .q_lens = mixed_q_lens,
                              .context_lens = mixed_context_lens,
                              .num_q_heads = 8,
                              .num_kv_heads = 1,
                              .head_dim = 64,
                              .page_size = 16,
                              .kv_layout = CLATTN_KV_NHD,
                              .query_dtype = CLATTN_FLOAT16,
                              .kv_dtype = CLATTN_FLOAT16,
                              .sliding_window = 7,
                              .sinks = SUPPORT_SINKS_PER_HEAD,
                              .lse = true,
                          });
}

static void split_numerators_match(void **state)
{
    static const int32_t ends[] = {40};
    run_and_check(*state, &(support_attention_case){
                              .operation = SUPPORT_RAGGED,
                              .seed = 4,
                              .num_seqs = COUNT(ends),
                              .context_lens = ends,
                              .seq_len = 40,
                              .num_q_heads = 2,
                              .num_kv_heads = 1,
                              .head_dim = 96,
                              .numerator = true,
                              .num_splits = 2,
                          });
}

/* A layer that needs more than the device has in one buffer is refused with both sizes, and the next call works. */
static void pages_behind_the_limit_are_refused(void **state)
{
    const support_device *device = *state;
    const uint64_t limit = clattn_context_device(device->ctx)->max_allocation_bytes;
    const clattn_kv_cache_params params = {.num_layers = 1,
                                           .num_pages = (int32_t)(limit / (16 * 64 * 4)) + 1,
                                           .page_size = 16,
                                           .num_kv_heads = 1,
                                           .head_dim = 64,
                                           .dtype = CLATTN_FLOAT32,
                                           .layout = CLATTN_KV_HND};
    clattn_kv_cache *cache = NULL;
    char sentence[64];
    assert_int_equal(clattn_kv_cache_create(device->ctx, &params, &cache), CLATTN_OUT_OF_DEVICE_MEMORY);
    snprintf(sentence, sizeof sentence, "the device's largest buffer, %llu bytes", (unsigned long long)limit);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), sentence));
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_has_the_limits),
        cmocka_unit_test(wide_heads_match),
        cmocka_unit_test(wide_values_beside_narrow_keys_match),
        cmocka_unit_test(large_groups_with_every_option_match),
        cmocka_unit_test(split_numerators_match),
        cmocka_unit_test(pages_behind_the_limit_are_refused),
    };

    if (argc != 5 || clattn_family_from_name(argv[1]) == CLATTN_FAMILY_DEFAULT) {
        fprintf(stderr, "usage: %s FAMILY LOCAL_MEMORY_BYTES MAX_WORK_GROUP_SIZE GLOBAL_MEMORY_BYTES\n", argv[0]);
        return EXIT_FAILURE;
    }
    expected.family = clattn_family_from_name(argv[1]);
    expected.local_memory_bytes = strtoull(argv[2], NULL, 10);
    expected.max_work_group_size = (uint32_t)strtoul(argv[3], NULL, 10);
    expected.global_memory_bytes = strtoull(argv[4], NULL, 10);
    return cmocka_run_group_tests_name("limits", tests, support_device_setup, support_device_teardown);
}
