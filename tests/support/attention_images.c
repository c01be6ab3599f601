/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a problem and what they hold: random numbers where a query looks, the filler everywhere else. */
#include "attention.h"

#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Streams of one sequence are told apart by these. */
enum { CONTENT_QUERY = 1, CONTENT_KEY, CONTENT_VALUE, CONTENT_SINK };

/* One head of one token: `width` elements times `factor`, drawn from a stream of their own. */
typedef struct row_content {
    uint64_t sequence_seed;
    int content;
    int64_t position;
    int32_t head;
    int32_t width;
    float factor;
} row_content;

static float filler_value(support_filler filler)
{
    switch (filler) {
    case SUPPORT_FILLER_INFINITY:
        return INFINITY;
    case SUPPORT_FILLER_NUMBER:
        return -1234.5f;
    case SUPPORT_FILLER_HUGE:
        return 3e38f;
    default: { /* all bits that a NaN can have: none may be taken for a number's */
        const uint32_t bits = 0x7fffffffu;
        float nan;
        memcpy(&nan, &bits, sizeof(nan));
        return nan;
    }
    }
}

static uint64_t seed_of(const support_attention_case *description, int32_t seq)
{
    if (description->sequence_seeds)
        return description->sequence_seeds[seq];
    return support_random_mix(description->seed, (uint64_t)seq);
}

static void write_row(support_image *image, int64_t element, const row_content *row)
{
    const uint64_t token_seed =
        support_random_mix(support_random_mix(row->sequence_seed, (uint64_t)row->content), (uint64_t)row->position);
    support_random random = support_random_seeded(support_random_mix(token_seed, (uint64_t)row->head));

    for (int32_t d = 0; d < row->width; d++)
        support_image_set(image, element + d, row->factor * support_random_normal(&random));
}

static support_image create_kv_image(const support_attention *attention, clattn_dtype dtype, int32_t head_dim)
{
    const support_attention_case *description = &attention->description;
    const int64_t pages = attention->num_pages;
    const int64_t slots = description->page_size;
    const int64_t heads = description->num_kv_heads;
    const int64_t width = head_dim;
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

static support_kv_strides strides_of(const support_image *image, clattn_kv_layout kv_layout)
{
    const int64_t *strides = image->strides;

    switch (kv_layout) {
    case CLATTN_KV_NHD:
        return (support_kv_strides){strides[0], strides[1], strides[2], 0};
    case CLATTN_KV_HND:
        return (support_kv_strides){strides[0], strides[2], strides[1], 0};
    case CLATTN_KV_HEADS_FIRST:
        return (support_kv_strides){strides[1], strides[2], strides[0], 0};
    default:
        return (support_kv_strides){strides[0], strides[1], 2 * strides[2], 0};
    }
}

support_kv_strides support_attention_key_strides(const support_attention *attention)
{
    return strides_of(&attention->keys, attention->description.kv_layout);
}

support_kv_strides support_attention_value_strides(const support_attention *attention)
{
    support_kv_strides strides = support_attention_key_strides(attention);

    if (attention->values.tensor.rank > 0)
        return strides_of(&attention->values, attention->description.kv_layout);
    strides.offset = attention->keys.strides[2];
    return strides;
}

/* The first element of a head's token in K or V. */
static int64_t element_of(const support_attention *attention, const support_kv_strides *strides, int32_t seq,
                          int64_t position, int32_t head)
{
    const int64_t page_size = attention->description.page_size;
    const int64_t page = attention->block_tables[seq * attention->pages_per_seq + position / page_size];

    return page * strides->page + position % page_size * strides->slot + head * strides->head + strides->offset;
}

static void write_token(support_attention *attention, int32_t seq, int64_t position)
{
    const support_attention_case *description = &attention->description;
    const support_kv_strides key_strides = support_attention_key_strides(attention);
    const support_kv_strides value_strides = support_attention_value_strides(attention);
    const int32_t repeats = description->kv_head_repeats > 0 ? description->kv_head_repeats : 1;
    support_image *values = attention->values.tensor.rank > 0 ? &attention->values : &attention->keys;

    for (int32_t head = 0; head < description->num_kv_heads; head++) {
        row_content row = {seed_of(description, seq), CONTENT_KEY, position, head / repeats,
                           description->head_dim,     1.0f};
        write_row(&attention->keys, element_of(attention, &key_strides, seq, position, head), &row);
        row.content = CONTENT_VALUE;
        row.width = description->head_dim_v;
        row.position = description->constant_values ? 0 : position;
        write_row(values, element_of(attention, &value_strides, seq, position, head), &row);
    }
}

static void create_kv(support_attention *attention)
{
    const support_attention_case *description = &attention->description;

    attention->keys = create_kv_image(attention, description->kv_dtype, description->head_dim);
    if (description->kv_layout != CLATTN_KV_COMBINED)
        attention->values = create_kv_image(attention, description->value_dtype, description->head_dim_v);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const support_key_range keys = support_attention_seen_keys(attention, s);
        const int32_t num_poisoned = s == description->poisoned_seq ? description->poisoned_tokens : 0;
        for (int64_t position = keys.start; position < keys.end - num_poisoned; position++)
            write_token(attention, s, position);
    }
}

static void create_queries(support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    const int64_t shape[3] = {attention->total_tokens, description->num_q_heads, description->head_dim};
    const float factor = description->query_factor != 0.0f ? description->query_factor : 1.0f;

    attention->queries = support_image_create(description->query_dtype, 3, shape, description->strided);
    support_image_fill(&attention->queries, filler_value(description->filler));
    for (int32_t s = 0; s < description->num_seqs; s++) {
        for (int32_t j = 0; j < description->q_lens[s]; j++) {
            row_content row = {
                seed_of(description, s), CONTENT_QUERY, support_attention_first_position(attention, s) + j, 0,
                description->head_dim,   factor};
            for (; row.head < description->num_q_heads; row.head++) {
                const int64_t index[3] = {attention->query_start_loc[s] + j, row.head, 0};
                write_row(&attention->queries, support_image_at(&attention->queries, index), &row);
            }
        }
    }
}

static void create_sinks(support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    const bool per_kv_head = description->sinks == SUPPORT_SINKS_PER_KV_HEAD;
    const int64_t num_rows = per_kv_head ? description->num_kv_heads : 1;
    const int64_t num_columns =
        description->sinks == SUPPORT_SINKS_PER_HEAD ? description->num_q_heads : description->num_sinks;
    const int64_t shape[2] = {num_rows, num_columns};
    support_random random = support_random_seeded(support_random_mix(description->seed, CONTENT_SINK));

    attention->sinks = per_kv_head ? support_image_create(CLATTN_FLOAT32, 2, shape, description->strided)
                                   : support_image_create(CLATTN_FLOAT32, 1, shape + 1, description->strided);
    support_image_fill(&attention->sinks, filler_value(description->filler));
    for (int64_t row = 0; row < num_rows; row++) {
        const int64_t first = per_kv_head ? row * attention->sinks.strides[0] : 0;
        for (int64_t column = 0; column < num_columns; column++)
            support_image_set(&attention->sinks, first + column, 1.0f + 2.0f * support_random_normal(&random));
    }
}

static support_image create_state(const support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    const int64_t shape[2] = {attention->total_tokens, description->num_q_heads};
    support_image image = support_image_create(CLATTN_FLOAT32, 2, shape, description->strided);

    support_image_fill_canary(&image);
    return image;
}

static void create_outputs(support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    const int64_t shape[3] = {attention->total_tokens, description->num_q_heads, description->head_dim_v};

    attention->out = support_image_create(description->out_dtype, 3, shape, description->strided);
    support_image_fill_canary(&attention->out);
    if (description->lse)
        attention->lse = create_state(attention);
    if (description->operation != SUPPORT_RAGGED)
        return;
    attention->max = create_state(attention);
    attention->denominator = create_state(attention);
}

void support_attention_create_images(support_attention *attention)
{
    create_kv(attention);
    create_queries(attention);
    create_outputs(attention);
    if (attention->description.sinks != SUPPORT_SINKS_NONE)
        create_sinks(attention);
}
