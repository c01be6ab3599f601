/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the results of two problems with each other. */
#include "attention.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The first element of a head's row at a position, in a result. */
static int64_t row_at(const support_attention *attention, const support_image *image, int32_t seq, int64_t position,
                      int32_t head)
{
    const int64_t first = support_attention_first_position(attention, seq);
    const int64_t index[3] = {attention->query_start_loc[seq] + position - first, head, 0};

    assert_true(position >= first && position < first + attention->description.q_lens[seq]);
    return support_image_at(image, index);
}

static void fail_rows(const support_attention *a, const support_attention *b, const char *tensor, int64_t position,
                      int32_t head, int32_t d, double in_a, double in_b)
{
    support_attention_print(a);
    support_attention_print(b);
    fail_msg("tensor=%s position=%" PRId64 " head=%" PRId32 " d=%" PRId32 " a=%.9g b=%.9g", tensor, position, head, d,
             in_a, in_b);
}

/* The rows of one result: bit for bit if tolerance < 0. */
static void compare_rows(const support_attention *a, int32_t seq_a, const support_attention *b, int32_t seq_b,
                         support_result result, int64_t position, double tolerance)
{
    const support_image *image_a = &a->results[result];
    const support_image *image_b = &b->results[result];
    const int32_t width = image_a->tensor.rank == 3 ? a->description.head_dim_v : 1;
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
                fail_rows(a, b, support_result_name(result), position, head, d, in_a, in_b);
        }
    }
}

void support_attention_expect_close(const support_attention *a, int32_t seq_a, const support_attention *b,
                                    int32_t seq_b, int64_t first, int32_t count, double tolerance)
{
    assert_int_equal(a->description.num_q_heads, b->description.num_q_heads);
    assert_int_equal(a->description.head_dim_v, b->description.head_dim_v);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        assert_int_equal(a->results[i].tensor.dtype, b->results[i].tensor.dtype);
        assert_int_equal(a->results[i].tensor.rank, b->results[i].tensor.rank);
        if (a->results[i].tensor.rank == 0)
            continue;
        for (int64_t position = first; position < first + count; position++)
            compare_rows(a, seq_a, b, seq_b, (support_result)i, position, tolerance);
    }
}

void support_attention_expect_same(const support_attention *a, int32_t seq_a, const support_attention *b, int32_t seq_b,
                                   int64_t first, int32_t count)
{
    support_attention_expect_close(a, seq_a, b, seq_b, first, count, -1.0);
}

void support_attention_expect_nan(const support_attention *attention, support_result result, int32_t seq, int64_t first,
                                  int32_t count)
{
    const support_image *image = &attention->results[result];
    const int32_t width = image->tensor.rank == 3 ? attention->description.head_dim_v : 1;

    for (int64_t position = first; position < first + count; position++) {
        for (int32_t head = 0; head < attention->description.num_q_heads; head++) {
            const int64_t row = row_at(attention, image, seq, position, head);
            for (int32_t d = 0; d < width; d++) {
                if (!isnan(support_image_get(image, row + d)))
                    fail_msg("%s of position %" PRId64 ", head %" PRId32 ", d %" PRId32 " is no NaN",
                             support_result_name(result), position, head, d);
            }
        }
    }
}

void support_attention_expect_same_bytes(const support_attention *a, const support_attention *b)
{
    for (int32_t s = 0; s < a->description.num_seqs; s++)
        support_attention_expect_same(a, s, b, s, support_attention_first_position(a, s), a->description.q_lens[s]);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++) {
        assert_int_equal(a->results[i].num_bytes, b->results[i].num_bytes);
        if (a->results[i].tensor.rank > 0)
            assert_memory_equal(a->results[i].bytes, b->results[i].bytes, a->results[i].num_bytes);
    }
}
