/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a problem: contents, page tables and tensors. */
#include "ragged.h"

#include "random.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NUM_SPARE_PAGES 3   /* pages that no table lists */
#define NUM_SPARE_ENTRIES 2 /* columns of the block tables behind the longest row */

/* Streams of one sequence are told apart by these. */
enum { CONTENT_QUERY = 1, CONTENT_KEY, CONTENT_VALUE, CONTENT_SINK };

static float filler_value(support_filler filler)
{
    switch (filler) {
    case SUPPORT_FILLER_INFINITY:
        return INFINITY;
    case SUPPORT_FILLER_NUMBER:
        return -1234.5f;
    default:
        return NAN;
    }
}

static int32_t pages_of(const support_ragged_case *description, int32_t seq)
{
    return (description->context_lens[seq] + description->page_size - 1) / description->page_size;
}

static uint64_t seed_of(const support_ragged_case *description, int32_t seq)
{
    if (description->sequence_seeds)
        return description->sequence_seeds[seq];
    return support_random_mix(description->seed, (uint64_t)seq);
}

/* The head_dim elements of one head of one token. */
static void write_row(support_image *image, int64_t element, const support_ragged *ragged, uint64_t sequence_seed,
                      int content, int32_t position, int32_t head, float factor)
{
    const uint64_t token_seed =
        support_random_mix(support_random_mix(sequence_seed, (uint64_t)content), (uint64_t)position);
    support_random random = support_random_seeded(support_random_mix(token_seed, (uint64_t)head));

    for (int32_t d = 0; d < ragged->description.head_dim; d++)
        support_image_set(image, element + d, factor * support_random_normal(&random));
}

static void lay_out_batch(support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;
    int32_t num_used_pages = 0;
    int32_t most_pages = 0;

    ragged->query_start_loc = calloc((size_t)description->num_seqs + 1, sizeof(int32_t));
    assert_non_null(ragged->query_start_loc);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t num_pages = pages_of(description, s);
        ragged->query_start_loc[s + 1] = ragged->query_start_loc[s] + description->q_lens[s];
        num_used_pages += num_pages;
        most_pages = num_pages > most_pages ? num_pages : most_pages;
    }
    ragged->total_tokens = ragged->query_start_loc[description->num_seqs] + description->tail_rows;
    ragged->num_pages = num_used_pages + NUM_SPARE_PAGES;
    ragged->pages_per_seq = most_pages + NUM_SPARE_ENTRIES;
}

/* Shuffled pages; behind the used entries of a row stand numbers that must not be looked at. */
static void fill_block_tables(support_ragged *ragged)
{
    static const int32_t garbage[] = {-1, INT32_MAX, INT32_MIN, 0};
    const support_ragged_case *description = &ragged->description;
    const uint64_t page_seed = support_random_mix(description->seed, description->page_seed);
    const int32_t row_length = ragged->pages_per_seq;
    support_random random = support_random_seeded(page_seed);
    int32_t *order = calloc((size_t)ragged->num_pages, sizeof(*order));
    int32_t num_taken = 0;

    ragged->block_tables = calloc((size_t)(description->num_seqs + 1) * (size_t)row_length, sizeof(int32_t));
    assert_non_null(order);
    assert_non_null(ragged->block_tables);
    support_random_permutation(&random, ragged->num_pages, order);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t num_used = pages_of(description, s);
        for (int32_t i = 0; i < row_length; i++)
            ragged->block_tables[s * row_length + i] = i < num_used ? order[num_taken + i] : garbage[(s + i) % 4];
        num_taken += num_used;
    }
    free(order);
}

static support_image create_kv_image(const support_ragged *ragged, clattn_dtype dtype)
{
    const support_ragged_case *description = &ragged->description;
    const int64_t pages = ragged->num_pages;
    const int64_t slots = description->page_size;
    const int64_t heads = description->num_kv_heads;
    const int64_t width = description->head_dim;
    const int64_t shapes[CLATTN_NUM_KV_LAYOUTS][4] = {
        [CLATTN_KV_COMBINED] = {pages, slots, 2 * heads, width},
        [CLATTN_KV_NHD] = {pages, slots, heads, width},
        [CLATTN_KV_HND] = {pages, heads, slots, width},
        [CLATTN_KV_HEADS_FIRST] = {heads, pages, slots, width},
    };
    support_image image = support_image_create(dtype, 4, shapes[description->kv_layout], description->strided);

    support_image_fill(&image, filler_value(description->filler));
    return image;
}

support_kv_strides support_ragged_kv_strides(const support_ragged *ragged)
{
    const int64_t *strides = ragged->keys.strides;

    switch (ragged->description.kv_layout) {
    case CLATTN_KV_NHD:
        return (support_kv_strides){strides[0], strides[1], strides[2], 0};
    case CLATTN_KV_HND:
        return (support_kv_strides){strides[0], strides[2], strides[1], 0};
    case CLATTN_KV_HEADS_FIRST:
        return (support_kv_strides){strides[1], strides[2], strides[0], 0};
    default:
        return (support_kv_strides){strides[0], strides[1], 2 * strides[2], strides[2]};
    }
}

static void write_token(support_ragged *ragged, int32_t seq, int32_t position)
{
    const support_ragged_case *description = &ragged->description;
    const support_kv_strides strides = support_ragged_kv_strides(ragged);
    const int32_t page = ragged->block_tables[seq * ragged->pages_per_seq + position / description->page_size];
    const int32_t repeats = description->kv_head_repeats > 0 ? description->kv_head_repeats : 1;
    const int32_t value_position = description->constant_values ? 0 : position;
    const uint64_t seed = seed_of(description, seq);
    support_image *values = ragged->values.tensor.rank > 0 ? &ragged->values : &ragged->keys;

    for (int32_t head = 0; head < description->num_kv_heads; head++) {
        const int64_t element =
            page * strides.page + (position % description->page_size) * strides.slot + head * strides.head;
        write_row(&ragged->keys, element, ragged, seed, CONTENT_KEY, position, head / repeats, 1.0f);
        write_row(values, element + strides.value_offset, ragged, seed, CONTENT_VALUE, value_position, head / repeats,
                  1.0f);
    }
}

static void create_kv(support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;

    ragged->keys = create_kv_image(ragged, description->kv_dtype);
    if (description->kv_layout != CLATTN_KV_COMBINED)
        ragged->values = create_kv_image(ragged, description->value_dtype);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t num_poisoned = s == description->poisoned_seq ? description->poisoned_tokens : 0;
        for (int32_t position = 0; position < description->context_lens[s] - num_poisoned; position++)
            write_token(ragged, s, position);
    }
}

static void create_queries(support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;
    const int64_t shape[3] = {ragged->total_tokens, description->num_q_heads, description->head_dim};
    const float factor = description->query_factor != 0.0f ? description->query_factor : 1.0f;

    ragged->queries = support_image_create(description->query_dtype, 3, shape, description->strided);
    support_image_fill(&ragged->queries, filler_value(description->filler));
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t first_position = description->context_lens[s] - description->q_lens[s];
        for (int32_t j = 0; j < description->q_lens[s]; j++) {
            for (int32_t head = 0; head < description->num_q_heads; head++) {
                const int64_t index[3] = {ragged->query_start_loc[s] + j, head, 0};
                write_row(&ragged->queries, support_image_at(&ragged->queries, index), ragged, seed_of(description, s),
                          CONTENT_QUERY, first_position + j, head, factor);
            }
        }
    }
}

static void create_sinks(support_ragged *ragged)
{
    const int64_t shape[1] = {ragged->description.num_q_heads};
    support_random random = support_random_seeded(support_random_mix(ragged->description.seed, CONTENT_SINK));

    ragged->sinks = support_image_create(CLATTN_FLOAT32, 1, shape, ragged->description.strided);
    support_image_fill(&ragged->sinks, filler_value(ragged->description.filler));
    for (int32_t head = 0; head < ragged->description.num_q_heads; head++)
        support_image_set(&ragged->sinks, head, 1.0f + 2.0f * support_random_normal(&random));
}

static void create_outputs(support_ragged *ragged)
{
    const support_ragged_case *description = &ragged->description;
    const int64_t shape[3] = {ragged->total_tokens, description->num_q_heads, description->head_dim};

    ragged->out = support_image_create(description->out_dtype, 3, shape, description->strided);
    support_image_fill_canary(&ragged->out);
    if (!description->lse)
        return;
    ragged->lse = support_image_create(CLATTN_FLOAT32, 2, shape, description->strided);
    support_image_fill_canary(&ragged->lse);
}

support_ragged *support_ragged_create(const support_device *device, const support_ragged_case *description)
{
    support_ragged *ragged = calloc(1, sizeof(*ragged));

    assert_non_null(ragged);
    ragged->description = *description;
    if (!description->query_dtype)
        ragged->description.query_dtype = CLATTN_FLOAT32;
    if (!description->kv_dtype)
        ragged->description.kv_dtype = CLATTN_FLOAT32;
    if (!description->value_dtype)
        ragged->description.value_dtype = ragged->description.kv_dtype;
    if (!description->out_dtype)
        ragged->description.out_dtype = CLATTN_FLOAT32;
    lay_out_batch(ragged);
    fill_block_tables(ragged);
    create_kv(ragged);
    create_queries(ragged);
    create_outputs(ragged);
    if (description->sinks)
        create_sinks(ragged);

    support_image *images[] = {&ragged->queries, &ragged->keys, &ragged->values,
                               &ragged->out,     &ragged->lse,  &ragged->sinks};
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++)
        if (images[i]->tensor.rank > 0)
            support_image_upload(images[i], device);
    return ragged;
}

void support_ragged_destroy(support_ragged **ragged)
{
    if (!*ragged)
        return;
    support_image_destroy(&(*ragged)->queries);
    support_image_destroy(&(*ragged)->keys);
    support_image_destroy(&(*ragged)->values);
    support_image_destroy(&(*ragged)->out);
    support_image_destroy(&(*ragged)->lse);
    support_image_destroy(&(*ragged)->sinks);
    free((*ragged)->query_start_loc);
    free((*ragged)->block_tables);
    free(*ragged);
    *ragged = NULL;
}

/* Appends to a text that is cut when it is full. */
static void append(char *text, size_t num_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t num_bytes, const char *format, ...)
{
    const size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + length, num_bytes - length, format, arguments);
    va_end(arguments);
}

static void append_lengths(char *text, size_t num_bytes, const char *name, const int32_t *lengths, int32_t count)
{
    enum { MOST = 12 };

    append(text, num_bytes, " %s=", name);
    for (int32_t i = 0; i < count && i < MOST; i++)
        append(text, num_bytes, "%s%" PRId32, i > 0 ? "," : "", lengths[i]);
    if (count > MOST)
        append(text, num_bytes, ",...");
}

void support_ragged_describe(const support_ragged *ragged, char *text, size_t num_bytes)
{
    const support_ragged_case *description = &ragged->description;
    const clattn_tuning *tuning = &description->tuning;

    text[0] = '\0';
    append(text, num_bytes, "seed=%" PRIu64 " page_seed=%" PRIu64, description->seed, description->page_seed);
    append(text, num_bytes, " num_seqs=%" PRId32, description->num_seqs);
    append_lengths(text, num_bytes, "q_lens", description->q_lens, description->num_seqs);
    append_lengths(text, num_bytes, "context_lens", description->context_lens, description->num_seqs);
    append(text, num_bytes, " heads=%" PRId32 "/%" PRId32 " head_dim=%" PRId32, description->num_q_heads,
           description->num_kv_heads, description->head_dim);
    append(text, num_bytes, " page_size=%" PRId32 " layout=%s", description->page_size,
           clattn_kv_layout_name(description->kv_layout));
    append(text, num_bytes, " query=%s key=%s value=%s out=%s", clattn_dtype_name(description->query_dtype),
           clattn_dtype_name(description->kv_dtype), clattn_dtype_name(description->value_dtype),
           clattn_dtype_name(description->out_dtype));
    append(text, num_bytes, " tail_rows=%" PRId32 " strided=%d", description->tail_rows, description->strided);
    append(text, num_bytes, " window=%" PRId32 " scale=%g cap=%g query_factor=%g", description->sliding_window,
           (double)description->softmax_scale, (double)description->logits_soft_cap, (double)description->query_factor);
    append(text, num_bytes, " sinks=%d lse=%d num_splits=%" PRId32 " batch_invariant=%d", description->sinks,
           description->lse, description->num_splits, description->batch_invariant);
    append(text, num_bytes, " block_q=%" PRId32 " block_kv=%" PRId32 " queries_per_block=%" PRId32, tuning->block_q,
           tuning->block_kv, tuning->num_queries_per_block);
    append(text, num_bytes, " pages_per_block=%" PRId32 " work_group_size=%" PRId32, tuning->num_kv_pages_per_block,
           tuning->work_group_size);
}
