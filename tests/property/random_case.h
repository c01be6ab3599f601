/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random problems: a pure function of seed, number, family and size. What decides which kernels are compiled is drawn
 * once for neighbouring numbers, since a compiler takes longer than a problem does.
 */
#ifndef PROPERTY_RANDOM_CASE_H
#define PROPERTY_RANDOM_CASE_H

#include "support/attention.h"

enum { RANDOM_MOST_SEQS = 40, RANDOM_MOST_STATES = 5 };

/* What the library has to say to the tuning override. */
typedef enum random_expectation {
    RANDOM_RUNS = 0,
    RANDOM_RUNS_OR_IS_REFUSED, /* a tile that may be too large, or that depends on the page size */
    RANDOM_IS_REFUSED,
} random_expectation;

/* How large problems may be. Small ones are for an implementation that interprets its kernels. */
typedef enum random_size { RANDOM_USUAL = 0, RANDOM_SMALL, RANDOM_NUM_SIZES } random_size;

/* A cut of the keys into parts, each of which gives a state, all of which clattn_merge_states() joins. */
typedef struct random_cut {
    int32_t num_states;                     /* 0 = no cut, the operation runs whole */
    int32_t bounds[RANDOM_MOST_STATES + 1]; /* state i has the keys bounds[i]..bounds[i+1]-1 */
    bool by_lse;                            /* states from clattn_ragged_decode_attention(), else numerators */
    bool tokens_first;                      /* the states of a token lie side by side */
    clattn_dtype states_dtype;
} random_cut;

/* Its description points into it: not to be copied. */
typedef struct random_case {
    support_attention_case description;
    random_expectation expectation;
    random_cut cut; /* the description says what the joined result is compared with */
    int32_t q_lens[RANDOM_MOST_SEQS];
    int32_t context_lens[RANDOM_MOST_SEQS];
    int32_t kv_starts[RANDOM_MOST_SEQS];
    uint64_t sequence_seeds[RANDOM_MOST_SEQS];
    clattn_window window;
} random_case;

/* Which problem: what all of a run have in common, and its number. */
typedef struct random_identity {
    uint64_t seed;
    int32_t cases_per_variant; /* neighbours with the same kernels */
    clattn_family family;      /* decides which tiles there are */
    random_size size;
    int32_t number;
} random_identity;

void random_case_draw(random_case *drawn, const random_identity *identity);

/* One line of k=v pairs to stderr: what the description of the problem does not say. */
void random_case_print(const random_case *drawn);

/* The tuning override of a variant, and what becomes of it: random_tuning.c. */
random_expectation random_tuning_draw(clattn_tuning *tuning, uint64_t seed, clattn_family family);

#endif
