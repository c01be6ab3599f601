/* SPDX-License-Identifier: Apache-2.0 */
/* The layouts of SEMANTICS, section 6, written down a second time: where a K or V element lies in its buffer. */
#ifndef KV_LAYOUT_H
#define KV_LAYOUT_H

#include <clattn/kv_cache.h>

/* Elements of a layer's K buffer (combined: of its only buffer) or V buffer. */
static inline size_t kv_num_elements(const clattn_kv_cache_params *params, bool value)
{
    const size_t width = (size_t)(value ? params->head_dim_v : params->head_dim);
    const size_t num_rows = (size_t)params->num_pages * (size_t)params->page_size * (size_t)params->num_kv_heads;
    return num_rows * width * (params->layout == CLATTN_KV_COMBINED ? 2 : 1);
}

/* The element's index; `slot` counts slots of the whole cache, as a slot mapping does. */
static inline size_t kv_element(const clattn_kv_cache_params *params, bool value, int64_t slot, int32_t head, int32_t d)
{
    const size_t page_size = (size_t)params->page_size;
    const size_t num_heads = (size_t)params->num_kv_heads;
    const size_t width = (size_t)(value ? params->head_dim_v : params->head_dim);
    const size_t page = (size_t)slot / page_size;
    const size_t place = (size_t)slot % page_size;
    const size_t h = (size_t)head;
    size_t row = 0;
    switch (params->layout) {
    case CLATTN_KV_NHD: /* [P, S, Hkv, D] */
        row = (page * page_size + place) * num_heads + h;
        break;
    case CLATTN_KV_HND: /* [P, Hkv, S, D] */
        row = (page * num_heads + h) * page_size + place;
        break;
    case CLATTN_KV_HEADS_FIRST: /* [Hkv, P, S, D] */
        row = (h * (size_t)params->num_pages + page) * page_size + place;
        break;
    case CLATTN_KV_COMBINED: /* [P, S, 2*Hkv, D] */
    default:
        row = (page * page_size + place) * 2 * num_heads + 2 * h + (value ? 1 : 0);
        break;
    }
    return row * width + (size_t)d;
}

#endif
