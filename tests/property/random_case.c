/* SPDX-License-Identifier: Apache-2.0 */
/* Draws problems; see random_case.h. */
#include "random_case.h"

#include "support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* What a problem may have. The reference is naive: products of a problem, and elements of its K and V. */
typedef struct random_limits {
    int32_t num_seqs;
    int32_t num_kv_heads;
    int64_t products;
    int64_t elements;
} random_limits;

static const random_limits limits_of_size[RANDOM_NUM_SIZES] = {
    [RANDOM_USUAL] = {RANDOM_MOST_SEQS, 8, 20000000, 1000000},
    [RANDOM_SMALL] = {3, 2, 400000, 20000},
};

/* The streams of a seed are told apart by these. */
enum { STREAM_VARIANT = 1, STREAM_CASE, STREAM_TUNING };

typedef enum random_operation {
    RANDOM_RAGGED_PAGE = 0,
    RANDOM_PAGE,
    RANDOM_RAGGED_DECODE,
    RANDOM_RAGGED,
    RANDOM_MERGE,
    RANDOM_NUM_OPERATIONS
} random_operation;

static bool one_in(support_random *random, int32_t count)
{
    return support_random_between(random, 1, count) == 1;
}

static int32_t pick(support_random *random, const int32_t *values, int32_t count)
{
    return values[support_random_between(random, 0, count - 1)];
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Half of all tensors are float32: a mistake of a kernel shows most there. */
static clattn_dtype draw_dtype(support_random *random)
{
    static const int32_t dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

    return (clattn_dtype)pick(random, dtypes, COUNT(dtypes));
}

static int32_t draw_head_dim(support_random *random)
{
    static const int32_t usual[] = {8, 24, 32, 40, 64, 64, 72, 80, 96, 120, 128, 128};

    if (one_in(random, 8))
        return 8 * support_random_between(random, 17, 64);
    if (one_in(random, 4))
        return 8 * support_random_between(random, 1, 16);
    return pick(random, usual, COUNT(usual));
}

static void draw_heads(support_random *random, support_attention_case *description, const random_limits *limits)
{
    static const int32_t kv_heads[] = {1, 1, 2, 2, 3, 4, 8};
    const int32_t group_size = support_random_between(random, 1, 8);

    description->num_kv_heads = smaller(pick(random, kv_heads, COUNT(kv_heads)), limits->num_kv_heads);
    description->num_q_heads = description->num_kv_heads * group_size;
    description->head_dim = draw_head_dim(random);
    description->head_dim_v = one_in(random, 3) ? draw_head_dim(random) : description->head_dim;
}

static void draw_dtypes(support_random *random, support_attention_case *description)
{
    description->query_dtype = draw_dtype(random);
    description->kv_dtype = draw_dtype(random);
    description->value_dtype = one_in(random, 2) ? draw_dtype(random) : description->kv_dtype;
    description->out_dtype = draw_dtype(random);
}

static void draw_paged_variant(support_random *random, random_case *drawn)
{
    support_attention_case *description = &drawn->description;
    const bool page = description->operation == SUPPORT_PAGE;

    description->kv_layout = (clattn_kv_layout)support_random_between(random, page ? 1 : 0, CLATTN_NUM_KV_LAYOUTS - 1);
    if (description->kv_layout == CLATTN_KV_COMBINED) {
        description->head_dim_v = description->head_dim;
        description->value_dtype = CLATTN_DTYPE_DEFAULT;
    }
    description->page_size = support_random_between(random, 1, 40);
    description->lse = one_in(random, 2);
    description->sinks = one_in(random, 2) ? SUPPORT_SINKS_PER_HEAD : SUPPORT_SINKS_NONE;
    description->logits_soft_cap = one_in(random, 3) ? 5.0f : 0.0f;
}

static void draw_dense_variant(support_random *random, random_case *drawn)
{
    support_attention_case *description = &drawn->description;

    if (description->operation == SUPPORT_RAGGED) {
        description->numerator = one_in(random, 2);
        description->out_dtype = CLATTN_FLOAT32;
        return;
    }
    description->lse = one_in(random, 2);
    description->sinks = one_in(random, 2) ? SUPPORT_SINKS_SHARED : SUPPORT_SINKS_NONE;
    description->logits_soft_cap = one_in(random, 3) ? 5.0f : 0.0f;
}

/*
 * A state by its lse knows nothing of the maximum, so that its sum cannot be compared. A state without keys has lost
 * its sinks, so that there are none to give to one state.
 */
static void draw_merge_variant(support_random *random, random_case *drawn)
{
    support_attention_case *description = &drawn->description;
    random_cut *cut = &drawn->cut;

    cut->by_lse = one_in(random, 2);
    cut->states_dtype = cut->by_lse ? draw_dtype(random) : CLATTN_FLOAT32;
    description->operation = cut->by_lse || one_in(random, 2) ? SUPPORT_RAGGED_DECODE : SUPPORT_RAGGED;
    if (description->operation == SUPPORT_RAGGED) {
        description->numerator = one_in(random, 2);
        return;
    }
    description->lse = one_in(random, 2);
    description->logits_soft_cap = cut->by_lse && one_in(random, 3) ? 5.0f : 0.0f;
}

/* Everything that a kernel is compiled for. */
static void draw_variant(random_case *drawn, const random_identity *identity, random_operation *operation)
{
    static const support_operation operations[] = {SUPPORT_RAGGED_PAGE, SUPPORT_PAGE, SUPPORT_RAGGED_DECODE,
                                                   SUPPORT_RAGGED, SUPPORT_RAGGED};
    const int32_t variant = identity->number / identity->cases_per_variant;
    const uint64_t seed = support_random_mix(support_random_mix(identity->seed, STREAM_VARIANT), (uint64_t)variant);
    support_random random = support_random_seeded(seed);
    support_attention_case *description = &drawn->description;

    *operation = (random_operation)(variant % RANDOM_NUM_OPERATIONS);
    description->operation = operations[*operation];
    draw_heads(&random, description, &limits_of_size[identity->size]);
    draw_dtypes(&random, description);
    if (*operation == RANDOM_MERGE) {
        draw_merge_variant(&random, drawn);
        return;
    }
    if (*operation == RANDOM_RAGGED_PAGE || *operation == RANDOM_PAGE)
        draw_paged_variant(&random, drawn);
    else
        draw_dense_variant(&random, drawn);
    drawn->expectation =
        random_tuning_draw(&description->tuning, support_random_mix(seed, STREAM_TUNING), identity->family);
}

/* Whole pages, one token more or less, none, one, or anything. */
static int32_t draw_length(support_random *random, int32_t page_size, int32_t longest)
{
    int32_t length;

    switch (support_random_between(random, 0, 5)) {
    case 0:
        length = support_random_between(random, 0, 2);
        break;
    case 1:
        length = page_size + support_random_between(random, -1, 1);
        break;
    case 2:
        length = page_size * support_random_between(random, 1, 9) + support_random_between(random, -1, 1);
        break;
    case 3:
        length = support_random_between(random, 0, 30);
        break;
    default:
        length = support_random_between(random, 0, longest);
        break;
    }
    return smaller(length, longest);
}

/* Many short sequences, a few long ones, or some of each. */
static int32_t draw_num_seqs(support_random *random, int32_t *longest)
{
    switch (support_random_between(random, 0, 5)) {
    case 0:
        *longest = 6;
        return support_random_between(random, 10, RANDOM_MOST_SEQS);
    case 1:
        *longest = 700;
        return support_random_between(random, 1, 3);
    default:
        *longest = 150;
        return support_random_between(random, one_in(random, 8) ? 0 : 1, 8);
    }
}

static int32_t draw_q_len(support_random *random, int32_t context_len)
{
    switch (support_random_between(random, 0, 4)) {
    case 0: /* whole prompt */
        return context_len;
    case 1: /* chunk */
        return support_random_between(random, 0, context_len);
    case 2: /* speculation */
        return support_random_between(random, 0, smaller(context_len, 5));
    default: /* decode */
        return context_len > 0;
    }
}

/* Halves the lengths until the reference is done soon. */
static void shorten_paged(random_case *drawn, const random_limits *limits)
{
    const support_attention_case *description = &drawn->description;
    const int64_t width = description->head_dim + description->head_dim_v;
    int64_t products, elements;

    do {
        products = elements = 0;
        for (int32_t s = 0; s < description->num_seqs; s++) {
            products += (int64_t)drawn->q_lens[s] * drawn->context_lens[s] * description->num_q_heads * width;
            elements += drawn->context_lens[s] * description->num_kv_heads * width;
        }
        if (products <= limits->products && elements <= limits->elements)
            return;
        for (int32_t s = 0; s < description->num_seqs; s++) {
            drawn->context_lens[s] = (drawn->context_lens[s] + 1) / 2;
            drawn->q_lens[s] = (drawn->q_lens[s] + 1) / 2;
        }
    } while (true);
}

/* Some sequences begin like an earlier one, whose pages they then list too. */
static void share_pages(support_random *random, random_case *drawn)
{
    support_attention_case *description = &drawn->description;

    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t other = support_random_between(random, 0, 2 * s + 1);
        const uint64_t own = support_random_mix(description->seed, (uint64_t)s);
        drawn->sequence_seeds[s] = other < s ? drawn->sequence_seeds[other] : own;
    }
    description->sequence_seeds = drawn->sequence_seeds;
    description->shared_pages = true;
}

static void draw_paged_batch(support_random *random, random_case *drawn, const random_limits *limits)
{
    static const int32_t windows[] = {0, 0, 0, 1, 2, 6, 40, 200, INT32_MAX};
    support_attention_case *description = &drawn->description;
    const bool ragged = description->operation == SUPPORT_RAGGED_PAGE;
    int32_t longest;
    int32_t most = 0;

    if (description->tuning.num_kv_pages_per_block == 0) /* else it decides about the tile */
        description->page_size = support_random_between(random, 1, 40);
    description->num_seqs = smaller(draw_num_seqs(random, &longest), limits->num_seqs);
    for (int32_t s = 0; s < description->num_seqs; s++) {
        drawn->context_lens[s] = draw_length(random, description->page_size, longest);
        drawn->q_lens[s] = ragged ? draw_q_len(random, drawn->context_lens[s]) : 1;
    }
    shorten_paged(drawn, limits);
    for (int32_t s = 0; s < description->num_seqs; s++)
        most = larger(most, drawn->context_lens[s]);
    description->context_lens = drawn->context_lens;
    if (ragged) {
        description->q_lens = drawn->q_lens;
        description->tail_rows = one_in(random, 3) ? support_random_between(random, 1, 3) : 0;
    } else if (one_in(random, 2)) {
        description->max_context_len = most + (one_in(random, 2) ? 100 : 0);
    }
    description->sliding_window = one_in(random, 5)
                                      ? larger(1, description->page_size + support_random_between(random, -1, 1))
                                      : pick(random, windows, COUNT(windows));
    if (one_in(random, 3))
        share_pages(random, drawn);
}

/* A bound of a range: inside of it, outside, or no position at all. */
static int32_t draw_bound(support_random *random, int32_t seq_len)
{
    static const int32_t odd[] = {INT32_MIN, INT32_MIN + 1, -5, -1, 0, 1, INT32_MAX - 1, INT32_MAX};

    switch (support_random_between(random, 0, 7)) {
    case 0:
        return pick(random, odd, COUNT(odd));
    case 1:
        return seq_len + support_random_between(random, -1, 1);
    case 2:
        return support_random_between(random, 0, 2 * seq_len);
    default:
        return support_random_between(random, 0, seq_len);
    }
}

static void draw_dense_batch(support_random *random, random_case *drawn, const random_limits *limits)
{
    support_attention_case *description = &drawn->description;
    const int32_t token_width = description->num_kv_heads * (description->head_dim + description->head_dim_v);
    int32_t longest;

    description->num_seqs = smaller(draw_num_seqs(random, &longest), limits->num_seqs);
    description->seq_len = larger(1, draw_length(random, 16, longest));
    while ((int64_t)description->num_seqs * description->seq_len * token_width > limits->elements)
        description->seq_len = (description->seq_len + 1) / 2;
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const bool whole = one_in(random, 3);
        drawn->kv_starts[s] = one_in(random, 3) ? 0 : draw_bound(random, description->seq_len);
        drawn->context_lens[s] = whole ? description->seq_len : draw_bound(random, description->seq_len);
    }
    description->context_lens = drawn->context_lens;
    description->kv_starts = one_in(random, 4) ? NULL : drawn->kv_starts;
}

static void draw_window(support_random *random, random_case *drawn)
{
    static const int32_t sides[] = {-1, 0, 1, 5, 15, 16, 64, 1000, INT32_MAX - 1, INT32_MAX};

    if (one_in(random, 2))
        return;
    drawn->window.left = pick(random, sides, COUNT(sides));
    drawn->window.right = pick(random, sides, COUNT(sides));
    drawn->description.window = &drawn->window;
}

static void draw_cut(support_random *random, random_case *drawn)
{
    random_cut *cut = &drawn->cut;
    const int32_t seq_len = drawn->description.seq_len;

    cut->num_states = support_random_between(random, 2, RANDOM_MOST_STATES);
    cut->tokens_first = one_in(random, 2);
    cut->bounds[0] = INT32_MIN;
    for (int32_t i = 1; i < cut->num_states; i++)
        cut->bounds[i] = support_random_between(random, larger(0, cut->bounds[i - 1]), seq_len);
    cut->bounds[cut->num_states] = INT32_MAX;
}

/* Options that are arguments of a kernel, not of its compiler. */
static void draw_options(support_random *random, random_case *drawn)
{
    static const float scales[] = {0.0f, 0.0f, 0.0f, 0.125f, 0.3f, -0.2f};
    static const float caps[] = {1.0f, 5.0f, 20.0f, 50.0f};
    static const float mask_values[] = {0.0f, 0.0f, -1e30f, -3.4e38f};
    static const support_filler fillers[] = {SUPPORT_FILLER_NAN, SUPPORT_FILLER_INFINITY, SUPPORT_FILLER_NUMBER,
                                             SUPPORT_FILLER_HUGE};
    support_attention_case *description = &drawn->description;

    description->strided = one_in(random, 3);
    description->filler = fillers[support_random_between(random, 0, COUNT(fillers) - 1)];
    description->softmax_scale = scales[support_random_between(random, 0, COUNT(scales) - 1)];
    description->mask_value = mask_values[support_random_between(random, 0, COUNT(mask_values) - 1)];
    if (description->logits_soft_cap > 0.0f) {
        description->logits_soft_cap = caps[support_random_between(random, 0, COUNT(caps) - 1)];
        description->query_factor = one_in(random, 3) ? 8.0f : 0.0f;
    }
    if (one_in(random, 2))
        description->num_splits = one_in(random, 4) ? 64 : support_random_between(random, 1, 7);
    else
        description->batch_invariant = one_in(random, 2);
    if (description->sinks >= SUPPORT_SINKS_SHARED) {
        description->sinks = one_in(random, 2) ? SUPPORT_SINKS_SHARED : SUPPORT_SINKS_PER_KV_HEAD;
        description->num_sinks = support_random_between(random, 1, 5);
    }
}

void random_case_draw(random_case *drawn, const random_identity *identity)
{
    const uint64_t seed =
        support_random_mix(support_random_mix(identity->seed, STREAM_CASE), (uint64_t)identity->number);
    const random_limits *limits = &limits_of_size[identity->size];
    support_random random = support_random_seeded(seed);
    random_operation operation;

    memset(drawn, 0, sizeof(*drawn));
    draw_variant(drawn, identity, &operation);
    drawn->description.seed = seed;
    drawn->description.page_seed = 1;
    if (operation == RANDOM_RAGGED_PAGE || operation == RANDOM_PAGE)
        draw_paged_batch(&random, drawn, limits);
    else
        draw_dense_batch(&random, drawn, limits);
    draw_options(&random, drawn);
    if (operation == RANDOM_RAGGED_DECODE)
        draw_window(&random, drawn);
    if (operation == RANDOM_MERGE) {
        draw_cut(&random, drawn);
        if (drawn->description.softmax_scale == 0.0f) /* which means something else to each operation */
            drawn->description.softmax_scale = 0.2f;
    }
}

void random_case_print(const random_case *drawn)
{
    static const char *const expectations[] = {"runs", "runs_or_is_refused", "is_refused"};
    const random_cut *cut = &drawn->cut;

    fprintf(stderr, "expected=%s", expectations[drawn->expectation]);
    if (cut->num_states > 0) {
        fprintf(stderr,
                " merged_states=%" PRId32 " states_by=%s states_dtype=%s tokens_first=%d bounds=", cut->num_states,
                cut->by_lse ? "lse" : "numerator", clattn_dtype_name(cut->states_dtype), cut->tokens_first);
        for (int32_t i = 1; i < cut->num_states; i++)
            fprintf(stderr, "%s%" PRId32, i > 1 ? "," : "", cut->bounds[i]);
    }
    fprintf(stderr, "\n");
}
