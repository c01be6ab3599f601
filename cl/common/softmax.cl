/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one row's online softmax, in units of log2: the largest score so far, the sum of 2^(score - max) and
 * (kept by the kernels) the weighted sum of V. Milakov and Gimelshein, arXiv 1805.02867, equation 4.
 */
#define LOG2_E 1.44269504088896340736f
#define LN_2 0.69314718055994530942f
#define NO_SCORE (-FLT_MAX) /* the largest score of a row that has seen no key; finite, so that differences stay numbers */

typedef struct {
    float max;
    float sum;
} row_sums;
