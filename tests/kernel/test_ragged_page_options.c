/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged paged attention over its options: soft cap, sinks, scale, splits, tiles, plans and events. */
#include "runtime/context.h"
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const int32_t mixed_q_lens[] = {1, 37, 0, 1, 5};
static const int32_t mixed_context_lens[] = {257, 61, 4, 1, 93};

static support_attention_case mixed_batch(uint64_t seed)
{
    return (support_attention_case){
        .seed = seed,
        .num_seqs = COUNT(mixed_q_lens),
        .q_lens = mixed_q_lens,
        .context_lens = mixed_context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };
}

static void cap_sinks_and_lse_match_in_every_combination(void **state)
{
    for (int32_t flags = 0; flags < 8; flags++) {
        support_attention_case problem = mixed_batch(2000 + (uint64_t)flags);
        problem.logits_soft_cap = flags & 1 ? 2.5f : 0.0f;
        problem.sinks = flags & 2 ? SUPPORT_SINKS_PER_HEAD : SUPPORT_SINKS_NONE;
        problem.lse = flags & 4;
        problem.num_splits = flags % 3;
        problem.tail_rows = 1;
        problem.strided = flags >= 4;
        support_attention_verify(*state, &problem);
    }
}

static void sinks_count_once_over_every_number_of_splits(void **state)
{
    for (int32_t num_splits = 1; num_splits <= 5; num_splits++) {
        support_attention_case problem = mixed_batch(2050 + (uint64_t)num_splits);
        problem.sinks = SUPPORT_SINKS_PER_HEAD;
        problem.num_splits = num_splits;
        problem.sliding_window = num_splits == 4 ? 9 : 0;
        support_attention_verify(*state, &problem);
    }
}

/* The queries make logits of about +-1e4, so that every one of them sits at the cap. */
static void soft_cap_survives_large_logits(void **state)
{
    support_attention_case problem = mixed_batch(2100);

    problem.logits_soft_cap = 20.0f;
    problem.query_factor = 1e4f;
    support_attention_verify(*state, &problem);
    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
    problem.query_factor = 1.0f; /* and small ones are hardly changed */
    problem.logits_soft_cap = 1000.0f;
    support_attention_verify(*state, &problem);
}

static void huge_logits_are_one_hot(void **state)
{
    support_attention_case problem = mixed_batch(2200);

    problem.query_factor = 1e30f;
    support_attention_verify(*state, &problem);
    problem.num_splits = 3;
    support_attention_verify(*state, &problem);
    problem.sinks = SUPPORT_SINKS_PER_HEAD;
    support_attention_verify(*state, &problem);
}

static void softmax_scale_is_used_as_given(void **state)
{
    static const float scales[] = {1.0f, 0.03125f, -0.5f};

    for (int32_t i = 0; i < COUNT(scales); i++) {
        support_attention_case problem = mixed_batch(2300 + (uint64_t)i);
        problem.softmax_scale = scales[i];
        support_attention_verify(*state, &problem);
    }
}

static void every_number_of_splits_matches(void **state)
{
    static const int32_t num_splits[] = {1, 2, 3, 7, 64};
    static const int32_t windows[] = {0, 30};

    for (int32_t i = 0; i < COUNT(num_splits); i++) {
        for (int32_t k = 0; k < COUNT(windows); k++) {
            support_attention_case problem = mixed_batch(2400 + (uint64_t)i);
            problem.num_splits = num_splits[i];
            problem.sliding_window = windows[k];
            problem.out_dtype = i == 2 ? CLATTN_BFLOAT16 : CLATTN_FLOAT32;
            support_attention_verify(*state, &problem);
        }
    }
}

/*
 * Windows whose edges, and the diagonal, cut vectors of rows, groups of keys and tiles at all sides. What no row sees
 * holds NaN.
 */
static void windows_around_every_edge_of_a_tile_match(void **state)
{
    static const int32_t windows[] = {1, 2, 5, 6, 7, 15, 16, 17, 47, 48, 49, 63, 64, 65, 127, 128, 129};
    static const int32_t q_lens[] = {150, 70, 33};
    static const int32_t context_lens[] = {150, 97, 290};
    static const int32_t num_q_heads[] = {3, 6, 8};
    static const int32_t num_kv_heads[] = {3, 2, 1};

    for (int32_t i = 0; i < COUNT(windows); i++) {
        support_attention_case problem = mixed_batch(2450 + (uint64_t)i);
        problem.num_seqs = COUNT(q_lens);
        problem.q_lens = q_lens;
        problem.context_lens = context_lens;
        problem.sliding_window = windows[i];
        problem.num_q_heads = num_q_heads[i % 3];
        problem.num_kv_heads = num_kv_heads[i % 3];
        problem.sinks = i % 2 == 0 ? SUPPORT_SINKS_NONE : SUPPORT_SINKS_PER_HEAD;
        problem.logits_soft_cap = i % 2 == 0 ? 0.0f : 2.5f;
        problem.kv_dtype = i % 2 == 0 ? CLATTN_FLOAT32 : CLATTN_FLOAT16;
        problem.num_splits = i % 5 == 4 ? 3 : 0;
        support_attention_verify(*state, &problem);
    }
}

static void batch_invariant_splits_match(void **state)
{
    static const int32_t q_lens[] = {1, 1, 3};
    static const int32_t context_lens[] = {1500, 40, 700};
    support_attention_case problem = mixed_batch(2500);

    problem.batch_invariant = true;
    support_attention_verify(*state, &problem);
    problem.num_seqs = COUNT(q_lens);
    problem.q_lens = q_lens;
    problem.context_lens = context_lens;
    support_attention_verify(*state, &problem);
    problem.batch_invariant = false; /* and those that the library chooses for one lonely long row */
    problem.num_seqs = 1;
    support_attention_verify(*state, &problem);
}

/* Tiles that all families can run on any device with at least 64 work-items per work-group. */
static void every_tile_override_matches(void **state)
{
    const support_device *device = *state;
    const bool vector = device->family == CLATTN_FAMILY_VECTOR;
    const clattn_tuning tunings[] = {
        {.block_q = vector ? 64 : 16, .block_kv = 16},
        {.block_q = vector ? 192 : 32, .block_kv = 64},
        {.num_queries_per_block = vector ? 64 : 16, .num_kv_pages_per_block = 4},
        {.family = device->family, .num_stages = 1, .local_memory_limit_bytes = 1 << 20},
        {.work_group_size = vector ? 1 : 64, .block_q = vector ? 64 : 16},
    };

    for (int32_t i = 0; i < COUNT(tunings); i++) {
        support_attention_case problem = mixed_batch(2600 + (uint64_t)i);
        problem.tuning = support_device_tuning(device, tunings[i]);
        problem.num_splits = i == 0 ? 2 : 0;
        support_attention_verify(device, &problem);
    }
}

/* What a CPU with narrower vectors would run: the facts of the context say so while the test lasts. */
static void narrower_vectors_match(void **state)
{
    const support_device *device = *state;
    clattn_device_facts *facts = &device->ctx->facts;
    const uint32_t width = facts->float_vector_width;
    static const struct {
        uint32_t width;
        clattn_dtype kv_dtype;
        int32_t head_dim;
    } cases[] = {{8, CLATTN_FLOAT16, 32}, {8, CLATTN_FLOAT32, 24}, {4, CLATTN_BFLOAT16, 32}, {4, CLATTN_FLOAT16, 8}};

    for (int32_t i = 0; i < COUNT(cases); i++) {
        support_attention_case problem = mixed_batch(2650 + (uint64_t)i);
        problem.kv_dtype = cases[i].kv_dtype;
        problem.out_dtype = cases[i].kv_dtype;
        problem.head_dim = cases[i].head_dim;
        problem.num_splits = 2;
        facts->float_vector_width = cases[i].width;
        support_attention_verify(device, &problem);
        facts->float_vector_width = width;
    }
}

static void a_call_may_override_the_context_family(void **state)
{
    const support_device *device = *state;
    support_attention_case problem = mixed_batch(2700);
    clattn_plan_params plan_params;
    clattn_plan_info info;
    clattn_plan *plan = NULL;
    support_attention *ragged;

    problem.tuning.family = device->family == CLATTN_FAMILY_VECTOR ? CLATTN_FAMILY_SIMT : CLATTN_FAMILY_VECTOR;
    ragged = support_attention_create(device, &problem);
    plan_params = support_attention_plan_params(ragged);
    if (!support_device_runs_family(device, problem.tuning.family)) {
        assert_int_equal(clattn_plan_create(device->ctx, &plan_params, &plan), CLATTN_INVALID_TUNING);
        support_attention_destroy(&ragged);
        return;
    }
    support_attention_verify(device, &problem);
    assert_int_equal(clattn_plan_create(device->ctx, &plan_params, &plan), CLATTN_OK);
    assert_int_equal(clattn_plan_get_info(plan, &info), CLATTN_OK);
    assert_int_equal(info.family, problem.tuning.family);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

static void call_with_plan(support_attention *ragged, const support_device *device, const clattn_plan *plan)
{
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, plan);

    support_attention_reset(ragged, device);
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL), CLATTN_OK);
    support_attention_read(ragged, device);
    support_attention_check(ragged);
}

/* One plan serves two layers of different contents, then a larger batch, then the first one again. */
static void a_plan_serves_many_layers_and_batches(void **state)
{
    const support_device *device = *state;
    static const int32_t large_q_lens[] = {60, 1, 1, 44, 1, 1, 1};
    static const int32_t large_context_lens[] = {200, 93, 93, 44, 300, 2, 65};
    const support_attention_case first = mixed_batch(2800);
    const support_attention_case second = mixed_batch(2800);
    support_attention_case large = mixed_batch(2802);
    large.num_seqs = COUNT(large_q_lens);
    large.q_lens = large_q_lens;
    large.context_lens = large_context_lens;
    large.num_splits = 3;
    support_attention *layers[] = {support_attention_create(device, &first), support_attention_create(device, &second)};
    support_attention *larger = support_attention_create(device, &large);
    const clattn_plan_params small_params = support_attention_plan_params(layers[0]);
    const clattn_plan_params large_params = support_attention_plan_params(larger);
    clattn_plan_info info;
    clattn_plan *plan = NULL;

    support_image_set(&layers[1]->queries, 0, 3.5f);
    support_image_upload(&layers[1]->queries, device);
    assert_int_equal(clattn_plan_create(device->ctx, &small_params, &plan), CLATTN_OK);
    call_with_plan(layers[0], device, plan);
    call_with_plan(layers[1], device, plan);
    assert_int_equal(clattn_plan_update(plan, &large_params), CLATTN_OK);
    assert_int_equal(clattn_plan_get_info(plan, &info), CLATTN_OK);
    assert_in_range(info.max_splits, 2, 3);
    assert_true(info.num_merge_items > 0 && info.workspace_bytes > 0 && info.metadata_bytes > 0);
    call_with_plan(larger, device, plan);
    assert_int_equal(clattn_plan_update(plan, &small_params), CLATTN_OK);
    call_with_plan(layers[0], device, plan);
    clattn_plan_destroy(&plan);
    assert_null(plan);
    support_attention_destroy(&layers[0]);
    support_attention_destroy(&layers[1]);
    support_attention_destroy(&larger);
}

static cl_int state_of(cl_event event)
{
    cl_int status = CL_QUEUED;

    support_require_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL),
                       "clGetEventInfo");
    return status;
}

/* The call returns while what it waits for has not happened; its event is the last thing to complete. */
static void a_call_waits_for_its_events_and_gives_one(void **state)
{
    const support_device *device = *state;
    const support_attention_case problem = mixed_batch(2900);
    support_attention *ragged = support_attention_create(device, &problem);
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, NULL);
    cl_event done = NULL;
    cl_int result;

    support_attention_run(ragged, device); /* compiles, so that the next call has nothing left to do but enqueue */
    support_attention_reset(ragged, device);
    const cl_event gate = clCreateUserEvent(device->cl, &result);
    support_require_cl(result, "clCreateUserEvent");
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 1, &gate, &done), CLATTN_OK);
    assert_non_null(done);
    support_require_cl(clFlush(device->queue), "clFlush");
    assert_int_not_equal(state_of(done), CL_COMPLETE);
    support_require_cl(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
    support_require_cl(clWaitForEvents(1, &done), "clWaitForEvents");
    assert_int_equal(state_of(done), CL_COMPLETE);
    support_attention_read(ragged, device);
    support_attention_check(ragged);
    clReleaseEvent(gate);
    clReleaseEvent(done);
    support_attention_destroy(&ragged);
}

/* With nothing to compute there is an event all the same, and it completes after those it waits for. */
static void an_empty_call_gives_an_event(void **state)
{
    const support_device *device = *state;
    support_attention_case problem = mixed_batch(2950);
    problem.num_seqs = 0;
    support_attention *ragged = support_attention_create(device, &problem);
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, NULL);
    cl_event done = NULL;

    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 0, NULL, &done), CLATTN_OK);
    assert_non_null(done);
    support_require_cl(clWaitForEvents(1, &done), "clWaitForEvents");
    clReleaseEvent(done);
    support_attention_destroy(&ragged);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cap_sinks_and_lse_match_in_every_combination),
        cmocka_unit_test(sinks_count_once_over_every_number_of_splits),
        cmocka_unit_test(soft_cap_survives_large_logits),
        cmocka_unit_test(huge_logits_are_one_hot),
        cmocka_unit_test(softmax_scale_is_used_as_given),
        cmocka_unit_test(every_number_of_splits_matches),
        cmocka_unit_test(windows_around_every_edge_of_a_tile_match),
        cmocka_unit_test(batch_invariant_splits_match),
        cmocka_unit_test(every_tile_override_matches),
        cmocka_unit_test(narrower_vectors_match),
        cmocka_unit_test(a_call_may_override_the_context_family),
        cmocka_unit_test(a_plan_serves_many_layers_and_batches),
        cmocka_unit_test(a_call_waits_for_its_events_and_gives_one),
        cmocka_unit_test(an_empty_call_gives_an_event),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_options", tests, sizeof(tests) / sizeof(tests[0]));
}
