/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the random batch that cl-bench measures. */
#include "bench/workload.h"

#include "bench/clock.h"
#include "bench/message.h"
#include "bench/random.h"
#include "bench/statistics.h"

#include <stdlib.h>

#define SEED 20240607
#define FILL_ELEMENTS ((size_t)1 << 20)
#define LAYERS_BYTES ((uint64_t)64 << 20) /* the layers together are no smaller, so that no cache keeps them all */
#define NUM_PLAN_UPDATES 11

/* A device buffer of `count` elements; refuses what the device cannot hold in one buffer. */
static bool make_buffer(bench_workload *workload, const char *what, clattn_dtype dtype, double count, cl_mem *buffer)
{
    const uint64_t limit = clattn_context_device(workload->ctx)->max_allocation_bytes;
    const double bytes = count * (double)clattn_dtype_size(dtype);
    if (bytes > (double)limit)
        return bench_error("%s takes %.0f MiB, but the device's largest buffer is %.0f MiB", what, bytes / 1048576.0,
                           (double)limit / 1048576.0);
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(clattn_context_cl_context(workload->ctx), CL_MEM_READ_WRITE, (size_t)bytes, NULL, &result);
    return bench_check_cl(result, "clCreateBuffer");
}

/* Fills a buffer with random values, block by block. */
static bool fill_buffer(const bench_workload *workload, bench_random *random, cl_mem buffer, clattn_dtype dtype,
                        uint64_t count)
{
    const size_t element_bytes = clattn_dtype_size(dtype);
    void *block = malloc(FILL_ELEMENTS * element_bytes);
    if (!block)
        return bench_error("out of memory");
    bool good = true;
    for (uint64_t done = 0; good && done < count; done += FILL_ELEMENTS) {
        const size_t now = count - done < FILL_ELEMENTS ? (size_t)(count - done) : FILL_ELEMENTS;
        bench_random_fill(random, dtype, block, now);
        good = bench_check_cl(clEnqueueWriteBuffer(clattn_context_cl_queue(workload->ctx), buffer, CL_TRUE,
                                                   (size_t)done * element_bytes, now * element_bytes, block, 0, NULL,
                                                   NULL),
                              "clEnqueueWriteBuffer");
    }
    free(block);
    return good;
}

static bool make_random_buffer(bench_workload *workload, bench_random *random, const char *what, clattn_dtype dtype,
                               double count, cl_mem *buffer)
{
    return make_buffer(workload, what, dtype, count, buffer) &&
           fill_buffer(workload, random, *buffer, dtype, (uint64_t)count);
}

static int32_t pages_of(int32_t context_len, int32_t page_size)
{
    return context_len / page_size + (context_len % page_size > 0);
}

/* Lengths, offsets and shuffled block tables of the batch. */
static bool make_tables(bench_workload *workload, const bench_options *options, bench_random *random)
{
    int64_t num_pages = 0;
    for (int32_t seq = 0; seq < options->num_seqs; seq++) {
        const int32_t pages = pages_of(options->context_lens[seq], options->page_size);
        num_pages += pages;
        workload->total_tokens += options->q_lens[seq];
        if (pages > workload->pages_per_seq)
            workload->pages_per_seq = pages;
    }
    if (num_pages > INT32_MAX)
        return bench_error("the batch takes more than %d pages", INT32_MAX);
    workload->num_pages = (int32_t)num_pages;

    const size_t num_seqs = (size_t)options->num_seqs;
    int32_t *order = malloc((size_t)num_pages * sizeof *order);
    workload->query_start_loc = calloc(num_seqs + 1, sizeof *workload->query_start_loc);
    workload->block_tables = calloc(num_seqs * (size_t)workload->pages_per_seq, sizeof *workload->block_tables);
    if (!order || !workload->query_start_loc || !workload->block_tables) {
        free(order);
        return bench_error("out of memory");
    }
    bench_random_permutation(random, order, workload->num_pages);
    const int32_t *next = order;
    for (size_t seq = 0; seq < num_seqs; seq++) {
        int32_t *table = workload->block_tables + seq * (size_t)workload->pages_per_seq;
        const int32_t used = pages_of(options->context_lens[seq], options->page_size);
        workload->query_start_loc[seq + 1] = workload->query_start_loc[seq] + options->q_lens[seq];
        for (int32_t page = 0; page < workload->pages_per_seq; page++)
            table[page] = page < used ? *next++ : -1;
    }
    free(order);
    return true;
}

/* K and V of every layer. */
static bool make_layers(bench_workload *workload, const bench_options *options, bench_random *random)
{
    const bool combined = options->layout == CLATTN_KV_COMBINED;
    const double num_rows = (double)workload->num_pages * options->page_size * options->shape.num_kv_heads;
    const double count = num_rows * options->shape.head_dim * (combined ? 2 : 1);
    const uint64_t kv_bytes = bench_count_kv_bytes(&workload->batch);
    const uint64_t wanted = (LAYERS_BYTES + kv_bytes - 1) / kv_bytes;
    workload->num_layers = wanted < BENCH_MAX_LAYERS ? (int32_t)wanted : BENCH_MAX_LAYERS;
    for (int32_t layer = 0; layer < workload->num_layers; layer++) {
        if (!make_random_buffer(workload, random, combined ? "the KV cache" : "the K cache", options->kv_dtype, count,
                                &workload->keys[layer]))
            return false;
        if (!combined &&
            !make_random_buffer(workload, random, "the V cache", options->kv_dtype, count, &workload->values[layer]))
            return false;
    }
    return true;
}

static bool make_rows(bench_workload *workload, const bench_options *options, bench_random *random)
{
    const bench_shape *shape = &options->shape;
    const double count = (double)workload->total_tokens * shape->num_q_heads * shape->head_dim;
    return make_random_buffer(workload, random, "queries", options->dtype, count, &workload->queries) &&
           make_buffer(workload, "out", options->dtype, count, &workload->out) &&
           (!shape->sinks || make_random_buffer(workload, random, "softmax_aux", CLATTN_FLOAT32,
                                                (double)shape->num_q_heads, &workload->sinks));
}

static bool make_plan(bench_workload *workload)
{
    cl_command_queue queue = clattn_context_cl_queue(workload->ctx);
    double start = bench_now();
    if (!bench_check(workload->ctx, clattn_plan_create(workload->ctx, &workload->plan_params, &workload->plan),
                     "clattn_plan_create") ||
        !bench_check_cl(clFinish(queue), "clFinish"))
        return false;
    workload->plan_s = bench_now() - start;

    double samples[NUM_PLAN_UPDATES];
    for (int i = 0; i < NUM_PLAN_UPDATES; i++) {
        start = bench_now();
        if (!bench_check(workload->ctx, clattn_plan_update(workload->plan, &workload->plan_params),
                         "clattn_plan_update") ||
            !bench_check_cl(clFinish(queue), "clFinish"))
            return false;
        samples[i] = bench_now() - start;
    }
    workload->plan_update_s = bench_quartiles_of(samples, NUM_PLAN_UPDATES).median;
    return bench_check(workload->ctx, clattn_plan_get_info(workload->plan, &workload->plan_info),
                       "clattn_plan_get_info");
}

static void describe_plan(bench_workload *workload, const bench_options *options)
{
    workload->plan_params = (clattn_plan_params){
        .num_seqs = options->num_seqs,
        .total_tokens = workload->total_tokens,
        .query_start_loc = workload->query_start_loc,
        .context_lens = options->context_lens,
        .block_tables = workload->block_tables,
        .pages_per_seq = workload->pages_per_seq,
        .num_q_heads = options->shape.num_q_heads,
        .num_kv_heads = options->shape.num_kv_heads,
        .head_dim = options->shape.head_dim,
        .page_size = options->page_size,
        .num_pages = workload->num_pages,
        .kv_layout = options->layout,
        .sliding_window = options->shape.sliding_window,
        .num_splits = options->num_splits,
    };
}

static void describe_call(bench_workload *workload, const bench_options *options)
{
    const bench_shape *shape = &options->shape;
    const int64_t rows[] = {workload->total_tokens, shape->num_q_heads, shape->head_dim};
    const int64_t heads[] = {shape->num_q_heads};
    workload->params = (clattn_ragged_page_attention_params){
        .queries = clattn_tensor_make(workload->queries, options->dtype, 3, rows),
        .out = clattn_tensor_make(workload->out, options->dtype, 3, rows),
        .kv_layout = options->layout,
        .logits_soft_cap = shape->logits_soft_cap,
        .sliding_window = shape->sliding_window,
        .plan = workload->plan,
    };
    if (workload->sinks)
        workload->params.softmax_aux = clattn_tensor_make(workload->sinks, CLATTN_FLOAT32, 1, heads);
}

bool bench_workload_init(bench_workload *workload, clattn_context *ctx, const bench_options *options)
{
    bench_random random;
    bench_random_init(&random, SEED);
    *workload = (bench_workload){.ctx = ctx, .kv_dtype = options->kv_dtype};
    workload->batch = (bench_batch){
        .num_seqs = options->num_seqs,
        .q_lens = options->q_lens,
        .context_lens = options->context_lens,
        .num_q_heads = options->shape.num_q_heads,
        .num_kv_heads = options->shape.num_kv_heads,
        .head_dim = options->shape.head_dim,
        .sliding_window = options->shape.sliding_window,
        .query_element_bytes = clattn_dtype_size(options->dtype),
        .out_element_bytes = clattn_dtype_size(options->dtype),
        .kv_element_bytes = clattn_dtype_size(options->kv_dtype),
    };
    if (make_tables(workload, options, &random) && make_layers(workload, options, &random) &&
        make_rows(workload, options, &random)) {
        describe_plan(workload, options);
        if (make_plan(workload)) {
            describe_call(workload, options);
            return true;
        }
    }
    bench_workload_finish(workload);
    return false;
}

static void release(cl_mem buffer)
{
    if (buffer)
        clReleaseMemObject(buffer);
}

void bench_workload_finish(bench_workload *workload)
{
    for (int32_t layer = 0; layer < BENCH_MAX_LAYERS; layer++) {
        release(workload->keys[layer]);
        release(workload->values[layer]);
    }
    release(workload->queries);
    release(workload->out);
    release(workload->sinks);
    clattn_plan_destroy(&workload->plan);
    free(workload->query_start_loc);
    free(workload->block_tables);
    *workload = (bench_workload){0};
}

/* The pages of one layer in the shape of their layout. */
static void set_layer(const bench_workload *workload, int32_t layer, clattn_ragged_page_attention_params *params)
{
    const clattn_plan_params *plan = &workload->plan_params;
    const int64_t pages = plan->num_pages;
    const int64_t slots = plan->page_size;
    const int64_t heads = plan->num_kv_heads;
    const int64_t width = plan->head_dim;
    const int64_t shapes[CLATTN_NUM_KV_LAYOUTS][4] = {
        [CLATTN_KV_COMBINED] = {pages, slots, 2 * heads, width},
        [CLATTN_KV_NHD] = {pages, slots, heads, width},
        [CLATTN_KV_HND] = {pages, heads, slots, width},
        [CLATTN_KV_HEADS_FIRST] = {heads, pages, slots, width},
    };
    const int64_t *shape = shapes[plan->kv_layout];
    const clattn_tensor keys = clattn_tensor_make(workload->keys[layer], workload->kv_dtype, 4, shape);
    if (plan->kv_layout == CLATTN_KV_COMBINED) {
        params->kv_pages = keys;
    } else {
        params->key_pages = keys;
        params->value_pages = clattn_tensor_make(workload->values[layer], workload->kv_dtype, 4, shape);
    }
}

bool bench_workload_enqueue(void *user)
{
    bench_workload *workload = user;
    set_layer(workload, workload->next_layer, &workload->params);
    workload->next_layer = (workload->next_layer + 1) % workload->num_layers;
    return bench_check(workload->ctx, clattn_ragged_page_attention(workload->ctx, &workload->params, 0, NULL, NULL),
                       "clattn_ragged_page_attention");
}
