/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the operations' own structs from a call; see call.h. How calls are made is call_make.c's. */
#include "call.h"

bool call_is_dense(const fuzz_call *call)
{
    return call->operation == CALL_RAGGED_DECODE || call->operation == CALL_RAGGED;
}

int32_t call_window(const fuzz_call *call)
{
    if (call->operation == CALL_RAGGED)
        return 0;
    if (call->operation != CALL_RAGGED_DECODE)
        return call->sliding_window;
    return !call->has_window_pair || call->window_pair.left == INT32_MAX ? 0 : call->window_pair.left + 1;
}

/* Which dimension of the keys is the page, the slot and the kv head. */
static void find_axes(const fuzz_call *call, int *page, int *slot, int *head)
{
    *page = call->layout == CLATTN_KV_HEADS_FIRST ? 1 : 0;
    *slot = call->layout == CLATTN_KV_COMBINED || call->layout == CLATTN_KV_NHD ? 1 : 2;
    *head = 3 - *page - *slot;
}

clattn_plan_params call_plan_params(const fuzz_call *call)
{
    const call_batch *batch = &call->batch;
    const clattn_tensor *query = &call->tensors[CALL_QUERY];
    const clattn_tensor *key = &call->tensors[CALL_KEY];
    const bool combined = call->layout == CLATTN_KV_COMBINED;
    int page, slot, head;
    find_axes(call, &page, &slot, &head);
    return (clattn_plan_params){
        .num_seqs = batch->num_seqs,
        .total_tokens = (int32_t)query->shape[0],
        .query_start_loc = batch->query_start_loc,
        .context_lens = batch->context_lens,
        .sequence_start = batch->sequence_start,
        .block_tables = batch->block_tables,
        .pages_per_seq = batch->pages_per_seq,
        .dense = call_is_dense(call),
        .num_q_heads = (int32_t)query->shape[1],
        .num_kv_heads = (int32_t)(key->shape[head] / (combined ? 2 : 1)),
        .head_dim = (int32_t)key->shape[3],
        .head_dim_v = (int32_t)call->tensors[combined ? CALL_KEY : CALL_VALUE].shape[3],
        .page_size = (int32_t)key->shape[slot],
        .num_pages = (int32_t)key->shape[page],
        .kv_layout = call->layout,
        .sliding_window = call_window(call),
        .num_splits = batch->num_splits,
        .batch_invariant = batch->batch_invariant,
        .tuning = batch->has_tuning ? &batch->tuning : NULL,
    };
}

static const call_batch no_batch;

static clattn_status issue_ragged_page(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan,
                                       cl_event *event)
{
    const call_batch *batch = plan != NULL ? &no_batch : &call->batch;
    const bool combined = call->layout == CLATTN_KV_COMBINED;
    const clattn_tensor none = {0};
    const clattn_ragged_page_attention_params params = {
        .queries = call->tensors[CALL_QUERY],
        .kv_pages = combined ? call->tensors[CALL_KEY] : none,
        .key_pages = combined ? none : call->tensors[CALL_KEY],
        .value_pages = call->tensors[CALL_VALUE],
        .kv_layout = call->layout,
        .out = call->tensors[CALL_OUT],
        .lse = call->tensors[CALL_LSE],
        .softmax_aux = call->tensors[CALL_SINKS],
        .softmax_scale = call->softmax_scale,
        .logits_soft_cap = call->logits_soft_cap,
        .mask_value = call->mask_value,
        .sliding_window = call->sliding_window,
        .compute_dtype = call->compute_dtype,
        .plan = plan,
        .num_seqs = batch->num_seqs,
        .query_start_loc = batch->query_start_loc,
        .context_lens = batch->context_lens,
        .block_tables = batch->block_tables,
        .pages_per_seq = batch->pages_per_seq,
        .num_splits = batch->num_splits,
        .batch_invariant = batch->batch_invariant,
        .tuning = batch->has_tuning ? &batch->tuning : NULL,
    };
    return clattn_ragged_page_attention(ctx, &params, 0, NULL, event);
}

static clattn_status issue_page(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan, cl_event *event)
{
    const call_batch *batch = plan != NULL ? &no_batch : &call->batch;
    const clattn_page_attention_params params = {
        .query = call->tensors[CALL_QUERY],
        .key_cache = call->tensors[CALL_KEY],
        .value_cache = call->tensors[CALL_VALUE],
        .kv_layout = call->layout,
        .out = call->tensors[CALL_OUT],
        .lse = call->tensors[CALL_LSE],
        .softmax_aux = call->tensors[CALL_SINKS],
        .softmax_scale = call->softmax_scale,
        .logits_soft_cap = call->logits_soft_cap,
        .mask_value = call->mask_value,
        .sliding_window = call->sliding_window,
        .max_context_len = call->max_context_len,
        .compute_dtype = call->compute_dtype,
        .plan = plan,
        .context_lens = batch->context_lens,
        .block_tables = batch->block_tables,
        .pages_per_seq = batch->pages_per_seq,
        .num_splits = batch->num_splits,
        .batch_invariant = batch->batch_invariant,
        .tuning = batch->has_tuning ? &batch->tuning : NULL,
    };
    return clattn_page_attention(ctx, &params, 0, NULL, event);
}

static clattn_status issue_ragged_decode(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan,
                                         cl_event *event)
{
    const call_batch *batch = plan != NULL ? &no_batch : &call->batch;
    const clattn_ragged_decode_attention_params params = {
        .query = call->tensors[CALL_QUERY],
        .key = call->tensors[CALL_KEY],
        .value = call->tensors[CALL_VALUE],
        .out = call->tensors[CALL_OUT],
        .lse = call->tensors[CALL_LSE],
        .softmax_aux = call->tensors[CALL_SINKS],
        .softmax_scale = call->softmax_scale,
        .logits_soft_cap = call->logits_soft_cap,
        .mask_value = call->mask_value,
        .sliding_window = call->has_window_pair ? &call->window_pair : NULL,
        .compute_dtype = call->compute_dtype,
        .plan = plan,
        .sequence_start = batch->sequence_start,
        .sequence_end = batch->context_lens,
        .num_splits = batch->num_splits,
        .batch_invariant = batch->batch_invariant,
        .tuning = batch->has_tuning ? &batch->tuning : NULL,
    };
    return clattn_ragged_decode_attention(ctx, &params, 0, NULL, event);
}

static clattn_status issue_ragged(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan, cl_event *event)
{
    const call_batch *batch = plan != NULL ? &no_batch : &call->batch;
    const clattn_ragged_attention_params params = {
        .query = call->tensors[CALL_QUERY],
        .key = call->tensors[CALL_KEY],
        .value = call->tensors[CALL_VALUE],
        .out = call->tensors[CALL_OUT],
        .max = call->tensors[CALL_MAX],
        .denominator = call->tensors[CALL_DENOMINATOR],
        .numerator = call->numerator,
        .softmax_scale = call->softmax_scale,
        .mask_value = call->mask_value,
        .compute_dtype = call->compute_dtype,
        .plan = plan,
        .starts = batch->sequence_start,
        .lengths = batch->context_lens,
        .num_splits = batch->num_splits,
        .batch_invariant = batch->batch_invariant,
        .tuning = batch->has_tuning ? &batch->tuning : NULL,
    };
    return clattn_ragged_attention(ctx, &params, 0, NULL, event);
}

static clattn_status issue_merge_states(clattn_context *ctx, const fuzz_call *call, cl_event *event)
{
    const clattn_merge_states_params params = {
        .states_out = call->tensors[CALL_QUERY],
        .states_lse = call->tensors[CALL_STATES_LSE],
        .states_max = call->tensors[CALL_STATES_MAX],
        .states_denominator = call->tensors[CALL_STATES_DENOMINATOR],
        .out = call->tensors[CALL_OUT],
        .lse = call->tensors[CALL_LSE],
        .max = call->tensors[CALL_MAX],
        .denominator = call->tensors[CALL_DENOMINATOR],
        .numerator = call->numerator,
        .mask_value = call->mask_value,
    };
    return clattn_merge_states(ctx, &params, 0, NULL, event);
}

clattn_status call_issue(clattn_context *ctx, const fuzz_call *call, const clattn_plan *plan, cl_event *event)
{
    switch (call->operation) {
    case CALL_RAGGED_PAGE:
        return issue_ragged_page(ctx, call, plan, event);
    case CALL_PAGE:
        return issue_page(ctx, call, plan, event);
    case CALL_RAGGED_DECODE:
        return issue_ragged_decode(ctx, call, plan, event);
    case CALL_RAGGED:
        return issue_ragged(ctx, call, plan, event);
    default:
        return issue_merge_states(ctx, call, event);
    }
}
