/* SPDX-License-Identifier: Apache-2.0 */
/* A few rows into scattered slots of a small cache that was filled with NaN before. */
#include "tune/check_append.h"

#include "bench/buffers.h"
#include "bench/order.h"
#include "bench/storage.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 1
#define NUM_TOKENS 11
#define NUM_PAGES 5
#define PAGE_SIZE 7
#define NUM_KV_HEADS 3
#define HEAD_DIM 40
#define NUM_SLOTS (NUM_PAGES * PAGE_SIZE)
#define NUM_ROW_ELEMENTS (NUM_TOKENS * NUM_KV_HEADS * HEAD_DIM)

/* K or V of a cache, and the rows for it. */
typedef struct appended {
    const char *name;
    clattn_dtype dtype;
    clattn_tensor pages;
    bench_order order;
    size_t num_bytes; /* of the pages */
    void *image;      /* what the pages hold */
    float rows[NUM_ROW_ELEMENTS];
    cl_mem buffer; /* of the rows */
} appended;

typedef struct append_check {
    clattn_context *ctx;
    clattn_kv_cache *cache;
    int64_t slots[NUM_SLOTS]; /* all of the cache; the first NUM_TOKENS get rows */
    appended keys, values;
} append_check;

/* Fills the pages with what is NaN in every type, so that what is written shows. */
static bool poison(const append_check *check, appended *side)
{
    side->image = malloc(side->num_bytes);
    if (!side->image)
        return tool_error("out of memory");
    memset(side->image, 0xFF, side->num_bytes);
    return tool_check_cl(clEnqueueWriteBuffer(clattn_context_cl_queue(check->ctx), side->pages.buffer, CL_TRUE,
                                              side->pages.offset_bytes, side->num_bytes, side->image, 0, NULL, NULL),
                         "clEnqueueWriteBuffer");
}

static bool make_rows(const append_check *check, appended *side, bench_random *random)
{
    bench_random_fill(random, CLATTN_FLOAT32, side->rows, NUM_ROW_ELEMENTS);
    return bench_upload(check->ctx, side->rows, sizeof side->rows, &side->buffer);
}

static bool prepare(append_check *check, const bench_pages *pages, clattn_dtype dtype)
{
    const size_t num_bytes = (size_t)bench_pages_num_elements(pages) * clattn_dtype_size(dtype);
    check->keys = (appended){.name = "K", .dtype = dtype, .order = bench_order_of_keys(pages), .num_bytes = num_bytes};
    check->values =
        (appended){.name = "V", .dtype = dtype, .order = bench_order_of_values(pages), .num_bytes = num_bytes};
    if (!tool_check(check->ctx, clattn_kv_cache_layer(check->cache, 0, &check->keys.pages, &check->values.pages),
                    "clattn_kv_cache_layer"))
        return false;
    if (pages->layout == CLATTN_KV_COMBINED)
        check->values.pages = check->keys.pages;
    bench_random random;
    bench_random_init(&random, SEED);
    int32_t order[NUM_SLOTS];
    bench_random_permutation(&random, order, NUM_SLOTS);
    for (int i = 0; i < NUM_SLOTS; i++)
        check->slots[i] = order[i];
    return poison(check, &check->keys) && poison(check, &check->values) && make_rows(check, &check->keys, &random) &&
           make_rows(check, &check->values, &random);
}

static bool append(append_check *check)
{
    static const int64_t shape[] = {NUM_TOKENS, NUM_KV_HEADS, HEAD_DIM};
    const clattn_kv_append_params params = {
        .keys = clattn_tensor_make(check->keys.buffer, CLATTN_FLOAT32, 3, shape),
        .values = clattn_tensor_make(check->values.buffer, CLATTN_FLOAT32, 3, shape),
        .slot_mapping = check->slots,
    };
    if (!tool_check(check->ctx, clattn_kv_cache_append(check->cache, &params, 0, NULL, NULL), "clattn_kv_cache_append"))
        return false;
    return bench_download(check->ctx, check->keys.pages.buffer, check->keys.pages.offset_bytes, check->keys.num_bytes,
                          check->keys.image) &&
           bench_download(check->ctx, check->values.pages.buffer, check->values.pages.offset_bytes,
                          check->values.num_bytes, check->values.image);
}

static const unsigned char *element_of(const appended *side, int64_t slot, int32_t head, int32_t element)
{
    const int64_t index = side->order.first + slot / PAGE_SIZE * side->order.page_stride +
                          slot % PAGE_SIZE * side->order.slot_stride + head * side->order.head_stride + element;
    return (const unsigned char *)side->image + (size_t)index * clattn_dtype_size(side->dtype);
}

static bool is_untouched(const appended *side, const unsigned char *bytes)
{
    for (size_t i = 0; i < clattn_dtype_size(side->dtype); i++) {
        if (bytes[i] != 0xFF)
            return false;
    }
    return true;
}

/* An element of the slot that is number i in the list. */
static bool compare_element(const append_check *check, const appended *side, int i, int32_t head, int32_t element)
{
    const int64_t slot = check->slots[i];
    const unsigned char *bytes = element_of(side, slot, head, element);
    if (i >= NUM_TOKENS)
        return is_untouched(side, bytes) || tool_error("%s of slot %lld, head %d, element %d was written, and no row "
                                                       "is for it",
                                                       side->name, (long long)slot, (int)head, (int)element);
    const double row = (double)side->rows[(i * NUM_KV_HEADS + head) * HEAD_DIM + element];
    const double stored = (double)bench_storage_get(side->dtype, bytes, 0);
    const double allowed = side->dtype == CLATTN_FLOAT32 ? 0.0 : bench_storage_rounding(side->dtype, row);
    return fabs(stored - row) <= allowed ||
           tool_error("%s of slot %lld, head %d, element %d is %.9g instead of %.9g", side->name, (long long)slot,
                      (int)head, (int)element, stored, row);
}

static bool compare(const append_check *check, const appended *side)
{
    for (int i = 0; i < NUM_SLOTS; i++) {
        for (int32_t head = 0; head < NUM_KV_HEADS; head++) {
            for (int32_t element = 0; element < HEAD_DIM; element++) {
                if (!compare_element(check, side, i, head, element))
                    return false;
            }
        }
    }
    return true;
}

bool tune_check_append(clattn_context *ctx, clattn_dtype dtype, clattn_kv_layout layout, bool *right)
{
    const bench_pages pages = {layout, NUM_PAGES, PAGE_SIZE, NUM_KV_HEADS, HEAD_DIM};
    const clattn_kv_cache_params params = {
        .num_layers = 1,
        .num_pages = NUM_PAGES,
        .page_size = PAGE_SIZE,
        .num_kv_heads = NUM_KV_HEADS,
        .head_dim = HEAD_DIM,
        .dtype = dtype,
        .layout = layout,
    };
    append_check check = {.ctx = ctx};
    const bool good = tool_check(ctx, clattn_kv_cache_create(ctx, &params, &check.cache), "clattn_kv_cache_create") &&
                      prepare(&check, &pages, dtype) && append(&check);
    *right = good && compare(&check, &check.keys) && compare(&check, &check.values);
    bench_release_buffer(check.keys.buffer);
    bench_release_buffer(check.values.buffer);
    free(check.keys.image);
    free(check.values.image);
    clattn_kv_cache_destroy(&check.cache);
    return good;
}
