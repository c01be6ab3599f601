/* SPDX-License-Identifier: Apache-2.0 */
/* A small generator, and tensors drawn from a table of normal values that is rounded to the storage type once. */
#include "bench/random.h"

#include "bench/storage.h"

#define TABLE_BITS 12
#define TABLE_SIZE (1 << TABLE_BITS)

/* xorshift64* (Vigna, arXiv 1402.6246): its upper bits are good, so they are the ones returned. */
static uint32_t next_bits(bench_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return (uint32_t)((x * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
}

void bench_random_init(bench_random *random, uint64_t seed)
{
    random->state = seed * 2 + 1; /* never 0, where the generator would stay */
    for (int i = 0; i < 16; i++)
        (void)next_bits(random);
}

uint32_t bench_random_below(bench_random *random, uint32_t bound)
{
    return (uint32_t)(((uint64_t)next_bits(random) * bound) >> 32);
}

/* Twelve uniform numbers have variance 1. */
static float next_normal(bench_random *random)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++)
        sum += (double)next_bits(random) * 0x1p-32;
    return (float)sum;
}

void bench_random_fill(bench_random *random, clattn_dtype dtype, void *values, size_t count)
{
    float table[TABLE_SIZE];
    uint16_t narrow[TABLE_SIZE];
    for (int i = 0; i < TABLE_SIZE; i++) {
        table[i] = next_normal(random);
        narrow[i] = dtype == CLATTN_BFLOAT16 ? bench_bfloat16_round(table[i]) : bench_float16_round(table[i]);
    }
    if (dtype == CLATTN_FLOAT32) {
        float *out = values;
        for (size_t i = 0; i < count; i++)
            out[i] = table[next_bits(random) >> (32 - TABLE_BITS)];
    } else {
        uint16_t *out = values;
        for (size_t i = 0; i < count; i++)
            out[i] = narrow[next_bits(random) >> (32 - TABLE_BITS)];
    }
}

void bench_random_permutation(bench_random *random, int32_t *numbers, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t j = (int32_t)bench_random_below(random, (uint32_t)i + 1);
        numbers[i] = i;
        numbers[i] = numbers[j];
        numbers[j] = i;
    }
}
