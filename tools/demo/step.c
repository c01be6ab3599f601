/* SPDX-License-Identifier: Apache-2.0 */
/* The step of cl-demo, in the order in which an inference engine makes these calls. */
#include "demo/step.h"

#include "bench/random.h"
#include "common/message.h"

#include <stdlib.h>

#define SEED 7

/* Two prefills, and decodes of one token behind contexts of several lengths; the order is that of no length. */
const int32_t demo_q_lens[DEMO_NUM_SEQS] = {1, 37, 1, 200, 1, 1};
const int32_t demo_context_lens[DEMO_NUM_SEQS] = {93, 37, 1, 200, 1024, 512};

static int32_t past_len(int32_t seq)
{
    return demo_context_lens[seq] - demo_q_lens[seq];
}

static size_t row_elements(const demo_rows *rows)
{
    return (size_t)(rows->num_tokens * rows->num_heads * DEMO_HEAD_DIM);
}

static clattn_tensor rows_tensor(const demo_rows *rows)
{
    const int64_t shape[] = {rows->num_tokens, rows->num_heads, DEMO_HEAD_DIM};
    return clattn_tensor_make(rows->buffer, CLATTN_FLOAT16, 3, shape);
}

static bool make_rows(const demo_step *step, bench_random *random, int64_t num_tokens, int64_t num_heads,
                      demo_rows *rows)
{
    rows->num_tokens = num_tokens;
    rows->num_heads = num_heads;
    const size_t count = row_elements(rows);
    rows->host = malloc(count * sizeof *rows->host);
    if (!rows->host)
        return tool_error("out of memory");
    bench_random_fill(random, CLATTN_FLOAT16, rows->host, count);
    cl_int result = CL_SUCCESS;
    rows->buffer = clCreateBuffer(clattn_context_cl_context(step->ctx), CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                  count * sizeof *rows->host, rows->host, &result);
    return tool_check_cl(result, "clCreateBuffer");
}

static bool make_layer(const demo_step *step, bench_random *random, demo_layer *layer)
{
    const size_t count = (size_t)step->total_tokens * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM;
    layer->out_host = malloc(count * sizeof *layer->out_host);
    if (!layer->out_host)
        return tool_error("out of memory");
    cl_int result = CL_SUCCESS;
    layer->out = clCreateBuffer(clattn_context_cl_context(step->ctx), CL_MEM_READ_WRITE,
                                count * sizeof *layer->out_host, NULL, &result);
    return tool_check_cl(result, "clCreateBuffer") &&
           make_rows(step, random, step->past_tokens, DEMO_NUM_KV_HEADS, &layer->past_keys) &&
           make_rows(step, random, step->past_tokens, DEMO_NUM_KV_HEADS, &layer->past_values) &&
           make_rows(step, random, step->total_tokens, DEMO_NUM_KV_HEADS, &layer->keys) &&
           make_rows(step, random, step->total_tokens, DEMO_NUM_KV_HEADS, &layer->values) &&
           make_rows(step, random, step->total_tokens, DEMO_NUM_Q_HEADS, &layer->queries);
}

static bool make_cache(demo_step *step)
{
    int32_t num_pages = 0;
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++) {
        num_pages += (demo_context_lens[seq] + DEMO_PAGE_SIZE - 1) / DEMO_PAGE_SIZE;
        step->total_tokens += demo_q_lens[seq];
        step->past_tokens += past_len(seq);
    }
    const clattn_kv_cache_params params = {
        .num_layers = DEMO_NUM_LAYERS,
        .num_pages = num_pages,
        .page_size = DEMO_PAGE_SIZE,
        .num_kv_heads = DEMO_NUM_KV_HEADS,
        .head_dim = DEMO_HEAD_DIM,
        .dtype = CLATTN_FLOAT16,
        .layout = CLATTN_KV_COMBINED,
    };
    if (!tool_check(step->ctx, clattn_kv_cache_create(step->ctx, &params, &step->cache), "clattn_kv_cache_create"))
        return false;
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++) {
        if (!tool_check(step->ctx, clattn_sequence_create(step->cache, &step->sequences[seq]),
                        "clattn_sequence_create"))
            return false;
    }
    return true;
}

/* Puts the tokens of earlier steps into the cache; sequences that start with this step get none. */
static bool append_past(demo_step *step)
{
    int32_t lengths[DEMO_NUM_SEQS];
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++)
        lengths[seq] = past_len(seq);
    clattn_kv_batch batch;
    if (!tool_check(step->ctx, clattn_kv_cache_extend(step->cache, DEMO_NUM_SEQS, step->sequences, lengths, &batch),
                    "clattn_kv_cache_extend"))
        return false;
    for (int32_t i = 0; i < DEMO_NUM_LAYERS; i++) {
        const clattn_kv_append_params params = {
            .layer = i,
            .keys = rows_tensor(&step->layers[i].past_keys),
            .values = rows_tensor(&step->layers[i].past_values),
            .slot_mapping = batch.slot_mapping,
        };
        if (!tool_check(step->ctx, clattn_kv_cache_append(step->cache, &params, 0, NULL, NULL),
                        "clattn_kv_cache_append"))
            return false;
    }
    return true;
}

/* Takes pages for the new tokens and plans the step that all layers share. */
static bool plan_step(demo_step *step)
{
    clattn_kv_batch batch;
    if (!tool_check(step->ctx, clattn_kv_cache_extend(step->cache, DEMO_NUM_SEQS, step->sequences, demo_q_lens, &batch),
                    "clattn_kv_cache_extend"))
        return false;
    const clattn_kv_cache_params *cache = clattn_kv_cache_get_params(step->cache);
    const clattn_plan_params params = {
        .num_seqs = batch.num_seqs,
        .total_tokens = batch.total_tokens,
        .query_start_loc = batch.query_start_loc,
        .context_lens = batch.context_lens,
        .block_tables = batch.block_tables,
        .pages_per_seq = batch.pages_per_seq,
        .slot_mapping = batch.slot_mapping,
        .num_q_heads = DEMO_NUM_Q_HEADS,
        .num_kv_heads = cache->num_kv_heads,
        .head_dim = cache->head_dim,
        .page_size = cache->page_size,
        .num_pages = cache->num_pages,
        .kv_layout = cache->layout,
    };
    return tool_check(step->ctx, clattn_plan_create(step->ctx, &params, &step->plan), "clattn_plan_create");
}

static bool attend(demo_step *step, int32_t index)
{
    const demo_layer *layer = &step->layers[index];
    const int64_t shape[] = {step->total_tokens, DEMO_NUM_Q_HEADS, DEMO_HEAD_DIM};
    clattn_ragged_page_attention_params params = {
        .queries = rows_tensor(&layer->queries),
        .kv_layout = CLATTN_KV_COMBINED,
        .out = clattn_tensor_make(layer->out, CLATTN_FLOAT32, 3, shape),
        .plan = step->plan,
    };
    clattn_tensor no_values;
    return tool_check(step->ctx, clattn_kv_cache_layer(step->cache, index, &params.kv_pages, &no_values),
                      "clattn_kv_cache_layer") &&
           tool_check(step->ctx, clattn_ragged_page_attention(step->ctx, &params, 0, NULL, NULL),
                      "clattn_ragged_page_attention");
}

/* Appends, attends, reads back: layer by layer on one in-order queue. */
static bool run_layers(demo_step *step)
{
    const size_t out_bytes = (size_t)step->total_tokens * DEMO_NUM_Q_HEADS * DEMO_HEAD_DIM * sizeof(float);
    for (int32_t i = 0; i < DEMO_NUM_LAYERS; i++) {
        demo_layer *layer = &step->layers[i];
        const clattn_kv_append_params params = {
            .layer = i,
            .keys = rows_tensor(&layer->keys),
            .values = rows_tensor(&layer->values),
            .plan = step->plan,
        };
        if (!tool_check(step->ctx, clattn_kv_cache_append(step->cache, &params, 0, NULL, NULL),
                        "clattn_kv_cache_append") ||
            !attend(step, i) ||
            !tool_check_cl(clEnqueueReadBuffer(clattn_context_cl_queue(step->ctx), layer->out, CL_TRUE, 0, out_bytes,
                                               layer->out_host, 0, NULL, NULL),
                           "clEnqueueReadBuffer"))
            return false;
    }
    return true;
}

bool demo_step_init(demo_step *step, clattn_context *ctx)
{
    bench_random random;
    bench_random_init(&random, SEED);
    *step = (demo_step){.ctx = ctx};
    bool good = make_cache(step);
    for (int32_t i = 0; good && i < DEMO_NUM_LAYERS; i++)
        good = make_layer(step, &random, &step->layers[i]);
    if (good && append_past(step) && plan_step(step) && run_layers(step))
        return true;
    demo_step_finish(step);
    return false;
}

static void finish_rows(demo_rows *rows)
{
    if (rows->buffer)
        clReleaseMemObject(rows->buffer);
    free(rows->host);
}

void demo_step_finish(demo_step *step)
{
    for (int32_t i = 0; i < DEMO_NUM_LAYERS; i++) {
        demo_layer *layer = &step->layers[i];
        finish_rows(&layer->past_keys);
        finish_rows(&layer->past_values);
        finish_rows(&layer->keys);
        finish_rows(&layer->values);
        finish_rows(&layer->queries);
        if (layer->out)
            clReleaseMemObject(layer->out);
        free(layer->out_host);
    }
    clattn_plan_destroy(&step->plan);
    clattn_kv_cache_destroy(&step->cache);
    *step = (demo_step){0};
}

bool demo_step_enqueue(void *user)
{
    demo_step *step = user;
    const int32_t index = step->next_layer;
    step->next_layer = (index + 1) % DEMO_NUM_LAYERS;
    return attend(step, index);
}
