/* SPDX-License-Identifier: Apache-2.0 */
/* What a query of the tuning answers is what plans on that device run with, or are refused for. */
#include "attention/plan.h"
#include "support/device.h"

#include <clattn/tuning_query.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const clattn_tuning_query_params shapes[] = {
    {.num_q_heads = 32, .num_kv_heads = 8, .head_dim = 128},
    {.num_q_heads = 16, .num_kv_heads = 8, .head_dim = 256},
    {.num_q_heads = 64, .num_kv_heads = 8, .head_dim = 64},
    {.num_q_heads = 14, .num_kv_heads = 2, .head_dim = 64},
    {.num_q_heads = 32, .num_kv_heads = 32, .head_dim = 96},
    {.num_q_heads = 3, .num_kv_heads = 1, .head_dim = 24, .head_dim_v = 512},
    {.num_q_heads = 3, .num_kv_heads = 2, .head_dim = 64},
    {.num_q_heads = 1, .num_kv_heads = 1, .head_dim = 20},
};

static const clattn_tuning tunings[] = {
    {.num_stages = 0}, {.family = CLATTN_FAMILY_SIMT},      {.family = CLATTN_FAMILY_VECTOR}, {.block_kv = 48},
    {.block_q = 128},  {.num_kv_pages_per_block = 2},       {.num_queries_per_block = 8},     {.num_warps = 2},
    {.block_kv = 7},   {.local_memory_limit_bytes = 20000},
};

static void assert_tile(const clattn_tuning_tile *answered, const clattn_row *row, clattn_phase phase)
{
    const clattn_tile *tile = &row->tiles[phase];
    assert_int_equal(answered->level, row->levels[phase]);
    assert_int_equal(answered->tile.block_q, tile->block_q);
    assert_int_equal(answered->tile.block_kv, tile->block_kv);
    assert_int_equal(answered->tile.work_group_size, tile->work_group_size);
    assert_int_equal(answered->tile.heads, tile->heads);
    assert_int_equal(answered->tile.lanes, tile->lanes);
    assert_int_equal(answered->tile.sub_group_size, tile->sub_group_size);
    if (row->local_argument_bytes[phase] > 0)
        assert_int_equal(answered->local_memory_bytes, row->local_argument_bytes[phase]);
}

/* Makes a plan of the same fields as a question; 1 if there is a row, 0 if both are refused alike. */
static int compare(const support_device *device, const clattn_tuning_query_params *question)
{
    const clattn_plan_params params = {
        .num_q_heads = question->num_q_heads,
        .num_kv_heads = question->num_kv_heads,
        .head_dim = question->head_dim,
        .head_dim_v = question->head_dim_v,
        .page_size = question->page_size,
        .kv_layout = question->kv_layout,
        .tuning = question->tuning,
    };
    clattn_plan *plan = NULL;
    clattn_tuning_answer answer;
    const clattn_status planned = clattn_plan_create(device->ctx, &params, &plan);
    const clattn_status answered = clattn_tuning_query(clattn_context_device(device->ctx), question, &answer);
    assert_int_equal(planned, answered);
    if (planned != CLATTN_OK) {
        assert_string_equal(clattn_context_last_error(device->ctx), answer.refusal);
        return 0;
    }
    assert_int_equal(answer.family, plan->row.family);
    assert_tile(&answer.decode, &plan->row, CLATTN_PHASE_DECODE);
    assert_tile(&answer.prefill, &plan->row, CLATTN_PHASE_PREFILL);
    assert_int_equal(answer.decode_max_rows, plan->row.decode_max_rows);
    assert_int_equal(answer.target_groups, plan->row.target_groups);
    assert_int_equal(answer.min_split_tokens, plan->row.min_split_tokens);
    clattn_plan_destroy(&plan);
    return 1;
}

static void plans_run_with_what_was_answered(void **state)
{
    const support_device *device = *state;
    const int num_questions = COUNT(shapes) * COUNT(tunings) * CLATTN_NUM_KV_LAYOUTS;
    int num_rows = 0;
    for (int i = 0; i < num_questions; i++) {
        clattn_tuning_query_params question = shapes[i % COUNT(shapes)];
        const clattn_tuning *tuning = &tunings[i / COUNT(shapes) % COUNT(tunings)];
        question.tuning = i / COUNT(shapes) % COUNT(tunings) == 0 ? NULL : tuning;
        question.kv_layout = (clattn_kv_layout)(i / COUNT(shapes) / COUNT(tunings));
        question.page_size = 1 + 15 * (i % 2);
        question.family = clattn_context_family(device->ctx);
        num_rows += compare(device, &question);
    }
    assert_true(num_rows >= num_questions / 4 && num_rows < num_questions);
}

static void a_context_of_no_family_runs_with_the_facts_choice(void **state)
{
    const support_device *device = *state;
    clattn_context *ctx = NULL;
    const clattn_context_params params = {.device = getenv("CLATTN_TEST_DEVICE"), .cache_dir = ""};
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    clattn_tuning_query_params question = shapes[0];
    clattn_tuning_answer answer;
    question.page_size = 16;
    assert_int_equal(clattn_tuning_query(clattn_context_device(device->ctx), &question, &answer), CLATTN_OK);
    assert_int_equal(answer.family, clattn_context_family(ctx));
    clattn_context_destroy(&ctx);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_run_with_what_was_answered),
        cmocka_unit_test(a_context_of_no_family_runs_with_the_facts_choice),
    };
    support_select_family(argc, argv);
    return cmocka_run_group_tests(tests, support_device_setup, support_device_teardown);
}
