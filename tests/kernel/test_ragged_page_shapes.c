/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged paged attention over lengths, pages, heads, layouts, windows and batches, with few compiled variants. */
#include "support/attention.h"
#include "support/random.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Decode and prefill side by side, with lengths around a page and empty sequences in between. */
static support_attention_case mixed_batch(int32_t page_size, int32_t *q_lens, int32_t *context_lens)
{
    const int32_t lengths[][2] = {
        {1, 93},
        {0, 0},
        {1, 1},
        {1, page_size},
        {1, page_size + 1},
        {2, 93},
        {0, 7},
        {5, 257},
        {1, 257},
        {37, 93},
        {93, 93},
        {1, page_size > 1 ? page_size - 1 : 1},
        {41, 41},
        {page_size, page_size},
        {page_size + 1, page_size + 1},
        {2, page_size + 2},
        {11, 257},
    };

    for (int32_t s = 0; s < COUNT(lengths); s++) {
        q_lens[s] = lengths[s][0];
        context_lens[s] = lengths[s][1];
    }
    return (support_attention_case){
        .seed = 1,
        .num_seqs = COUNT(lengths),
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = page_size,
        .lse = true,
    };
}

enum { MIXED_SEQS = 32 };

static void mixed_lengths_match_in_every_page_size_and_layout(void **state)
{
    static const int32_t page_sizes[] = {1, 2, 7, 8, 16, 33};
    int32_t q_lens[MIXED_SEQS], context_lens[MIXED_SEQS];

    for (int32_t i = 0; i < COUNT(page_sizes); i++) {
        support_attention_case problem = mixed_batch(page_sizes[i], q_lens, context_lens);
        /* Two layouts per page size, each layout with three page sizes. */
        for (int32_t k = 0; k < 2; k++) {
            problem.seed = (uint64_t)(10 * i + k);
            problem.kv_layout = (clattn_kv_layout)((2 * i + k) % CLATTN_NUM_KV_LAYOUTS);
            support_attention_verify(*state, &problem);
        }
    }
}

static void one_long_prompt_matches(void **state)
{
    static const int32_t q_lens[] = {257, 200};
    static const int32_t context_lens[] = {257, 257};
    const support_attention_case problem = {
        .seed = 2,
        .num_seqs = 2,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 2,
        .num_kv_heads = 1,
        .head_dim = 32,
        .page_size = 16,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };

    support_attention_verify(*state, &problem);
}

static void every_group_size_matches(void **state)
{
    static const int32_t groups[] = {1, 2, 3, 4, 5, 7, 8, 16};
    static const int32_t q_lens[] = {1, 1, 2, 19, 0, 7};
    static const int32_t context_lens[] = {34, 1, 9, 33, 5, 7};

    for (int32_t i = 0; i < COUNT(groups); i++) {
        const support_attention_case problem = {
            .seed = 100 + (uint64_t)i,
            .num_seqs = COUNT(q_lens),
            .q_lens = q_lens,
            .context_lens = context_lens,
            .num_q_heads = 2 * groups[i],
            .num_kv_heads = 2,
            .head_dim = 32,
            .page_size = 7,
            .kv_layout = i % 2 ? CLATTN_KV_HND : CLATTN_KV_NHD,
            .lse = true,
        };
        support_attention_verify(*state, &problem);
    }
}

static void every_number_of_kv_heads_matches(void **state)
{
    static const int32_t num_kv_heads[] = {1, 2, 3, 8};
    static const int32_t q_lens[] = {1, 33, 3};
    static const int32_t context_lens[] = {93, 40, 17};

    for (int32_t i = 0; i < COUNT(num_kv_heads); i++) {
        const support_attention_case problem = {
            .seed = 200 + (uint64_t)i,
            .num_seqs = COUNT(q_lens),
            .q_lens = q_lens,
            .context_lens = context_lens,
            .num_q_heads = 2 * num_kv_heads[i],
            .num_kv_heads = num_kv_heads[i],
            .head_dim = 32,
            .page_size = 8,
            .kv_layout = i % 2 ? CLATTN_KV_NHD : CLATTN_KV_COMBINED,
            .lse = true,
        };
        support_attention_verify(*state, &problem);
    }
}

static void every_window_matches(void **state)
{
    static const int32_t windows[] = {1, 4, 7, 20, 1000};
    int32_t q_lens[MIXED_SEQS], context_lens[MIXED_SEQS];

    for (int32_t i = 0; i < COUNT(windows); i++) {
        support_attention_case problem = mixed_batch(7, q_lens, context_lens);
        problem.seed = 300 + (uint64_t)i;
        problem.kv_layout = i % 2 ? CLATTN_KV_NHD : CLATTN_KV_HEADS_FIRST;
        problem.sliding_window = windows[i];
        support_attention_verify(*state, &problem);
    }
}

static void tensors_with_offsets_and_gaps_match_in_every_layout(void **state)
{
    int32_t q_lens[MIXED_SEQS], context_lens[MIXED_SEQS];

    for (int32_t layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        support_attention_case problem = mixed_batch(8, q_lens, context_lens);
        problem.seed = 400 + (uint64_t)layout;
        problem.kv_layout = (clattn_kv_layout)layout;
        problem.strided = true;
        problem.tail_rows = 2;
        support_attention_verify(*state, &problem);
    }
}

static void rows_that_no_sequence_owns_are_zero(void **state)
{
    static const int32_t tail_rows[] = {1, 9, 300};
    static const int32_t q_lens[] = {1, 12};
    static const int32_t context_lens[] = {5, 12};

    for (int32_t i = 0; i < COUNT(tail_rows); i++) {
        const support_attention_case problem = {
            .seed = 500 + (uint64_t)i,
            .num_seqs = 2,
            .q_lens = q_lens,
            .context_lens = context_lens,
            .num_q_heads = 4,
            .num_kv_heads = 2,
            .head_dim = 32,
            .page_size = 4,
            .tail_rows = tail_rows[i],
            .strided = i == 1,
            .lse = true,
        };
        support_attention_verify(*state, &problem);
    }
}

static void no_sequences_and_no_queries_are_legal(void **state)
{
    static const int32_t no_queries[] = {0, 0, 0};
    static const int32_t context_lens[] = {5, 0, 12};
    support_attention_case problem = {
        .seed = 600,
        .q_lens = no_queries,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 4,
        .lse = true,
    };

    for (int32_t num_seqs = 0; num_seqs <= 3; num_seqs += 3) {
        problem.num_seqs = num_seqs;
        problem.tail_rows = 0;
        support_attention_verify(*state, &problem);
        problem.tail_rows = 5; /* all rows are zeroed */
        support_attention_verify(*state, &problem);
    }
}

static void hundreds_of_ragged_sequences_match(void **state)
{
    enum { NUM_SEQS = 300 };
    int32_t q_lens[NUM_SEQS], context_lens[NUM_SEQS];
    support_random random = support_random_seeded(700);
    support_attention_case problem = {
        .seed = 700,
        .num_seqs = NUM_SEQS,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 4,
        .kv_layout = CLATTN_KV_NHD,
        .tail_rows = 3,
        .lse = true,
    };

    for (int32_t s = 0; s < NUM_SEQS; s++) {
        context_lens[s] = support_random_between(&random, 0, 20);
        q_lens[s] = s % 3 ? support_random_between(&random, 0, context_lens[s] > 0)
                          : support_random_between(&random, 0, context_lens[s]);
    }
    support_attention_verify(*state, &problem);
}

/* Two sequences with one prompt may list the same pages, as forks of a cache do. */
static void sequences_may_share_pages(void **state)
{
    static const uint64_t seeds[] = {9, 9, 10};
    static const int32_t q_lens[] = {1, 16, 1};
    static const int32_t context_lens[] = {26, 26, 3};
    const support_attention_case problem = {
        .seed = 800,
        .sequence_seeds = seeds,
        .num_seqs = 3,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 4,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };
    support_attention *ragged = support_attention_create(*state, &problem);

    for (int32_t i = 0; i < 7; i++)
        ragged->block_tables[ragged->pages_per_seq + i] = ragged->block_tables[i];
    support_attention_run(ragged, *state);
    support_attention_check(ragged);
    support_attention_destroy(&ragged);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_lengths_match_in_every_page_size_and_layout),
        cmocka_unit_test(one_long_prompt_matches),
        cmocka_unit_test(every_group_size_matches),
        cmocka_unit_test(every_number_of_kv_heads_matches),
        cmocka_unit_test(every_window_matches),
        cmocka_unit_test(tensors_with_offsets_and_gaps_match_in_every_layout),
        cmocka_unit_test(rows_that_no_sequence_owns_are_zero),
        cmocka_unit_test(no_sequences_and_no_queries_are_legal),
        cmocka_unit_test(hundreds_of_ragged_sequences_match),
        cmocka_unit_test(sequences_may_share_pages),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_shapes", tests, sizeof(tests) / sizeof(tests[0]));
}
