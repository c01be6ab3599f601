/* SPDX-License-Identifier: Apache-2.0 */
/* Repeatable random tensors and permutations. */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <clattn/dtype.h>
#include <stdint.h>

typedef struct bench_random {
    uint64_t state;
} bench_random;

/* The same seed gives the same sequence. */
void bench_random_init(bench_random *random, uint64_t seed);

/* A number in [0, bound), bound >= 1. */
uint32_t bench_random_below(bench_random *random, uint32_t bound);

/* `count` values of a standard normal distribution, rounded to `dtype`. */
void bench_random_fill(bench_random *random, clattn_dtype dtype, void *values, size_t count);

/* The numbers 0..count-1 in random order. */
void bench_random_permutation(bench_random *random, int32_t *numbers, int32_t count);

#endif
