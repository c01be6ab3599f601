/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations. */
#include "bench/operation.h"

#include <stddef.h>

static const bench_operation table[BENCH_NUM_OPERATIONS] = {
    [BENCH_RAGGED_PAGE_ATTENTION] = {.id = BENCH_RAGGED_PAGE_ATTENTION,
                                     .name = "ragged_page_attention",
                                     .combined = true,
                                     .window = true,
                                     .soft_cap = true,
                                     .sinks = true},
    [BENCH_PAGE_ATTENTION] = {.id = BENCH_PAGE_ATTENTION,
                              .name = "page_attention",
                              .decode_only = true,
                              .window = true,
                              .soft_cap = true,
                              .sinks = true},
    [BENCH_RAGGED_DECODE_ATTENTION] = {.id = BENCH_RAGGED_DECODE_ATTENTION,
                                       .name = "ragged_decode_attention",
                                       .dense = true,
                                       .decode_only = true,
                                       .window = true,
                                       .soft_cap = true,
                                       .sinks = true},
    [BENCH_RAGGED_ATTENTION] = {.id = BENCH_RAGGED_ATTENTION,
                                .name = "ragged_attention",
                                .dense = true,
                                .decode_only = true,
                                .statistics = true},
};

const bench_operation *bench_operation_at(int id)
{
    return &table[id];
}

const char *bench_operation_name_at(int id)
{
    return id < BENCH_NUM_OPERATIONS ? table[id].name : NULL;
}

bool bench_operations_have_pages(const bench_operations *operations)
{
    for (int i = 0; i < operations->count; i++) {
        if (!operations->at[i]->dense)
            return true;
    }
    return false;
}

bool bench_operations_have_dense(const bench_operations *operations)
{
    for (int i = 0; i < operations->count; i++) {
        if (operations->at[i]->dense)
            return true;
    }
    return false;
}

const bench_operation *bench_operations_separate(const bench_operations *operations)
{
    for (int i = 0; i < operations->count; i++) {
        if (!operations->at[i]->dense && !operations->at[i]->combined)
            return operations->at[i];
    }
    return NULL;
}
