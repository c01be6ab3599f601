/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clattn_ragged_attention() refuses: each cause once, with a call at the limit that is accepted. The plans of a
 * dense cache themselves are looked at in test_ragged_decode_errors.c.
 */
#include "operation_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef clattn_ragged_attention_params errors_params;

enum { BATCH = 3, SEQ_LEN = 13, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, HEAD_DIM = 16, HEAD_DIM_V = 24 };

/* Row 1 is empty, row 2 wants more than there is. */
static const int32_t starts[BATCH] = {2, 7, -5};
static const int32_t lengths[BATCH] = {11, 7, SEQ_LEN + 4};

static const errors_params right_params = {.starts = starts, .lengths = lengths};

static const clattn_plan_params right_plan_params = {
    .num_seqs = BATCH,
    .total_tokens = BATCH,
    .context_lens = lengths,
    .sequence_start = starts,
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
    return clattn_ragged_attention(ctx, params, num_wait_events, wait_events, event);
}

static void set_plan(void *params, const clattn_plan *plan)
{
    errors_params *ragged = params;

    ragged->plan = plan;
    ragged->starts = NULL;
    ragged->lengths = NULL;
}

enum { QUERY, KEY, VALUE, OUT, MAX, DENOMINATOR, NUM_TENSORS };

static const errors_operation ragged_attention = {
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
                     .result = true,
                     .float32_only = true},
            [MAX] = {.name = "max",
                     .field = offsetof(errors_params, max),
                     .rank = 2,
                     .shape = {BATCH, NUM_Q_HEADS},
                     .fixed = {true, true},
                     .result = true,
                     .float32_only = true},
            [DENOMINATOR] = {.name = "denominator",
                             .field = offsetof(errors_params, denominator),
                             .rank = 2,
                             .shape = {BATCH, NUM_Q_HEADS},
                             .fixed = {true, true},
                             .result = true,
                             .float32_only = true},
        },
};

static int setup(void **state)
{
    return errors_setup(state, &ragged_attention, &right_params, &right_plan_params);
}

static void missing_arguments_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_missing_arguments(problem);
    REFUSE(CLATTN_INVALID_ARGUMENT, "lengths", params.lengths = NULL);
    ACCEPT(params.starts = NULL);
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

static void set_num_q_heads(errors_params *params, int64_t num_q_heads)
{
    params->query.shape[1] = params->out.shape[1] = num_q_heads;
    params->max.shape[1] = params->denominator.shape[1] = num_q_heads;
}

static void set_batch(errors_params *params, int64_t batch)
{
    params->query.shape[0] = params->key.shape[0] = params->value.shape[0] = batch;
    params->out.shape[0] = params->max.shape[0] = params->denominator.shape[0] = batch;
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
    ACCEPT((set_batch(&params, 0), params.starts = params.lengths = NULL));
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
    static const int32_t clamped_starts[BATCH] = {2, INT32_MAX, INT32_MIN};
    static const int32_t clamped_lengths[BATCH] = {11, INT32_MIN, INT32_MAX};

    ACCEPT_SAME((params.starts = clamped_starts, params.lengths = clamped_lengths));
}

static void options_out_of_range_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_mask_value(problem, offsetof(errors_params, mask_value));
    errors_check_softmax_scale(problem, offsetof(errors_params, softmax_scale), 1.0f);
    errors_check_compute_dtype(problem, offsetof(errors_params, compute_dtype));
    errors_check_splits(problem, offsetof(errors_params, num_splits), offsetof(errors_params, batch_invariant));
    errors_check_tuning(problem, offsetof(errors_params, tuning));
    ACCEPT(params.numerator = true);
}

static void a_plan_for_another_problem_is_refused(void **state)
{
    errors_problem *problem = *state;

    errors_expect_plan_same(problem, &right_plan_params);
    REFUSE_MISMATCH("plan,total_tokens,2,3", params.num_seqs = params.total_tokens = params.num_pages = 2);
    REFUSE_MISMATCH("plan,num_q_heads,8,4", params.num_q_heads = 8);
    REFUSE_MISMATCH("plan,num_kv_heads,4,2", params.num_kv_heads = 4);
    REFUSE_MISMATCH("plan,head_dim,24,16", params.head_dim = 24);
    REFUSE_MISMATCH("plan,head_dim_v,16,24", params.head_dim_v = 0);
    REFUSE_MISMATCH("plan,seq_len,14,13", params.page_size = SEQ_LEN + 1);
    REFUSE_MISMATCH("plan,4,3", params.num_pages = BATCH + 1);
    REFUSE_MISMATCH("plan,window", params.sliding_window = SEQ_LEN + 4);
    errors_check_foreign_plan(problem);
}

/* Over pages of seq_len tokens, sequence s in page s: the same keys, but not a dense plan. */
static void a_plan_of_pages_is_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t context_lens[BATCH] = {11, 7, SEQ_LEN};
    static const int32_t block_tables[BATCH] = {0, 1, 2};

    REFUSE_MISMATCH("plan,dense", {
        params.dense = false;
        params.sequence_start = NULL;
        params.context_lens = context_lens;
        params.block_tables = block_tables;
        params.pages_per_seq = 1;
    });
}

static void a_plan_together_with_a_batch_is_refused(void **state)
{
    errors_problem *problem = *state;
    const clattn_tuning tuning = {0};
    clattn_plan *plan = NULL;

    assert_int_equal(clattn_plan_create(problem->device->ctx, &right_plan_params, &plan), CLATTN_OK);
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.starts = starts));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.lengths = lengths));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.num_splits = 1));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.batch_invariant = true));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.tuning = &tuning));
    ACCEPT_SAME(set_plan(&params, plan));
    clattn_plan_destroy(&plan);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(impossible_extents_are_refused),
        cmocka_unit_test(unsupported_head_dims_are_refused),
        cmocka_unit_test(any_range_is_accepted),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_plan_for_another_problem_is_refused),
        cmocka_unit_test(a_plan_of_pages_is_refused),
        cmocka_unit_test(a_plan_together_with_a_batch_is_refused),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("ragged_errors", tests, setup, errors_teardown);
}
