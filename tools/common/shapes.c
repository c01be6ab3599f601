/* SPDX-License-Identifier: Apache-2.0 */
/* Geometries from the models' published configuration files. */
#include "common/shapes.h"

#include <stddef.h>

static const tool_shape shapes[] = {
    {"llama-3-8b", 32, 8, 128, 128, 0, 0.0f, false, 0},
    {"llama-3-70b-tp8", 8, 1, 128, 128, 0, 0.0f, false, 0}, /* one of eight tensor-parallel devices */
    {"mistral-7b", 32, 8, 128, 128, 4096, 0.0f, false, 0},
    {"gemma-2-9b", 16, 8, 256, 256, 0, 50.0f, false, 4096},
    {"gpt-oss-20b", 64, 8, 64, 64, 0, 0.0f, true, 128},
    {"qwen2.5-0.5b", 14, 2, 64, 64, 0, 0.0f, false, 0},
    {"phi-3-mini", 32, 32, 96, 96, 0, 0.0f, false, 0},
};

const tool_shape *tool_shape_at(int index)
{
    const int count = (int)(sizeof shapes / sizeof *shapes);
    return index >= 0 && index < count ? &shapes[index] : NULL;
}

const char *tool_shape_name_at(int index)
{
    const tool_shape *shape = tool_shape_at(index);
    return shape ? shape->name : NULL;
}
