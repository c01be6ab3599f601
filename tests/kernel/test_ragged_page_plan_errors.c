/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plans refuse: clattn_plan_create() gives NULL then, clattn_plan_update() leaves the plan as it was; and calls
 * with a plan that was made for another problem.
 */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const int32_t q_lens[] = {1, 12};
static const int32_t context_lens[] = {9, 12};

static const support_attention_case small_batch = {
    .seed = 1,
    .num_seqs = 2,
    .q_lens = q_lens,
    .context_lens = context_lens,
    .num_q_heads = 4,
    .num_kv_heads = 2,
    .head_dim = 16,
    .page_size = 4,
    .lse = true,
};

static void expect_refusal(const support_device *device, clattn_status status, clattn_status expected, const char *word)
{
    const char *sentence = clattn_context_last_error(device->ctx);

    if (status != expected || !strstr(sentence, word))
        fail_msg("expected=%s status=%s word=\"%s\" error=\"%s\"", clattn_status_name(expected),
                 clattn_status_name(status), word, sentence);
}

static void call_and_check(support_attention *ragged, const support_device *device, const clattn_plan *plan)
{
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, plan);

    support_attention_reset(ragged, device);
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL), CLATTN_OK);
    support_attention_read(ragged, device);
    support_attention_check(ragged);
}

/* `plan` was made for the right problem and must still serve it after the refused update. */
static void refuse(support_attention *ragged, const support_device *device, clattn_plan *plan,
                   const clattn_plan_params *params, clattn_status expected, const char *word)
{
    clattn_plan *created = plan; /* must be overwritten */

    expect_refusal(device, clattn_plan_create(device->ctx, params, &created), expected, word);
    assert_null(created);
    expect_refusal(device, clattn_plan_update(plan, params), expected, word);
    call_and_check(ragged, device, plan);
}

/* `change` spoils a fresh copy of the right parameters, which it sees as `params`. */
#define REFUSE(status, word, change)                                                                                   \
    do {                                                                                                               \
        clattn_plan_params params = support_attention_plan_params(ragged);                                             \
        change;                                                                                                        \
        refuse(ragged, device, plan, &params, (status), (word));                                                       \
    } while (0)

static clattn_plan *create_plan(const support_device *device, const clattn_plan_params *params)
{
    clattn_plan *plan = NULL;

    if (clattn_plan_create(device->ctx, params, &plan) != CLATTN_OK)
        fail_msg("error=\"%s\"", clattn_context_last_error(device->ctx));
    assert_non_null(plan);
    return plan;
}

static void missing_arguments_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params right = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &right);
    clattn_plan *other = plan;
    clattn_plan_info info;

    assert_int_equal(clattn_plan_create(NULL, &right, &other), CLATTN_INVALID_ARGUMENT);
    assert_null(other);
    assert_int_equal(clattn_plan_create(device->ctx, &right, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_plan_update(NULL, &right), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_plan_get_info(NULL, &info), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_plan_get_info(plan, NULL), CLATTN_INVALID_ARGUMENT);
    refuse(ragged, device, plan, NULL, CLATTN_INVALID_ARGUMENT, "params");
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.query_start_loc = NULL); /* one query each are too few */
    REFUSE(CLATTN_INVALID_ARGUMENT, "context_lens", params.context_lens = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "block_tables", params.block_tables = NULL);
    clattn_plan_destroy(NULL);
    clattn_plan_destroy(&other);
    clattn_plan_destroy(&plan);
    assert_null(plan);
    support_attention_destroy(&ragged);
}

static void counts_and_options_out_of_range_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params right = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &right);

    REFUSE(CLATTN_INVALID_ARGUMENT, "num_seqs", params.num_seqs = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "total_tokens", params.total_tokens = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "pages_per_seq", params.pages_per_seq = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads", params.num_q_heads = 0);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads", params.num_q_heads = 5);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_kv_heads", params.num_kv_heads = 0);
    REFUSE(CLATTN_INVALID_ARGUMENT, "page_size", params.page_size = 0);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_pages", params.num_pages = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = CLATTN_NUM_KV_LAYOUTS);
    REFUSE(CLATTN_INVALID_ARGUMENT, "sliding_window", params.sliding_window = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_splits", params.num_splits = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "batch_invariant", (params.num_splits = 1, params.batch_invariant = true));
    REFUSE(CLATTN_UNSUPPORTED, "head_dim", params.head_dim = 0);
    REFUSE(CLATTN_UNSUPPORTED, "head_dim", params.head_dim = 4);
    REFUSE(CLATTN_UNSUPPORTED, "head_dim", params.head_dim = 12);
    REFUSE(CLATTN_UNSUPPORTED, "head_dim", params.head_dim = 520);
    REFUSE(CLATTN_SIZE_OVERFLOW, "total_tokens", params.total_tokens = INT32_MAX);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

static void contradictory_batches_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params right = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &right);
    static const int32_t not_from_zero[] = {1, 1, 13};
    static const int32_t decreasing[] = {0, 13, 12};
    static const int32_t too_short[] = {9, 11};
    const clattn_tuning deep = {.num_stages = 2};

    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.query_start_loc = not_from_zero);
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.query_start_loc = decreasing);
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.total_tokens = 12);
    REFUSE(CLATTN_INVALID_BATCH, "sequence 1", params.context_lens = too_short);
    REFUSE(CLATTN_INVALID_BATCH, "pages_per_seq", params.pages_per_seq = 2);
    REFUSE(CLATTN_INVALID_PAGE, "block_tables", params.num_pages = 1);
    REFUSE(CLATTN_INVALID_TUNING, "num_stages", params.tuning = &deep);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

static void slots_out_of_range_or_given_twice_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params right = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &right);
    const int64_t num_slots = (int64_t)ragged->num_pages * small_batch.page_size;
    int64_t slots[13];

    assert_int_equal(ragged->total_tokens, 13);
    for (int64_t i = 0; i < 13; i++)
        slots[i] = num_slots - 1 - i; /* the largest slot at the limit */
    clattn_plan_params with_slots = right;
    with_slots.slot_mapping = slots;
    assert_int_equal(clattn_plan_update(plan, &with_slots), CLATTN_OK);
    slots[3] = num_slots;
    REFUSE(CLATTN_INVALID_PAGE, "slot", params.slot_mapping = slots);
    slots[3] = -1;
    REFUSE(CLATTN_INVALID_PAGE, "slot", params.slot_mapping = slots);
    slots[3] = slots[9];
    REFUSE(CLATTN_INVALID_PAGE, "slot", params.slot_mapping = slots);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

/* A call with a plan whose parameters `change` made different from the call's. */
#define REFUSE_MISMATCH(word, change)                                                                                  \
    do {                                                                                                               \
        clattn_plan_params params = support_attention_plan_params(ragged);                                             \
        change;                                                                                                        \
        clattn_plan *plan = create_plan(device, &params);                                                              \
        refuse_call(ragged, device, plan, CLATTN_PLAN_MISMATCH, (word));                                               \
        clattn_plan_destroy(&plan);                                                                                    \
    } while (0)

static void expect_untouched(support_attention *ragged, const support_device *device)
{
    support_require_cl(clFinish(device->queue), "clFinish");
    support_image_download(&ragged->out, device);
    assert_true(support_image_is_untouched(&ragged->out));
}

static void refuse_call(support_attention *ragged, const support_device *device, const clattn_plan *plan,
                        clattn_status expected, const char *word)
{
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, plan);
    cl_event event = (cl_event)(void *)ragged; /* must be overwritten */

    support_attention_reset(ragged, device);
    expect_refusal(device, clattn_ragged_page_attention(device->ctx, &params, 0, NULL, &event), expected, word);
    assert_null(event);
    expect_untouched(ragged, device);
}

static void a_plan_for_another_problem_is_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);

    REFUSE_MISMATCH("total_tokens", params.total_tokens = 14);
    REFUSE_MISMATCH("num_q_heads", params.num_q_heads = 8);
    REFUSE_MISMATCH("num_kv_heads", params.num_kv_heads = 4);
    REFUSE_MISMATCH("head_dim", params.head_dim = 24);
    REFUSE_MISMATCH("page_size", params.page_size = 5);
    REFUSE_MISMATCH("pages", params.num_pages += 1);
    REFUSE_MISMATCH("window", params.sliding_window = 3);
    REFUSE_MISMATCH("pages", params.kv_layout = CLATTN_KV_HND);
    support_attention_destroy(&ragged);
}

static void a_plan_of_another_context_is_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params params = support_attention_plan_params(ragged);
    void *other_state = NULL;
    clattn_plan *foreign;

    assert_int_equal(support_device_setup(&other_state), 0);
    foreign = create_plan(other_state, &params);
    refuse_call(ragged, device, foreign, CLATTN_PLAN_MISMATCH, "context");
    clattn_plan_destroy(&foreign);
    support_device_teardown(&other_state);
    support_attention_destroy(&ragged);
}

static void a_plan_together_with_a_batch_is_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = support_attention_create(device, &small_batch);
    const clattn_plan_params right = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &right);
    const clattn_tuning tuning = {0};
    clattn_ragged_page_attention_params calls[6];

    for (int i = 0; i < 6; i++)
        calls[i] = support_attention_ragged_page_params(ragged, plan);
    calls[0].num_seqs = 2;
    calls[1].query_start_loc = ragged->query_start_loc;
    calls[2].block_tables = ragged->block_tables;
    calls[3].num_splits = 1;
    calls[4].batch_invariant = true;
    calls[5].tuning = &tuning;
    for (int i = 0; i < 6; i++) {
        support_attention_reset(ragged, device);
        expect_refusal(device, clattn_ragged_page_attention(device->ctx, &calls[i], 0, NULL, NULL),
                       CLATTN_INVALID_ARGUMENT, "plan");
        expect_untouched(ragged, device);
    }
    call_and_check(ragged, device, plan);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(counts_and_options_out_of_range_are_refused),
        cmocka_unit_test(contradictory_batches_are_refused),
        cmocka_unit_test(slots_out_of_range_or_given_twice_are_refused),
        cmocka_unit_test(a_plan_for_another_problem_is_refused),
        cmocka_unit_test(a_plan_of_another_context_is_refused),
        cmocka_unit_test(a_plan_together_with_a_batch_is_refused),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_plan_errors", tests, sizeof(tests) / sizeof(tests[0]));
}
