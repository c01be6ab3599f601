/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the random batch that cl-bench measures; what an operation makes of it is call.c's. */
#include "bench/workload.h"

#include "bench/message.h"
#include "bench/random.h"

#include <math.h>
#include <stdlib.h>

#define SEED 20240607
#define FILL_ELEMENTS ((size_t)1 << 20)
#define LAYERS_BYTES ((uint64_t)64 << 20) /* the layers together are no smaller, so that no cache keeps them all */

bool bench_make_buffer(const clattn_context *ctx, const char *what, clattn_dtype dtype, double count, cl_mem *buffer)
{
    const uint64_t limit = clattn_context_device(ctx)->max_allocation_bytes;
    const double bytes = count * (double)clattn_dtype_size(dtype);
    if (bytes > (double)limit)
        return bench_error("%s takes %.0f MiB, but the device's largest buffer is %.0f MiB", what, bytes / 1048576.0,
                           (double)limit / 1048576.0);
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(clattn_context_cl_context(ctx), CL_MEM_READ_WRITE, (size_t)bytes, NULL, &result);
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
    return bench_make_buffer(workload->ctx, what, dtype, count, buffer) &&
           fill_buffer(workload, random, *buffer, dtype, (uint64_t)count);
}

static int32_t pages_of(int32_t context_len, int32_t page_size)
{
    return context_len / page_size + (context_len % page_size > 0);
}

/* Lengths and offsets of the batch. */
static bool make_lengths(bench_workload *workload, const bench_options *options)
{
    workload->query_start_loc = calloc((size_t)options->num_seqs + 1, sizeof *workload->query_start_loc);
    if (!workload->query_start_loc)
        return bench_error("out of memory");
    for (int32_t seq = 0; seq < options->num_seqs; seq++) {
        workload->total_tokens += options->q_lens[seq];
        workload->query_start_loc[seq + 1] = workload->total_tokens;
        if (options->context_lens[seq] > workload->max_context_len)
            workload->max_context_len = options->context_lens[seq];
    }
    return true;
}

static bool count_pages(bench_workload *workload, const bench_options *options)
{
    int64_t num_pages = 0;
    for (int32_t seq = 0; seq < options->num_seqs; seq++)
        num_pages += pages_of(options->context_lens[seq], options->page_size);
    if (num_pages > INT32_MAX)
        return bench_error("the batch takes more than %d pages", INT32_MAX);
    workload->num_pages = (int32_t)num_pages;
    workload->pages_per_seq = pages_of(workload->max_context_len, options->page_size);
    return true;
}

/* Shuffled block tables of the batch. */
static bool make_tables(bench_workload *workload, const bench_options *options, bench_random *random)
{
    if (!count_pages(workload, options))
        return false;
    const size_t num_seqs = (size_t)options->num_seqs;
    int32_t *order = malloc((size_t)workload->num_pages * sizeof *order);
    workload->block_tables = calloc(num_seqs * (size_t)workload->pages_per_seq, sizeof *workload->block_tables);
    if (!order || !workload->block_tables) {
        free(order);
        return bench_error("out of memory");
    }
    bench_random_permutation(random, order, workload->num_pages);
    const int32_t *next = order;
    for (size_t seq = 0; seq < num_seqs; seq++) {
        int32_t *table = workload->block_tables + seq * (size_t)workload->pages_per_seq;
        const int32_t used = pages_of(options->context_lens[seq], options->page_size);
        for (int32_t page = 0; page < workload->pages_per_seq; page++)
            table[page] = page < used ? *next++ : -1;
    }
    free(order);
    return true;
}

/* K and V of every layer, as large as the operation that reads most needs them. */
static bool make_layers(bench_workload *workload, const bench_options *options, bench_random *random)
{
    const bench_shape *shape = &options->shape;
    const bool dense = bench_options_have_dense(options);
    const bool combined = bench_options_have_pages(options) && options->layout == CLATTN_KV_COMBINED;
    const double page_rows = (double)workload->num_pages * options->page_size;
    const double dense_rows = dense ? (double)options->num_seqs * workload->max_context_len : 0.0;
    const double key_rows = fmax(page_rows * (combined ? 2.0 : 1.0), dense_rows) * shape->num_kv_heads;
    const double value_rows = fmax(combined ? 0.0 : page_rows, dense_rows) * shape->num_kv_heads;
    const uint64_t kv_bytes = bench_count_kv_bytes(&workload->batch);
    const uint64_t wanted = (LAYERS_BYTES + kv_bytes - 1) / kv_bytes;
    workload->num_layers = wanted < BENCH_MAX_LAYERS ? (int32_t)wanted : BENCH_MAX_LAYERS;
    for (int32_t layer = 0; layer < workload->num_layers; layer++) {
        if (!make_random_buffer(workload, random, combined ? "the KV cache" : "the K cache", options->kv_dtype,
                                key_rows * shape->head_dim, &workload->keys[layer]))
            return false;
        if (value_rows > 0.0 && !make_random_buffer(workload, random, "the V cache", options->kv_dtype,
                                                    value_rows * shape->head_dim_v, &workload->values[layer]))
            return false;
    }
    return true;
}

static bool make_rows(bench_workload *workload, const bench_options *options, bench_random *random)
{
    const bench_shape *shape = &options->shape;
    const double count = (double)workload->total_tokens * shape->num_q_heads * shape->head_dim;
    return make_random_buffer(workload, random, "queries", options->dtype, count, &workload->queries) &&
           (!shape->sinks || make_random_buffer(workload, random, "softmax_aux", CLATTN_FLOAT32,
                                                (double)shape->num_q_heads, &workload->sinks));
}

bool bench_workload_init(bench_workload *workload, clattn_context *ctx, const bench_options *options)
{
    bench_random random;
    bench_random_init(&random, SEED);
    *workload = (bench_workload){.ctx = ctx, .options = options};
    workload->batch = (bench_batch){
        .num_seqs = options->num_seqs,
        .q_lens = options->q_lens,
        .context_lens = options->context_lens,
        .num_q_heads = options->shape.num_q_heads,
        .num_kv_heads = options->shape.num_kv_heads,
        .head_dim = options->shape.head_dim,
        .head_dim_v = options->shape.head_dim_v,
        .sliding_window = options->shape.sliding_window,
        .query_element_bytes = clattn_dtype_size(options->dtype),
        .out_element_bytes = clattn_dtype_size(options->dtype),
        .kv_element_bytes = clattn_dtype_size(options->kv_dtype),
    };
    if (make_lengths(workload, options) &&
        (!bench_options_have_pages(options) || make_tables(workload, options, &random)) &&
        make_layers(workload, options, &random) && make_rows(workload, options, &random))
        return true;
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
    release(workload->sinks);
    free(workload->query_start_loc);
    free(workload->block_tables);
    *workload = (bench_workload){0};
}
