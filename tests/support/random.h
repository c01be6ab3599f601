/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded pseudo-random numbers, the same on every machine. */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdint.h>

typedef struct support_random {
    uint64_t state[4];
} support_random;

/* Starts a stream; neighbouring seeds give unrelated streams. */
support_random support_random_seeded(uint64_t seed);

/* A seed made from another one and a number; for streams that are told apart by several indices. */
uint64_t support_random_mix(uint64_t seed, uint64_t number);

uint64_t support_random_next(support_random *random);

/* A whole number in [low, high]; low <= high. */
int32_t support_random_between(support_random *random, int32_t low, int32_t high);

/* About normal: mean 0, variance 1, within +-3.5, from whole numbers only. */
float support_random_normal(support_random *random);

/* Puts 0..count-1 into `order`, in random order. */
void support_random_permutation(support_random *random, int32_t count, int32_t *order);

#endif
