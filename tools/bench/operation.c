/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations. */
#include "bench/operation.h"

#include <stddef.h>
#include <string.h>

static const bench_operation operations[BENCH_NUM_OPERATIONS] = {
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
    return &operations[id];
}

const bench_operation *bench_operation_find(const char *name, int length)
{
    for (int id = 0; id < BENCH_NUM_OPERATIONS; id++) {
        const char *known = operations[id].name;
        if (strlen(known) == (size_t)length && strncmp(known, name, (size_t)length) == 0)
            return &operations[id];
    }
    return NULL;
}
