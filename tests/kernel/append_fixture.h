/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache and the rows for it. The cache is filled with NaN beforehand, and every byte of every layer is compared with
 * what an append must leave behind: what no slot names must be as it was.
 */
#ifndef APPEND_FIXTURE_H
#define APPEND_FIXTURE_H

#include "support/device.h"
#include "support/image.h"
#include "support/random.h"

enum { NUM_LAYERS = 2 };

/* A cache, the rows for it, and what its layers hold: K and V buffers after each other, combined K only. */
typedef struct append_fixture {
    const support_device *device;
    clattn_kv_cache *cache;
    const clattn_kv_cache_params *params;
    support_image keys;
    support_image values;
    int32_t total_tokens;
    int64_t *slots; /* every slot of the cache once, in random order; the first total_tokens are used */
    uint8_t *expected[NUM_LAYERS][2];
} append_fixture;

typedef struct append_case {
    clattn_kv_layout layout;
    clattn_dtype k_dtype;
    clattn_dtype v_dtype;
    clattn_dtype dtype;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t page_size;
    int32_t num_pages;
    int32_t total_tokens;
    bool strided;
} append_case;

void append_setup(append_fixture *tested, const support_device *device, const append_case *made,
                  support_random *random);
void append_teardown(append_fixture *tested);

/* Both tensors and the host slots, for one layer. */
clattn_kv_append_params append_params_of(const append_fixture *tested, int32_t layer);

/* What an append of the rows to `layer` must leave behind. */
void append_expect(append_fixture *tested, int32_t layer, const int64_t *slots);

/* Appends the rows and expects them; fails the test if the call does. */
void append_rows(append_fixture *tested, int32_t layer);

/* Reads every layer back; `what` names the case of a failure. */
void append_check_layers(const append_fixture *tested, const char *what);

#endif
