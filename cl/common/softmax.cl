/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one row's online softmax, in units of log2: the largest score so far, the sum of 2^(score - max) and
 * (kept by the kernels) the weighted sum of V. Milakov and Gimelshein, arXiv 1805.02867, equation 4; the sink as one
 * more score without a value.
 */
#define LOG2_E 1.44269504088896340736f
#define LN_2 0.69314718055994530942f
#define NO_SCORE (-FLT_MAX) /* the largest score of a row that has seen no key; finite, so that differences stay numbers */

/* How a finished row is written: acc * scale, and its log-sum-exp. */
typedef struct {
    float scale;
    float lse;
} row_result;

static inline row_result state_finalize(float row_max, float row_sum)
{
    row_result result = {0.0f, -INFINITY};
    if (row_sum != 0.0f) { /* also for NaN, which must show */
        result.scale = 1.0f / row_sum;
        result.lse = (row_max + log2(row_sum)) * LN_2;
    }
    return result;
}

/* The result of a head's row; with SINKS its sink, a natural logit, joins in. A row without keys stays empty. */
static inline row_result row_finalize(float row_max, float row_sum, global const float *sinks, const attention_args *args, int head)
{
#if SINKS
    const float sink_score = sinks[args->sinks_offset + (ulong)head] * LOG2_E;
    const float joint_max = fmax(row_max, sink_score);
    const float correction = exp2(row_max - joint_max);
    const float joint_sum = row_sum * correction + exp2(sink_score - joint_max);
    row_result result = state_finalize(joint_max, row_sum == 0.0f ? 0.0f : joint_sum);
    result.scale *= correction;
    return result;
#else
    return state_finalize(row_max, row_sum);
#endif
}
