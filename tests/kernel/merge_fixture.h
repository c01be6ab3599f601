/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One problem of clattn_merge_states() for tests: described by a plain struct, built with NaN wherever nobody looks,
 * run through the public API and compared with the float64 reference.
 */
#ifndef KERNEL_MERGE_FIXTURE_H
#define KERNEL_MERGE_FIXTURE_H

#include "support/image.h"

/* What is asked for besides a normalised out. */
typedef enum merge_result {
    MERGE_OUT = 0,
    MERGE_LSE,
    MERGE_MAX,       /* max and denominator */
    MERGE_NUMERATOR, /* max and denominator, and out is the numerator */
    MERGE_NUM_RESULTS
} merge_result;

/* How the states, tokens and heads of states_out are nested; those of the rows beside it follow as far as they can. */
typedef enum merge_order {
    MERGE_STATES_TOKENS_HEADS = 0,
    MERGE_TOKENS_STATES_HEADS,
    MERGE_TOKENS_HEADS_STATES,
    MERGE_HEADS_TOKENS_STATES,
    MERGE_NUM_ORDERS
} merge_order;

typedef enum merge_empty { MERGE_EMPTY_NONE = 0, MERGE_EMPTY_SOME, MERGE_EMPTY_ALL } merge_empty;

/* A problem; zero fields mean the plain choice. What a state holds depends on the seed and its number alone. */
typedef struct merge_case {
    uint64_t seed;
    int32_t num_states;
    int32_t num_tokens;
    int32_t num_heads;
    int32_t width;
    bool by_max; /* the states come as (numerator, max, denominator), not as (out, lse) */
    merge_result result;
    clattn_dtype states_dtype; /* 0 = float32, as out_dtype */
    clattn_dtype out_dtype;
    bool strided; /* every tensor with an offset and gaps */
    merge_order order;
    merge_empty empty; /* empty states hold NaN in out and max */
    float base;        /* the maxima are base + spread * normal, spread 0 = 1 */
    float spread;
    float mask_value;
    const int32_t *permutation; /* state i is the one of number permutation[i]; NULL = i */
} merge_case;

typedef struct merge_problem {
    merge_case description; /* its pointers stay the caller's */
    support_image states_out;
    support_image states_lse; /* absent, or the two below are */
    support_image states_max;
    support_image states_denominator;
    support_image out;
    support_image lse;
    support_image max;
    support_image denominator;
} merge_problem;

merge_problem *merge_problem_create(const merge_case *description);
void merge_problem_destroy(merge_problem **problem);

/* Replaces what a row's state holds: every element of its out, and its lse or max with a denominator. */
void merge_set_state(merge_problem *problem, int32_t state, int32_t token, int32_t head, float out, float lse_or_max,
                     float denominator);

/* The operands; the buffers exist after merge_run(). */
clattn_merge_states_params merge_params_of(const merge_problem *problem);

/* Uploads, runs, reads back, and looks at the canaries around the results. */
void merge_run(merge_problem *problem, const support_device *device);

/* Compares what was read back with the reference of `truth`, the same problem or one with the same states. */
void merge_check(const merge_problem *problem, const merge_problem *truth);

/* All of it for one description. */
void merge_verify(const support_device *device, const merge_case *description);

#endif
