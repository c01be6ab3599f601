/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a ragged batch and flattens it; see batch.h. */
#include "attention/batch.h"

#include "runtime/size.h"

#include <string.h>

static int32_t num_used_pages_of(const clattn_batch *batch, int32_t sequence)
{
    return (int32_t)clattn_ceil_div(batch->context_lens[sequence], batch->page_size);
}

static clattn_status check_counts(const clattn_batch *batch, clattn_error *error)
{
    CLATTN_REQUIRE(error, batch->num_seqs >= 0, CLATTN_INVALID_ARGUMENT, "num_seqs is %d, expected 0 or more",
                   (int)batch->num_seqs);
    CLATTN_REQUIRE(error, batch->total_tokens >= 0, CLATTN_INVALID_ARGUMENT, "total_tokens is %d, expected 0 or more",
                   (int)batch->total_tokens);
    if (batch->num_seqs > 0) {
        CLATTN_REQUIRE(error, batch->query_start_loc != NULL, CLATTN_INVALID_ARGUMENT, "query_start_loc is NULL");
        CLATTN_REQUIRE(error, batch->context_lens != NULL, CLATTN_INVALID_ARGUMENT, "context_lens is NULL");
        CLATTN_REQUIRE(error, batch->block_tables != NULL || batch->pages_per_seq == 0, CLATTN_INVALID_ARGUMENT,
                       "block_tables is NULL");
    }
    CLATTN_REQUIRE(error, batch->pages_per_seq >= 0, CLATTN_INVALID_ARGUMENT, "pages_per_seq is %d, expected 0 or more",
                   (int)batch->pages_per_seq);
    CLATTN_REQUIRE(error, batch->page_size >= 1, CLATTN_INVALID_ARGUMENT, "page_size is %d, expected 1 or more",
                   (int)batch->page_size);
    CLATTN_REQUIRE(error, batch->num_pages >= 0, CLATTN_INVALID_ARGUMENT, "num_pages is %d, expected 0 or more",
                   (int)batch->num_pages);
    return CLATTN_OK;
}

static clattn_status check_queries(const clattn_batch *batch, clattn_error *error)
{
    const int32_t *starts = batch->query_start_loc;
    if (batch->num_seqs == 0)
        return CLATTN_OK;
    CLATTN_REQUIRE(error, starts[0] == 0, CLATTN_INVALID_BATCH, "query_start_loc[0] is %d, expected 0", (int)starts[0]);
    for (int32_t s = 0; s < batch->num_seqs; ++s)
        CLATTN_REQUIRE(error, starts[s + 1] >= starts[s], CLATTN_INVALID_BATCH,
                       "query_start_loc decreases from %d to %d behind sequence %d", (int)starts[s], (int)starts[s + 1],
                       (int)s);
    CLATTN_REQUIRE(error, starts[batch->num_seqs] <= batch->total_tokens, CLATTN_INVALID_BATCH,
                   "query_start_loc ends at %d, but there are %d query tokens", (int)starts[batch->num_seqs],
                   (int)batch->total_tokens);
    return CLATTN_OK;
}

static clattn_status check_pages(const clattn_batch *batch, int32_t sequence, clattn_error *error)
{
    const int32_t context_len = batch->context_lens[sequence];
    const int32_t num_queries = batch->query_start_loc[sequence + 1] - batch->query_start_loc[sequence];
    CLATTN_REQUIRE(error, context_len >= 0, CLATTN_INVALID_BATCH, "context_lens[%d] is %d, expected 0 or more",
                   (int)sequence, (int)context_len);
    CLATTN_REQUIRE(error, num_queries <= context_len, CLATTN_INVALID_BATCH,
                   "sequence %d has %d query tokens, but a context_len of %d", (int)sequence, (int)num_queries,
                   (int)context_len);
    const int32_t num_used = num_used_pages_of(batch, sequence);
    CLATTN_REQUIRE(error, num_used <= batch->pages_per_seq, CLATTN_INVALID_BATCH,
                   "sequence %d needs %d pages for its context_len of %d, but pages_per_seq is %d", (int)sequence,
                   (int)num_used, (int)context_len, (int)batch->pages_per_seq);
    if (num_used == 0)
        return CLATTN_OK; /* there may be no table at all */
    const int32_t *table = batch->block_tables + (ptrdiff_t)sequence * batch->pages_per_seq;
    for (int32_t page = 0; page < num_used; ++page)
        CLATTN_REQUIRE(error, table[page] >= 0 && table[page] < batch->num_pages, CLATTN_INVALID_PAGE,
                       "block_tables: sequence %d, logical page %d holds %d, expected 0..%d", (int)sequence, (int)page,
                       (int)table[page], (int)batch->num_pages - 1);
    return CLATTN_OK;
}

clattn_status clattn_batch_check(const clattn_batch *batch, int64_t *num_used_pages, clattn_error *error)
{
    CLATTN_TRY(check_counts(batch, error));
    CLATTN_TRY(check_queries(batch, error));
    int64_t num_used = 0;
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        CLATTN_TRY(check_pages(batch, s, error));
        num_used += num_used_pages_of(batch, s);
    }
    CLATTN_REQUIRE(error, num_used <= INT32_MAX, CLATTN_SIZE_OVERFLOW, "the batch uses %lld pages, more than 2^31-1",
                   (long long)num_used);
    *num_used_pages = num_used;
    return CLATTN_OK;
}

void clattn_batch_fill_spans(const clattn_batch *batch, clattn_span *spans)
{
    int32_t pages_at = 0;
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        const int32_t num_tokens = batch->query_start_loc[s + 1] - batch->query_start_loc[s];
        spans[s] = (clattn_span){
            .first_token = batch->query_start_loc[s],
            .first_position = batch->context_lens[s] - num_tokens,
            .kv_start = 0,
            .kv_end = batch->context_lens[s],
            .pages_at = pages_at,
            .num_tokens = num_tokens,
        };
        pages_at += num_used_pages_of(batch, s);
    }
}

void clattn_batch_fill_pages(const clattn_batch *batch, int32_t *pages)
{
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        const int32_t num_used = num_used_pages_of(batch, s);
        if (num_used > 0)
            memcpy(pages, batch->block_tables + (ptrdiff_t)s * batch->pages_per_seq, (size_t)num_used * sizeof *pages);
        pages += num_used;
    }
}

int32_t clattn_batch_num_query_tokens(const clattn_batch *batch)
{
    return batch->num_seqs > 0 ? batch->query_start_loc[batch->num_seqs] : 0;
}
