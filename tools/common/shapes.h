/* SPDX-License-Identifier: Apache-2.0 */
/* The attention geometry of some published language models. */
#ifndef TOOL_SHAPES_H
#define TOOL_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tool_shape {
    const char *name; /* NULL = heads that were given by number */
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;       /* width of V and out */
    int32_t sliding_window;   /* keys, 0 = all */
    float logits_soft_cap;    /* 0 = off */
    bool sinks;               /* one extra logit per query head */
    int32_t alternate_window; /* sliding_window of every other layer; 0 = all layers are alike */
} tool_shape;

/* The models in order; NULL behind the last one. */
const tool_shape *tool_shape_at(int index);

/* Their names: a tool_name_at. */
const char *tool_shape_name_at(int index);

#endif
