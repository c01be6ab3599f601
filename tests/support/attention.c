/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a problem: its batch, its page tables and which keys its queries see. The tensors: attention_images.c. */
#include "attention.h"

#include "attention_small.h"
#include "random.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUM_SPARE_PAGES 3   /* pages that no table lists */
#define NUM_SPARE_ENTRIES 2 /* columns of the block tables behind the longest row */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_dense(support_operation operation)
{
    return operation == SUPPORT_RAGGED_DECODE || operation == SUPPORT_RAGGED;
}

bool support_attention_is_dense(const support_attention *attention)
{
    return is_dense(attention->description.operation);
}

/* A dense row's query stands at end - 1 even where `end` lies behind the cache or is no position at all. */
int64_t support_attention_first_position(const support_attention *attention, int32_t seq)
{
    return (int64_t)attention->description.context_lens[seq] - attention->description.q_lens[seq];
}

support_key_range support_attention_keys(const support_attention *attention, int32_t seq)
{
    const support_attention_case *description = &attention->description;
    support_key_range keys = {0, description->context_lens[seq]};

    if (!is_dense(description->operation))
        return keys;
    if (description->kv_starts)
        keys.start = larger(0, description->kv_starts[seq]);
    keys.end = smaller(keys.end, description->seq_len);
    return keys;
}

clattn_window support_attention_window(const support_attention *attention)
{
    const support_attention_case *description = &attention->description;

    if (description->window)
        return *description->window;
    return (clattn_window){description->sliding_window > 0 ? description->sliding_window - 1 : -1, -1};
}

/* The first query sees farthest to the left; the last one stands at the last key or behind it. */
support_key_range support_attention_seen_keys(const support_attention *attention, int32_t seq)
{
    const int32_t left = support_attention_window(attention).left;
    support_key_range keys = support_attention_keys(attention, seq);

    if (attention->description.q_lens[seq] == 0)
        return (support_key_range){0, 0};
    if (left >= 0)
        keys.start = larger(keys.start, support_attention_first_position(attention, seq) - left);
    return keys;
}

/* A field that the operation does not have would be ignored, and its test would show nothing. */
static void require_expressible(const support_attention_case *description)
{
    const support_operation operation = description->operation;
    const bool dense = is_dense(operation);

    assert_true(operation == SUPPORT_RAGGED_PAGE || (!description->q_lens && description->tail_rows == 0));
    assert_true(dense == (description->seq_len > 0) && dense == (description->page_size == 0));
    assert_true(dense || !description->kv_starts);
    assert_true(!description->shared_pages || (!dense && description->sequence_seeds));
    assert_true(!dense || (description->sliding_window == 0 && description->kv_layout == 0));
    assert_true(operation == SUPPORT_PAGE || description->max_context_len == 0);
    assert_true(operation != SUPPORT_PAGE || description->kv_layout != CLATTN_KV_COMBINED);
    assert_true(operation == SUPPORT_RAGGED_DECODE || !description->window);
    assert_true(operation != SUPPORT_RAGGED || (!description->lse && description->logits_soft_cap == 0.0f &&
                                                description->sinks == SUPPORT_SINKS_NONE));
    assert_true(operation == SUPPORT_RAGGED || !description->numerator);
    assert_true(description->sinks == SUPPORT_SINKS_NONE || dense == (description->sinks != SUPPORT_SINKS_PER_HEAD));
    assert_true((description->sinks >= SUPPORT_SINKS_SHARED) == (description->num_sinks > 0));
    assert_true(dense || description->kv_layout != CLATTN_KV_COMBINED ||
                (description->value_dtype == 0 &&
                 (description->head_dim_v == 0 || description->head_dim_v == description->head_dim)));
}

static void fill_in_defaults(support_attention *attention)
{
    support_attention_case *description = &attention->description;

    if (description->head_dim_v == 0)
        description->head_dim_v = description->head_dim;
    if (!description->query_dtype)
        description->query_dtype = CLATTN_FLOAT32;
    if (!description->kv_dtype)
        description->kv_dtype = CLATTN_FLOAT32;
    if (!description->value_dtype)
        description->value_dtype = description->kv_dtype;
    if (!description->out_dtype)
        description->out_dtype = CLATTN_FLOAT32;
    if (is_dense(description->operation)) { /* a paged cache with one page for each row */
        description->page_size = description->seq_len;
        description->kv_layout = CLATTN_KV_NHD;
    }
    if (description->q_lens)
        return;
    attention->q_lens = calloc((size_t)description->num_seqs + 1, sizeof(int32_t));
    assert_non_null(attention->q_lens);
    for (int32_t s = 0; s < description->num_seqs; s++)
        attention->q_lens[s] = 1;
    description->q_lens = attention->q_lens;
}

static int32_t pages_of(const support_attention_case *description, int32_t seq)
{
    return (description->context_lens[seq] + description->page_size - 1) / description->page_size;
}

static void lay_out_batch(support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    int32_t num_used_pages = 0;
    int32_t most_pages = 0;

    attention->query_start_loc = calloc((size_t)description->num_seqs + 1, sizeof(int32_t));
    assert_non_null(attention->query_start_loc);
    for (int32_t s = 0; s < description->num_seqs; s++)
        attention->query_start_loc[s + 1] = attention->query_start_loc[s] + description->q_lens[s];
    attention->total_tokens = attention->query_start_loc[description->num_seqs] + description->tail_rows;
    if (is_dense(description->operation)) {
        attention->num_pages = description->num_seqs;
        attention->pages_per_seq = 1;
        return;
    }
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t num_pages = pages_of(description, s);
        num_used_pages += num_pages;
        most_pages = num_pages > most_pages ? num_pages : most_pages;
    }
    attention->num_pages = num_used_pages + NUM_SPARE_PAGES;
    attention->pages_per_seq = most_pages + NUM_SPARE_ENTRIES;
}

/* The entry of an earlier sequence with the same contents at a logical page; -1 if there is none. */
static int32_t shared_page(const support_attention *attention, int32_t seq, int32_t logical_page)
{
    const support_attention_case *description = &attention->description;

    if (!description->shared_pages)
        return -1;
    for (int32_t s = 0; s < seq; s++)
        if (description->sequence_seeds[s] == description->sequence_seeds[seq] &&
            logical_page < pages_of(description, s))
            return attention->block_tables[s * attention->pages_per_seq + logical_page];
    return -1;
}

/* Shuffled pages; behind the used entries of a row stand numbers that must not be looked at. */
static void fill_paged_tables(support_attention *attention)
{
    static const int32_t garbage[] = {-1, INT32_MAX, INT32_MIN, 0};
    const support_attention_case *description = &attention->description;
    const uint64_t page_seed = support_random_mix(description->seed, description->page_seed);
    const int32_t row_length = attention->pages_per_seq;
    support_random random = support_random_seeded(page_seed);
    int32_t *order = calloc((size_t)attention->num_pages, sizeof(*order));
    int32_t num_taken = 0;

    assert_non_null(order);
    support_random_permutation(&random, attention->num_pages, order);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t num_used = pages_of(description, s);
        for (int32_t i = 0; i < row_length; i++) {
            const int32_t shared = i < num_used ? shared_page(attention, s, i) : -1;
            const int32_t own = i < num_used ? order[num_taken + i] : garbage[(s + i) % 4];
            attention->block_tables[s * row_length + i] = shared >= 0 ? shared : own;
        }
        num_taken += num_used;
    }
    free(order);
}

static void fill_block_tables(support_attention *attention)
{
    const int32_t num_seqs = attention->description.num_seqs;

    attention->block_tables = calloc((size_t)(num_seqs + 1) * (size_t)attention->pages_per_seq, sizeof(int32_t));
    assert_non_null(attention->block_tables);
    if (!support_attention_is_dense(attention)) {
        fill_paged_tables(attention);
        return;
    }
    for (int32_t s = 0; s < num_seqs; s++)
        attention->block_tables[s] = s;
}

support_attention *support_attention_create(const support_device *device, const support_attention_case *description)
{
    support_size_spend(support_attention_work(description));
    support_attention *attention = calloc(1, sizeof(*attention));

    assert_non_null(attention);
    require_expressible(description);
    attention->description = *description;
    fill_in_defaults(attention);
    lay_out_batch(attention);
    fill_block_tables(attention);
    support_attention_create_images(attention);

    support_image *inputs[] = {&attention->queries, &attention->keys, &attention->values, &attention->sinks};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        if (inputs[i]->tensor.rank > 0)
            support_image_upload(inputs[i], device);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++)
        if (attention->results[i].tensor.rank > 0)
            support_image_upload(&attention->results[i], device);
    return attention;
}

void support_attention_destroy(support_attention **attention)
{
    if (!*attention)
        return;
    support_image_destroy(&(*attention)->queries);
    support_image_destroy(&(*attention)->keys);
    support_image_destroy(&(*attention)->values);
    support_image_destroy(&(*attention)->sinks);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++)
        support_image_destroy(&(*attention)->results[i]);
    free((*attention)->q_lens);
    free((*attention)->query_start_loc);
    free((*attention)->block_tables);
    free(*attention);
    *attention = NULL;
}
