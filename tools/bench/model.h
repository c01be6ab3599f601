/* SPDX-License-Identifier: Apache-2.0 */
/* How much work a batch of attention is, and what fraction of a device's roofline a measured time is. Plain arithmetic.
 */
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A causal batch. q_lens and context_lens [num_seqs], in tokens, 0 <= q_len <= context_len. */
typedef struct bench_batch {
    int32_t num_seqs;
    const int32_t *q_lens;
    const int32_t *context_lens; /* this step's tokens included */
    int32_t num_q_heads;
    int32_t num_kv_heads;
    int32_t head_dim;
    int32_t head_dim_v;     /* width of V and out */
    int32_t sliding_window; /* keys that a query sees, its own included; 0 = all */
    size_t query_element_bytes;
    size_t out_element_bytes;
    size_t kv_element_bytes; /* of K and V */
    size_t statistics_bytes; /* written besides out, per token and query head */
} bench_batch;

/* Visible (query, key) pairs of one sequence, for one query head. */
uint64_t bench_count_pairs(int32_t q_len, int32_t context_len, int32_t sliding_window);

/* KV tokens that at least one query of the sequence sees. */
int32_t bench_count_visible_keys(int32_t q_len, int32_t context_len, int32_t sliding_window);

/* 2 * (head_dim + head_dim_v) per visible pair and query head: a multiply and an add each for q.k and for p*v. */
uint64_t bench_count_flops(const bench_batch *batch);

/* Bytes of visible K and V rows, once per sequence, of queries, and of out and its statistics. */
uint64_t bench_count_bytes(const bench_batch *batch);

/* Bytes of the K and V rows alone. */
uint64_t bench_count_kv_bytes(const bench_batch *batch);

/* A measured time held against what the device can do. */
typedef struct bench_rating {
    double gflops;
    double gbytes_per_s;
    double floor_s;     /* the larger of flops over the FMA peak and bytes over the read bandwidth */
    double fraction;    /* floor_s / measured time */
    bool compute_bound; /* the floor comes from the flops */
} bench_rating;

bench_rating bench_rate(uint64_t flops, uint64_t bytes, double seconds, double peak_gflops, double read_gbytes_per_s);

#endif
