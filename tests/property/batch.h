/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batches that the property tests run through several operations, or through one in several ways. They have one
 * shape, so that few kernels are compiled for all of them.
 */
#ifndef PROPERTY_BATCH_H
#define PROPERTY_BATCH_H

#include "support/attention.h"

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/*
 * |a - b| <= TOLERANCE * (1 + |a|), where sums over the same keys are ordered differently or a result is computed from
 * another one: as in test_ragged_page_properties.c. BITWISE where the same numbers are added in the same order.
 */
#define TOLERANCE 3e-6
#define BITWISE (-1.0)

/* 1/sqrt(head_dim) of the batches. */
#define BATCH_SCALE 0.17677669f

enum { BATCH_NUM_SEQS = 7, BATCH_SEQ_LEN = 288 };

/* Full, long enough to be split without being asked, around a tile, single, empty. */
extern const int32_t batch_lens[BATCH_NUM_SEQS];

/* First keys for rows that end there, also before the cache, and such that other rows are empty. */
extern const int32_t batch_starts[BATCH_NUM_SEQS];

/* Four query heads in groups of two, head_dim 32, float32, with lse where the operation has it. */
support_attention_case batch_paged(uint64_t seed, clattn_kv_layout kv_layout); /* page_attention */
support_attention_case batch_dense(uint64_t seed);                             /* ragged_decode_attention */
support_attention_case batch_statistics(uint64_t seed);                        /* ragged_attention, BATCH_SCALE */

/* The ways to split a row: automatically, which is way 0, by a number of splits, and by the row's own length. */
enum { NUM_WAYS_TO_SPLIT = 4 };

void batch_set_splits(support_attention_case *problem, int32_t way);

/* Builds and runs. */
support_attention *batch_run(const support_device *device, const support_attention_case *problem);

/* Fails unless a call of the test's own succeeded. */
void batch_require_ok(const support_attention *attention, const support_device *device, clattn_status status);

/* Every row of two problems of one batch, already run; or of two that are run here, bit for bit or within TOLERANCE. */
void batch_expect_rows_close(const support_attention *a, const support_attention *b, double tolerance);
void batch_expect_same(const support_device *device, const support_attention_case *a, const support_attention_case *b);
void batch_expect_close(const support_device *device, const support_attention_case *a, const support_attention_case *b);

#endif
