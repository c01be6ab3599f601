/* SPDX-License-Identifier: Apache-2.0 */
/* The float64 merge: the largest maximum, the denominators, the numerators, each in a pass of its own. */
#include "merge.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* One state of one row in the form that the sums are written in. */
typedef struct row_state {
    bool empty;
    double max;
    double denominator;
    const float *numerator; /* of the form with an lse: out, whose denominator is 1 */
} row_state;

static row_state state_of(const reference_states *states, int32_t state, int32_t row)
{
    const ptrdiff_t index = (ptrdiff_t)state * states->num_rows + row;
    const float *numerator = states->out + index * states->width;

    if (states->lse) {
        const double lse = (double)states->lse[index];
        return (row_state){.empty = lse == -(double)INFINITY, .max = lse, .denominator = 1.0, .numerator = numerator};
    }
    return (row_state){
        .empty = states->denominator[index] == 0.0f,
        .max = (double)states->max[index],
        .denominator = (double)states->denominator[index],
        .numerator = numerator,
    };
}

static void merge_nothing(const reference_states *states, const reference_merged *merged, int32_t row)
{
    for (int32_t d = 0; d < states->width; d++) {
        const ptrdiff_t at = (ptrdiff_t)row * states->width + d;
        merged->out[at] = merged->numerator[at] = merged->magnitude[at] = 0.0;
    }
    merged->lse[row] = -(double)INFINITY;
    merged->max[row] = states->mask_value;
    merged->denominator[row] = 0.0;
}

static void merge_row(const reference_states *states, const reference_merged *merged, int32_t row)
{
    double max = -(double)INFINITY;
    double denominator = 0.0;
    bool has_keys = false;

    /* Pass 1: the largest maximum. Not fmax(), which would lose a maximum that is no number. */
    for (int32_t i = 0; i < states->num_states; i++) {
        const row_state state = state_of(states, i, row);
        if (!state.empty && !(state.max <= max))
            max = isnan(max) ? max : state.max;
        has_keys = has_keys || !state.empty;
    }
    if (!has_keys) {
        merge_nothing(states, merged, row);
        return;
    }

    /* Pass 2: the denominator. */
    for (int32_t i = 0; i < states->num_states; i++) {
        const row_state state = state_of(states, i, row);
        if (!state.empty)
            denominator += exp(state.max - max) * state.denominator;
    }

    /* Pass 3: the numerators. */
    for (int32_t d = 0; d < states->width; d++) {
        const ptrdiff_t at = (ptrdiff_t)row * states->width + d;
        merged->numerator[at] = merged->magnitude[at] = 0.0;
        for (int32_t i = 0; i < states->num_states; i++) {
            const row_state state = state_of(states, i, row);
            if (state.empty)
                continue;
            const double term = exp(state.max - max) * (double)state.numerator[d];
            merged->numerator[at] += term;
            merged->magnitude[at] += fabs(term);
        }
        merged->out[at] = merged->numerator[at] / denominator;
    }
    merged->lse[row] = max + log(denominator);
    merged->max[row] = max;
    merged->denominator[row] = denominator;
}

void reference_merge(const reference_states *states, const reference_merged *merged)
{
    for (int32_t row = 0; row < states->num_rows; row++)
        merge_row(states, merged, row);
}
