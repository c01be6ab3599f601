/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clattn_page_attention() and plans without query_start_loc refuse: each cause once, with a call at the limit that
 * is accepted.
 */
#include "operation_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef clattn_page_attention_params errors_params;

enum { NUM_SEQS = 3, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, HEAD_DIM = 16, HEAD_DIM_V = 24, PAGE_SIZE = 4, NUM_PAGES = 9 };
enum { PAGES_PER_SEQ = 4, LONGEST = 12 };

/* Sequence 2 uses three entries of its row, sequence 1 none; what stands behind the used ones is garbage. */
static const int32_t context_lens[NUM_SEQS] = {9, 0, LONGEST};
static const int32_t block_tables[NUM_SEQS * PAGES_PER_SEQ] = {4, 0, 8, -1, INT32_MIN, -1, 77, 9, 5, 2, 7, INT32_MAX};

static const errors_params right_params = {
    .kv_layout = CLATTN_KV_HND,
    .max_context_len = LONGEST,
    .context_lens = context_lens,
    .block_tables = block_tables,
    .pages_per_seq = PAGES_PER_SEQ,
};

static const clattn_plan_params right_plan_params = {
    .num_seqs = NUM_SEQS,
    .total_tokens = NUM_SEQS,
    .context_lens = context_lens,
    .block_tables = block_tables,
    .pages_per_seq = PAGES_PER_SEQ,
    .num_q_heads = NUM_Q_HEADS,
    .num_kv_heads = NUM_KV_HEADS,
    .head_dim = HEAD_DIM,
    .head_dim_v = HEAD_DIM_V,
    .page_size = PAGE_SIZE,
    .num_pages = NUM_PAGES,
    .kv_layout = CLATTN_KV_HND,
};

static clattn_status call(clattn_context *ctx, const void *params, cl_uint num_wait_events, const cl_event *wait_events,
                          cl_event *event)
{
    return clattn_page_attention(ctx, params, num_wait_events, wait_events, event);
}

static void set_plan(void *params, const clattn_plan *plan)
{
    errors_params *page = params;

    page->plan = plan;
    page->context_lens = NULL;
    page->block_tables = NULL;
    page->pages_per_seq = 0;
}

enum { QUERY, KEY_CACHE, VALUE_CACHE, OUT, LSE, SOFTMAX_AUX, NUM_TENSORS };

static const errors_operation page_attention = {
    .call = call,
    .params_bytes = sizeof(errors_params),
    .set_plan = set_plan,
    .num_tensors = NUM_TENSORS,
    .tensors =
        {
            [QUERY] = {.name = "query",
                       .field = offsetof(errors_params, query),
                       .rank = 3,
                       .shape = {NUM_SEQS, NUM_Q_HEADS, HEAD_DIM},
                       .fixed = {false, false, true}},
            [KEY_CACHE] = {.name = "key_cache",
                           .field = offsetof(errors_params, key_cache),
                           .rank = 4,
                           .shape = {NUM_PAGES, NUM_KV_HEADS, PAGE_SIZE, HEAD_DIM}},
            [VALUE_CACHE] = {.name = "value_cache",
                             .field = offsetof(errors_params, value_cache),
                             .rank = 4,
                             .shape = {NUM_PAGES, NUM_KV_HEADS, PAGE_SIZE, HEAD_DIM_V},
                             .fixed = {true, true, true}},
            [OUT] = {.name = "out",
                     .field = offsetof(errors_params, out),
                     .rank = 3,
                     .shape = {NUM_SEQS, NUM_Q_HEADS, HEAD_DIM_V},
                     .fixed = {true, true, true},
                     .result = true},
            [LSE] = {.name = "lse",
                     .field = offsetof(errors_params, lse),
                     .rank = 2,
                     .shape = {NUM_SEQS, NUM_Q_HEADS},
                     .fixed = {true, true},
                     .result = true,
                     .optional = true,
                     .float32_only = true},
            [SOFTMAX_AUX] = {.name = "softmax_aux",
                             .field = offsetof(errors_params, softmax_aux),
                             .rank = 1,
                             .shape = {NUM_Q_HEADS},
                             .fixed = {true},
                             .optional = true,
                             .float32_only = true},
        },
};

static int setup(void **state)
{
    return errors_setup(state, &page_attention, &right_params, &right_plan_params);
}

static void missing_arguments_are_refused(void **state)
{
    errors_problem *problem = *state;

    errors_check_missing_arguments(problem);
    REFUSE(CLATTN_INVALID_ARGUMENT, "context_lens", params.context_lens = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "block_tables", params.block_tables = NULL);
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
    params->query.shape[1] = params->out.shape[1] = params->lse.shape[1] = params->softmax_aux.shape[0] = num_q_heads;
}

static void impossible_extents_are_refused(void **state)
{
    errors_problem *problem = *state;

    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads,3,num_kv_heads,2", set_num_q_heads(&params, 3));
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads,0", set_num_q_heads(&params, 0));
    REFUSE(CLATTN_INVALID_SHAPE, "heads", params.key_cache.shape[1] = params.value_cache.shape[1] = 0);
    REFUSE(CLATTN_INVALID_SHAPE, "page_size,0", params.key_cache.shape[2] = params.value_cache.shape[2] = 0);
    ACCEPT(set_num_q_heads(&params, 2));
    ACCEPT(params.query.shape[0] = params.out.shape[0] = params.lse.shape[0] = 0);
}

static void unsupported_head_dims_are_refused(void **state)
{
    static const bool has_head_dim[ERRORS_MAX_TENSORS] = {[QUERY] = true, [KEY_CACHE] = true};
    static const bool has_head_dim_v[ERRORS_MAX_TENSORS] = {[VALUE_CACHE] = true, [OUT] = true};

    errors_check_widths(*state, has_head_dim, "head_dim");
    errors_check_widths(*state, has_head_dim_v, "head_dim_v");
}

static void layouts_without_two_tensors_are_refused(void **state)
{
    errors_problem *problem = *state;

    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout,combined", params.kv_layout = CLATTN_KV_COMBINED);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = CLATTN_NUM_KV_LAYOUTS);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = (clattn_kv_layout)-1);
}

static void contradictory_batches_are_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t negative[NUM_SEQS] = {9, -1, LONGEST};
    static const int32_t full[NUM_SEQS] = {9, 0, PAGES_PER_SEQ * PAGE_SIZE};
    static const int32_t too_long[NUM_SEQS] = {9, 0, PAGES_PER_SEQ * PAGE_SIZE + 1};
    int32_t tables[NUM_SEQS * PAGES_PER_SEQ];

    memcpy(tables, block_tables, sizeof(tables));
    tables[2 * PAGES_PER_SEQ + 3] = 0;
    REFUSE(CLATTN_INVALID_BATCH, "context_lens[1],-1", params.context_lens = negative);
    REFUSE(CLATTN_INVALID_ARGUMENT, "pages_per_seq,-1", params.pages_per_seq = -1);
    ACCEPT((params.context_lens = full, params.block_tables = tables, params.max_context_len = 0));
    REFUSE(CLATTN_INVALID_BATCH, "sequence 2,5,17,pages_per_seq,4",
           (params.context_lens = too_long, params.block_tables = tables, params.max_context_len = 0));
}

static void a_table_of_just_the_used_entries_is_enough(void **state)
{
    errors_problem *problem = *state;
    static const int32_t tables[NUM_SEQS * 3] = {4, 0, 8, -1, -1, -1, 5, 2, 7};

    ACCEPT_SAME((params.block_tables = tables, params.pages_per_seq = 3));
    REFUSE(CLATTN_INVALID_BATCH, "sequence 0,3,9,pages_per_seq,2",
           (params.block_tables = tables, params.pages_per_seq = 2));
}

static void pages_out_of_range_are_refused_only_where_used(void **state)
{
    errors_problem *problem = *state;
    int32_t tables[NUM_SEQS * PAGES_PER_SEQ];

    memcpy(tables, block_tables, sizeof(tables));
    tables[2 * PAGES_PER_SEQ + 2] = NUM_PAGES;
    REFUSE(CLATTN_INVALID_PAGE, "sequence 2,logical page 2,9", params.block_tables = tables);
    tables[2 * PAGES_PER_SEQ + 2] = NUM_PAGES - 1;
    ACCEPT(params.block_tables = tables);
    tables[0] = -7;
    REFUSE(CLATTN_INVALID_PAGE, "sequence 0,logical page 0,-7", params.block_tables = tables);
}

static void a_longer_row_than_promised_is_refused(void **state)
{
    errors_problem *problem = *state;

    ACCEPT_SAME(params.max_context_len = 0);
    ACCEPT_SAME(params.max_context_len = INT32_MAX);
    REFUSE(CLATTN_INVALID_BATCH, "context_lens[2],12,max_context_len,11", params.max_context_len = LONGEST - 1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "max_context_len,-1", params.max_context_len = -1);
}

static void a_plan_with_a_longer_row_than_promised_is_refused(void **state)
{
    errors_problem *problem = *state;
    clattn_plan *plan = NULL;

    assert_int_equal(clattn_plan_create(problem->device->ctx, &right_plan_params, &plan), CLATTN_OK);
    ACCEPT_SAME(set_plan(&params, plan));
    REFUSE(CLATTN_INVALID_BATCH, "12,max_context_len,11",
           (set_plan(&params, plan), params.max_context_len = LONGEST - 1));
    REFUSE(CLATTN_INVALID_ARGUMENT, "max_context_len,-1", (set_plan(&params, plan), params.max_context_len = -1));
    clattn_plan_destroy(&plan);
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
    REFUSE(CLATTN_INVALID_ARGUMENT, "sliding_window,-1", params.sliding_window = -1);
    ACCEPT_SAME(params.sliding_window = LONGEST);
    ACCEPT(params.sliding_window = 1);
}

static void a_plan_for_another_problem_is_refused(void **state)
{
    errors_problem *problem = *state;

    ACCEPT_PLAN((void)0);
    REFUSE_MISMATCH("plan,total_tokens,2,3", params.num_seqs = params.total_tokens = 2);
    REFUSE_MISMATCH("plan,num_q_heads,8,4", params.num_q_heads = 8);
    REFUSE_MISMATCH("plan,num_kv_heads,4,2", params.num_kv_heads = 4);
    REFUSE_MISMATCH("plan,head_dim,24,16", params.head_dim = 24);
    REFUSE_MISMATCH("plan,head_dim_v,16,24", params.head_dim_v = 0);
    REFUSE_MISMATCH("plan,page_size,5,4", params.page_size = 5);
    REFUSE_MISMATCH("plan,window", params.sliding_window = 3);
    REFUSE_MISMATCH("plan,pages", params.kv_layout = CLATTN_KV_NHD);
    REFUSE_MISMATCH("plan,10,pages,9", params.num_pages = NUM_PAGES + 1);
    errors_check_foreign_plan(problem);
}

/* Query tokens {2, 0, 1} are as many as there are sequences, but not one for each. */
static void a_plan_of_another_form_is_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t uneven[NUM_SEQS + 1] = {0, 2, 2, 3};
    static const int32_t prefill[2] = {0, NUM_SEQS};

    REFUSE_MISMATCH("plan,quer", params.query_start_loc = uneven);
    REFUSE_MISMATCH("plan,quer", (params.query_start_loc = prefill, params.num_seqs = 1));
    REFUSE_MISMATCH("plan,dense", (params.dense = true, params.block_tables = NULL, params.pages_per_seq = 0));
}

static void a_plan_together_with_a_batch_is_refused(void **state)
{
    errors_problem *problem = *state;
    const clattn_tuning tuning = {0};
    clattn_plan *plan = NULL;

    assert_int_equal(clattn_plan_create(problem->device->ctx, &right_plan_params, &plan), CLATTN_OK);
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.context_lens = context_lens));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.block_tables = block_tables));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.pages_per_seq = 4));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.num_splits = 1));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.batch_invariant = true));
    REFUSE(CLATTN_INVALID_ARGUMENT, "plan,batch", (set_plan(&params, plan), params.tuning = &tuning));
    ACCEPT_SAME(set_plan(&params, plan));
    clattn_plan_destroy(&plan);
}

static void contradictory_plans_without_query_starts_are_refused(void **state)
{
    errors_problem *problem = *state;
    static const int32_t starts[NUM_SEQS] = {0};
    static const int32_t negative[NUM_SEQS] = {9, -1, LONGEST};

    REFUSE_PLAN(CLATTN_INVALID_BATCH, "total_tokens,4,3", params.total_tokens = NUM_SEQS + 1);
    REFUSE_PLAN(CLATTN_INVALID_BATCH, "total_tokens,2,3", params.total_tokens = NUM_SEQS - 1);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "sequence_start", params.sequence_start = starts);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "context_lens", params.context_lens = NULL);
    REFUSE_PLAN(CLATTN_INVALID_ARGUMENT, "block_tables", params.block_tables = NULL);
    REFUSE_PLAN(CLATTN_INVALID_BATCH, "context_lens[1],-1", params.context_lens = negative);
    REFUSE_PLAN(CLATTN_INVALID_PAGE, "sequence 0,logical page 2,8", params.num_pages = 8);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,4", params.head_dim_v = 4);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,12", params.head_dim_v = 12);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,520", params.head_dim_v = 520);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim_v,-8", params.head_dim_v = -8);
    REFUSE_PLAN(CLATTN_UNSUPPORTED, "head_dim,520", params.head_dim = 520);
}

/* The call whose rows follow from query_start_loc takes plans of either paged form, but no dense one. */
static void ragged_page_attention_takes_the_plan_of_its_batch_only(void **state)
{
    errors_problem *problem = *state;
    clattn_context *ctx = problem->device->ctx;
    const errors_params *right = problem->right;
    clattn_plan_params plan_params = right_plan_params;
    clattn_plan *paged = NULL;
    clattn_plan *dense = NULL;
    clattn_ragged_page_attention_params params = {
        .queries = right->query,
        .key_pages = right->key_cache,
        .value_pages = right->value_cache,
        .kv_layout = right->kv_layout,
        .out = right->out,
        .lse = right->lse,
        .softmax_aux = right->softmax_aux,
    };

    assert_int_equal(clattn_plan_create(ctx, &plan_params, &paged), CLATTN_OK);
    plan_params.dense = true;
    plan_params.block_tables = NULL;
    plan_params.pages_per_seq = 0;
    assert_int_equal(clattn_plan_create(ctx, &plan_params, &dense), CLATTN_OK);
    params.plan = dense;
    assert_int_equal(clattn_ragged_page_attention(ctx, &params, 0, NULL, NULL), CLATTN_PLAN_MISMATCH);
    assert_non_null(strstr(clattn_context_last_error(ctx), "dense"));
    params.plan = paged;
    assert_int_equal(clattn_ragged_page_attention(ctx, &params, 0, NULL, NULL), CLATTN_OK);
    support_require_cl(clFinish(problem->device->queue), "clFinish");
    clattn_plan_destroy(&paged);
    clattn_plan_destroy(&dense);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(impossible_extents_are_refused),
        cmocka_unit_test(unsupported_head_dims_are_refused),
        cmocka_unit_test(layouts_without_two_tensors_are_refused),
        cmocka_unit_test(contradictory_batches_are_refused),
        cmocka_unit_test(a_table_of_just_the_used_entries_is_enough),
        cmocka_unit_test(pages_out_of_range_are_refused_only_where_used),
        cmocka_unit_test(a_longer_row_than_promised_is_refused),
        cmocka_unit_test(a_plan_with_a_longer_row_than_promised_is_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_plan_for_another_problem_is_refused),
        cmocka_unit_test(a_plan_of_another_form_is_refused),
        cmocka_unit_test(a_plan_together_with_a_batch_is_refused),
        cmocka_unit_test(contradictory_plans_without_query_starts_are_refused),
        cmocka_unit_test(ragged_page_attention_takes_the_plan_of_its_batch_only),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("page_errors", tests, setup, errors_teardown);
}
