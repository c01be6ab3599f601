/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunables of each kernel and the values that are worth trying. A new one is a line here, and an #ifndef with the
 * default in the kernel: a value of 0 is not passed on. What fits a device and a problem is for space.c to say.
 */
#include "tuning/tunables.h"

#include <string.h>

#define VALUES(...) (const int32_t[]){__VA_ARGS__}, (int32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
#define TUNABLE(field, define, ...)                                                                                    \
    {                                                                                                                  \
#field, define, VALUES(__VA_ARGS__), offsetof(clattn_tile, field)                                              \
    }
#define LIST(array)                                                                                                    \
    {                                                                                                                  \
        array, (int32_t)(sizeof(array) / sizeof((array)[0]))                                                           \
    }

#define HOST_ALONE ""

static const clattn_tunable vector_decode[] = {
    TUNABLE(block_q, "BLOCK_Q", 1, 2, 4, 8, 16, 32),
    TUNABLE(block_kv, "BLOCK_KV", 2, 4, 8, 16, 32),
    TUNABLE(heads, "HEADS", 1, 2, 4, 8, 16, 32),
    TUNABLE(lanes, "LANES", 4, 8, 16),
    TUNABLE(accumulators, "ACCUMULATORS", 0, 8, 16),
    TUNABLE(qk_keys, "QK_KEYS", 0, 1, 2, 4),
    TUNABLE(groups_per_unit, HOST_ALONE, 1, 2, 4, 8, 16, 32),
    TUNABLE(min_split_tokens, HOST_ALONE, 64, 128, 256, 512, 1024),
};

static const clattn_tunable vector_prefill[] = {
    TUNABLE(block_q, "BLOCK_Q", 16, 32, 64, 128, 192, 256),
    TUNABLE(block_kv, "BLOCK_KV", 16, 24, 32, 48, 64, 96, 128),
    TUNABLE(lanes, "LANES", 4, 8, 16),
};

static const clattn_tunable simt_decode[] = {
    TUNABLE(block_q, "BLOCK_Q", 1, 2, 4, 8, 16, 32),
    TUNABLE(block_kv, "BLOCK_KV", 16, 32, 64, 128),
    TUNABLE(work_group_size, "WORK_GROUP_SIZE", 16, 32, 64, 128, 256),
    TUNABLE(sub_group_size, "SUB_GROUP_SIZE", 0, 8, 16, 32),
    TUNABLE(groups_per_unit, HOST_ALONE, 1, 2, 4, 8, 16, 32),
    TUNABLE(min_split_tokens, HOST_ALONE, 64, 128, 256, 512, 1024),
};

static const clattn_tunable simt_prefill[] = {
    TUNABLE(block_q, "BLOCK_Q", 8, 16, 32, 64, 128),
    TUNABLE(block_kv, "BLOCK_KV", 16, 32, 48, 64, 128),
    TUNABLE(work_group_size, "WORK_GROUP_SIZE", 16, 32, 64, 128, 256),
    TUNABLE(sub_group_size, "SUB_GROUP_SIZE", 0, 8, 16, 32),
};

/* BLOCK_Q is no define of this kernel, which gives each row a work-item of its own. */
static const clattn_tunable plain_decode[] = {
    TUNABLE(block_q, HOST_ALONE, 8, 16, 32, 64, 128),
    TUNABLE(work_group_size, "WORK_GROUP_SIZE", 8, 16, 32, 64, 128),
    TUNABLE(groups_per_unit, HOST_ALONE, 1, 2, 4, 8, 16, 32),
    TUNABLE(min_split_tokens, HOST_ALONE, 64, 128, 256, 512, 1024),
};

static const clattn_tunable plain_prefill[] = {
    TUNABLE(block_q, HOST_ALONE, 8, 16, 32, 64, 128),
    TUNABLE(work_group_size, "WORK_GROUP_SIZE", 8, 16, 32, 64, 128),
};

static const clattn_tunable_list lists[CLATTN_NUM_FAMILIES][CLATTN_NUM_PHASES] = {
    [CLATTN_FAMILY_VECTOR] =
        {[CLATTN_PHASE_DECODE] = LIST(vector_decode), [CLATTN_PHASE_PREFILL] = LIST(vector_prefill)},
    [CLATTN_FAMILY_SIMT] = {[CLATTN_PHASE_DECODE] = LIST(simt_decode), [CLATTN_PHASE_PREFILL] = LIST(simt_prefill)},
    [CLATTN_FAMILY_PLAIN] = {[CLATTN_PHASE_DECODE] = LIST(plain_decode), [CLATTN_PHASE_PREFILL] = LIST(plain_prefill)},
};

clattn_tunable_list clattn_tunables_of(clattn_family family, clattn_phase phase)
{
    return lists[family][phase];
}

const clattn_tunable *clattn_tunable_find(clattn_family family, clattn_phase phase, const char *name)
{
    const clattn_tunable_list list = clattn_tunables_of(family, phase);
    for (int32_t i = 0; i < list.num_tunables; i++) {
        if (strcmp(list.tunables[i].name, name) == 0)
            return &list.tunables[i];
    }
    return NULL;
}

clattn_status clattn_tuning_space(clattn_family family, clattn_phase phase, const clattn_tunable **tunables,
                                  int32_t *num_tunables)
{
    if (num_tunables != NULL)
        *num_tunables = 0;
    if (tunables == NULL || num_tunables == NULL)
        return CLATTN_INVALID_ARGUMENT;
    *tunables = NULL;
    if ((int)family <= CLATTN_FAMILY_DEFAULT || family >= CLATTN_NUM_FAMILIES || (int)phase < 0 ||
        phase >= CLATTN_NUM_PHASES)
        return CLATTN_INVALID_ARGUMENT;
    const clattn_tunable_list list = clattn_tunables_of(family, phase);
    *tunables = list.tunables;
    *num_tunables = list.num_tunables;
    return CLATTN_OK;
}

int32_t clattn_tile_get(const clattn_tile *tile, const clattn_tunable *tunable)
{
    int32_t value;
    memcpy(&value, (const char *)tile + tunable->offset, sizeof value);
    return value;
}

void clattn_tile_set(clattn_tile *tile, const clattn_tunable *tunable, int32_t value)
{
    memcpy((char *)tile + tunable->offset, &value, sizeof value);
}
