/* SPDX-License-Identifier: Apache-2.0 */
/* The attention geometry of some published language models. */
#ifndef BENCH_SHAPES_H
#define BENCH_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bench_shape {
    const char *name;
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;     /* width of V and out */
    int32_t sliding_window; /* keys, 0 = all */
    float logits_soft_cap;  /* 0 = off */
    bool sinks;             /* one extra logit per query head */
} bench_shape;

/* NULL if no model has that name. */
const bench_shape *bench_shape_find(const char *name);

/* The models in order; NULL behind the last one. */
const bench_shape *bench_shape_at(int index);

#endif
