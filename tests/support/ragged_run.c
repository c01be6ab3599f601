/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a problem through the public interface, with and without a plan. */
#include "ragged.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DESCRIPTION_BYTES 2048

static const clattn_tuning *tuning_of(const support_ragged *ragged)
{
    static const clattn_tuning none;

    return memcmp(&ragged->description.tuning, &none, sizeof(none)) == 0 ? NULL : &ragged->description.tuning;
}

static void require_ok(const support_ragged *ragged, const support_device *device, const char *call,
                       clattn_status status)
{
    char text[DESCRIPTION_BYTES];

    if (status == CLATTN_OK)
        return;
    support_ragged_describe(ragged, text, sizeof(text));
    fail_msg("call=%s status=%s error=\"%s\" family=%s %s", call, clattn_status_name(status),
             clattn_context_last_error(device->ctx), clattn_family_name(device->family), text);
}

static clattn_ragged_page_attention_params operands_of(const support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;
    clattn_ragged_page_attention_params params = {
        .queries = ragged->queries.tensor,
        .kv_layout = description->kv_layout,
        .out = ragged->out.tensor,
        .lse = ragged->lse.tensor,
        .softmax_aux = ragged->sinks.tensor,
        .softmax_scale = description->softmax_scale,
        .logits_soft_cap = description->logits_soft_cap,
        .sliding_window = description->sliding_window,
    };

    if (description->kv_layout == CLATTN_KV_COMBINED) {
        params.kv_pages = ragged->keys.tensor;
    } else {
        params.key_pages = ragged->keys.tensor;
        params.value_pages = ragged->values.tensor;
    }
    return params;
}

clattn_ragged_page_attention_params support_ragged_params(const support_ragged *ragged)
{
    clattn_ragged_page_attention_params params = operands_of(ragged);

    params.num_seqs = ragged->description.num_seqs;
    params.query_start_loc = ragged->query_start_loc;
    params.context_lens = ragged->description.context_lens;
    params.block_tables = ragged->block_tables;
    params.pages_per_seq = ragged->pages_per_seq;
    params.num_splits = ragged->description.num_splits;
    params.batch_invariant = ragged->description.batch_invariant;
    params.tuning = tuning_of(ragged);
    return params;
}

clattn_ragged_page_attention_params support_ragged_params_with_plan(const support_ragged *ragged,
                                                                    const clattn_plan *plan)
{
    clattn_ragged_page_attention_params params = operands_of(ragged);

    params.plan = plan;
    return params;
}

clattn_plan_params support_ragged_plan_params(const support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;

    return (clattn_plan_params){
        .num_seqs = description->num_seqs,
        .total_tokens = ragged->total_tokens,
        .query_start_loc = ragged->query_start_loc,
        .context_lens = description->context_lens,
        .block_tables = ragged->block_tables,
        .pages_per_seq = ragged->pages_per_seq,
        .num_q_heads = description->num_q_heads,
        .num_kv_heads = description->num_kv_heads,
        .head_dim = description->head_dim,
        .page_size = description->page_size,
        .num_pages = ragged->num_pages,
        .kv_layout = description->kv_layout,
        .sliding_window = description->sliding_window,
        .num_splits = description->num_splits,
        .batch_invariant = description->batch_invariant,
        .tuning = tuning_of(ragged),
    };
}

void support_ragged_reset(support_ragged *ragged, const support_device *device)
{
    support_image_fill_canary(&ragged->out);
    support_image_upload(&ragged->out, device);
    if (ragged->lse.tensor.rank == 0)
        return;
    support_image_fill_canary(&ragged->lse);
    support_image_upload(&ragged->lse, device);
}

void support_ragged_run(support_ragged *ragged, const support_device *device)
{
    const clattn_ragged_page_attention_params params = support_ragged_params(ragged);

    support_ragged_reset(ragged, device);
    require_ok(ragged, device, "clattn_ragged_page_attention",
               clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL));
    support_ragged_read(ragged, device);
}

void support_ragged_run_with_plan(support_ragged *ragged, const support_device *device)
{
    const clattn_plan_params plan_params = support_ragged_plan_params(ragged);
    clattn_ragged_page_attention_params params;
    clattn_plan *plan = NULL;

    support_ragged_reset(ragged, device);
    require_ok(ragged, device, "clattn_plan_create", clattn_plan_create(device->ctx, &plan_params, &plan));
    params = support_ragged_params_with_plan(ragged, plan);
    require_ok(ragged, device, "clattn_ragged_page_attention with a plan",
               clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL));
    clattn_plan_destroy(&plan); /* while the work may still be running, as the header allows */
    support_ragged_read(ragged, device);
}

static void require_intact(const support_ragged *ragged, const support_image *image, const char *name)
{
    const int64_t damage = support_image_find_damage(image);
    char text[DESCRIPTION_BYTES];

    if (damage < 0)
        return;
    support_ragged_describe(ragged, text, sizeof(text));
    fail_msg("wrote outside tensor=%s byte=%" PRId64 " offset_bytes=%" PRIu64 " %s", name, damage,
             image->tensor.offset_bytes, text);
}

void support_ragged_read(support_ragged *ragged, const support_device *device)
{
    support_image_download(&ragged->out, device);
    require_intact(ragged, &ragged->out, "out");
    if (ragged->lse.tensor.rank == 0)
        return;
    support_image_download(&ragged->lse, device);
    require_intact(ragged, &ragged->lse, "lse");
}

void support_ragged_verify(const support_device *device, const support_ragged_case *description)
{
    support_ragged *ragged = support_ragged_create(device, description);
    support_ragged *planned = support_ragged_create(device, description);

    support_ragged_run(ragged, device);
    support_ragged_check(ragged);
    support_ragged_run_with_plan(planned, device);
    support_ragged_expect_same_bytes(ragged, planned);
    support_ragged_destroy(&ragged);
    support_ragged_destroy(&planned);
}
