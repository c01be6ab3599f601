/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clattn_ragged_decode_attention() and plans of a dense cache refuse: each cause once, with a call at the limit
 * that is accepted.
 */
#include "operation_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef clattn_ragged_decode_attention_params errors_params;

enum { BATCH = 3, SEQ_LEN = 13, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, HEAD_DIM = 16, HEAD_DIM_V = 24, NUM_SINKS = 3 };

/* Row 1 is empty, row 2 wants more than there is. */
static const int32_t sequence_start[BATCH] = {2, 7, -5};
static const int32_t sequence_end[BATCH] = {11, 7, SEQ_LEN + 4};

static const errors_params right_params = {.sequence_start = sequence_start, .sequence_end = sequence_end};

static const clattn_plan_params right_plan_params = {
    .num_seqs = BATCH,
    .total_tokens = BATCH,
    .context_lens = sequence_end,
    .sequence_start = sequence_start,
    .dense = true,
    .num_q_heads = NUM_Q_HEADS,
    .num_kv_heads = NUM_KV_HEADS,
    .head_dim = HEAD_DIM,
    .head_dim_v = HEAD_DIM_V,
    .page_size = SEQ_LEN,
    .num_pages = BATCH,
    .kv_layout = CLATTN_KV_NHD,
};

static clattn_status call(clattn_context *ctx, const void *params, cl_uint num_wait_events, const cl_event *wait_events,
                          cl_event *event)
{
    return clattn_ragged_decode_attention(ctx, params, num_wait_events, wait_events, event);
}

static void set_plan(void *params, const clattn_plan *plan)
{
    errors_params *decode = params;

    decode->plan = plan;
    decode->sequence_start = NULL;
    decode->sequence_end = NULL;
}

enum { QUERY, KEY, VALUE, OUT, LSE, SOFTMAX_AUX, NUM_TENSORS };

static const errors_operation ragged_decode_attention = {
    .call = call,
    .params_bytes = sizeof(errors_params),
    .set_plan = set_plan,
    .num_tensors = NUM_TENSORS,
    .tensors =
        {
            [QUERY] = {.name = "query",
                       .field = offsetof(errors_params, query),
                       .rank = 3,
                       .shape = {BATCH, NUM_Q_HEADS, HEAD_DIM},
                       .fixed = {false, false, true}},
            [KEY] = {.name = "key",
                     .field = offsetof(errors_params, key),
                     .rank = 4,
                     .shape = {BATCH, SEQ_LEN, NUM_KV_HEADS, HEAD_DIM},
                     .fixed = {true}},
            [VALUE] = {.name = "value",
                       .field = offsetof(errors_params, value),
                       .rank = 4,
                       .shape = {BATCH, SEQ_LEN, NUM_KV_HEADS, HEAD_DIM_V},
                       .fixed = {true, true, true}},
            [OUT] = {.name = "out",
                     .field = offsetof(errors_params, out),
                     .rank = 3,
                     .shape = {BATCH, NUM_Q_HEADS, HEAD_DIM_V},
                     .fixed = {true, true, true},
                     .result = true},
            [LSE] = {.name = "lse",
                     .field = offsetof(errors_params, lse),
                     .rank = 2,
                     .shape = {BATCH, NUM_Q_HEADS},
                     .fixed = {true, true},
                     .result = true,
                     .optional = true,
                     .float32_only = true},
            [SOFTMAX_AUX] = {.name = "softmax_aux",
                             .field = offsetof(errors_params, softmax_aux),
                             .rank = 2,
                             .shape = {NUM_KV_HEADS, NUM_SINKS},
                             .fixed = {true},
                             .optional = true,
                             .float32_only = true,
                             .rank_1_too = true},
        },
};

static int setup(void **state)
{
    return errors_setup(state, &ragged_decode_attention, &right_params, &right_plan_params);
}

static void missing_arguments_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_missing_arguments(problem);
    REFUSE(CLATTN_INVALID_ARGUMENT, "sequence_end", params.sequence_end = NULL);
    ACCEPT(params.sequence_start = NULL);
}

static void wrong_tensors_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_shapes(problem);
    errors_check_dtypes(problem);
    errors_check_buffers(problem);
    errors_check_offsets_and_strides(problem);
    errors_check_overlaps(problem);
    errors_check_foreign_buffers(problem);
    errors_check_wait_lists(problem);
}

static void wrong_sinks_are_refused(void **state)
{
    errors_problem *problem = *state;

    REFUSE(CLATTN_INVALID_SHAPE, "softmax_aux,rank,3,1,2",
           (params.softmax_aux.rank = 3, params.softmax_aux.shape[2] = 1));
    REFUSE(CLATTN_INVALID_SHAPE, "softmax_aux,dimension 0,4,2",
           (params.softmax_aux.shape[0] = NUM_Q_HEADS, params.softmax_aux.shape[1] = 1));
    ACCEPT((params.softmax_aux.rank = 1, params.softmax_aux.shape[0] = 1));
    ACCEPT((params.softmax_aux.rank = 1, params.softmax_aux.shape[0] = NUM_KV_HEADS * NUM_SINKS));
    ACCEPT(params.softmax_aux.shape[1] = 1);
}

static void set_num_q_heads(errors_params *params, int64_t num_q_heads)
{
    params->query.shape[1] = params->out.shape[1] = params->lse.shape[1] = num_q_heads;
}

static void set_batch(errors_params *params, int64_t batch)
{
    params->query.shape[0] = params->out.shape[0] = params->lse.shape[0] = batch;
    params->key.shape[0] = params->value.shape[0] = batch;
}

static void impossible_extents_are_refused(void **state)
{
    errors_problem *problem = *state;

    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads,3,num_kv_heads,2", set_num_q_heads(&params, 3));
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads,0", set_num_q_heads(&params, 0));
    REFUSE(CLATTN_INVALID_SHAPE, "heads", params.key.shape[2] = params.value.shape[2] = 0);
    REFUSE(CLATTN_INVALID_SHAPE, "seq_len,0", params.key.shape[1] = params.value.shape[1] = 0);
    ACCEPT(params.key.shape[1] = params.value.shape[1] = 1);
    ACCEPT(set_num_q_heads(&params, 2));
    ACCEPT(set_batch(&params, 0));
    ACCEPT((set_batch(&params, 0), params.sequence_start = params.sequence_end = NULL));
}

static void unsupported_head_dims_are_refused(void **state)
{
    static const bool has_head_dim[ERRORS_MAX_TENSORS] = {[QUERY] = true, [KEY] = true};
    static const bool has_head_dim_v[ERRORS_MAX_TENSORS] = {[VALUE] = true, [OUT] = true};

    errors_check_widths(*state, has_head_dim, "head_dim");
    errors_check_widths(*state, has_head_dim_v, "head_dim_v");
}

/* Both numbers of a range are free: none is an error. */
static void any_range_is_accepted(void **state)
{
    errors_problem *problem = *state;
    static const int32_t clamped_start[BATCH] = {2, INT32_MAX, INT32_MIN};
    static const int32_t clamped_end[BATCH] = {11, INT32_MIN, INT32_MAX};

    ACCEPT_SAME((params.sequence_start = clamped_start, params.sequence_end = clamped_end));
}

static void windows_below_unlimited_are_refused(void **state)
{
    errors_problem *problem = *state;
    const clattn_window left = {.left = -2, .right = -1};
    const clattn_window right = {.left = -1, .right = -2};
    const clattn_window unlimited[] = {{-1, -1}, {-1, 0}, {INT32_MAX, INT32_MAX}, {SEQ_LEN + 3, 0}};
    const clattn_window own_key = {.left = 0, .right = 0};

    REFUSE(CLATTN_INVALID_ARGUMENT, "sliding_window,-2,-1", params.sliding_window = &left);
    REFUSE(CLATTN_INVALID_ARGUMENT, "sliding_window,-1,-2", params.sliding_window = &right);
    for (size_t i = 0; i < sizeof(unlimited) / sizeof(unlimited[0]); i++)
        ACCEPT_SAME(params.sliding_window = &unlimited[i]);
    ACCEPT(params.sliding_window = &own_key);
}

static void options_out_of_range_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_mask_value(problem, offsetof(errors_params, mask_value));
    errors_check_softmax_scale(problem, offsetof(errors_params, softmax_scale), 0.25f);
    errors_check_soft_cap(problem, offsetof(errors_params, logits_soft_cap));
    errors_check_compute_dtype(problem, offsetof(errors_params, compute_dtype));
    errors_check_splits(problem, offsetof(errors_params, num_splits), offsetof(errors_params, batch_invariant));
    errors_check_tuning(problem, offsetof(errors_params, tuning));
}

static void a_plan_for_another_problem_is_refused(void **state)
{
    errors_problem *problem = *state;

    ACCEPT_PLAN((void)0);
    REFUSE_MISMATCH("plan,total_tokens,2,3", params.num_seqs = params.total_tokens = params.num_pages = 2);
    REFUSE_MISMATCH("plan,num_q_heads,8,4", params.num_q_heads = 8);
    REFUSE_MISMATCH("plan,num_kv_heads,4,2", params.num_kv_heads = 4);
    REFUSE_MISMATCH("plan,head_dim,24,16", params.head_dim = 24);
    REFUSE_MISMATCH("plan,head_dim_v,16,24", params.head_dim_v = 0);
    REFUSE_MISMATCH("plan,seq_len,14,13", params.page_size = SEQ_LEN + 1);
    REFUSE_MISMATCH("plan,4,3", params.num_pages = BATCH + 1);
    REFUSE_MISMATCH("plan,window", params.sliding_window = 3);
    errors_check_foreign_plan(problem);
}

/* (L, R) sees L + 1 keys, and that is the plan's window. */
static void a_plan_with_another_window_is_refused(void **state)
{
    errors_problem *problem = *state;
    const clattn_window window = {.left = 2, .right = -1};
    const clattn_window wider = {.left = 3, .right = -1};
    clattn_plan_params with_window = right_plan_params;
    clattn_plan *plan = NULL;

    with_window.sliding_window = 3;
    assert_int_equal(clattn_plan_create(problem->device->ctx, &with_window, &plan), CLATTN_OK);
    ACCEPT((set_plan(&params, plan), params.sliding_window = &window));
    REFUSE(CLATTN_PLAN_MISMATCH, "plan,window", (set_plan(&params, plan), params.sliding_window = &wider));
    REFUSE(CLATTN_PLAN_MISMATCH, "plan,window", set_plan(&params, plan));
    clattn_plan_destroy(&plan);
}

/* Over pages of seq_len tokens, sequence s in page s: the same keys, but not a dense plan. */
static void a_plan_of_pages_is_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t context_lens[BATCH] = {11, 7, SEQ_LEN};
    static const int32_t block_tables[BATCH] = {0, 1, 2};
    static const int32_t query_start_loc[BATCH + 1] = {0, 1, 2, 3};
    static const int32_t uneven[BATCH + 1] = {0, 2, 2, 3};
    clattn_plan_params paged = right_plan_params;

    paged.dense = false;
    paged.sequence_start = NULL;
    paged.context_lens = context_lens;
    paged.block_tables = block_tables;
    paged.pages_per_seq = 1;
    errors_expect_plan_mismatch(problem, &paged, "plan,dense");
    paged.query_start_loc = query_start_loc;
    errors_expect_plan_mismatch(problem, &paged, "plan,dense");
    paged.query_start_loc = uneven;
    errors_expect_plan_mismatch(problem, &paged, "plan");
}

static void a_plan_together_with_a_batch_is_refused(void **state)
{
    errors_problem *problem = *state;
    const clattn_tuning tuning = {0};
    clattn_plan *plan = NULL;

    assert_int_equal(clattn_plan_create(problem->device->ctx, &right_plan_params, &plan), CLATTN_OK);
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.sequence_start = sequence_start));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.sequence_end = sequence_end));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.num_splits = 1));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.batch_invariant = true));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.tuning = &tuning));
    ACCEPT_SAME(set_plan(&params, plan));
    clattn_plan_destroy(&plan);
}

static void contradictory_dense_plans_are_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t block_tables[BATCH] = {0, 1, 2};
    static const int32_t query_start_loc[BATCH + 1] = {0, 1, 2, 3};

    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "block_tables,dense", params.block_tables = block_tables);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "pages_per_seq,dense", params.pages_per_seq = 1);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "query_start_loc,dense", params.query_start_loc = query_start_loc);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "sequence_start,dense", {
        params.dense = false;
        params.context_lens = query_start_loc;
        params.block_tables = block_tables;
        params.pages_per_seq = 1;
    });
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "context_lens", params.context_lens = NULL);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "num_pages,2,3", params.num_pages = BATCH - 1);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "page_size,0", params.page_size = 0);
    REFUSE_PLAN(CLATTN_INVALID_BATCH, "total_tokens,4,3", params.total_tokens = BATCH + 1);
    REFUSE_PLAN(CLATTN_INVALID_BATCH, "total_tokens,2,3", params.total_tokens = BATCH - 1);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,12", params.head_dim_v = 12);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,520", params.head_dim_v = 520);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "sliding_window,-1", params.sliding_window = -1);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(wrong_sinks_are_refused),
        cmocka_unit_test(impossible_extents_are_refused),
        cmocka_unit_test(unsupported_head_dims_are_refused),
        cmocka_unit_test(any_range_is_accepted),
        cmocka_unit_test(windows_below_unlimited_are_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_plan_for_another_problem_is_refused),
        cmocka_unit_test(a_plan_with_another_window_is_refused),
        cmocka_unit_test(a_plan_of_pages_is_refused),
        cmocka_unit_test(a_plan_together_with_a_batch_is_refused),
        cmocka_unit_test(contradictory_dense_plans_are_refused),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("ragged_decode_errors", tests, setup, errors_teardown);
}
