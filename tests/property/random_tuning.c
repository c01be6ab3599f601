/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuning overrides of three kinds: tiles that every device with a CPU's local memory runs, tiles that depend on the
 * rest of the problem, and contradictions. Written from what the public header and the kernels say of tiles.
 */
#include "random_case.h"

#include "support/random.h"

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Sides that are whole vectors and row blocks for any number of lanes, at any head dimension. */
static clattn_tuning legal_vector_tile(support_random *random)
{
    clattn_tuning tuning = {0};

    if (support_random_between(random, 0, 2) > 0)
        tuning.block_q = 64 * support_random_between(random, 1, 3);
    if (tuning.block_q == 0 || support_random_between(random, 0, 1))
        tuning.block_kv = 16 * support_random_between(random, 1, 7);
    tuning.work_group_size = support_random_between(random, 0, 1);
    return tuning;
}

/* A work-group is rows of 16 work-items, of which a tile's queries are a multiple, and the other way round. */
static clattn_tuning legal_simt_tile(support_random *random)
{
    clattn_tuning tuning = {0};

    tuning.work_group_size = 16 << support_random_between(random, 0, 3);
    tuning.block_q = (tuning.work_group_size / 16) << support_random_between(random, 0, 4);
    if (support_random_between(random, 0, 1))
        tuning.block_kv = 16 * support_random_between(random, 1, 4);
    return tuning;
}

/* Any rows, and any number of work-items for them. */
static clattn_tuning legal_plain_tile(support_random *random)
{
    return (clattn_tuning){.block_q = support_random_between(random, 0, 70),
                           .work_group_size = support_random_between(random, 0, 40)};
}

static clattn_tuning legal_tile(support_random *random, clattn_family family)
{
    switch (family) {
    case CLATTN_FAMILY_VECTOR:
        return legal_vector_tile(random);
    case CLATTN_FAMILY_PLAIN:
        return legal_plain_tile(random);
    default:
        return legal_simt_tile(random);
    }
}

static clattn_tuning dependent_tile(support_random *random)
{
    clattn_tuning tuning = {0};

    switch (support_random_between(random, 0, 3)) {
    case 0:
        tuning.num_queries_per_block = 1 << support_random_between(random, 0, 5);
        break;
    case 1:
        tuning.num_kv_pages_per_block = support_random_between(random, 1, 8);
        break;
    case 2:
        tuning.num_warps = support_random_between(random, 1, 4);
        break;
    default:
        tuning.local_memory_limit_bytes = 1024 << support_random_between(random, 3, 9);
        break;
    }
    return tuning;
}

static clattn_tuning contradiction(support_random *random, clattn_family family)
{
    static const clattn_tuning any_family[] = {
        {.num_stages = 2},
        {.num_stages = -1},
        {.block_q = 64, .num_queries_per_block = 8},
        {.block_kv = 64, .num_kv_pages_per_block = 4},
        {.block_q = -64},
        {.block_q = 1 << 15},
        {.block_kv = 1 << 15},
        {.num_kv_pages_per_block = INT32_MAX},
        {.work_group_size = 32, .num_warps = 1},
        {.local_memory_limit_bytes = 1},
        {.local_memory_limit_bytes = -1},
    };
    static const clattn_tuning vector[] = {{.block_q = 60}, {.block_kv = 20}, {.work_group_size = 64}};
    static const clattn_tuning simt[] = {{.block_q = 24}, {.block_kv = 40}, {.work_group_size = 1 << 20}};
    static const clattn_tuning plain[] = {
        {.num_kv_pages_per_block = 1}, {.block_kv = 16}, {.work_group_size = 1 << 20}};
    const int32_t which = support_random_between(random, 0, COUNT(any_family) + COUNT(vector) - 1);

    if (which < COUNT(any_family))
        return any_family[which];
    const clattn_tuning *own = family == CLATTN_FAMILY_VECTOR ? vector : family == CLATTN_FAMILY_PLAIN ? plain : simt;
    return own[which - COUNT(any_family)];
}

random_expectation random_tuning_draw(clattn_tuning *tuning, uint64_t seed, clattn_family family)
{
    support_random random = support_random_seeded(seed);
    random_expectation expectation = RANDOM_RUNS;

    *tuning = (clattn_tuning){0};
    switch (support_random_between(&random, 0, 9)) {
    case 0:
    case 1:
        *tuning = legal_tile(&random, family);
        break;
    case 2:
        *tuning = dependent_tile(&random);
        expectation = RANDOM_RUNS_OR_IS_REFUSED;
        break;
    case 3:
        *tuning = contradiction(&random, family);
        expectation = RANDOM_IS_REFUSED;
        break;
    default:
        return RANDOM_RUNS;
    }
    if (support_random_between(&random, 0, 1))
        tuning->family = family;
    return expectation;
}
