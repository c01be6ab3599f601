/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares results: with the reference, under the bound that the contract sets, and with each other.
 *
 * The bound: the largest error against float64 is at most twice that of the naive float32 implementation on the same
 * stored values, plus one rounding of the output's dtype. In a problem of a few elements the naive implementation may
 * be exact by luck, so its error counts as no less than one float32 rounding of the logits and of the result.
 */
#include "ragged.h"

#include "fp.h"
#include "reference/attention.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DESCRIPTION_BYTES 2048

/* The reference's rows of a whole batch, in the order of the output tensors, and the inputs they were made from. */
typedef struct expected_rows {
    int64_t num_outputs; /* elements of out */
    int64_t num_states;  /* elements of lse */
    double *doubles;     /* out, lse, max, denominator */
    float *floats;       /* the same in float32 */
    float *queries;
    float *keys;
    float *values; /* NULL in the combined layout */
    float *sinks;
    double out_error; /* the naive implementation's, at least one rounding */
    double lse_error;
} expected_rows;

static void *allocate(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);

    assert_non_null(memory);
    return memory;
}

static float *decode(const support_image *image, int64_t *first)
{
    *first = 0;
    return image->tensor.rank > 0 ? support_image_decode(image, first) : NULL;
}

/* What every sequence of the problem has in common. */
static reference_sequence common_sequence(const support_ragged *ragged, expected_rows *expected)
{
    const support_ragged_case *description = &ragged->description;
    const support_kv_strides strides = support_ragged_kv_strides(ragged);
    const int32_t window = description->sliding_window;
    const double scale = (double)description->softmax_scale;
    int64_t first_query, first_key, first_value, first_sink;
    reference_sequence sequence = {
        .num_q_heads = description->num_q_heads,
        .num_kv_heads = description->num_kv_heads,
        .head_dim = description->head_dim,
        .head_dim_v = description->head_dim,
        .query_row_stride = ragged->queries.strides[0],
        .query_head_stride = ragged->queries.strides[1],
        .page_size = description->page_size,
        .causal = true,
        .window_left = window > 0 ? window - 1 : -1,
        .window_right = -1,
        .softmax_scale = scale != 0.0 ? scale : 1.0 / sqrt((double)description->head_dim),
        .logits_soft_cap = (double)description->logits_soft_cap,
        .mask_value = (double)CLATTN_DEFAULT_MASK_VALUE,
    };

    expected->queries = decode(&ragged->queries, &first_query);
    expected->keys = decode(&ragged->keys, &first_key);
    expected->values = decode(&ragged->values, &first_value);
    expected->sinks = decode(&ragged->sinks, &first_sink);
    sequence.queries = expected->queries + first_query;
    sequence.keys = (reference_pages){expected->keys + first_key, strides.page, strides.slot, strides.head};
    sequence.values = sequence.keys;
    sequence.values.data =
        (expected->values ? expected->values + first_value : expected->keys + first_key) + strides.value_offset;
    if (expected->sinks)
        sequence.sinks = (reference_sinks){expected->sinks + first_sink, 1, 1, 0};
    return sequence;
}

/* Both implementations for every sequence; rows that no sequence owns stay 0 with lse -inf. */
static void compute(const support_ragged *ragged, expected_rows *expected)
{
    const support_ragged_case *description = &ragged->description;
    const int64_t heads = description->num_q_heads;
    const int64_t num_outputs = expected->num_outputs;
    const int64_t num_states = expected->num_states;
    reference_sequence sequence = common_sequence(ragged, expected);

    for (int64_t i = 0; i < num_states; i++) {
        expected->doubles[num_outputs + i] = -(double)INFINITY;
        expected->floats[num_outputs + i] = -INFINITY;
    }
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int64_t row = ragged->query_start_loc[s];
        double *doubles = expected->doubles + num_outputs + row * heads;
        float *floats = expected->floats + num_outputs + row * heads;
        const reference_result result = {expected->doubles + row * heads * description->head_dim, doubles,
                                         doubles + num_states, doubles + 2 * num_states};
        const reference_result_float32 result32 = {expected->floats + row * heads * description->head_dim, floats,
                                                   floats + num_states, floats + 2 * num_states};
        reference_sequence this_sequence = sequence;
        this_sequence.queries += row * sequence.query_row_stride;
        this_sequence.num_rows = description->q_lens[s];
        this_sequence.block_table = ragged->block_tables + (int64_t)s * ragged->pages_per_seq;
        this_sequence.first_position = description->context_lens[s] - description->q_lens[s];
        this_sequence.kv_end = description->context_lens[s];
        assert_true(reference_attention(&this_sequence, &result));
        assert_true(reference_attention_float32(&this_sequence, &result32));
    }
}

/* The naive implementation's largest error over the finite elements [first, first + count), at least one rounding. */
static double naive_error(const expected_rows *expected, int64_t first, int64_t count)
{
    double error = 0.0;
    double magnitude = 0.0;

    for (int64_t i = first; i < first + count; i++) {
        if (!isfinite(expected->doubles[i]))
            continue;
        error = fmax(error, fabs((double)expected->floats[i] - expected->doubles[i]));
        magnitude = fmax(magnitude, fabs(expected->doubles[i]));
    }
    return fmax(error, magnitude * (double)FLT_EPSILON);
}

static void expected_init(expected_rows *expected, const support_ragged *ragged)
{
    memset(expected, 0, sizeof(*expected));
    expected->num_states = (int64_t)ragged->total_tokens * ragged->description.num_q_heads;
    expected->num_outputs = expected->num_states * ragged->description.head_dim;
    expected->doubles = allocate(expected->num_outputs + 3 * expected->num_states, sizeof(double));
    expected->floats = allocate(expected->num_outputs + 3 * expected->num_states, sizeof(float));
    compute(ragged, expected);
    expected->out_error = naive_error(expected, 0, expected->num_outputs);
    expected->lse_error = naive_error(expected, expected->num_outputs, expected->num_states);
}

static void expected_finish(expected_rows *expected)
{
    free(expected->doubles);
    free(expected->floats);
    free(expected->queries);
    free(expected->keys);
    free(expected->values);
    free(expected->sinks);
}

static void fail_element(const support_ragged *ragged, const char *tensor, int64_t element, double actual,
                         double expected, double bound)
{
    const int64_t width = tensor[0] == 'o' ? ragged->description.head_dim : 1;
    const int64_t heads = ragged->description.num_q_heads;
    char text[DESCRIPTION_BYTES];

    support_ragged_describe(ragged, text, sizeof(text));
    fail_msg("tensor=%s row=%" PRId64 " head=%" PRId64 " d=%" PRId64 " actual=%.9g expected=%.9g error=%.3g "
             "bound=%.3g %s",
             tensor, element / width / heads, element / width % heads, element % width, actual, expected,
             fabs(actual - expected), bound, text);
}

/* The element of out or lse with this number, counted without gaps. */
static int64_t place_of(const support_ragged *ragged, const support_image *image, int64_t element)
{
    const int64_t width = image->tensor.rank == 3 ? ragged->description.head_dim : 1;
    const int64_t heads = ragged->description.num_q_heads;
    const int64_t index[3] = {element / width / heads, element / width % heads, element % width};

    return support_image_at(image, index);
}

static void check_tensor(const support_ragged *ragged, const support_image *image, const char *name,
                         const double *expected, int64_t count, double naive)
{
    const int64_t owned = ragged->query_start_loc[ragged->description.num_seqs];
    const int64_t num_owned = ragged->total_tokens > 0 ? count / ragged->total_tokens * owned : 0;

    for (int64_t i = 0; i < count; i++) {
        const double actual = (double)support_image_get(image, place_of(ragged, image, i));
        const double bound = i < num_owned ? 2.0 * naive + support_rounding(image->tensor.dtype, expected[i]) : 0.0;
        if (actual == expected[i])
            continue;
        if (!(fabs(actual - expected[i]) <= bound))
            fail_element(ragged, name, i, actual, expected[i], bound);
    }
}

void support_ragged_check(const support_ragged *ragged)
{
    expected_rows expected;

    expected_init(&expected, ragged);
    check_tensor(ragged, &ragged->out, "out", expected.doubles, expected.num_outputs, expected.out_error);
    if (ragged->lse.tensor.rank > 0)
        check_tensor(ragged, &ragged->lse, "lse", expected.doubles + expected.num_outputs, expected.num_states,
                     expected.lse_error);
    expected_finish(&expected);
}

/* The first element of a head's row at a position, in out or lse. */
static int64_t row_at(const support_ragged *ragged, const support_image *image, int32_t seq, int32_t position,
                      int32_t head)
{
    const int32_t first = ragged->description.context_lens[seq] - ragged->description.q_lens[seq];
    const int64_t index[3] = {ragged->query_start_loc[seq] + position - first, head, 0};

    assert_true(position >= first && position < ragged->description.context_lens[seq]);
    return support_image_at(image, index);
}

static void fail_rows(const support_ragged *a, const support_ragged *b, const char *tensor, int32_t position,
                      int32_t head, int32_t d, double in_a, double in_b)
{
    char text_a[DESCRIPTION_BYTES];
    char text_b[DESCRIPTION_BYTES];

    support_ragged_describe(a, text_a, sizeof(text_a));
    support_ragged_describe(b, text_b, sizeof(text_b));
    fail_msg("tensor=%s position=%" PRId32 " head=%" PRId32 " d=%" PRId32 " a=%.9g b=%.9g\n  a: %s\n  b: %s", tensor,
             position, head, d, in_a, in_b, text_a, text_b);
}

/* The rows of one tensor: bit for bit if tolerance < 0. */
static void compare_rows(const support_ragged *a, int32_t seq_a, const support_image *image_a, const support_ragged *b,
                         int32_t seq_b, const support_image *image_b, int32_t position, double tolerance)
{
    const char *tensor = image_a->tensor.rank == 3 ? "out" : "lse";
    const int32_t width = image_a->tensor.rank == 3 ? a->description.head_dim : 1;
    const size_t size = clattn_dtype_size(image_a->tensor.dtype);

    for (int32_t head = 0; head < a->description.num_q_heads; head++) {
        const int64_t row_a = row_at(a, image_a, seq_a, position, head);
        const int64_t row_b = row_at(b, image_b, seq_b, position, head);
        for (int32_t d = 0; d < width; d++) {
            const double in_a = (double)support_image_get(image_a, row_a + d);
            const double in_b = (double)support_image_get(image_b, row_b + d);
            const bool same_bits =
                memcmp(support_image_bytes(image_a, row_a + d), support_image_bytes(image_b, row_b + d), size) == 0;
            const bool close = tolerance >= 0.0 && fabs(in_a - in_b) <= tolerance * (1.0 + fabs(in_a));
            if (!same_bits && !close)
                fail_rows(a, b, tensor, position, head, d, in_a, in_b);
        }
    }
}

void support_ragged_expect_close(const support_ragged *a, int32_t seq_a, const support_ragged *b, int32_t seq_b,
                                 int32_t first, int32_t count, double tolerance)
{
    assert_int_equal(a->description.num_q_heads, b->description.num_q_heads);
    assert_int_equal(a->description.head_dim, b->description.head_dim);
    assert_int_equal(a->out.tensor.dtype, b->out.tensor.dtype);
    assert_int_equal(a->lse.tensor.rank, b->lse.tensor.rank);
    for (int32_t position = first; position < first + count; position++) {
        compare_rows(a, seq_a, &a->out, b, seq_b, &b->out, position, tolerance);
        if (a->lse.tensor.rank > 0)
            compare_rows(a, seq_a, &a->lse, b, seq_b, &b->lse, position, tolerance);
    }
}

void support_ragged_expect_same(const support_ragged *a, int32_t seq_a, const support_ragged *b, int32_t seq_b,
                                int32_t first, int32_t count)
{
    support_ragged_expect_close(a, seq_a, b, seq_b, first, count, -1.0);
}

void support_ragged_expect_same_bytes(const support_ragged *a, const support_ragged *b)
{
    for (int32_t s = 0; s < a->description.num_seqs; s++)
        support_ragged_expect_same(a, s, b, s, a->description.context_lens[s] - a->description.q_lens[s],
                                   a->description.q_lens[s]);
    assert_int_equal(a->out.num_bytes, b->out.num_bytes);
    assert_memory_equal(a->out.bytes, b->out.bytes, a->out.num_bytes);
    assert_int_equal(a->lse.num_bytes, b->lse.num_bytes);
    if (a->lse.tensor.rank > 0)
        assert_memory_equal(a->lse.bytes, b->lse.bytes, a->lse.num_bytes);
}
