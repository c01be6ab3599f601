/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes six tokens on a paged KV cache: with keys that are all alike, the output is the mean of the values so far. */
#include <clattn/clattn.h>
#include <stdio.h>
#include <stdlib.h>

static clattn_context *ctx;

static void check(clattn_status status)
{
    if (status == CLATTN_OK)
        return;
    fprintf(stderr, "%s: %s\n", clattn_status_name(status), clattn_context_last_error(ctx));
    exit(EXIT_FAILURE);
}

/* A tensor [1 token, num_heads, 8] on the device, filled with one value. */
static clattn_tensor make_rows(int64_t num_heads, float value)
{
    float rows[4 * 8];
    for (int i = 0; i < 4 * 8; i++)
        rows[i] = value;
    cl_mem buffer = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_COPY_HOST_PTR, sizeof rows, rows, NULL);
    return clattn_tensor_make(buffer, CLATTN_FLOAT32, 3, (int64_t[]){1, num_heads, 8});
}

int main(void)
{
    check(clattn_context_create(NULL, &ctx)); /* the best device present */
    clattn_kv_cache *cache;
    check(clattn_kv_cache_create(
        ctx,
        &(clattn_kv_cache_params){.num_layers = 1, .num_pages = 2, .page_size = 4, .num_kv_heads = 2, .head_dim = 8},
        &cache));
    clattn_sequence sequence;
    check(clattn_sequence_create(cache, &sequence));

    clattn_ragged_page_attention_params call = {
        .queries = make_rows(4, 1.0F), .out = make_rows(4, 0.0F), .num_seqs = 1};
    check(clattn_kv_cache_layer(cache, 0, &call.kv_pages, &(clattn_tensor){0}));
    for (int token = 0; token < 6; token++) {
        clattn_kv_batch batch; /* the step's arrays: here one sequence that grows by one token */
        check(clattn_kv_cache_extend(cache, 1, &sequence, &(int32_t){1}, &batch));
        clattn_kv_append_params rows = {
            .keys = make_rows(2, 1.0F), .values = make_rows(2, (float)token), .slot_mapping = batch.slot_mapping};
        check(clattn_kv_cache_append(cache, &rows, 0, NULL, NULL));

        call.query_start_loc = batch.query_start_loc;
        call.context_lens = batch.context_lens;
        call.block_tables = batch.block_tables;
        call.pages_per_seq = batch.pages_per_seq;
        check(clattn_ragged_page_attention(ctx, &call, 0, NULL, NULL));

        float out = 0.0F;
        clEnqueueReadBuffer(clattn_context_cl_queue(ctx), call.out.buffer, CL_TRUE, 0, sizeof out, &out, 0, NULL, NULL);
        printf("token %d: %.2f\n", token, (double)out);
        clReleaseMemObject(rows.keys.buffer);
        clReleaseMemObject(rows.values.buffer);
    }

    clReleaseMemObject(call.queries.buffer);
    clReleaseMemObject(call.out.buffer);
    clattn_kv_cache_destroy(&cache);
    clattn_context_destroy(&ctx);
    return EXIT_SUCCESS;
}
