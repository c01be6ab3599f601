/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of a call's K and V, their sum on the host, and the probes that read them. */
#include "bench/paged_read.h"

#include "bench/read_probe.h"
#include "common/message.h"

static bench_cache_view view_of(const bench_call *call)
{
    const bench_problem *problem = call->operands->problem;
    const bench_sequences *sequences = &call->sequences;
    const bool dense = call->operation->dense;
    bench_cache_view view = {
        .lengths = &sequences->lengths,
        .block_tables = dense ? NULL : sequences->block_tables,
        .pages_per_seq = sequences->pages_per_seq,
        .sliding_window = problem->shape.sliding_window,
        .keys =
            {
                .layout = dense ? CLATTN_KV_NHD : problem->layout,
                .num_pages = dense ? sequences->lengths.num_seqs : sequences->num_pages,
                .page_size = dense ? sequences->max_context_len : problem->page_size,
                .num_kv_heads = problem->shape.num_kv_heads,
                .width = problem->shape.head_dim,
            },
        .element_bytes = clattn_dtype_size(problem->kv_dtype),
    };
    view.values = view.keys;
    view.values.width = problem->shape.head_dim_v;
    return view;
}

/* The words of a buffer's chunks; the queue is drained. */
static bool add_words(cl_command_queue queue, cl_mem buffer, const bench_chunks *chunks, uint32_t flag, uint32_t *sum)
{
    size_t bytes = 0;
    cl_int result = clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    if (!tool_check_cl(result, "clGetMemObjectInfo"))
        return false;
    const uint32_t *words = clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ, 0, bytes, 0, NULL, NULL, &result);
    if (!tool_check_cl(result, "clEnqueueMapBuffer"))
        return false;
    const size_t words_per_unit = BENCH_UNIT_BYTES / sizeof *words;
    for (int32_t i = 0; i < chunks->count; i++) {
        if ((chunks->at[i].size & BENCH_CHUNK_IN_VALUES) != flag)
            continue;
        const size_t first = chunks->at[i].first * words_per_unit;
        const size_t count = (chunks->at[i].size & ~BENCH_CHUNK_IN_VALUES) * words_per_unit;
        for (size_t word = first; word < first + count; word++)
            *sum += words[word];
    }
    return tool_check_cl(clEnqueueUnmapMemObject(queue, buffer, (void *)words, 0, NULL, NULL),
                         "clEnqueueUnmapMemObject");
}

/* The sum that the device has to find on the first layer; the chunks are the bytes that the call is counted for. */
static bool sum_first_layer(const bench_paged_read *read, const bench_chunks *chunks, uint32_t *sum)
{
    const bench_operands *operands = read->call->operands;
    const uint64_t bytes = bench_count_kv_bytes(&read->call->batch);
    if (chunks->bytes != bytes)
        return tool_error("the chunks of K and V are %llu bytes, not %llu", (unsigned long long)chunks->bytes,
                          (unsigned long long)bytes);
    *sum = 0;
    return add_words(read->queue, operands->keys[0], chunks, 0, sum) &&
           (!operands->values[0] || add_words(read->queue, operands->values[0], chunks, BENCH_CHUNK_IN_VALUES, sum));
}

/* Whether the device reads the chunks, and nothing else. */
static bool check_probe(const bench_paged_read *read, uint32_t sum)
{
    const bench_operands *operands = read->call->operands;
    return bench_read_probe_bind(&read->probe, operands->keys[0], operands->values[0]) &&
           bench_read_probe_check(&read->probe, read->queue, sum);
}

static bool make_probes(bench_paged_read *reads, const bench_probe_form *line_form, const bench_chunks *chunks,
                        uint32_t sum)
{
    static const int streams[BENCH_NUM_PAGED_READS] = {1, 4};
    static const int ahead[BENCH_NUM_PAGED_READS] = {2, 4};
    for (int i = 0; i < BENCH_NUM_PAGED_READS; i++) {
        bench_probe_form form = *line_form;
        form.streams = streams[i];
        form.ahead = form.items_per_reader == 1 ? ahead[i] : 0;
        if (!bench_read_probe_init(&reads[i].probe, reads[i].call->operands->ctx, &form, chunks) ||
            !check_probe(&reads[i], sum))
            return false;
    }
    return true;
}

bool bench_paged_reads_init(bench_paged_read *reads, const bench_probes *probes, bench_call *call)
{
    const bench_cache_view view = view_of(call);
    bench_chunks chunks;
    uint32_t sum = 0;
    for (int i = 0; i < BENCH_NUM_PAGED_READS; i++)
        reads[i] = (bench_paged_read){.call = call, .queue = probes->queue};
    if (!bench_chunks_init_visible(&chunks, &view))
        return false;
    const bool good = sum_first_layer(reads, &chunks, &sum) && make_probes(reads, &probes->read_form, &chunks, sum);
    bench_chunks_finish(&chunks);
    if (!good)
        bench_paged_reads_finish(reads);
    return good;
}

void bench_paged_reads_finish(bench_paged_read *reads)
{
    for (int i = 0; i < BENCH_NUM_PAGED_READS; i++) {
        bench_probe_finish(&reads[i].probe);
        reads[i] = (bench_paged_read){0};
    }
}

bool bench_paged_read_enqueue(void *user)
{
    bench_paged_read *read = user;
    const int32_t layer = bench_call_next_layer(read->call);
    const bench_operands *operands = read->call->operands;
    return bench_read_probe_bind(&read->probe, operands->keys[layer], operands->values[layer]) &&
           bench_probe_launch(&read->probe, read->queue);
}
