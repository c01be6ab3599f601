/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a problem through the public interface, with and without a plan. */
#include "attention.h"

#include "attention_small.h"
#include "size.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const clattn_tuning *tuning_of(const support_attention *attention)
{
    static const clattn_tuning none;

    return memcmp(&attention->description.tuning, &none, sizeof(none)) == 0 ? NULL : &attention->description.tuning;
}

static void require_ok(const support_attention *attention, const support_device *device, const char *call,
                       clattn_status status)
{

    if (status == CLATTN_OK)
        return;
    support_attention_print(attention);
    fail_msg("call=\"%s\" status=%s error=\"%s\" family=%s", call, clattn_status_name(status),
             clattn_context_last_error(device->ctx), clattn_family_name(device->family));
}

clattn_ragged_page_attention_params support_attention_ragged_page_params(const support_attention *attention,
                                                                         const clattn_plan *plan)
{
    const support_attention_case *description = &attention->description;
    clattn_ragged_page_attention_params params = {
        .queries = attention->queries.tensor,
        .kv_layout = description->kv_layout,
        .out = attention->out.tensor,
        .lse = attention->lse.tensor,
        .softmax_aux = attention->sinks.tensor,
        .softmax_scale = description->softmax_scale,
        .logits_soft_cap = description->logits_soft_cap,
        .mask_value = description->mask_value,
        .sliding_window = description->sliding_window,
        .plan = plan,
    };

    if (description->kv_layout == CLATTN_KV_COMBINED) {
        params.kv_pages = attention->keys.tensor;
    } else {
        params.key_pages = attention->keys.tensor;
        params.value_pages = attention->values.tensor;
    }
    if (plan)
        return params;
    params.num_seqs = description->num_seqs;
    params.query_start_loc = attention->query_start_loc;
    params.context_lens = description->context_lens;
    params.block_tables = attention->block_tables;
    params.pages_per_seq = attention->pages_per_seq;
    params.num_splits = description->num_splits;
    params.batch_invariant = description->batch_invariant;
    params.tuning = tuning_of(attention);
    return params;
}

clattn_page_attention_params support_attention_page_params(const support_attention *attention, const clattn_plan *plan)
{
    const support_attention_case *description = &attention->description;
    clattn_page_attention_params params = {
        .query = attention->queries.tensor,
        .key_cache = attention->keys.tensor,
        .value_cache = attention->values.tensor,
        .kv_layout = description->kv_layout,
        .out = attention->out.tensor,
        .lse = attention->lse.tensor,
        .softmax_aux = attention->sinks.tensor,
        .softmax_scale = description->softmax_scale,
        .logits_soft_cap = description->logits_soft_cap,
        .mask_value = description->mask_value,
        .sliding_window = description->sliding_window,
        .max_context_len = description->max_context_len,
        .plan = plan,
    };

    if (plan)
        return params;
    params.context_lens = description->context_lens;
    params.block_tables = attention->block_tables;
    params.pages_per_seq = attention->pages_per_seq;
    params.num_splits = description->num_splits;
    params.batch_invariant = description->batch_invariant;
    params.tuning = tuning_of(attention);
    return params;
}

clattn_ragged_decode_attention_params support_attention_ragged_decode_params(const support_attention *attention,
                                                                             const clattn_plan *plan)
{
    const support_attention_case *description = &attention->description;
    clattn_ragged_decode_attention_params params = {
        .query = attention->queries.tensor,
        .key = attention->keys.tensor,
        .value = attention->values.tensor,
        .out = attention->out.tensor,
        .lse = attention->lse.tensor,
        .softmax_aux = attention->sinks.tensor,
        .softmax_scale = description->softmax_scale,
        .logits_soft_cap = description->logits_soft_cap,
        .mask_value = description->mask_value,
        .sliding_window = description->window,
        .plan = plan,
    };

    if (plan)
        return params;
    params.sequence_start = description->kv_starts;
    params.sequence_end = description->context_lens;
    params.num_splits = description->num_splits;
    params.batch_invariant = description->batch_invariant;
    params.tuning = tuning_of(attention);
    return params;
}

clattn_ragged_attention_params support_attention_ragged_params(const support_attention *attention,
                                                               const clattn_plan *plan)
{
    const support_attention_case *description = &attention->description;
    clattn_ragged_attention_params params = {
        .query = attention->queries.tensor,
        .key = attention->keys.tensor,
        .value = attention->values.tensor,
        .out = attention->out.tensor,
        .max = attention->max.tensor,
        .denominator = attention->denominator.tensor,
        .numerator = description->numerator,
        .softmax_scale = description->softmax_scale,
        .mask_value = description->mask_value,
        .plan = plan,
    };

    if (plan)
        return params;
    params.starts = description->kv_starts;
    params.lengths = description->context_lens;
    params.num_splits = description->num_splits;
    params.batch_invariant = description->batch_invariant;
    params.tuning = tuning_of(attention);
    return params;
}

/* A plan has no pair: a dense row's query stands on its last key, and L + 1 keys are within the distance L. */
static int32_t sliding_window_of(const support_attention *attention)
{
    const int32_t left = support_attention_window(attention).left;

    return left < INT32_MAX ? left + 1 : 0; /* no row is longer */
}

clattn_plan_params support_attention_plan_params(const support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    const bool dense = support_attention_is_dense(attention);

    return (clattn_plan_params){
        .num_seqs = description->num_seqs,
        .total_tokens = attention->total_tokens,
        .query_start_loc = description->operation == SUPPORT_RAGGED_PAGE ? attention->query_start_loc : NULL,
        .context_lens = description->context_lens,
        .sequence_start = description->kv_starts,
        .block_tables = dense ? NULL : attention->block_tables,
        .pages_per_seq = dense ? 0 : attention->pages_per_seq,
        .dense = dense,
        .num_q_heads = description->num_q_heads,
        .num_kv_heads = description->num_kv_heads,
        .head_dim = description->head_dim,
        .head_dim_v = description->head_dim_v,
        .page_size = description->page_size,
        .num_pages = attention->num_pages,
        .kv_layout = description->kv_layout,
        .sliding_window = sliding_window_of(attention),
        .num_splits = description->num_splits,
        .batch_invariant = description->batch_invariant,
        .tuning = tuning_of(attention),
    };
}

clattn_status support_attention_call(const support_attention *attention, const support_device *device,
                                     const clattn_plan *plan, cl_uint num_wait_events, const cl_event *wait_events,
                                     cl_event *event)
{
    clattn_context *ctx = device->ctx;

    switch (attention->description.operation) {
    case SUPPORT_PAGE: {
        const clattn_page_attention_params params = support_attention_page_params(attention, plan);
        return clattn_page_attention(ctx, &params, num_wait_events, wait_events, event);
    }
    case SUPPORT_RAGGED_DECODE: {
        const clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(attention, plan);
        return clattn_ragged_decode_attention(ctx, &params, num_wait_events, wait_events, event);
    }
    case SUPPORT_RAGGED: {
        const clattn_ragged_attention_params params = support_attention_ragged_params(attention, plan);
        return clattn_ragged_attention(ctx, &params, num_wait_events, wait_events, event);
    }
    default: {
        const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(attention, plan);
        return clattn_ragged_page_attention(ctx, &params, num_wait_events, wait_events, event);
    }
    }
}

void support_attention_reset(support_attention *attention, const support_device *device)
{
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        if (attention->results[i].tensor.rank == 0)
            continue;
        support_image_fill_canary(&attention->results[i]);
        support_image_upload(&attention->results[i], device);
    }
}

void support_attention_run(support_attention *attention, const support_device *device)
{
    support_attention_reset(attention, device);
    require_ok(attention, device, "the operation", support_attention_call(attention, device, NULL, 0, NULL, NULL));
    support_attention_read(attention, device);
}

void support_attention_run_with_plan(support_attention *attention, const support_device *device)
{
    const clattn_plan_params plan_params = support_attention_plan_params(attention);
    clattn_plan *plan = NULL;

    support_attention_reset(attention, device);
    require_ok(attention, device, "clattn_plan_create", clattn_plan_create(device->ctx, &plan_params, &plan));
    require_ok(attention, device, "the operation with a plan",
               support_attention_call(attention, device, plan, 0, NULL, NULL));
    clattn_plan_destroy(&plan); /* while the work may still be running, as the header allows */
    support_attention_read(attention, device);
}

static void require_intact(const support_attention *attention, support_result result)
{
    const support_image *image = &attention->results[result];
    const int64_t damage = support_image_find_damage(image);

    if (damage < 0)
        return;
    support_attention_print(attention);
    fail_msg("wrote outside tensor=%s byte=%" PRId64 " offset_bytes=%" PRIu64, support_result_name(result), damage,
             image->tensor.offset_bytes);
}

void support_attention_read(support_attention *attention, const support_device *device)
{
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        if (attention->results[i].tensor.rank == 0)
            continue;
        support_image_download(&attention->results[i], device);
        require_intact(attention, (support_result)i);
    }
}

void support_attention_verify(const support_device *device, const support_attention_case *description)
{
    support_small_case small;
    support_small_case_init(&small, description);
    const int64_t work = support_attention_work(&small.description);
    if (support_size_has_begun() && !support_size_affords(work)) {
        support_small_case_finish(&small);
        return;
    }
    support_attention *attention = support_attention_create(device, &small.description);

    support_attention_run(attention, device);
    support_attention_check(attention);
    if (support_size_affords(work)) {
        support_attention *planned = support_attention_create(device, &small.description);
        support_attention_run_with_plan(planned, device);
        support_attention_expect_same_bytes(attention, planned);
        support_attention_destroy(&planned);
    }
    support_attention_destroy(&attention);
    support_small_case_finish(&small);
}
