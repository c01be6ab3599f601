/* SPDX-License-Identifier: Apache-2.0 */
/* Compares every row of a demo step with attention in float64, computed from the rows that the host still has. */
#ifndef DEMO_CHECK_H
#define DEMO_CHECK_H

#include "demo/step.h"

/* The element that comes nearest to its bound, or exceeds it most. */
typedef struct demo_verdict {
    double error;       /* distance to the float64 reference */
    double allowed;     /* twice the largest error of a naive float32 implementation, plus one rounding of out */
    double naive_error; /* that largest error */
    int64_t num_compared;
    bool within_bound; /* every element */
} demo_verdict;

/* False after printing why there is no verdict. */
bool demo_check(const demo_step *step, demo_verdict *verdict);

#endif
