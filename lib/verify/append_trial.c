/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, slots and judgement of an append variant; see append_trial.h. */
#include "verify/append_trial.h"

#include "kv_cache/append.h"
#include "verify/sample.h"

#include <math.h>
#include <string.h>

#define NUM_TOKENS 5
#define NUM_PAGES 4
#define PAGE_SIZE 3
#define NUM_KV_HEADS 3
#define GAP 8

static const int64_t slots[NUM_TOKENS] = {7, 0, 11, 4, 3};

/* K or V of the rows and of the cache. */
typedef struct appended {
    const char *name;
    uint32_t width; /* odd: what a cache holds need not be what attention takes */
    clattn_rows new_rows;
    clattn_pages_address address;
    clattn_trial_array *rows;
    clattn_trial_array *pages;
} appended;

static size_t row_of(const appended *part, int32_t token, int32_t head)
{
    return (size_t)(part->new_rows.offset + (uint64_t)token * part->new_rows.token_stride +
                    (uint64_t)head * part->new_rows.head_stride);
}

static size_t slot_of(const appended *part, int64_t slot, int32_t head)
{
    return (size_t)(part->address.offset + (uint64_t)(slot / PAGE_SIZE) * part->address.page_stride +
                    (uint64_t)(slot % PAGE_SIZE) * part->address.slot_stride +
                    (uint64_t)head * part->address.head_stride);
}

/* Rows of numbers with more digits than the narrow types keep, and pages of which nothing is written yet. */
static clattn_status new_part(clattn_trial *trial, clattn_dtype source, clattn_dtype cache, uint32_t stream,
                              appended *part)
{
    const uint64_t head_stride = part->width + GAP;
    part->new_rows = (clattn_rows){1, NUM_KV_HEADS * head_stride, head_stride};
    part->address = (clattn_pages_address){CLATTN_TRIAL_GUARD, PAGE_SIZE * NUM_KV_HEADS * head_stride + GAP,
                                           NUM_KV_HEADS * head_stride, head_stride};
    const size_t num_rows = (size_t)(NUM_TOKENS * part->new_rows.token_stride) + CLATTN_TRIAL_GUARD;
    const size_t num_slots = (size_t)(NUM_PAGES * part->address.page_stride) + 2 * CLATTN_TRIAL_GUARD;
    CLATTN_TRY(clattn_trial_new_array(trial, source, num_rows, &part->rows));
    CLATTN_TRY(clattn_trial_new_array(trial, cache, num_slots, &part->pages));
    for (int32_t token = 0; token < NUM_TOKENS; ++token)
        for (int32_t head = 0; head < NUM_KV_HEADS; ++head)
            for (uint32_t d = 0; d < part->width; ++d) {
                const size_t at = row_of(part, token, head) + d;
                const double value = 1.25 * clattn_sample(stream, at) + 0.001 * clattn_sample(stream + 1, at);
                clattn_trial_set(part->rows, at, clattn_sample_round(source, value));
            }
    return CLATTN_OK;
}

static clattn_status new_slots(clattn_trial *trial, clattn_trial_array **array)
{
    CLATTN_TRY(clattn_trial_new_array(trial, CLATTN_FLOAT32, 2 * NUM_TOKENS, array));
    memcpy((*array)->elements, slots, sizeof slots);
    return CLATTN_OK;
}

static clattn_status run(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel, const appended *key,
                         const appended *value, const clattn_trial_array *slot_mapping)
{
    const size_t work_group_size = (size_t)clattn_variant_value(variant, "WORK_GROUP_SIZE");
    const cl_ulong heads_per_group = work_group_size == 1 ? NUM_KV_HEADS : 1; /* as on a CPU, and elsewhere */
    const clattn_kernel_launch launch = {.kernel = kernel,
                                         .num_groups = (size_t)(NUM_TOKENS * (NUM_KV_HEADS / heads_per_group)),
                                         .work_group_size = work_group_size};
    const clattn_append_operands operands = {
        .keys = key->rows->buffer,
        .values = value->rows->buffer,
        .slots = slot_mapping->buffer,
        .key_pages = key->pages->buffer,
        .value_pages = value->pages->buffer,
        .num_kv_heads = NUM_KV_HEADS,
        .heads_per_group = heads_per_group,
        .head_dim = key->width,
        .head_dim_v = value->width,
        .page_size = PAGE_SIZE,
        .new_keys = key->new_rows,
        .new_values = value->new_rows,
        .key = key->address,
        .value = value->address,
    };
    CLATTN_TRY(clattn_append_enqueue(&trial->ctx, &launch, &operands, &(clattn_sync){0}));
    CLATTN_TRY(clattn_trial_download(trial, key->pages));
    return clattn_trial_download(trial, value->pages);
}

/* Rounding is exact: what differs at all is wrong. */
static void judge_part(clattn_trial *trial, const appended *part)
{
    for (int32_t token = 0; token < NUM_TOKENS; ++token)
        for (int32_t head = 0; head < NUM_KV_HEADS; ++head)
            for (uint32_t d = 0; d < part->width; ++d) {
                const size_t at = slot_of(part, slots[token], head) + d;
                const double value = clattn_trial_get(part->rows, row_of(part, token, head) + d);
                const double wanted = clattn_sample_round(part->pages->dtype, value);
                clattn_trial_judge(trial, part->name, at, clattn_trial_take(part->pages, at), wanted, 1e-30);
            }
    clattn_trial_judge_rest(trial, part->name, part->pages);
}

clattn_status clattn_append_trial(clattn_trial *trial, const clattn_variant *variant, cl_kernel kernel)
{
    const clattn_dtype cache = (clattn_dtype)clattn_variant_value(variant, "DST_DTYPE");
    const clattn_dtype source_k = (clattn_dtype)clattn_variant_value(variant, "SRC_K_DTYPE");
    const clattn_dtype source_v = (clattn_dtype)clattn_variant_value(variant, "SRC_V_DTYPE");
    appended key = {.name = "key_pages", .width = 37};
    appended value = {.name = "value_pages", .width = 70};
    clattn_trial_array *slot_mapping;
    CLATTN_TRY(new_part(trial, source_k, cache, 21, &key));
    CLATTN_TRY(new_part(trial, source_v, cache, 23, &value));
    CLATTN_TRY(new_slots(trial, &slot_mapping));
    CLATTN_TRY(clattn_trial_upload(trial));
    clattn_status status = run(trial, variant, kernel, &key, &value, slot_mapping);
    if (clattn_trial_has_run(trial, &status)) {
        judge_part(trial, &key);
        judge_part(trial, &value);
    }
    return status;
}
