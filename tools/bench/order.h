/* SPDX-License-Identifier: Apache-2.0 */
/* Where the elements of K and V lie in the buffers of a layout. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

#include <clattn/layout.h>
#include <stdint.h>

/* Element d of a head's token is number first + page*page_stride + slot*slot_stride + head*head_stride + d. */
typedef struct bench_order {
    int64_t first, page_stride, slot_stride, head_stride;
} bench_order;

/* Pages of a layout, of K or of V, whose rows have `width` elements. */
typedef struct bench_pages {
    clattn_kv_layout layout;
    int64_t num_pages, page_size, num_kv_heads, width;
} bench_pages;

bench_order bench_order_of_keys(const bench_pages *pages);
bench_order bench_order_of_values(const bench_pages *pages);

/* Elements of the buffer that holds them; with the combined layout K and V together. */
int64_t bench_pages_num_elements(const bench_pages *pages);

#endif
