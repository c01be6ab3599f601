/* SPDX-License-Identifier: Apache-2.0 */
/* Strides of the layouts of pages. */
#include "bench/order.h"

bench_order bench_order_of_keys(const bench_pages *pages)
{
    const int64_t heads = pages->num_kv_heads;
    const int64_t slots = pages->page_size;
    const int64_t width = pages->width;
    switch (pages->layout) {
    case CLATTN_KV_COMBINED:
        return (bench_order){0, slots * 2 * heads * width, 2 * heads * width, 2 * width};
    case CLATTN_KV_HND:
        return (bench_order){0, heads * slots * width, width, slots * width};
    case CLATTN_KV_HEADS_FIRST:
        return (bench_order){0, slots * width, width, pages->num_pages * slots * width};
    case CLATTN_KV_NHD:
    case CLATTN_NUM_KV_LAYOUTS:
        break;
    }
    return (bench_order){0, slots * heads * width, heads * width, width};
}

bench_order bench_order_of_values(const bench_pages *pages)
{
    bench_order order = bench_order_of_keys(pages);
    if (pages->layout == CLATTN_KV_COMBINED)
        order.first = pages->width;
    return order;
}

int64_t bench_pages_num_elements(const bench_pages *pages)
{
    const int64_t num_rows = pages->num_pages * pages->page_size * pages->num_kv_heads;
    return num_rows * pages->width * (pages->layout == CLATTN_KV_COMBINED ? 2 : 1);
}
