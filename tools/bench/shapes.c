/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometries from the models' published configuration files. Where layers differ, the one that reads the most KV is
 * listed: gemma-2 and gpt-oss alternate layers without a window, as here, with layers that have one.
 */
#include "bench/shapes.h"

#include <stddef.h>
#include <string.h>

static const bench_shape shapes[] = {
    {"llama-3-8b", 32, 8, 128, 128, 0, 0.0f, false},
    {"llama-3-70b-tp8", 8, 1, 128, 128, 0, 0.0f, false}, /* one of eight tensor-parallel devices */
    {"mistral-7b", 32, 8, 128, 128, 4096, 0.0f, false},
    {"gemma-2-9b", 16, 8, 256, 256, 0, 50.0f, false},
    {"gpt-oss-20b", 64, 8, 64, 64, 0, 0.0f, true},
    {"qwen2.5-0.5b", 14, 2, 64, 64, 0, 0.0f, false},
    {"phi-3-mini", 32, 32, 96, 96, 0, 0.0f, false},
};

const bench_shape *bench_shape_at(int index)
{
    const int count = (int)(sizeof shapes / sizeof *shapes);
    return index >= 0 && index < count ? &shapes[index] : NULL;
}

const bench_shape *bench_shape_find(const char *name)
{
    for (int i = 0; bench_shape_at(i); i++) {
        if (strcmp(name, bench_shape_at(i)->name) == 0)
            return bench_shape_at(i);
    }
    return NULL;
}
