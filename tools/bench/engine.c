/* SPDX-License-Identifier: Apache-2.0 */
/* One layer's attention over a KV cache, step by step. */
#include "bench/engine.h"

#include "bench/buffers.h"
#include "bench/clock.h"
#include "common/message.h"

#include <stdlib.h>

#define SEED 20240607

static clattn_plan_params plan_params(const bench_engine *engine, const clattn_kv_batch *batch)
{
    const bench_problem *problem = engine->problem;
    return (clattn_plan_params){
        .num_seqs = batch->num_seqs,
        .total_tokens = batch->total_tokens,
        .query_start_loc = batch->query_start_loc,
        .context_lens = batch->context_lens,
        .block_tables = batch->block_tables,
        .pages_per_seq = batch->pages_per_seq,
        .num_q_heads = problem->shape.num_q_heads,
        .num_kv_heads = problem->shape.num_kv_heads,
        .head_dim = problem->shape.head_dim,
        .head_dim_v = problem->shape.head_dim_v,
        .kv_dtype = problem->kv_dtype,
        .page_size = problem->page_size,
        .num_pages = engine->batching.num_pages,
        .kv_layout = problem->layout,
        .sliding_window = problem->shape.sliding_window,
        .num_splits = problem->num_splits,
    };
}

static bool make_cache(bench_engine *engine, bench_random *random)
{
    const bench_problem *problem = engine->problem;
    const clattn_kv_cache_params params = {
        .num_layers = 1,
        .num_pages = engine->batching.num_pages,
        .page_size = problem->page_size,
        .num_kv_heads = problem->shape.num_kv_heads,
        .head_dim = problem->shape.head_dim,
        .head_dim_v = problem->shape.head_dim_v,
        .max_seqs = engine->batching.max_seqs,
        .dtype = problem->kv_dtype,
        .layout = problem->layout,
    };
    if (!tool_check(engine->ctx, clattn_kv_cache_create(engine->ctx, &params, &engine->cache),
                    "clattn_kv_cache_create") ||
        !tool_check(engine->ctx, clattn_kv_cache_layer(engine->cache, 0, &engine->key_pages, &engine->value_pages),
                    "clattn_kv_cache_layer"))
        return false;
    const clattn_tensor *tensors[] = {&engine->key_pages, &engine->value_pages};
    for (int i = 0; i < 2; i++) {
        uint64_t count = 1;
        for (int dim = 0; dim < tensors[i]->rank; dim++)
            count *= (uint64_t)tensors[i]->shape[dim];
        if (tensors[i]->buffer && !bench_fill_buffer(engine->ctx, random, tensors[i]->buffer, tensors[i]->offset_bytes,
                                                     problem->kv_dtype, count))
            return false;
    }
    return true;
}

static bool make_rows(bench_engine *engine, bench_random *random)
{
    const tool_shape *shape = &engine->problem->shape;
    const clattn_dtype dtype = engine->problem->dtype;
    const double num_rows = (double)engine->batching.token_budget * shape->num_q_heads;
    const double num_elements = num_rows * shape->head_dim;
    if (!bench_make_buffer(engine->ctx, "queries", dtype, num_elements, &engine->queries) ||
        !bench_fill_buffer(engine->ctx, random, engine->queries, 0, dtype, (uint64_t)num_elements) ||
        !bench_make_buffer(engine->ctx, "out", dtype, num_rows * shape->head_dim_v, &engine->out))
        return false;
    return !shape->sinks ||
           (bench_make_buffer(engine->ctx, "softmax_aux", CLATTN_FLOAT32, shape->num_q_heads, &engine->sinks) &&
            bench_fill_buffer(engine->ctx, random, engine->sinks, 0, CLATTN_FLOAT32, (uint64_t)shape->num_q_heads));
}

/* A plan with room for every step, so that updates allocate nothing. */
static bool make_plan(bench_engine *engine)
{
    int32_t longest = 0;
    for (int32_t i = 0; i < engine->batching.trace->num_requests; i++) {
        const int32_t kv_tokens = bench_request_kv_tokens(&engine->batching.trace->requests[i]);
        longest = kv_tokens > longest ? kv_tokens : longest;
    }
    static const int32_t nothing[] = {0};
    const clattn_kv_batch empty = {.query_start_loc = nothing, .context_lens = nothing, .block_tables = nothing};
    const clattn_plan_params params = plan_params(engine, &empty);
    return tool_check(engine->ctx, clattn_plan_create(engine->ctx, &params, &engine->plan), "clattn_plan_create") &&
           tool_check(
               engine->ctx,
               clattn_plan_reserve(engine->plan, engine->batching.max_seqs, engine->batching.token_budget, longest),
               "clattn_plan_reserve");
}

void bench_engine_finish(bench_engine *engine)
{
    clattn_plan_destroy(&engine->plan);
    clattn_kv_cache_destroy(&engine->cache);
    bench_release_buffer(engine->queries);
    bench_release_buffer(engine->out);
    bench_release_buffer(engine->sinks);
    free(engine->sequences);
    free(engine->batch);
    free(engine->new_tokens);
}

bool bench_engine_init(bench_engine *engine, clattn_context *ctx, const bench_problem *problem,
                       const bench_batcher_params *batching)
{
    *engine = (bench_engine){
        .ctx = ctx,
        .problem = problem,
        .batching = *batching,
        .sequences = calloc((size_t)batching->trace->num_requests, sizeof *engine->sequences),
        .batch = calloc((size_t)batching->max_seqs, sizeof *engine->batch),
        .new_tokens = calloc((size_t)batching->max_seqs, sizeof *engine->new_tokens),
    };
    bench_random random;
    bench_random_init(&random, SEED);
    bool good = (engine->sequences && engine->batch && engine->new_tokens) || tool_error("out of memory");
    good = good && make_cache(engine, &random) && make_rows(engine, &random) && make_plan(engine);
    if (!good)
        bench_engine_finish(engine);
    return good;
}

static bool enqueue(const bench_engine *engine, int32_t total_tokens)
{
    const bench_problem *problem = engine->problem;
    const tool_shape *shape = &problem->shape;
    const int64_t query_shape[] = {total_tokens, shape->num_q_heads, shape->head_dim};
    const int64_t out_shape[] = {total_tokens, shape->num_q_heads, shape->head_dim_v};
    const int64_t sinks_shape[] = {shape->num_q_heads};
    clattn_ragged_page_attention_params params = {
        .queries = clattn_tensor_make(engine->queries, problem->dtype, 3, query_shape),
        .kv_layout = problem->layout,
        .out = clattn_tensor_make(engine->out, problem->dtype, 3, out_shape),
        .logits_soft_cap = shape->logits_soft_cap,
        .sliding_window = shape->sliding_window,
        .plan = engine->plan,
    };
    if (engine->sinks)
        params.softmax_aux = clattn_tensor_make(engine->sinks, CLATTN_FLOAT32, 1, sinks_shape);
    if (problem->layout == CLATTN_KV_COMBINED) {
        params.kv_pages = engine->key_pages;
    } else {
        params.key_pages = engine->key_pages;
        params.value_pages = engine->value_pages;
    }
    return tool_check(engine->ctx, clattn_ragged_page_attention(engine->ctx, &params, 0, NULL, NULL),
                      "clattn_ragged_page_attention");
}

/* The sequences of the step: those that begin are made, and those with new tokens take part. */
static bool gather(bench_engine *engine, const bench_batcher *batcher, int32_t *num_seqs)
{
    *num_seqs = 0;
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        const bench_share *share = &batcher->shares[i];
        clattn_sequence *sequence = &engine->sequences[share->request];
        if (share->first &&
            !tool_check(engine->ctx, clattn_sequence_create(engine->cache, sequence), "clattn_sequence_create"))
            return false;
        if (share->new_tokens == 0)
            continue;
        engine->batch[*num_seqs] = *sequence;
        engine->new_tokens[*num_seqs] = share->new_tokens;
        ++*num_seqs;
    }
    return true;
}

/* Ends the requests that are through. */
static bool release(bench_engine *engine, const bench_batcher *batcher)
{
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        const bench_share *share = &batcher->shares[i];
        if (share->last &&
            !tool_check(engine->ctx, clattn_sequence_release(engine->cache, &engine->sequences[share->request]),
                        "clattn_sequence_release"))
            return false;
    }
    return true;
}

bool bench_engine_release_all(bench_engine *engine)
{
    for (int32_t i = 0; i < engine->batching.trace->num_requests; i++) {
        if (engine->sequences[i] != 0 &&
            !tool_check(engine->ctx, clattn_sequence_release(engine->cache, &engine->sequences[i]),
                        "clattn_sequence_release"))
            return false;
    }
    return true;
}

static void count_work(const bench_engine *engine, const clattn_kv_batch *batch, bench_step *step)
{
    const tool_shape *shape = &engine->problem->shape;
    const bench_batch counted = {
        .num_seqs = batch->num_seqs,
        .q_lens = engine->new_tokens,
        .context_lens = batch->context_lens,
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .sliding_window = shape->sliding_window,
        .query_element_bytes = clattn_dtype_size(engine->problem->dtype),
        .out_element_bytes = clattn_dtype_size(engine->problem->dtype),
        .kv_element_bytes = clattn_dtype_size(engine->problem->kv_dtype),
    };
    step->flops = bench_count_flops(&counted);
    step->bytes = bench_count_bytes(&counted);
}

bool bench_engine_step(bench_engine *engine, const bench_batcher *batcher, bench_step *step)
{
    int32_t num_seqs = 0;
    clattn_kv_batch batch;
    const double start = bench_now();
    if (!gather(engine, batcher, &num_seqs) ||
        !tool_check(engine->ctx,
                    clattn_kv_cache_extend(engine->cache, num_seqs, engine->batch, engine->new_tokens, &batch),
                    "clattn_kv_cache_extend"))
        return false;
    const clattn_plan_params params = plan_params(engine, &batch);
    if (!tool_check(engine->ctx, clattn_plan_update(engine->plan, &params), "clattn_plan_update"))
        return false;
    const double planned = bench_now();
    const double process_start = bench_process_time();
    if (!enqueue(engine, batch.total_tokens) ||
        !tool_check_cl(clFinish(clattn_context_cl_queue(engine->ctx)), "clFinish"))
        return false;
    step->attention_s = bench_now() - planned;
    step->process_s = bench_process_time() - process_start;
    step->host_s = planned - start;
    count_work(engine, &batch, step);
    return release(engine, batcher);
}
