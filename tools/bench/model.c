/* SPDX-License-Identifier: Apache-2.0 */
/* Work of a batch and its roofline (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009). */
#include "bench/model.h"

uint64_t bench_count_pairs(int32_t q_len, int32_t context_len, int32_t sliding_window)
{
    uint64_t pairs = 0;
    for (int32_t row = 0; row < q_len; row++) {
        const int32_t visible = context_len - q_len + row + 1;
        pairs += (uint64_t)(sliding_window > 0 && visible > sliding_window ? sliding_window : visible);
    }
    return pairs;
}

int32_t bench_count_visible_keys(int32_t q_len, int32_t context_len, int32_t sliding_window)
{
    if (q_len == 0)
        return 0;
    /* The first query reaches farthest back; the last one sees up to the end of the context. */
    const int32_t first_position = context_len - q_len;
    const int32_t first_key =
        sliding_window > 0 && first_position >= sliding_window ? first_position - sliding_window + 1 : 0;
    return context_len - first_key;
}

uint64_t bench_count_flops(const bench_batch *batch)
{
    uint64_t pairs = 0;
    for (int32_t seq = 0; seq < batch->num_seqs; seq++)
        pairs += bench_count_pairs(batch->q_lens[seq], batch->context_lens[seq], batch->sliding_window);
    const int32_t flops_per_pair = 2 * (batch->head_dim + batch->head_dim_v);
    return pairs * (uint64_t)batch->num_q_heads * (uint64_t)flops_per_pair;
}

uint64_t bench_count_kv_bytes(const bench_batch *batch)
{
    uint64_t keys = 0;
    for (int32_t seq = 0; seq < batch->num_seqs; seq++)
        keys += (uint64_t)bench_count_visible_keys(batch->q_lens[seq], batch->context_lens[seq], batch->sliding_window);
    const int32_t num_elements = batch->head_dim + batch->head_dim_v;
    return keys * (uint64_t)batch->num_kv_heads * (uint64_t)num_elements * batch->kv_element_bytes;
}

uint64_t bench_count_bytes(const bench_batch *batch)
{
    uint64_t tokens = 0;
    for (int32_t seq = 0; seq < batch->num_seqs; seq++)
        tokens += (uint64_t)batch->q_lens[seq];
    const uint64_t row_bytes = (uint64_t)batch->head_dim * batch->query_element_bytes +
                               (uint64_t)batch->head_dim_v * batch->out_element_bytes + batch->statistics_bytes;
    return bench_count_kv_bytes(batch) + tokens * (uint64_t)batch->num_q_heads * row_bytes;
}

bench_rating bench_rate(uint64_t flops, uint64_t bytes, double seconds, double peak_gflops, double read_gbytes_per_s)
{
    const double compute_s = (double)flops / (peak_gflops * 1e9);
    const double memory_s = (double)bytes / (read_gbytes_per_s * 1e9);
    const bool compute_bound = compute_s >= memory_s;
    const double floor_s = compute_bound ? compute_s : memory_s;
    const bench_rating rating = {
        .gflops = (double)flops / seconds * 1e-9,
        .gbytes_per_s = (double)bytes / seconds * 1e-9,
        .floor_s = floor_s,
        .fraction = floor_s / seconds,
        .compute_bound = compute_bound,
    };
    return rating;
}
