/* SPDX-License-Identifier: Apache-2.0 */
/* Writes new K and V rows into their slots on the device: checks, the upload of host slots, and the launch. */
#include "kv_cache/append.h"

#include "attention/bind.h"
#include "attention/plan.h"
#include "kv_cache/cache.h"
#include "kv_cache/slots.h"
#include "runtime/size.h"
#include "tuning/rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where the kernel finds the slots: int64 elements of a device buffer. */
typedef struct slot_view {
    cl_mem buffer;
    uint64_t offset;
} slot_view;

/* What one call appends. */
typedef struct append_rows {
    int32_t total_tokens;
    clattn_view keys;
    clattn_view values;
    slot_view slots;
} append_rows;

void clattn_slot_upload_finish(clattn_slot_upload *upload)
{
    clattn_upload_finish(&upload->upload);
    free(upload->scratch);
    *upload = (clattn_slot_upload){0};
}

static clattn_status check_slots(clattn_kv_cache *cache, const int64_t *slots, int32_t num_slots)
{
    clattn_error *error = &cache->ctx->error;
    clattn_slot_upload *upload = &cache->slot_upload;
    const uint64_t num_entries = clattn_slots_scratch_entries(num_slots);
    if (num_entries > upload->scratch_entries) {
        int32_t *scratch =
            num_entries <= SIZE_MAX / sizeof *scratch ? malloc((size_t)num_entries * sizeof *scratch) : NULL;
        CLATTN_REQUIRE(error, scratch, CLATTN_OUT_OF_MEMORY, "no memory to check %" PRId32 " slots", num_slots);
        free(upload->scratch);
        upload->scratch = scratch;
        upload->scratch_entries = num_entries;
    }
    const int64_t num_cache_slots = (int64_t)cache->params.num_pages * cache->params.page_size;
    return clattn_slots_check(error, slots, num_slots, num_cache_slots, upload->scratch);
}

/*
 * Checks host slots and puts them into the cache's buffer. The layers of a step bring the same slots one after the
 * other: only the first of them is checked and uploaded.
 */
static clattn_status upload_slots(clattn_kv_cache *cache, const int64_t *slots, int32_t num_slots)
{
    clattn_slot_upload *upload = &cache->slot_upload;
    const size_t num_bytes = (size_t)num_slots * sizeof *slots;
    if (upload->slots && upload->num_slots == num_slots && memcmp(upload->slots, slots, num_bytes) == 0)
        return CLATTN_OK;
    CLATTN_TRY(check_slots(cache, slots, num_slots));

    void *memory = NULL;
    CLATTN_TRY(clattn_upload_begin(cache->ctx, &upload->upload, num_bytes, &memory));
    memcpy(memory, slots, num_bytes);
    CLATTN_TRY(clattn_upload_commit(cache->ctx, &upload->upload, num_bytes));
    upload->slots = memory;
    upload->num_slots = num_slots;
    return CLATTN_OK;
}

/* The slots of a plan, if it was made on this context for this cache's pages and as many tokens as keys has. */
static clattn_status bind_plan_slots(clattn_kv_cache *cache, const clattn_plan *plan, int32_t total_tokens,
                                     slot_view *slots)
{
    clattn_error *error = &cache->ctx->error;
    const clattn_kv_cache_params *params = &cache->params;
    int32_t num_plan_tokens = 0;
    int64_t num_plan_slots = 0;
    CLATTN_REQUIRE(error, plan->ctx == cache->ctx, CLATTN_PLAN_MISMATCH, "plan belongs to another context");
    CLATTN_REQUIRE(error,
                   clattn_plan_slot_mapping(plan, &slots->buffer, &slots->offset, &num_plan_tokens, &num_plan_slots),
                   CLATTN_PLAN_MISMATCH, "plan was made without slot_mapping");
    CLATTN_REQUIRE(error, num_plan_tokens == total_tokens, CLATTN_PLAN_MISMATCH,
                   "plan has slots for %" PRId32 " tokens, keys has %" PRId32, num_plan_tokens, total_tokens);
    CLATTN_REQUIRE(error,
                   plan->shape.page_size == params->page_size &&
                       num_plan_slots == (int64_t)params->num_pages * params->page_size,
                   CLATTN_PLAN_MISMATCH,
                   "plan was made for pages of %" PRId32 " tokens, %" PRId64 " in all, the cache has %" PRId32
                   " pages of %" PRId32,
                   plan->shape.page_size, num_plan_slots, params->num_pages, params->page_size);
    return CLATTN_OK;
}

/* Checks everything but host slots. */
static clattn_status bind_rows(clattn_kv_cache *cache, const clattn_kv_append_params *params, append_rows *rows)
{
    clattn_context *ctx = cache->ctx;
    const clattn_kv_cache_params *shape = &cache->params;
    CLATTN_REQUIRE(&ctx->error, params->layer >= 0 && params->layer < shape->num_layers, CLATTN_INVALID_ARGUMENT,
                   "layer is %" PRId32 ", expected 0 to %" PRId32, params->layer, shape->num_layers - 1);
    const int64_t key_shape[] = {CLATTN_ANY_EXTENT, shape->num_kv_heads, shape->head_dim};
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->keys, "keys", 3, key_shape, &rows->keys));
    const int64_t total_tokens = rows->keys.shape[0];
    CLATTN_REQUIRE(&ctx->error, total_tokens <= INT32_MAX, CLATTN_INVALID_SHAPE,
                   "keys: %" PRId64 " tokens, expected 2^31-1 at most", total_tokens);
    const int64_t value_shape[] = {total_tokens, shape->num_kv_heads, shape->head_dim_v};
    CLATTN_TRY(clattn_bind_tensor(ctx, &params->values, "values", 3, value_shape, &rows->values));
    rows->total_tokens = (int32_t)total_tokens;

    if (!params->plan) {
        CLATTN_REQUIRE(&ctx->error, params->slot_mapping || total_tokens == 0, CLATTN_INVALID_ARGUMENT,
                       "plan and slot_mapping are both NULL, expected one of them");
        return CLATTN_OK;
    }
    CLATTN_REQUIRE(&ctx->error, !params->slot_mapping, CLATTN_INVALID_ARGUMENT,
                   "plan and slot_mapping are both given, expected one of them");
    return bind_plan_slots(cache, params->plan, rows->total_tokens, &rows->slots);
}

clattn_variant clattn_append_variant(clattn_dtype keys, clattn_dtype values, clattn_dtype cache,
                                     uint32_t work_group_size)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_APPEND};
    clattn_variant_define(&variant, "SRC_K_DTYPE", (int32_t)keys);
    clattn_variant_define(&variant, "SRC_V_DTYPE", (int32_t)values);
    clattn_variant_define(&variant, "DST_DTYPE", (int32_t)cache);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", (int32_t)work_group_size);
    return variant;
}

clattn_status clattn_append_enqueue(clattn_context *ctx, const clattn_kernel_launch *launch,
                                    const clattn_append_operands *operands, const clattn_sync *sync)
{
    const clattn_kernel_argument arguments[] = {
        CLATTN_KERNEL_ARGUMENT(operands->keys),
        CLATTN_KERNEL_ARGUMENT(operands->values),
        CLATTN_KERNEL_ARGUMENT(operands->slots),
        CLATTN_KERNEL_ARGUMENT(operands->key_pages),
        CLATTN_KERNEL_ARGUMENT(operands->value_pages),
        CLATTN_KERNEL_ARGUMENT(operands->num_kv_heads),
        CLATTN_KERNEL_ARGUMENT(operands->heads_per_group),
        CLATTN_KERNEL_ARGUMENT(operands->head_dim),
        CLATTN_KERNEL_ARGUMENT(operands->head_dim_v),
        CLATTN_KERNEL_ARGUMENT(operands->page_size),
        CLATTN_KERNEL_ARGUMENT(operands->slots_offset),
        CLATTN_KERNEL_ARGUMENT(operands->new_keys.offset),
        CLATTN_KERNEL_ARGUMENT(operands->new_keys.token_stride),
        CLATTN_KERNEL_ARGUMENT(operands->new_keys.head_stride),
        CLATTN_KERNEL_ARGUMENT(operands->new_values.offset),
        CLATTN_KERNEL_ARGUMENT(operands->new_values.token_stride),
        CLATTN_KERNEL_ARGUMENT(operands->new_values.head_stride),
        CLATTN_KERNEL_ARGUMENT(operands->key.offset),
        CLATTN_KERNEL_ARGUMENT(operands->key.page_stride),
        CLATTN_KERNEL_ARGUMENT(operands->key.slot_stride),
        CLATTN_KERNEL_ARGUMENT(operands->key.head_stride),
        CLATTN_KERNEL_ARGUMENT(operands->value.offset),
        CLATTN_KERNEL_ARGUMENT(operands->value.page_stride),
        CLATTN_KERNEL_ARGUMENT(operands->value.slot_stride),
        CLATTN_KERNEL_ARGUMENT(operands->value.head_stride),
    };
    return clattn_kernel_enqueue(ctx, launch, arguments, sizeof arguments / sizeof *arguments, sync);
}

static clattn_append_operands operands_of(const clattn_kv_cache *cache, const clattn_kv_append_params *params,
                                          const append_rows *rows, uint64_t heads_per_group)
{
    const cl_mem key_pages = cache->key_pages[params->layer];
    const cl_mem value_pages = cache->value_pages[params->layer];
    return (clattn_append_operands){
        .keys = params->keys.buffer,
        .values = params->values.buffer,
        .slots = rows->slots.buffer,
        .key_pages = key_pages,
        .value_pages = value_pages ? value_pages : key_pages,
        .num_kv_heads = (cl_ulong)cache->params.num_kv_heads,
        .heads_per_group = heads_per_group,
        .head_dim = (cl_ulong)cache->params.head_dim,
        .head_dim_v = (cl_ulong)cache->params.head_dim_v,
        .page_size = (cl_ulong)cache->params.page_size,
        .slots_offset = rows->slots.offset,
        .new_keys = clattn_rows_of(&rows->keys),
        .new_values = clattn_rows_of(&rows->values),
        .key = cache->key_address,
        .value = cache->value_address,
    };
}

/*
 * A CPU copies all heads of a token in one work-item; elsewhere, and where long loops are ended, a work-group takes one
 * head.
 */
static clattn_status launch(clattn_kv_cache *cache, const clattn_kv_append_params *params, const append_rows *rows,
                            cl_kernel kernel, uint32_t work_group_size, const clattn_sync *sync)
{
    clattn_context *ctx = cache->ctx;
    const uint64_t num_kv_heads = (uint64_t)cache->params.num_kv_heads;
    const uint64_t heads_per_group =
        ctx->family == CLATTN_FAMILY_VECTOR && ctx->facts.max_loop_iterations == 0 ? num_kv_heads : 1;
    uint64_t num_items = 0;
    CLATTN_REQUIRE(&ctx->error,
                   clattn_size_multiply((uint64_t)rows->total_tokens, num_kv_heads / heads_per_group, &num_items) &&
                       clattn_size_multiply(num_items, work_group_size, &num_items) && num_items <= SIZE_MAX,
                   CLATTN_SIZE_OVERFLOW, "keys: %" PRId32 " tokens of %" PRIu64 " kv heads are too many work-items",
                   rows->total_tokens, num_kv_heads);
    const clattn_kernel_launch launched = {
        .kernel = kernel, .num_groups = (size_t)(num_items / work_group_size), .work_group_size = work_group_size};
    const clattn_append_operands operands = operands_of(cache, params, rows, heads_per_group);
    return clattn_append_enqueue(ctx, &launched, &operands, sync);
}

clattn_status clattn_kv_cache_append(clattn_kv_cache *cache, const clattn_kv_append_params *params,
                                     cl_uint num_wait_events, const cl_event *wait_events, cl_event *event)
{
    clattn_context *ctx = cache ? cache->ctx : NULL;
    const clattn_sync sync = {num_wait_events, wait_events, event};
    append_rows rows = {0};
    cl_kernel kernel = NULL;
    CLATTN_TRY(clattn_call_begin(ctx, params, &sync));
    CLATTN_TRY(bind_rows(cache, params, &rows));
    if (rows.total_tokens == 0)
        return clattn_sync_nothing(ctx, &sync);
    const uint32_t work_group_size = clattn_row_wise_work_group_size(&ctx->facts, ctx->family);
    const clattn_variant variant =
        clattn_append_variant(rows.keys.dtype, rows.values.dtype, cache->params.dtype, work_group_size);
    CLATTN_TRY(clattn_program_store_kernel(ctx->programs, &variant, &kernel, &ctx->error));
    if (!params->plan) {
        CLATTN_TRY(upload_slots(cache, params->slot_mapping, rows.total_tokens));
        rows.slots = (slot_view){cache->slot_upload.upload.buffer, 0};
    }
    /* The wait list is the kernel's: the upload touches nothing of the caller's. */
    return launch(cache, params, &rows, kernel, work_group_size, &sync);
}
