/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partial results over disjoint sets of keys joined into one, in float64, as the truth that the merge operation is
 * compared with. Plain host code; knows nothing of the library or of OpenCL.
 */
#ifndef REFERENCE_MERGE_H
#define REFERENCE_MERGE_H

#include <stdint.h>

/*
 * The states, as (out normalised, lse) or as (numerator, max, denominator).
 *
 * Shapes    out [num_states, num_rows, width], the others [num_states, num_rows]
 */
typedef struct reference_states {
    int32_t num_states;
    int32_t num_rows;
    int32_t width;
    const float *out;         /* numerators if max and denominator are given */
    const float *lse;         /* NULL = max and denominator are given */
    const float *max;         /* the maximum of an empty state is not looked at, nor is its out */
    const float *denominator; /* 0 = empty state; in the other form an lse of -inf */
    double mask_value;        /* reported as the maximum of a row that has only empty states */
} reference_states;

/*
 * Every form of the result at once. `magnitude` is the sum of the absolute values of the terms of the numerator: what
 * the rounding error of an implementation is measured by.
 *
 * Shapes    out, numerator, magnitude [num_rows, width], the others [num_rows]
 */
typedef struct reference_merged {
    double *out;
    double *numerator;
    double *magnitude;
    double *lse;
    double *max;
    double *denominator;
} reference_merged;

void reference_merge(const reference_states *states, const reference_merged *merged);

#endif
