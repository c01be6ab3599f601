/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one row's online softmax: the largest logit so far, the sum of exp(logit - max) and (kept by the
 * kernels) the weighted sum of V. Milakov and Gimelshein, arXiv 1805.02867, equation 4.
 */
#define LOG2_E 1.44269504088896340736f
#define NO_LOGIT (-FLT_MAX) /* the largest logit of a row that has seen no key; finite, so that differences stay numbers */

/* The logit of a dot product of q and k, or of a vector of them. */
#if SOFT_CAP
#define LOGIT(dot_product, args) (tanh((dot_product) * (args)->dot_scale) * (args)->soft_cap)
#else
#define LOGIT(dot_product, args) ((dot_product) * (args)->dot_scale)
#endif

/*
 * exp(logit - max), by the exponential that is one instruction on most devices. The difference is taken first: it is
 * exact where the weight matters, and its product with log2(e) loses less than that of either part would.
 */
#define WEIGHT(logit, max) exp2(((logit) - (max)) * LOG2_E)

typedef struct {
    float max;
    float sum;
} row_sums;
