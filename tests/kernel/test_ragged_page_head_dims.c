/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged paged attention over head dimensions. Every case compiles its own kernels. */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const int32_t mixed_q_lens[] = {1, 21, 0, 2};
static const int32_t mixed_context_lens[] = {37, 29, 4, 9};

static bool is_common(int32_t head_dim)
{
    static const int32_t common[] = {8, 16, 24, 40, 64, 72, 80, 96, 128, 136, 192, 256};

    for (int32_t i = 0; i < COUNT(common); i++)
        if (common[i] == head_dim)
            return true;
    return false;
}

/* Common widths run both phases; the others take turns, which keeps half of their kernels from being compiled. */
static void every_head_dim_matches(void **state)
{
    static const int32_t decode_q_lens[] = {1, 1};
    static const int32_t decode_context_lens[] = {35, 3};
    static const int32_t prefill_q_lens[] = {19, 20};
    static const int32_t prefill_context_lens[] = {35, 20};

    for (int32_t head_dim = 8; head_dim <= 256; head_dim += 8) {
        const bool decodes = head_dim % 16 == 0;
        support_attention_case problem = {
            .seed = 1200 + (uint64_t)head_dim,
            .num_seqs = 2,
            .q_lens = decodes ? decode_q_lens : prefill_q_lens,
            .context_lens = decodes ? decode_context_lens : prefill_context_lens,
            .num_q_heads = 2,
            .num_kv_heads = 2,
            .head_dim = head_dim,
            .page_size = 16,
            .kv_layout = CLATTN_KV_HND,
            .kv_dtype = head_dim % 24 == 0 ? CLATTN_FLOAT16 : CLATTN_FLOAT32,
            .lse = true,
        };
        if (is_common(head_dim)) {
            problem.num_seqs = COUNT(mixed_q_lens);
            problem.q_lens = mixed_q_lens;
            problem.context_lens = mixed_context_lens;
        }
        support_attention_verify(*state, &problem);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_dim_matches),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_head_dims", tests, sizeof(tests) / sizeof(tests[0]));
}
