/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include "support/attention_small.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const int32_t batch_lens[BATCH_NUM_SEQS] = {BATCH_SEQ_LEN, 93, 16, 17, 1, 0, 257};
const int32_t batch_starts[BATCH_NUM_SEQS] = {0, -5, 7, 17, 0, 200, 100};

support_attention_case batch_paged(uint64_t seed, clattn_kv_layout kv_layout)
{
    return (support_attention_case){
        .operation = SUPPORT_PAGE,
        .seed = seed,
        .num_seqs = BATCH_NUM_SEQS,
        .context_lens = batch_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = kv_layout,
        .lse = true,
    };
}

support_attention_case batch_dense(uint64_t seed)
{
    support_attention_case problem = batch_paged(seed, CLATTN_KV_COMBINED);

    problem.operation = SUPPORT_RAGGED_DECODE;
    problem.page_size = 0;
    problem.seq_len = BATCH_SEQ_LEN;
    return problem;
}

support_attention_case batch_statistics(uint64_t seed)
{
    support_attention_case problem = batch_dense(seed);

    problem.operation = SUPPORT_RAGGED;
    problem.lse = false;
    problem.softmax_scale = BATCH_SCALE;
    return problem;
}

void batch_set_splits(support_attention_case *problem, int32_t way)
{
    static const int32_t num_splits[NUM_WAYS_TO_SPLIT - 1] = {0, 1, 3};

    problem->batch_invariant = way == COUNT(num_splits);
    problem->num_splits = problem->batch_invariant ? 0 : num_splits[way];
}

support_attention *batch_run(const support_device *device, const support_attention_case *problem)
{
    support_attention *attention = support_attention_create(device, problem);

    support_attention_run(attention, device);
    return attention;
}

void batch_require_ok(const support_attention *attention, const support_device *device, clattn_status status)
{
    if (status == CLATTN_OK)
        return;
    support_attention_print(attention);
    fail_msg("error=\"%s\"", clattn_context_last_error(device->ctx));
}

void batch_expect_rows_close(const support_attention *a, const support_attention *b, double tolerance)
{
    for (int32_t s = 0; s < a->description.num_seqs; s++)
        support_attention_expect_close(a, s, b, s, support_attention_first_position(a, s), a->description.q_lens[s],
                                       tolerance);
}

/* The first comparison of a test always is, as far as a problem is affordable at all. */
static bool affords_another(const support_attention_case *a, const support_attention_case *b)
{
    return !support_size_has_begun() || support_size_affords(support_attention_work(a) + support_attention_work(b));
}

void batch_expect_same(const support_device *device, const support_attention_case *a, const support_attention_case *b)
{
    if (!affords_another(a, b))
        return;
    support_attention *run_a = batch_run(device, a);
    support_attention *run_b = batch_run(device, b);

    support_attention_expect_same_bytes(run_a, run_b);
    support_attention_destroy(&run_a);
    support_attention_destroy(&run_b);
}

void batch_expect_close(const support_device *device, const support_attention_case *a, const support_attention_case *b)
{
    if (!affords_another(a, b))
        return;
    support_attention *run_a = batch_run(device, a);
    support_attention *run_b = batch_run(device, b);

    batch_expect_rows_close(run_a, run_b, TOLERANCE);
    support_attention_destroy(&run_a);
    support_attention_destroy(&run_b);
}
