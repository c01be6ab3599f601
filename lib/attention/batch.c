/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a ragged batch and flattens it; see batch.h. */
#include "attention/batch.h"

#include "runtime/size.h"

#include <string.h>

/* First query token of a sequence; that of sequence num_seqs is the number of all. */
static int32_t first_token_of(const clattn_batch *batch, int32_t sequence)
{
    return batch->query_start_loc != NULL ? batch->query_start_loc[sequence] : sequence;
}

static int32_t num_tokens_of(const clattn_batch *batch, int32_t sequence)
{
    return first_token_of(batch, sequence + 1) - first_token_of(batch, sequence);
}

/* A dense cache has one page for each sequence, used or not. */
static int32_t num_used_pages_of(const clattn_batch *batch, int32_t sequence)
{
    return batch->dense ? 1 : (int32_t)clattn_ceil_div(batch->context_lens[sequence], batch->page_size);
}

static clattn_status check_arrays(const clattn_batch *batch, clattn_error *error)
{
    if (batch->num_seqs > 0)
        CLATTN_REQUIRE(error, batch->context_lens != NULL, CLATTN_INVALID_ARGUMENT, "context_lens is NULL");
    CLATTN_REQUIRE(error, batch->sequence_start == NULL || batch->dense, CLATTN_INVALID_ARGUMENT,
                   "sequence_start is given, but only a dense cache has one");
    CLATTN_REQUIRE(error, !batch->dense || batch->query_start_loc == NULL, CLATTN_INVALID_ARGUMENT,
                   "query_start_loc is given, but over a dense cache every sequence has one query");
    CLATTN_REQUIRE(error, !batch->dense || (batch->block_tables == NULL && batch->pages_per_seq == 0),
                   CLATTN_INVALID_ARGUMENT, "block_tables or pages_per_seq is given, but a dense cache has no tables");
    if (batch->num_seqs > 0 && !batch->dense)
        CLATTN_REQUIRE(error, batch->block_tables != NULL || batch->pages_per_seq == 0, CLATTN_INVALID_ARGUMENT,
                       "block_tables is NULL");
    return CLATTN_OK;
}

static clattn_status check_counts(const clattn_batch *batch, clattn_error *error)
{
    CLATTN_REQUIRE(error, batch->num_seqs >= 0, CLATTN_INVALID_ARGUMENT, "num_seqs is %d, expected 0 or more",
                   (int)batch->num_seqs);
    CLATTN_REQUIRE(error, batch->total_tokens >= 0, CLATTN_INVALID_ARGUMENT, "total_tokens is %d, expected 0 or more",
                   (int)batch->total_tokens);
    CLATTN_TRY(check_arrays(batch, error));
    CLATTN_REQUIRE(error, batch->pages_per_seq >= 0, CLATTN_INVALID_ARGUMENT, "pages_per_seq is %d, expected 0 or more",
                   (int)batch->pages_per_seq);
    CLATTN_REQUIRE(error, batch->page_size >= 1, CLATTN_INVALID_ARGUMENT, "page_size is %d, expected 1 or more",
                   (int)batch->page_size);
    CLATTN_REQUIRE(error, batch->num_pages >= 0, CLATTN_INVALID_ARGUMENT, "num_pages is %d, expected 0 or more",
                   (int)batch->num_pages);
    CLATTN_REQUIRE(error, !batch->dense || batch->num_pages >= batch->num_seqs, CLATTN_INVALID_ARGUMENT,
                   "num_pages is %d, but a dense cache has a page for each of %d sequences", (int)batch->num_pages,
                   (int)batch->num_seqs);
    return CLATTN_OK;
}

static clattn_status check_queries(const clattn_batch *batch, clattn_error *error)
{
    const int32_t *starts = batch->query_start_loc;
    if (starts == NULL) {
        CLATTN_REQUIRE(error, batch->total_tokens == batch->num_seqs || batch->num_seqs == 0, CLATTN_INVALID_BATCH,
                       "total_tokens is %d, but without query_start_loc there is one for each of %d sequences",
                       (int)batch->total_tokens, (int)batch->num_seqs);
        return CLATTN_OK;
    }
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
    const int32_t num_queries = num_tokens_of(batch, sequence);
    CLATTN_REQUIRE(error, context_len >= 0, CLATTN_INVALID_BATCH, "context_lens[%d] is %d, expected 0 or more",
                   (int)sequence, (int)context_len);
    /* A decode row without keys is empty; in a ragged batch the query's own token is one. */
    CLATTN_REQUIRE(error, num_queries <= context_len || batch->query_start_loc == NULL, CLATTN_INVALID_BATCH,
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

/* The keys of a sequence end where its context does, or its page if it has but one. */
static clattn_status check_num_keys(const clattn_batch *batch, int32_t sequence, clattn_error *error)
{
    int32_t end = batch->context_lens[sequence];
    if (batch->dense && end > batch->page_size)
        end = batch->page_size;
    CLATTN_REQUIRE(error, end <= CLATTN_MOST_KEYS, CLATTN_SIZE_OVERFLOW, "sequence %d has %d keys, more than %d",
                   (int)sequence, (int)end, CLATTN_MOST_KEYS);
    return CLATTN_OK;
}

clattn_status clattn_batch_check(const clattn_batch *batch, int64_t *num_used_pages, clattn_error *error)
{
    CLATTN_TRY(check_counts(batch, error));
    CLATTN_TRY(check_queries(batch, error));
    int64_t num_used = 0;
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        if (!batch->dense)
            CLATTN_TRY(check_pages(batch, s, error));
        CLATTN_TRY(check_num_keys(batch, s, error));
        num_used += num_used_pages_of(batch, s);
    }
    CLATTN_REQUIRE(error, num_used <= INT32_MAX, CLATTN_SIZE_OVERFLOW, "the batch uses %lld pages, more than 2^31-1",
                   (long long)num_used);
    *num_used_pages = num_used;
    return CLATTN_OK;
}

/* A row of a dense cache: any two numbers are a range of its keys, perhaps an empty one. */
static void set_dense_keys(const clattn_batch *batch, int32_t sequence, clattn_span *span)
{
    const int32_t start = batch->sequence_start != NULL ? batch->sequence_start[sequence] : 0;
    const int32_t end = batch->context_lens[sequence];
    span->kv_start = start > 0 ? start : 0;
    span->kv_end = end < batch->page_size ? end : batch->page_size;
    if (span->kv_end <= span->kv_start) {
        span->kv_start = 0;
        span->kv_end = 0;
    }
    span->first_position = end > 0 ? end - 1 : 0;
}

void clattn_batch_fill_spans(const clattn_batch *batch, clattn_span *spans)
{
    int32_t pages_at = 0;
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        const int32_t num_tokens = num_tokens_of(batch, s);
        spans[s] = (clattn_span){
            .first_token = first_token_of(batch, s),
            .pages_at = pages_at,
            .num_tokens = num_tokens,
        };
        if (batch->dense) {
            set_dense_keys(batch, s, &spans[s]);
        } else {
            spans[s].first_position = batch->context_lens[s] - num_tokens;
            spans[s].kv_end = batch->context_lens[s];
        }
        pages_at += num_used_pages_of(batch, s);
    }
}

void clattn_batch_fill_pages(const clattn_batch *batch, int32_t *pages)
{
    for (int32_t s = 0; s < batch->num_seqs; ++s) {
        const int32_t num_used = num_used_pages_of(batch, s);
        if (batch->dense)
            *pages = s;
        else if (num_used > 0)
            memcpy(pages, batch->block_tables + (ptrdiff_t)s * batch->pages_per_seq, (size_t)num_used * sizeof *pages);
        pages += num_used;
    }
}

int32_t clattn_batch_num_query_tokens(const clattn_batch *batch)
{
    return batch->num_seqs > 0 ? first_token_of(batch, batch->num_seqs) : 0;
}

bool clattn_batch_has_one_query_each(const clattn_batch *batch)
{
    if (batch->total_tokens != batch->num_seqs)
        return false;
    for (int32_t s = 0; s < batch->num_seqs; ++s)
        if (num_tokens_of(batch, s) != 1)
            return false;
    return true;
}

int32_t clattn_batch_longest_context(const clattn_batch *batch)
{
    int32_t longest = 0;
    for (int32_t s = 0; s < batch->num_seqs; ++s)
        if (batch->context_lens[s] > longest)
            longest = batch->context_lens[s];
    return longest;
}
