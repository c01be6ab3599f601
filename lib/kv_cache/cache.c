/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the page buffers and puts the public functions of cache and sequences over them. Which page belongs to whom is
 * sequences.c's business; writing rows into pages is append.c's.
 */
#include "kv_cache/cache.h"

#include "attention/bind.h"
#include "runtime/cl_error.h"
#include "runtime/size.h"

#include <inttypes.h>
#include <stdlib.h>

static clattn_status check_params(clattn_error *error, const clattn_kv_cache_params *params)
{
    const struct {
        const char *name;
        int32_t value;
        int32_t least;
    } counts[] = {
        {"num_layers", params->num_layers, 1}, {"num_pages", params->num_pages, 1},
        {"page_size", params->page_size, 1},   {"num_kv_heads", params->num_kv_heads, 1},
        {"head_dim", params->head_dim, 1},     {"head_dim_v", params->head_dim_v, 0},
        {"max_seqs", params->max_seqs, 0},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        CLATTN_REQUIRE(error, counts[i].value >= counts[i].least, CLATTN_INVALID_ARGUMENT,
                       "%s is %" PRId32 ", expected %" PRId32 " or more", counts[i].name, counts[i].value,
                       counts[i].least);

    CLATTN_REQUIRE(error, params->dtype == CLATTN_DTYPE_DEFAULT || clattn_dtype_size(params->dtype) > 0,
                   CLATTN_INVALID_DTYPE, "dtype is %d, expected float32, float16 or bfloat16", (int)params->dtype);
    CLATTN_REQUIRE(error, (unsigned)params->layout < CLATTN_NUM_KV_LAYOUTS, CLATTN_INVALID_ARGUMENT,
                   "layout is %d, expected 0 to %d", (int)params->layout, CLATTN_NUM_KV_LAYOUTS - 1);
    CLATTN_REQUIRE(
        error,
        params->layout != CLATTN_KV_COMBINED || params->head_dim_v == 0 || params->head_dim_v == params->head_dim,
        CLATTN_UNSUPPORTED, "head_dim_v is %" PRId32 " and head_dim %" PRId32 ": the combined layout needs both equal",
        params->head_dim_v, params->head_dim);
    return CLATTN_OK;
}

static clattn_kv_cache_params with_defaults(clattn_kv_cache_params params)
{
    if (params.head_dim_v == 0)
        params.head_dim_v = params.head_dim;
    if (params.max_seqs == 0)
        params.max_seqs = params.num_pages;
    if (params.dtype == CLATTN_DTYPE_DEFAULT)
        params.dtype = CLATTN_FLOAT16;
    return params;
}

/* Bytes of one layer's buffer whose rows are `width` elements wide per kv head; within the device's limit. */
static clattn_status measure_layer(clattn_context *ctx, const clattn_kv_cache_params *params, int64_t width,
                                   uint64_t *num_bytes)
{
    uint64_t size = 0;
    const bool fits = clattn_size_multiply((uint64_t)params->num_pages, (uint64_t)params->page_size, &size) &&
                      clattn_size_multiply(size, (uint64_t)params->num_kv_heads, &size) &&
                      clattn_size_multiply(size, (uint64_t)width, &size) &&
                      clattn_size_multiply(size, clattn_dtype_size(params->dtype), &size) && size <= SIZE_MAX;
    CLATTN_REQUIRE(&ctx->error, fits, CLATTN_SIZE_OVERFLOW,
                   "a layer of %" PRId32 " pages of %" PRId32 " tokens, %" PRId32 " kv heads of %" PRId64
                   " elements is larger than any buffer",
                   params->num_pages, params->page_size, params->num_kv_heads, width);
    CLATTN_TRY(clattn_context_check_allocation(ctx, "a layer", size));
    *num_bytes = size;
    return CLATTN_OK;
}

static clattn_status create_buffer(clattn_kv_cache *cache, int32_t layer, uint64_t num_bytes, cl_mem *buffer)
{
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(cache->ctx->cl, CL_MEM_READ_WRITE, (size_t)num_bytes, NULL, &result);
    const clattn_status status = clattn_context_check_cl(cache->ctx, result, "clCreateBuffer");
    if (status == CLATTN_OK)
        return CLATTN_OK;
    *buffer = NULL;
    return clattn_error_set(&cache->ctx->error, status,
                            "clCreateBuffer failed with %s (%d) for %" PRIu64 " bytes of layer %" PRId32 " of %" PRId32,
                            clattn_cl_error_name(result), (int)result, num_bytes, layer, cache->params.num_layers);
}

static clattn_status create_buffers(clattn_kv_cache *cache, uint64_t key_bytes, uint64_t value_bytes)
{
    const size_t num_layers = (size_t)cache->params.num_layers;
    cache->key_pages = calloc(num_layers, sizeof *cache->key_pages);
    cache->value_pages = calloc(num_layers, sizeof *cache->value_pages);
    CLATTN_REQUIRE(&cache->ctx->error, cache->key_pages && cache->value_pages, CLATTN_OUT_OF_MEMORY,
                   "no memory for the buffers of %" PRId32 " layers", cache->params.num_layers);
    for (int32_t layer = 0; layer < cache->params.num_layers; layer++) {
        CLATTN_TRY(create_buffer(cache, layer, key_bytes, &cache->key_pages[layer]));
        if (cache->params.layout != CLATTN_KV_COMBINED)
            CLATTN_TRY(create_buffer(cache, layer, value_bytes, &cache->value_pages[layer]));
    }
    return CLATTN_OK;
}

/* Where K and V lie in a layer, as every reader of its tensors sees it. */
static clattn_status find_addresses(clattn_kv_cache *cache)
{
    static const int64_t any_shape[] = {CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT};
    clattn_context *ctx = cache->ctx;
    clattn_problem problem = {0};
    clattn_tensor key = {0};
    clattn_tensor value = {0};
    clattn_view key_view = {0};
    clattn_view value_view = {0};
    CLATTN_TRY(clattn_kv_cache_layer(cache, 0, &key, &value));
    CLATTN_TRY(clattn_bind_tensor(ctx, &key, "key_pages", 4, any_shape, &key_view));
    if (value.buffer)
        CLATTN_TRY(clattn_bind_tensor(ctx, &value, "value_pages", 4, any_shape, &value_view));
    CLATTN_TRY(clattn_problem_set_kv(&problem, cache->params.layout, &key_view, &value_view, &ctx->error));
    cache->key_address = problem.k;
    cache->value_address = problem.v;
    return CLATTN_OK;
}

clattn_status clattn_kv_cache_create(clattn_context *ctx, const clattn_kv_cache_params *params, clattn_kv_cache **cache)
{
    if (cache)
        *cache = NULL;
    if (!ctx)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, params, CLATTN_INVALID_ARGUMENT, "params is NULL");
    CLATTN_REQUIRE(&ctx->error, cache, CLATTN_INVALID_ARGUMENT, "cache is NULL");
    CLATTN_TRY(check_params(&ctx->error, params));

    const clattn_kv_cache_params filled = with_defaults(*params);
    const bool combined = filled.layout == CLATTN_KV_COMBINED;
    uint64_t key_bytes = 0;
    uint64_t value_bytes = 0;
    CLATTN_TRY(measure_layer(ctx, &filled, (int64_t)filled.head_dim * (combined ? 2 : 1), &key_bytes));
    if (!combined)
        CLATTN_TRY(measure_layer(ctx, &filled, filled.head_dim_v, &value_bytes));

    clattn_kv_cache *made = calloc(1, sizeof *made);
    CLATTN_REQUIRE(&ctx->error, made, CLATTN_OUT_OF_MEMORY, "no memory for a KV cache");
    made->ctx = ctx;
    made->params = filled;

    clattn_status status =
        clattn_sequences_init(&made->sequences, filled.num_pages, filled.page_size, filled.max_seqs, &ctx->error);
    if (status == CLATTN_OK)
        status = create_buffers(made, key_bytes, value_bytes);
    if (status == CLATTN_OK)
        status = find_addresses(made);
    if (status != CLATTN_OK) {
        clattn_kv_cache_destroy(&made);
        return status;
    }
    *cache = made;
    return CLATTN_OK;
}

static void release_buffers(cl_mem *buffers, int32_t num_buffers)
{
    for (int32_t i = 0; buffers && i < num_buffers; i++) {
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    }
    free(buffers);
}

void clattn_kv_cache_destroy(clattn_kv_cache **cache)
{
    if (!cache || !*cache)
        return;
    clattn_slot_upload_finish(&(*cache)->slot_upload);
    release_buffers((*cache)->key_pages, (*cache)->params.num_layers);
    release_buffers((*cache)->value_pages, (*cache)->params.num_layers);
    clattn_sequences_finish(&(*cache)->sequences);
    free(*cache);
    *cache = NULL;
}

const clattn_kv_cache_params *clattn_kv_cache_get_params(const clattn_kv_cache *cache)
{
    return cache ? &cache->params : NULL;
}

int32_t clattn_kv_cache_num_free_pages(const clattn_kv_cache *cache)
{
    return cache ? clattn_pages_num_free(&cache->sequences.pages) : 0;
}

/* The tensor of a layer's buffer whose heads are `num_heads` rows of `width` elements. */
static clattn_tensor layer_tensor(const clattn_kv_cache *cache, cl_mem buffer, int64_t num_heads, int64_t width)
{
    const int64_t num_pages = cache->params.num_pages;
    const int64_t page_size = cache->params.page_size;
    const clattn_dtype dtype = cache->params.dtype;
    switch (cache->params.layout) {
    case CLATTN_KV_HND:
        return clattn_tensor_make(buffer, dtype, 4, (int64_t[]){num_pages, num_heads, page_size, width});
    case CLATTN_KV_HEADS_FIRST:
        return clattn_tensor_make(buffer, dtype, 4, (int64_t[]){num_heads, num_pages, page_size, width});
    case CLATTN_KV_NHD:
    case CLATTN_KV_COMBINED:
    default:
        return clattn_tensor_make(buffer, dtype, 4, (int64_t[]){num_pages, page_size, num_heads, width});
    }
}

clattn_status clattn_kv_cache_layer(const clattn_kv_cache *cache, int32_t layer, clattn_tensor *key_pages,
                                    clattn_tensor *value_pages)
{
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    const clattn_kv_cache_params *params = &cache->params;
    CLATTN_REQUIRE(&cache->ctx->error, layer >= 0 && layer < params->num_layers, CLATTN_INVALID_ARGUMENT,
                   "layer is %" PRId32 ", expected 0 to %" PRId32, layer, params->num_layers - 1);
    CLATTN_REQUIRE(&cache->ctx->error, key_pages, CLATTN_INVALID_ARGUMENT, "key_pages is NULL");
    CLATTN_REQUIRE(&cache->ctx->error, value_pages, CLATTN_INVALID_ARGUMENT, "value_pages is NULL");

    const int64_t num_kv_heads = params->num_kv_heads;
    if (params->layout == CLATTN_KV_COMBINED) {
        *key_pages = layer_tensor(cache, cache->key_pages[layer], 2 * num_kv_heads, params->head_dim);
        *value_pages = (clattn_tensor){0};
        return CLATTN_OK;
    }
    *key_pages = layer_tensor(cache, cache->key_pages[layer], num_kv_heads, params->head_dim);
    *value_pages = layer_tensor(cache, cache->value_pages[layer], num_kv_heads, params->head_dim_v);
    return CLATTN_OK;
}

clattn_status clattn_sequence_create(clattn_kv_cache *cache, clattn_sequence *sequence)
{
    if (sequence)
        *sequence = 0;
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&cache->ctx->error, sequence, CLATTN_INVALID_ARGUMENT, "sequence is NULL");
    return clattn_sequences_create(&cache->sequences, sequence, &cache->ctx->error);
}

clattn_status clattn_sequence_fork(clattn_kv_cache *cache, clattn_sequence parent, clattn_sequence *child)
{
    if (child)
        *child = 0;
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&cache->ctx->error, child, CLATTN_INVALID_ARGUMENT, "child is NULL");
    return clattn_sequences_fork(&cache->sequences, parent, child, &cache->ctx->error);
}

clattn_status clattn_sequence_truncate(clattn_kv_cache *cache, clattn_sequence sequence, int32_t num_tokens)
{
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    return clattn_sequences_truncate(&cache->sequences, sequence, num_tokens, &cache->ctx->error);
}

clattn_status clattn_sequence_release(clattn_kv_cache *cache, clattn_sequence *sequence)
{
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&cache->ctx->error, sequence, CLATTN_INVALID_ARGUMENT, "sequence is NULL");
    CLATTN_TRY(clattn_sequences_release(&cache->sequences, *sequence, &cache->ctx->error));
    *sequence = 0;
    return CLATTN_OK;
}

int32_t clattn_sequence_length(const clattn_kv_cache *cache, clattn_sequence sequence)
{
    return cache ? clattn_sequences_length(&cache->sequences, sequence) : -1;
}

/* Copies one page inside a layer's buffer: one piece, or one per kv head where the heads lie outermost. */
static clattn_status copy_page(const clattn_kv_cache *cache, cl_mem buffer, const clattn_pages_address *address,
                               clattn_page_copy copy)
{
    const size_t element_bytes = clattn_dtype_size(cache->params.dtype);
    const size_t page_bytes = (size_t)address->page_stride * element_bytes;
    const size_t source = (size_t)copy.source * page_bytes;
    const size_t target = (size_t)copy.target * page_bytes;
    const cl_command_queue queue = cache->ctx->queue;
    if (cache->params.layout != CLATTN_KV_HEADS_FIRST)
        return clattn_context_check_cl(
            cache->ctx, clEnqueueCopyBuffer(queue, buffer, buffer, source, target, page_bytes, 0, NULL, NULL),
            "clEnqueueCopyBuffer");

    const size_t head_bytes = (size_t)address->head_stride * element_bytes;
    const size_t source_origin[3] = {source, 0, 0};
    const size_t target_origin[3] = {target, 0, 0};
    const size_t region[3] = {page_bytes, (size_t)cache->params.num_kv_heads, 1};
    return clattn_context_check_cl(cache->ctx,
                                   clEnqueueCopyBufferRect(queue, buffer, buffer, source_origin, target_origin, region,
                                                           head_bytes, 0, head_bytes, 0, 0, NULL, NULL),
                                   "clEnqueueCopyBufferRect");
}

/* Every copy in every layer. The targets are free pages, so what a failure leaves behind is seen by nobody. */
static clattn_status copy_pages(const clattn_kv_cache *cache, const clattn_extension *extension)
{
    for (int32_t layer = 0; layer < cache->params.num_layers; layer++) {
        for (int32_t i = 0; i < extension->num_copies; i++) {
            CLATTN_TRY(copy_page(cache, cache->key_pages[layer], &cache->key_address, extension->copies[i]));
            if (cache->value_pages[layer])
                CLATTN_TRY(copy_page(cache, cache->value_pages[layer], &cache->value_address, extension->copies[i]));
        }
    }
    return CLATTN_OK;
}

clattn_status clattn_kv_cache_extend(clattn_kv_cache *cache, int32_t num_seqs, const clattn_sequence *sequences,
                                     const int32_t *num_new_tokens, clattn_kv_batch *batch)
{
    if (batch)
        *batch = (clattn_kv_batch){0};
    if (!cache)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&cache->ctx->error, batch, CLATTN_INVALID_ARGUMENT, "batch is NULL");

    const clattn_extension *extension = NULL;
    CLATTN_TRY(clattn_sequences_prepare(&cache->sequences, num_seqs, sequences, num_new_tokens, &extension,
                                        &cache->ctx->error));
    CLATTN_TRY(copy_pages(cache, extension));
    clattn_sequences_commit(&cache->sequences);
    *batch = (clattn_kv_batch){
        .num_seqs = extension->num_seqs,
        .total_tokens = extension->total_tokens,
        .pages_per_seq = extension->pages_per_seq,
        .query_start_loc = extension->query_start_loc,
        .context_lens = extension->context_lens,
        .block_tables = extension->block_tables,
        .slot_mapping = extension->slot_mapping,
    };
    return CLATTN_OK;
}
