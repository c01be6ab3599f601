/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest buffer that a device holds, 128 MiB where OpenCL promises no more, against what plans and KV caches
 * allocate: at the limit they work; behind it they say so, unless they chose to need so much themselves.
 */
#include "fuzz/fake_opencl.h"

#include <clattn/attention.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

enum { HEAD_DIM = 64, NUM_KV_HEADS = 2, PAGE_SIZE = 64, PAGES_PER_SEQ = 128, MOST_SEQS = 64 };

/* A GPU that splits few rows, and the context on it. */
static clattn_context *open_device(uint64_t max_allocation_bytes)
{
    const clattn_device_facts facts = {
        .type = CLATTN_DEVICE_GPU,
        .num_compute_units = 20,
        .max_work_group_size = 256,
        .preferred_multiple = 32,
        .float_vector_width = 1,
        .local_memory_bytes = UINT64_C(48) << 10,
        .global_memory_bytes = 4096 * MIB,
        .max_allocation_bytes = max_allocation_bytes,
    };
    fake_opencl_set_device(&facts);
    const clattn_context_params params = fake_opencl_context_params();
    clattn_context *ctx = NULL;
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    return ctx;
}

/* Decodes of num_seqs sequences as long as their tables allow. */
static clattn_plan_params params_of(int32_t num_seqs)
{
    static int32_t context_lens[MOST_SEQS];
    static int32_t block_tables[MOST_SEQS * PAGES_PER_SEQ];
    for (int32_t s = 0; s < MOST_SEQS; s++)
        context_lens[s] = PAGE_SIZE * PAGES_PER_SEQ;
    return (clattn_plan_params){
        .num_seqs = num_seqs,
        .total_tokens = num_seqs,
        .context_lens = context_lens,
        .block_tables = block_tables,
        .pages_per_seq = PAGES_PER_SEQ,
        .num_q_heads = NUM_KV_HEADS,
        .num_kv_heads = NUM_KV_HEADS,
        .head_dim = HEAD_DIM,
        .page_size = PAGE_SIZE,
        .num_pages = 1,
        .kv_layout = CLATTN_KV_NHD,
    };
}

/* Plans on a device of that limit, and tells what came of it. */
static clattn_status plan_on(uint64_t max_allocation_bytes, const clattn_plan_params *params, clattn_plan_info *info,
                             char sentence[256])
{
    clattn_context *ctx = open_device(max_allocation_bytes);
    clattn_plan *plan = NULL;
    *info = (clattn_plan_info){0};
    const clattn_status status = clattn_plan_create(ctx, params, &plan);
    if (status == CLATTN_OK)
        assert_int_equal(clattn_plan_get_info(plan, info), CLATTN_OK);
    snprintf(sentence, 256, "%.255s", clattn_context_last_error(ctx));
    clattn_plan_destroy(&plan);
    clattn_context_destroy(&ctx);
    assert_int_equal(fake_opencl_num_objects(), 0);
    return status;
}

static clattn_plan_info require_plan(uint64_t max_allocation_bytes, const clattn_plan_params *params)
{
    clattn_plan_info info;
    char sentence[256];
    if (plan_on(max_allocation_bytes, params, &info, sentence) != CLATTN_OK)
        fail_msg("refused: %s", sentence);
    return info;
}

static void refuse_plan(uint64_t max_allocation_bytes, const clattn_plan_params *params, const char *what,
                        uint64_t needed_bytes)
{
    clattn_plan_info info;
    char sentence[256], expected[256];
    snprintf(expected, sizeof expected, "%s of %llu bytes is larger than the device's largest buffer, %llu bytes", what,
             (unsigned long long)needed_bytes, (unsigned long long)max_allocation_bytes);
    assert_int_equal(plan_on(max_allocation_bytes, params, &info, sentence), CLATTN_OUT_OF_DEVICE_MEMORY);
    assert_string_equal(sentence, expected);
}

/* Of a workspace, the numerators: beside their HEAD_DIM floats lie two more. */
static uint64_t numerator_bytes(const clattn_plan_info *info)
{
    return info->workspace_bytes / (HEAD_DIM + 2) * HEAD_DIM;
}

static void chosen_splits_give_way_to_the_limit(void **state)
{
    const clattn_plan_params params = params_of(1);
    const clattn_plan_info roomy = require_plan(128 * MIB, &params);
    const uint64_t needed = numerator_bytes(&roomy);
    (void)state;
    assert_true(roomy.max_splits > 1);
    assert_int_equal(require_plan(needed, &params).max_splits, roomy.max_splits);
    const clattn_plan_info tight = require_plan(needed - 1, &params);
    assert_int_equal(tight.max_splits, 1);
    assert_int_equal(tight.workspace_bytes, 0);
}

static void splits_that_were_asked_for_are_refused_behind_the_limit(void **state)
{
    clattn_plan_params params = params_of(MOST_SEQS);
    (void)state;
    for (int i = 0; i < 2; i++) {
        params.num_splits = i == 0 ? 20 : 0;
        params.batch_invariant = i == 1;
        const clattn_plan_info info = require_plan(128 * MIB, &params);
        const uint64_t needed = numerator_bytes(&info);
        assert_true(info.max_splits > 1 && needed > info.metadata_bytes);
        assert_int_equal(require_plan(needed, &params).max_splits, info.max_splits);
        refuse_plan(needed - 1, &params, "the workspace for split rows", needed);
    }
}

static void metadata_fill_the_largest_buffer_and_no_more(void **state)
{
    clattn_plan_params params = params_of(MOST_SEQS);
    (void)state;
    params.num_splits = 1;
    /* A record of eight ints for each sequence and each of its items, and its pages. */
    const uint64_t needed = 4 * (uint64_t)MOST_SEQS * (8 + 8 + PAGES_PER_SEQ);
    assert_true(require_plan(128 * MIB, &params).metadata_bytes > needed); /* for growing */
    assert_int_equal(require_plan(needed, &params).metadata_bytes, needed);
    refuse_plan(needed - 1, &params, "the metadata", needed);
}

static void reserving_takes_what_plans_may_have(void **state)
{
    const uint64_t limit = 1 * MIB;
    clattn_context *ctx = open_device(limit);
    clattn_plan_params params = params_of(1);
    clattn_plan *plan = NULL;
    clattn_plan_info info;
    (void)state;
    assert_int_equal(clattn_plan_create(ctx, &params, &plan), CLATTN_OK);
    assert_int_equal(clattn_plan_reserve(plan, MOST_SEQS, 4096, PAGE_SIZE), CLATTN_OK);
    assert_int_equal(clattn_plan_get_info(plan, &info), CLATTN_OK);
    assert_in_range(info.workspace_bytes, limit / 2, 2 * limit);

    params.num_splits = 20;
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_OK);
    assert_int_equal(clattn_plan_reserve(plan, MOST_SEQS, 4096, PAGE_SIZE * PAGES_PER_SEQ),
                     CLATTN_OUT_OF_DEVICE_MEMORY);
    assert_non_null(strstr(clattn_context_last_error(ctx), "the device's largest buffer, 1048576 bytes"));
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_OK);
    clattn_plan_destroy(&plan);
    clattn_context_destroy(&ctx);
    assert_int_equal(fake_opencl_num_objects(), 0);
}

static void kv_pages_fill_the_largest_buffer_and_no_more(void **state)
{
    clattn_context *ctx = open_device(128 * MIB);
    clattn_kv_cache_params params = {
        .num_layers = 3, .page_size = 16, .num_kv_heads = 8, .head_dim = 128, .layout = CLATTN_KV_HND};
    const uint64_t page_bytes = UINT64_C(2) * 16 * 8 * 128;
    clattn_kv_cache *cache = NULL;
    (void)state;
    params.num_pages = (int32_t)(128 * MIB / page_bytes);
    assert_int_equal(clattn_kv_cache_create(ctx, &params, &cache), CLATTN_OK);
    clattn_kv_cache_destroy(&cache);
    params.num_pages++;
    assert_int_equal(clattn_kv_cache_create(ctx, &params, &cache), CLATTN_OUT_OF_DEVICE_MEMORY);
    assert_string_equal(clattn_context_last_error(ctx),
                        "a layer of 134250496 bytes is larger than the device's largest buffer, 134217728 bytes");
    assert_null(cache);
    clattn_context_destroy(&ctx);
    assert_int_equal(fake_opencl_num_objects(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_splits_give_way_to_the_limit),
        cmocka_unit_test(splits_that_were_asked_for_are_refused_behind_the_limit),
        cmocka_unit_test(metadata_fill_the_largest_buffer_and_no_more),
        cmocka_unit_test(reserving_takes_what_plans_may_have),
        cmocka_unit_test(kv_pages_fill_the_largest_buffer_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
