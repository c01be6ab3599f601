/* SPDX-License-Identifier: Apache-2.0 */
/* The operands of the operations, and their plans. */
#include "bench/call.h"

#include "bench/buffers.h"
#include "bench/clock.h"
#include "bench/statistics.h"
#include "common/message.h"

#include <math.h>

#define NUM_PLAN_UPDATES 11

static clattn_plan_params plan_params(const bench_call *call)
{
    const bench_problem *problem = call->operands->problem;
    const bench_sequences *sequences = &call->sequences;
    clattn_plan_params params = {
        .num_seqs = sequences->lengths.num_seqs,
        .total_tokens = sequences->lengths.total_tokens,
        .query_start_loc = call->operation->decode_only ? NULL : sequences->query_start_loc,
        .context_lens = sequences->lengths.context_lens,
        .num_q_heads = problem->shape.num_q_heads,
        .num_kv_heads = problem->shape.num_kv_heads,
        .head_dim = problem->shape.head_dim,
        .head_dim_v = problem->shape.head_dim_v,
        .sliding_window = problem->shape.sliding_window,
        .num_splits = problem->num_splits,
        .kv_dtype = problem->kv_dtype,
        .tuning = call->tuning,
    };
    if (call->operation->dense) {
        params.dense = true;
        params.page_size = sequences->max_context_len;
        params.num_pages = sequences->lengths.num_seqs;
        params.kv_layout = CLATTN_KV_NHD;
    } else {
        params.block_tables = sequences->block_tables;
        params.pages_per_seq = sequences->pages_per_seq;
        params.page_size = problem->page_size;
        params.num_pages = sequences->num_pages;
        params.kv_layout = problem->layout;
    }
    return params;
}

static bool make_plan(bench_call *call)
{
    clattn_context *ctx = call->operands->ctx;
    cl_command_queue queue = clattn_context_cl_queue(ctx);
    const clattn_plan_params params = plan_params(call);
    double start = bench_now();
    if (!tool_check(ctx, clattn_plan_create(ctx, &params, &call->plan), "clattn_plan_create") ||
        !tool_check_cl(clFinish(queue), "clFinish"))
        return false;
    call->plan_s = bench_now() - start;

    double samples[NUM_PLAN_UPDATES];
    for (int i = 0; i < NUM_PLAN_UPDATES; i++) {
        start = bench_now();
        if (!tool_check(ctx, clattn_plan_update(call->plan, &params), "clattn_plan_update") ||
            !tool_check_cl(clFinish(queue), "clFinish"))
            return false;
        samples[i] = bench_now() - start;
    }
    call->plan_update_s = bench_quartiles_of(samples, NUM_PLAN_UPDATES).median;
    return tool_check(ctx, clattn_plan_get_info(call->plan, &call->plan_info), "clattn_plan_get_info");
}

static bool make_results(bench_call *call)
{
    const clattn_context *ctx = call->operands->ctx;
    const tool_shape *shape = &call->operands->problem->shape;
    const double num_rows = (double)call->sequences.lengths.total_tokens * shape->num_q_heads;
    if (!bench_make_buffer(ctx, "out", call->out_dtype, num_rows * shape->head_dim_v, &call->out))
        return false;
    if (call->operation->statistics)
        return bench_make_buffer(ctx, "max", CLATTN_FLOAT32, num_rows, &call->max) &&
               bench_make_buffer(ctx, "denominator", CLATTN_FLOAT32, num_rows, &call->denominator);
    return !call->operands->problem->lse || bench_make_buffer(ctx, "lse", CLATTN_FLOAT32, num_rows, &call->lse);
}

bool bench_call_init(bench_call *call, const bench_operands *operands, const bench_operation *operation,
                     bench_phases phases, const clattn_tuning *tuning)
{
    *call = (bench_call){
        .operands = operands,
        .operation = operation,
        .tuning = tuning,
        .out_dtype = operation->statistics ? CLATTN_FLOAT32 : operands->problem->dtype,
    };
    if (bench_sequences_init_part(&call->sequences, &operands->sequences, phases)) {
        call->batch = bench_batch_of(operands->problem, &call->sequences.lengths);
        call->batch.out_element_bytes = clattn_dtype_size(call->out_dtype);
        call->batch.statistics_bytes = (operation->statistics ? 2 : operands->problem->lse ? 1 : 0) * sizeof(float);
        if (make_results(call) && make_plan(call))
            return true;
    }
    bench_call_finish(call);
    return false;
}

void bench_call_finish(bench_call *call)
{
    bench_release_buffer(call->out);
    bench_release_buffer(call->max);
    bench_release_buffer(call->denominator);
    bench_release_buffer(call->lse);
    clattn_plan_destroy(&call->plan);
    bench_sequences_finish(&call->sequences);
    *call = (bench_call){0};
}

/* Rows of queries or out. */
static clattn_tensor rows_tensor(const bench_call *call, cl_mem buffer, clattn_dtype dtype, int32_t width)
{
    const int64_t shape[] = {call->sequences.lengths.total_tokens, call->operands->problem->shape.num_q_heads, width};
    return clattn_tensor_make(buffer, dtype, 3, shape);
}

static clattn_tensor queries_tensor(const bench_call *call)
{
    const bench_problem *problem = call->operands->problem;
    return rows_tensor(call, call->operands->queries, problem->dtype, problem->shape.head_dim);
}

static clattn_tensor out_tensor(const bench_call *call)
{
    return rows_tensor(call, call->out, call->out_dtype, call->operands->problem->shape.head_dim_v);
}

/* A number for each row and head, or absent. */
static clattn_tensor statistics_tensor(const bench_call *call, cl_mem buffer)
{
    const int64_t shape[] = {call->sequences.lengths.total_tokens, call->operands->problem->shape.num_q_heads};
    return buffer ? clattn_tensor_make(buffer, CLATTN_FLOAT32, 2, shape) : (clattn_tensor){0};
}

/* One sink for each query head, or absent. */
static clattn_tensor head_sinks_tensor(const bench_call *call)
{
    const int64_t shape[] = {call->operands->problem->shape.num_q_heads};
    return call->operands->sinks ? clattn_tensor_make(call->operands->sinks, CLATTN_FLOAT32, 1, shape)
                                 : (clattn_tensor){0};
}

/* One sink for each query head, too: as many numbers, but all the sinks of a kv head enter each of its rows. */
static clattn_tensor kv_head_sinks_tensor(const bench_call *call)
{
    const tool_shape *heads = &call->operands->problem->shape;
    const int64_t shape[] = {heads->num_kv_heads, heads->num_q_heads / heads->num_kv_heads};
    return call->operands->sinks ? clattn_tensor_make(call->operands->sinks, CLATTN_FLOAT32, 2, shape)
                                 : (clattn_tensor){0};
}

/* Pages of K, V or both in the shape of their layout. */
static clattn_tensor pages_tensor(const bench_call *call, cl_mem buffer, int32_t row_width)
{
    const bench_problem *problem = call->operands->problem;
    const int64_t pages = call->sequences.num_pages;
    const int64_t slots = problem->page_size;
    const int64_t heads = problem->shape.num_kv_heads;
    const int64_t width = row_width;
    const int64_t shapes[CLATTN_NUM_KV_LAYOUTS][4] = {
        [CLATTN_KV_COMBINED] = {pages, slots, 2 * heads, width},
        [CLATTN_KV_NHD] = {pages, slots, heads, width},
        [CLATTN_KV_HND] = {pages, heads, slots, width},
        [CLATTN_KV_HEADS_FIRST] = {heads, pages, slots, width},
    };
    return clattn_tensor_make(buffer, problem->kv_dtype, 4, shapes[problem->layout]);
}

static clattn_tensor dense_tensor(const bench_call *call, cl_mem buffer, int32_t row_width)
{
    const bench_problem *problem = call->operands->problem;
    const int64_t shape[] = {call->sequences.lengths.num_seqs, call->sequences.max_context_len,
                             problem->shape.num_kv_heads, row_width};
    return clattn_tensor_make(buffer, problem->kv_dtype, 4, shape);
}

static bool enqueue_ragged_page(const bench_call *call, cl_mem keys, cl_mem values)
{
    const bench_operands *operands = call->operands;
    const tool_shape *shape = &operands->problem->shape;
    clattn_ragged_page_attention_params params = {
        .queries = queries_tensor(call),
        .kv_layout = operands->problem->layout,
        .out = out_tensor(call),
        .lse = statistics_tensor(call, call->lse),
        .softmax_aux = head_sinks_tensor(call),
        .logits_soft_cap = shape->logits_soft_cap,
        .sliding_window = shape->sliding_window,
        .plan = call->plan,
    };
    if (params.kv_layout == CLATTN_KV_COMBINED) {
        params.kv_pages = pages_tensor(call, keys, shape->head_dim);
    } else {
        params.key_pages = pages_tensor(call, keys, shape->head_dim);
        params.value_pages = pages_tensor(call, values, shape->head_dim_v);
    }
    return tool_check(operands->ctx, clattn_ragged_page_attention(operands->ctx, &params, 0, NULL, NULL),
                      "clattn_ragged_page_attention");
}

static bool enqueue_page(const bench_call *call, cl_mem keys, cl_mem values)
{
    const bench_operands *operands = call->operands;
    const tool_shape *shape = &operands->problem->shape;
    const clattn_page_attention_params params = {
        .query = queries_tensor(call),
        .key_cache = pages_tensor(call, keys, shape->head_dim),
        .value_cache = pages_tensor(call, values, shape->head_dim_v),
        .kv_layout = operands->problem->layout,
        .out = out_tensor(call),
        .lse = statistics_tensor(call, call->lse),
        .softmax_aux = head_sinks_tensor(call),
        .logits_soft_cap = shape->logits_soft_cap,
        .sliding_window = shape->sliding_window,
        .plan = call->plan,
    };
    return tool_check(operands->ctx, clattn_page_attention(operands->ctx, &params, 0, NULL, NULL),
                      "clattn_page_attention");
}

static bool enqueue_ragged_decode(const bench_call *call, cl_mem keys, cl_mem values)
{
    const bench_operands *operands = call->operands;
    const tool_shape *shape = &operands->problem->shape;
    /* W keys, the query's own included, are W - 1 to its left. */
    const clattn_window window = {.left = shape->sliding_window - 1, .right = 0};
    const clattn_ragged_decode_attention_params params = {
        .query = queries_tensor(call),
        .key = dense_tensor(call, keys, shape->head_dim),
        .value = dense_tensor(call, values, shape->head_dim_v),
        .out = out_tensor(call),
        .lse = statistics_tensor(call, call->lse),
        .softmax_aux = kv_head_sinks_tensor(call),
        .logits_soft_cap = shape->logits_soft_cap,
        .sliding_window = shape->sliding_window > 0 ? &window : NULL,
        .plan = call->plan,
    };
    return tool_check(operands->ctx, clattn_ragged_decode_attention(operands->ctx, &params, 0, NULL, NULL),
                      "clattn_ragged_decode_attention");
}

static bool enqueue_ragged(const bench_call *call, cl_mem keys, cl_mem values)
{
    const bench_operands *operands = call->operands;
    const tool_shape *shape = &operands->problem->shape;
    const clattn_ragged_attention_params params = {
        .query = queries_tensor(call),
        .key = dense_tensor(call, keys, shape->head_dim),
        .value = dense_tensor(call, values, shape->head_dim_v),
        .out = out_tensor(call),
        .max = statistics_tensor(call, call->max),
        .denominator = statistics_tensor(call, call->denominator),
        .softmax_scale = 1.0f / sqrtf((float)shape->head_dim), /* its default is another than the others' */
        .plan = call->plan,
    };
    return tool_check(operands->ctx, clattn_ragged_attention(operands->ctx, &params, 0, NULL, NULL),
                      "clattn_ragged_attention");
}

int32_t bench_call_next_layer(bench_call *call)
{
    const int32_t layer = call->next_layer;
    call->next_layer = (layer + 1) % call->operands->num_layers;
    return layer;
}

bool bench_call_enqueue(void *user)
{
    bench_call *call = user;
    const int32_t layer = bench_call_next_layer(call);
    const cl_mem keys = call->operands->keys[layer];
    const cl_mem values = call->operands->values[layer];
    switch (call->operation->id) {
    case BENCH_RAGGED_PAGE_ATTENTION:
        return enqueue_ragged_page(call, keys, values);
    case BENCH_PAGE_ATTENTION:
        return enqueue_page(call, keys, values);
    case BENCH_RAGGED_DECODE_ATTENTION:
        return enqueue_ragged_decode(call, keys, values);
    case BENCH_RAGGED_ATTENTION:
        return enqueue_ragged(call, keys, values);
    case BENCH_NUM_OPERATIONS:
        break;
    }
    return tool_error("no operation has the number %d", (int)call->operation->id);
}
