/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generators are xoshiro256** and, for its seeding, SplitMix64: Blackman and Vigna, Scrambled Linear Pseudorandom
 * Number Generators, ACM TOMS 47 (2021); Steele, Lea and Flood, Fast Splittable PRNGs, OOPSLA 2014.
 */
#include "random.h"

#include <assert.h>

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

static uint64_t scramble(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int count)
{
    return (x << count) | (x >> (64 - count));
}

support_random support_random_seeded(uint64_t seed)
{
    support_random random;

    for (int i = 0; i < 4; i++) {
        seed += GOLDEN_GAMMA;
        random.state[i] = scramble(seed);
    }
    return random;
}

uint64_t support_random_mix(uint64_t seed, uint64_t number)
{
    return scramble(scramble(seed + GOLDEN_GAMMA) ^ (number * GOLDEN_GAMMA + 1u));
}

uint64_t support_random_next(support_random *random)
{
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[1] * 5u, 7) * 9u;
    const uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

int32_t support_random_between(support_random *random, int32_t low, int32_t high)
{
    const uint64_t count = (uint64_t)((int64_t)high - low) + 1u;

    assert(low <= high);
    return (int32_t)(low + (int64_t)(((support_random_next(random) >> 32) * count) >> 32));
}

/* Four uniform 16-bit numbers, centred: variance 4 * 65536^2 / 12. */
float support_random_normal(support_random *random)
{
    const uint64_t bits = support_random_next(random);
    const int32_t sum =
        (int32_t)((bits & 0xffffu) + ((bits >> 16) & 0xffffu) + ((bits >> 32) & 0xffffu) + (bits >> 48));
    return (float)(sum - 2 * 65535) * (1.7320508f / 65536.0f);
}

void support_random_permutation(support_random *random, int32_t count, int32_t *order)
{
    for (int32_t i = 0; i < count; i++)
        order[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        const int32_t j = support_random_between(random, 0, i);
        const int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
