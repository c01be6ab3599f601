/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged paged attention over storage types. Every case compiles its own kernels. */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const int32_t mixed_q_lens[] = {1, 21, 0, 2};
static const int32_t mixed_context_lens[] = {37, 29, 4, 9};

/* Nine triples in which every pair of query, K/V and out dtypes occurs. */
static void every_pair_of_dtypes_matches(void **state)
{
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

    for (int32_t i = 0; i < 9; i++) {
        const support_attention_case problem = {
            .seed = 1000 + (uint64_t)i,
            .num_seqs = COUNT(mixed_q_lens),
            .q_lens = mixed_q_lens,
            .context_lens = mixed_context_lens,
            .num_q_heads = 4,
            .num_kv_heads = 2,
            .head_dim = 32,
            .page_size = 8,
            .kv_layout = (clattn_kv_layout)(i % CLATTN_NUM_KV_LAYOUTS),
            .query_dtype = dtypes[i / 3],
            .kv_dtype = dtypes[i % 3],
            .out_dtype = dtypes[(i / 3 + i % 3) % 3],
            .tail_rows = 2,
            .strided = i % 2 == 1,
            .lse = true,
        };
        support_attention_verify(*state, &problem);
    }
}

static void keys_and_values_may_have_different_dtypes(void **state)
{
    static const clattn_dtype pairs[][2] = {
        {CLATTN_FLOAT32, CLATTN_FLOAT16},
        {CLATTN_BFLOAT16, CLATTN_FLOAT32},
        {CLATTN_FLOAT16, CLATTN_BFLOAT16},
    };

    for (int32_t i = 0; i < COUNT(pairs); i++) {
        const support_attention_case problem = {
            .seed = 1100 + (uint64_t)i,
            .num_seqs = COUNT(mixed_q_lens),
            .q_lens = mixed_q_lens,
            .context_lens = mixed_context_lens,
            .num_q_heads = 4,
            .num_kv_heads = 2,
            .head_dim = 32,
            .page_size = 8,
            .kv_layout = CLATTN_KV_HND,
            .kv_dtype = pairs[i][0],
            .value_dtype = pairs[i][1],
            .lse = true,
        };
        support_attention_verify(*state, &problem);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_dtypes_matches),
        cmocka_unit_test(keys_and_values_may_have_different_dtypes),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_dtypes", tests, sizeof(tests) / sizeof(tests[0]));
}
