/* SPDX-License-Identifier: Apache-2.0 */
/* From strides and block tables to runs, and from runs to chunks. */
#include "bench/chunks.h"

#include "bench/model.h"
#include "common/message.h"

#include <stdlib.h>

#define UNITS_PER_LINE 4
#define UNITS_PER_CHUNK (BENCH_CHUNK_BYTES / BENCH_UNIT_BYTES)

/* Rows of one buffer; with the combined layout K and V of a head are one row. */
typedef struct row_stream {
    bench_order order;
    int64_t num_heads, width; /* elements */
    uint32_t flags;
} row_stream;

/* The run that grows as long as rows lie side by side. */
typedef struct run_builder {
    bench_chunks *chunks;
    size_t element_bytes;
    uint64_t first, size; /* units */
    uint32_t flags;
} run_builder;

/* Tokens of a page. */
typedef struct page_part {
    int64_t page, first_slot, past_slot;
} page_part;

static bool reserve(bench_chunks *chunks, uint64_t num_more)
{
    const uint64_t wanted = (uint64_t)chunks->count + num_more;
    if (wanted <= (uint64_t)chunks->capacity)
        return true;
    if (wanted > INT32_MAX / 2)
        return tool_error("K and V lie in more than %d pieces", INT32_MAX / 2);
    const int32_t capacity = (int32_t)wanted * 2;
    bench_chunk *at = realloc(chunks->at, (size_t)capacity * sizeof *at);
    if (!at)
        return tool_error("out of memory");
    chunks->at = at;
    chunks->capacity = capacity;
    return true;
}

/* Cuts the run into chunks of as many whole lines of a cache, as far as that goes, and begins anew. */
static bool end_run(run_builder *run)
{
    const uint64_t num_chunks = (run->size + UNITS_PER_CHUNK - 1) / UNITS_PER_CHUNK;
    const uint64_t num_lines = (run->size + UNITS_PER_LINE - 1) / UNITS_PER_LINE;
    if (run->first + run->size > UINT32_MAX)
        return tool_error("K and V of a layer take more than %d GiB", (int)(((uint64_t)BENCH_UNIT_BYTES << 32) >> 30));
    if (!reserve(run->chunks, num_chunks))
        return false;
    for (uint64_t i = 0; i < num_chunks; i++) {
        const uint64_t begin = num_lines * i / num_chunks * UNITS_PER_LINE;
        const uint64_t end = i + 1 < num_chunks ? num_lines * (i + 1) / num_chunks * UNITS_PER_LINE : run->size;
        run->chunks->at[run->chunks->count++] =
            (bench_chunk){(uint32_t)(run->first + begin), (uint32_t)(end - begin) | run->flags};
    }
    run->chunks->bytes += run->size * BENCH_UNIT_BYTES;
    run->size = 0;
    return true;
}

static bool add_row(run_builder *run, const row_stream *stream, int64_t page, int64_t slot, int64_t head)
{
    const bench_order *order = &stream->order;
    const int64_t element =
        order->first + page * order->page_stride + slot * order->slot_stride + head * order->head_stride;
    const uint64_t first = (uint64_t)element * run->element_bytes / BENCH_UNIT_BYTES;
    if (run->size > 0 && (first != run->first + run->size || stream->flags != run->flags) && !end_run(run))
        return false;
    if (run->size == 0) {
        run->first = first;
        run->flags = stream->flags;
    }
    run->size += (uint64_t)stream->width * run->element_bytes / BENCH_UNIT_BYTES;
    return true;
}

/* Its rows in the order of memory. */
static bool add_part(run_builder *run, const row_stream *stream, const page_part *part)
{
    const bool heads_first = stream->order.head_stride > stream->order.slot_stride;
    const int64_t num_slots = part->past_slot - part->first_slot;
    const int64_t num_heads = stream->num_heads;
    for (int64_t i = 0; i < num_slots * num_heads; i++) {
        const int64_t slot = part->first_slot + (heads_first ? i % num_slots : i / num_heads);
        if (!add_row(run, stream, part->page, slot, heads_first ? i / num_slots : i % num_heads))
            return false;
    }
    return true;
}

/* K and V of the tokens that a sequence's queries see: page after page. */
static bool add_pages(run_builder *run, const row_stream *streams, int num_streams, const bench_cache_view *view,
                      int32_t seq)
{
    const int64_t page_size = view->keys.page_size;
    const int64_t past = view->lengths->context_lens[seq];
    const int64_t first =
        past - bench_count_visible_keys(view->lengths->q_lens[seq], (int32_t)past, view->sliding_window);
    for (int64_t token = first; token < past; token = (token / page_size + 1) * page_size) {
        const int64_t index = token / page_size;
        const int64_t page_begin = index * page_size;
        const page_part part = {
            .page = view->block_tables ? view->block_tables[(int64_t)seq * view->pages_per_seq + index] : seq,
            .first_slot = token - page_begin,
            .past_slot = past - page_begin < page_size ? past - page_begin : page_size,
        };
        for (int i = 0; i < num_streams; i++) {
            if (!add_part(run, &streams[i], &part))
                return false;
        }
    }
    return true;
}

static int make_streams(const bench_cache_view *view, row_stream streams[2])
{
    const bool combined = view->keys.layout == CLATTN_KV_COMBINED;
    const bench_pages *pages = &view->keys;
    streams[0] = (row_stream){bench_order_of_keys(pages), pages->num_kv_heads, pages->width * (combined ? 2 : 1), 0};
    pages = &view->values;
    streams[1] = (row_stream){bench_order_of_values(pages), pages->num_kv_heads, pages->width, BENCH_CHUNK_IN_VALUES};
    return combined ? 1 : 2;
}

bool bench_chunks_init_visible(bench_chunks *chunks, const bench_cache_view *view)
{
    row_stream streams[2];
    run_builder run = {.chunks = chunks, .element_bytes = view->element_bytes};
    const int num_streams = make_streams(view, streams);
    bool good = true;
    *chunks = (bench_chunks){0};
    for (int32_t seq = 0; good && seq < view->lengths->num_seqs; seq++)
        good = add_pages(&run, streams, num_streams, view, seq);
    if (good && (run.size == 0 || end_run(&run)))
        return true;
    bench_chunks_finish(chunks);
    return false;
}

bool bench_chunks_init_line(bench_chunks *chunks, uint64_t bytes)
{
    run_builder run = {.chunks = chunks, .size = bytes / BENCH_UNIT_BYTES};
    *chunks = (bench_chunks){0};
    if (end_run(&run))
        return true;
    bench_chunks_finish(chunks);
    return false;
}

void bench_chunks_finish(bench_chunks *chunks)
{
    free(chunks->at);
    *chunks = (bench_chunks){0};
}
