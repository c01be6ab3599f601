/* SPDX-License-Identifier: Apache-2.0 */
/* Random problems against the reference: everything that is a run-time argument varies, over a few compiled variants.
 */
#include "support/attention.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MOST_SEQS = 9, NUM_PROBLEMS_PER_VARIANT = 20 };

/* What a kernel is compiled for. */
typedef struct variant {
    int32_t head_dim;
    int32_t group_size;
    clattn_dtype query_dtype;
    clattn_dtype kv_dtype;
    clattn_dtype out_dtype;
    float logits_soft_cap;
    bool sinks;
} variant;

static const variant variants[] = {
    {24, 3, CLATTN_FLOAT32, CLATTN_FLOAT32, CLATTN_FLOAT32, 0.0f, false},
    {64, 1, CLATTN_FLOAT16, CLATTN_FLOAT16, CLATTN_FLOAT16, 0.0f, true},
    {40, 4, CLATTN_FLOAT32, CLATTN_BFLOAT16, CLATTN_FLOAT32, 5.0f, true},
};

/* Mostly short, sometimes long; 0 now and then. */
static int32_t random_length(support_random *random)
{
    static const int32_t most[] = {3, 20, 60, 150};

    return support_random_between(random, 0, most[support_random_between(random, 0, 3)]);
}

static void random_lengths(support_random *random, int32_t num_seqs, int32_t *q_lens, int32_t *context_lens)
{
    for (int32_t s = 0; s < num_seqs; s++) {
        context_lens[s] = random_length(random);
        switch (support_random_between(random, 0, 3)) {
        case 0: /* whole prompt */
            q_lens[s] = context_lens[s];
            break;
        case 1: /* chunk */
            q_lens[s] = support_random_between(random, 0, context_lens[s]);
            break;
        default: /* decode */
            q_lens[s] = context_lens[s] > 0;
            break;
        }
    }
}

static void verify_random_problem(const support_device *device, const variant *compiled, uint64_t seed)
{
    static const int32_t windows[] = {0, 0, 1, 6, 40};
    support_random random = support_random_seeded(seed);
    const int32_t num_kv_heads = support_random_between(&random, 1, 2);
    int32_t q_lens[MOST_SEQS], context_lens[MOST_SEQS];
    support_attention_case problem = {
        .seed = seed,
        .num_seqs = support_random_between(&random, 1, MOST_SEQS),
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = num_kv_heads * compiled->group_size,
        .num_kv_heads = num_kv_heads,
        .head_dim = compiled->head_dim,
        .page_size = support_random_between(&random, 1, 20),
        .kv_layout = (clattn_kv_layout)support_random_between(&random, 0, CLATTN_NUM_KV_LAYOUTS - 1),
        .query_dtype = compiled->query_dtype,
        .kv_dtype = compiled->kv_dtype,
        .out_dtype = compiled->out_dtype,
        .tail_rows = support_random_between(&random, 0, 2),
        .strided = support_random_between(&random, 0, 1),
        .sliding_window = windows[support_random_between(&random, 0, 4)],
        .logits_soft_cap = compiled->logits_soft_cap,
        .sinks = compiled->sinks ? SUPPORT_SINKS_PER_HEAD : SUPPORT_SINKS_NONE,
        .lse = true,
        .num_splits = support_random_between(&random, 0, 1) ? support_random_between(&random, 1, 5) : 0,
    };

    problem.batch_invariant = problem.num_splits == 0 && support_random_between(&random, 0, 1);
    random_lengths(&random, problem.num_seqs, q_lens, context_lens);
    support_attention_verify(device, &problem);
}

static void random_problems_match(const support_device *device, int32_t which)
{
    for (int32_t i = 0; i < NUM_PROBLEMS_PER_VARIANT; i++)
        verify_random_problem(device, &variants[which], support_random_mix(20250101, (uint64_t)(which * 1000 + i)));
}

static void random_float32_problems_match(void **state)
{
    random_problems_match(*state, 0);
}

static void random_float16_problems_with_sinks_match(void **state)
{
    random_problems_match(*state, 1);
}

static void random_bfloat16_problems_with_sinks_and_cap_match(void **state)
{
    random_problems_match(*state, 2);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_float32_problems_match),
        cmocka_unit_test(random_float16_problems_with_sinks_match),
        cmocka_unit_test(random_bfloat16_problems_with_sinks_and_cap_match),
    };

    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("ragged_page_random", tests, support_device_setup, support_device_teardown);
}
