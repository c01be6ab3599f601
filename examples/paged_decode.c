/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes six tokens on a paged KV cache: with keys that are all alike, the output is the mean of the values so far. */
#include <clattn/clattn.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUM_TOKENS = 6, PAGE_SIZE = 4, NUM_Q_HEADS = 4, NUM_KV_HEADS = 2, HEAD_DIM = 8 };

static void check(clattn_status status, const clattn_context *ctx)
{
    if (status == CLATTN_OK)
        return;
    fprintf(stderr, "%s: %s\n", clattn_status_name(status),
            ctx != NULL ? clattn_context_last_error(ctx) : clattn_status_message(status));
    exit(EXIT_FAILURE);
}

static void check_cl(cl_int error)
{
    check(error == CL_SUCCESS ? CLATTN_OK : CLATTN_OPENCL_ERROR, NULL);
}

static clattn_tensor one_token(const clattn_context *ctx, int32_t num_heads, float value)
{
    float rows[NUM_Q_HEADS * HEAD_DIM];
    for (int32_t i = 0; i < num_heads * HEAD_DIM; i++)
        rows[i] = value;
    cl_int error;
    cl_mem buffer = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_COPY_HOST_PTR,
                                   (size_t)num_heads * HEAD_DIM * sizeof(float), rows, &error);
    check_cl(error);
    return clattn_tensor_make(buffer, CLATTN_FLOAT32, 3, (int64_t[]){1, num_heads, HEAD_DIM});
}

int main(void)
{
    clattn_context *ctx;
    check(clattn_context_create(&(clattn_context_params){0}, &ctx), NULL);

    clattn_kv_cache_params cache_params = {
        .num_layers = 1, .num_pages = 8, .page_size = PAGE_SIZE, .num_kv_heads = NUM_KV_HEADS, .head_dim = HEAD_DIM};
    clattn_kv_cache *cache;
    check(clattn_kv_cache_create(ctx, &cache_params, &cache), ctx);
    clattn_sequence sequence;
    check(clattn_sequence_create(cache, &sequence), ctx);

    clattn_tensor no_value_pages;
    clattn_ragged_page_attention_params attention = {.queries = one_token(ctx, NUM_Q_HEADS, 1.0F),
                                                     .out = one_token(ctx, NUM_Q_HEADS, 0.0F)};
    check(clattn_kv_cache_layer(cache, 0, &attention.kv_pages, &no_value_pages), ctx);

    clattn_tensor keys = one_token(ctx, NUM_KV_HEADS, 1.0F);
    for (int32_t token = 0; token < NUM_TOKENS; token++) {
        /* Room for one more token of the sequence: a new page whenever the last one is full. */
        clattn_kv_batch batch;
        check(clattn_kv_cache_extend(cache, 1, &sequence, &(int32_t){1}, &batch), ctx);

        clattn_tensor values = one_token(ctx, NUM_KV_HEADS, (float)token);
        clattn_kv_append_params append = {.keys = keys, .values = values, .slot_mapping = batch.slot_mapping};
        check(clattn_kv_cache_append(cache, &append, 0, NULL, NULL), ctx);

        attention.num_seqs = batch.num_seqs;
        attention.query_start_loc = batch.query_start_loc;
        attention.context_lens = batch.context_lens;
        attention.block_tables = batch.block_tables;
        attention.pages_per_seq = batch.pages_per_seq;
        check(clattn_ragged_page_attention(ctx, &attention, 0, NULL, NULL), ctx);

        float out;
        check_cl(clEnqueueReadBuffer(clattn_context_cl_queue(ctx), attention.out.buffer, CL_TRUE, 0, sizeof out, &out,
                                     0, NULL, NULL));
        printf("token %d: %.2f\n", (int)token, (double)out);
        clReleaseMemObject(values.buffer);
    }

    clReleaseMemObject(keys.buffer);
    clReleaseMemObject(attention.queries.buffer);
    clReleaseMemObject(attention.out.buffer);
    clattn_kv_cache_destroy(&cache);
    clattn_context_destroy(&ctx);
    return EXIT_SUCCESS;
}
