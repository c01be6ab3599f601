/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares results with the reference, under the bound that the contract sets.
 *
 * The bound: the largest error against float64 is at most twice that of the naive float32 implementation on the same
 * stored values, in any of several orders of summation, plus one rounding of the output's dtype. In a problem of a few
 * elements all of them may be exact by luck, so their error counts as no less than one float32 rounding of the result,
 * and of each term of a logit where the result is one.
 * A row that sees no key, or that no sequence owns, has no error to allow: its results are exact.
 */
#include "attention.h"

#include "fp.h"
#include "reference/attention.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The reference's rows of a whole batch, in the order of the output tensors, and the inputs they were made from. */
typedef struct expected_rows {
    int64_t num_rows;    /* of a head */
    int64_t num_outputs; /* elements of out */
    double *doubles[SUPPORT_NUM_RESULTS];
    float *floats[REFERENCE_NUM_ORDERS][SUPPORT_NUM_RESULTS]; /* the same in float32 */
    float *queries;
    float *keys;
    float *values; /* NULL in the combined layout */
    float *sinks;
    double logit_size;
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

static reference_sinks sinks_of(const support_attention *attention, const float *data)
{
    const int32_t num_sinks = attention->description.num_sinks;

    switch (attention->description.sinks) {
    case SUPPORT_SINKS_PER_HEAD:
        return (reference_sinks){data, 1, 1, 0};
    case SUPPORT_SINKS_SHARED:
        return (reference_sinks){data, num_sinks, 0, 0};
    case SUPPORT_SINKS_PER_KV_HEAD:
        return (reference_sinks){data, num_sinks, 0, attention->sinks.strides[0]};
    default:
        return (reference_sinks){0};
    }
}

static reference_pages pages_of(const float *data, const support_kv_strides *strides)
{
    return (reference_pages){data + strides->offset, strides->page, strides->slot, strides->head};
}

static double scale_of(const support_attention_case *description)
{
    if (description->softmax_scale != 0.0f)
        return (double)description->softmax_scale;
    return description->operation == SUPPORT_RAGGED ? 1.0 : 1.0 / sqrt((double)description->head_dim);
}

/* What every sequence of the problem has in common. */
static reference_sequence common_sequence(const support_attention *attention, expected_rows *expected)
{
    const support_attention_case *description = &attention->description;
    const support_kv_strides key_strides = support_attention_key_strides(attention);
    const support_kv_strides value_strides = support_attention_value_strides(attention);
    const clattn_window window = support_attention_window(attention);
    const float mask_value = description->mask_value != 0.0f ? description->mask_value : CLATTN_DEFAULT_MASK_VALUE;
    int64_t first_query, first_key, first_value, first_sink;
    reference_sequence sequence = {
        .num_q_heads = description->num_q_heads,
        .num_kv_heads = description->num_kv_heads,
        .head_dim = description->head_dim,
        .head_dim_v = description->head_dim_v,
        .query_row_stride = attention->queries.strides[0],
        .query_head_stride = attention->queries.strides[1],
        .page_size = description->page_size,
        .causal = true,
        .window_left = window.left,
        .window_right = window.right,
        .softmax_scale = scale_of(description),
        .logits_soft_cap = (double)description->logits_soft_cap,
        .mask_value = (double)mask_value,
    };

    expected->queries = decode(&attention->queries, &first_query);
    expected->keys = decode(&attention->keys, &first_key);
    expected->values = decode(&attention->values, &first_value);
    expected->sinks = decode(&attention->sinks, &first_sink);
    sequence.queries = expected->queries + first_query;
    sequence.keys = pages_of(expected->keys + first_key, &key_strides);
    sequence.values =
        pages_of(expected->values ? expected->values + first_value : expected->keys + first_key, &value_strides);
    if (expected->sinks)
        sequence.sinks = sinks_of(attention, expected->sinks + first_sink);
    return sequence;
}

/* The naive implementation of one sequence, in every order. */
static void compute_float32(const reference_sequence *sequence, expected_rows *expected, int64_t row)
{
    for (int order = 0; order < REFERENCE_NUM_ORDERS; order++) {
        float **floats = expected->floats[order];
        const reference_result_float32 result = {floats[SUPPORT_OUT] + row * sequence->head_dim_v,
                                                 floats[SUPPORT_LSE] + row, floats[SUPPORT_MAX] + row,
                                                 floats[SUPPORT_DENOMINATOR] + row};
        assert_true(reference_attention_float32(sequence, order, &result));
    }
}

/* Both implementations for every sequence; rows that no sequence owns stay 0 with lse -inf. */
static void compute(const support_attention *attention, expected_rows *expected)
{
    const support_attention_case *description = &attention->description;
    double **doubles = expected->doubles;
    const reference_sequence common = common_sequence(attention, expected);

    for (int64_t i = 0; i < expected->num_rows; i++)
        doubles[SUPPORT_LSE][i] = -(double)INFINITY;
    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int64_t first = attention->query_start_loc[s];
        const int64_t row = first * description->num_q_heads;
        const int64_t element = row * description->head_dim_v;
        const reference_result result = {doubles[SUPPORT_OUT] + element, doubles[SUPPORT_LSE] + row,
                                         doubles[SUPPORT_MAX] + row, doubles[SUPPORT_DENOMINATOR] + row};
        const support_key_range keys = support_attention_keys(attention, s);
        reference_sequence sequence = common;
        sequence.queries += first * common.query_row_stride;
        sequence.num_rows = description->q_lens[s];
        sequence.block_table = attention->block_tables + (int64_t)s * attention->pages_per_seq;
        sequence.first_position = support_attention_first_position(attention, s);
        sequence.kv_start = keys.start;
        sequence.kv_end = keys.end;
        assert_true(reference_attention(&sequence, &result));
        compute_float32(&sequence, expected, row);
        for (int32_t j = 0; j < sequence.num_rows; j++)
            for (int32_t head = 0; head < sequence.num_q_heads; head++)
                expected->logit_size = fmax(expected->logit_size, reference_logit_size(&sequence, j, head));
    }
}

/* The sum that the quotient was made from; the reference returns the quotient. */
static void make_numerators(const support_attention *attention, expected_rows *expected)
{
    const int64_t width = attention->description.head_dim_v;

    for (int64_t i = 0; i < expected->num_outputs; i++) {
        expected->doubles[SUPPORT_OUT][i] *= expected->doubles[SUPPORT_DENOMINATOR][i / width];
        for (int order = 0; order < REFERENCE_NUM_ORDERS; order++)
            expected->floats[order][SUPPORT_OUT][i] *= expected->floats[order][SUPPORT_DENOMINATOR][i / width];
    }
}

static void expected_init(expected_rows *expected, const support_attention *attention)
{
    const support_attention_case *description = &attention->description;

    memset(expected, 0, sizeof(*expected));
    expected->num_rows = (int64_t)attention->total_tokens * description->num_q_heads;
    expected->num_outputs = expected->num_rows * description->head_dim_v;
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        const int64_t count = i == SUPPORT_OUT ? expected->num_outputs : expected->num_rows;
        expected->doubles[i] = allocate(count, sizeof(double));
        for (int order = 0; order < REFERENCE_NUM_ORDERS; order++)
            expected->floats[order][i] = allocate(count, sizeof(float));
    }
    compute(attention, expected);
    if (description->numerator)
        make_numerators(attention, expected);
}

static void expected_finish(expected_rows *expected)
{
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        free(expected->doubles[i]);
        for (int order = 0; order < REFERENCE_NUM_ORDERS; order++)
            free(expected->floats[order][i]);
    }
    free(expected->queries);
    free(expected->keys);
    free(expected->values);
    free(expected->sinks);
}

/* The sinks of a row that sees no key do not count, so the sum tells. */
static bool is_empty(const expected_rows *expected, int64_t row)
{
    return expected->doubles[SUPPORT_DENOMINATOR][row] == 0.0;
}

/* The naive implementation's largest error over the rows that see a key, at least one rounding. */
static double naive_error(const expected_rows *expected, support_result result, int64_t count, int64_t width)
{
    const double *doubles = expected->doubles[result];
    double error = 0.0;
    double magnitude = 0.0;

    for (int64_t i = 0; i < count; i++) {
        if (is_empty(expected, i / width))
            continue;
        for (int order = 0; order < REFERENCE_NUM_ORDERS; order++)
            error = fmax(error, fabs((double)expected->floats[order][result][i] - doubles[i]));
        magnitude = fmax(magnitude, fabs(doubles[i]));
    }
    if (result == SUPPORT_LSE || result == SUPPORT_MAX)
        magnitude = fmax(magnitude, 0.5 * expected->logit_size);
    return fmax(error, magnitude * (double)FLT_EPSILON);
}

/* An element of a result, counted without gaps. */
typedef struct element_index {
    int64_t token;
    int64_t head;
    int64_t d;
} element_index;

static element_index element_at(const support_attention *attention, int64_t number, int64_t width)
{
    const int64_t heads = attention->description.num_q_heads;

    return (element_index){number / width / heads, number / width % heads, number % width};
}

static void fail_element(const support_attention *attention, const char *tensor, const element_index *element,
                         double actual, double expected, double bound)
{
    support_attention_print(attention);
    fail_msg("tensor=%s row=%" PRId64 " head=%" PRId64 " d=%" PRId64 " actual=%.9g expected=%.9g error=%.3g "
             "bound=%.3g",
             tensor, element->token, element->head, element->d, actual, expected, fabs(actual - expected), bound);
}

static void check_result(const support_attention *attention, const expected_rows *expected, support_result result)
{
    const support_image *image = &attention->results[result];
    const int64_t width = result == SUPPORT_OUT ? attention->description.head_dim_v : 1;
    const int64_t count = result == SUPPORT_OUT ? expected->num_outputs : expected->num_rows;
    const double naive = naive_error(expected, result, count, width);

    for (int64_t i = 0; i < count; i++) {
        const element_index element = element_at(attention, i, width);
        const int64_t index[3] = {element.token, element.head, element.d};
        const double wanted = expected->doubles[result][i];
        const double actual = (double)support_image_get(image, support_image_at(image, index));
        const double bound =
            is_empty(expected, i / width)
                ? 0.0
                : 2.0 * naive + support_rounding(image->tensor.dtype, wanted) + attention->allowances[result];
        if (actual == wanted)
            continue;
        if (!(fabs(actual - wanted) <= bound))
            fail_element(attention, support_result_name(result), &element, actual, wanted, bound);
    }
}

void support_attention_check(const support_attention *attention)
{
    expected_rows expected;

    expected_init(&expected, attention);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++)
        if (attention->results[i].tensor.rank > 0)
            check_result(attention, &expected, (support_result)i);
    expected_finish(&expected);
}
