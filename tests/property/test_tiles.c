/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles that a tuner may choose: what clattn_tuning_check() lets pass on this device computes the right numbers. A few
 * problems, each with tiles drawn from the values of every tunable of both phases.
 *
 * usage: test_tiles [FAMILY]
 */
#include "support/attention.h"
#include "support/random.h"
#include "support/size.h"

#include <clattn/tuning_space.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

enum { DRAWS = 4, MAX_ATTEMPTS = 10000 };

/* Decodes on both sides of a block of keys, one that is split, and a prefill with a partial tile. */
static const int32_t q_lens[] = {1, 2, 1, 90};
static const int32_t context_lens[] = {1, 37, 300, 170};

static const support_attention_case problems[] = {
    {.num_q_heads = 3, .num_kv_heads = 3, .head_dim = 96, .kv_dtype = CLATTN_BFLOAT16, .kv_layout = CLATTN_KV_HND},
    {.num_q_heads = 8, .num_kv_heads = 4, .head_dim = 64, .logits_soft_cap = 5.0f, .sliding_window = 41},
    {.num_q_heads = 8, .num_kv_heads = 2, .head_dim = 128, .kv_dtype = CLATTN_FLOAT16, .num_splits = 3},
    {.num_q_heads = 8,
     .num_kv_heads = 1,
     .head_dim = 40,
     .head_dim_v = 72,
     .kv_dtype = CLATTN_FLOAT16,
     .kv_layout = CLATTN_KV_NHD,
     .sinks = SUPPORT_SINKS_PER_HEAD},
};

static clattn_tile draw_tile(const support_device *device, const support_attention_case *problem, clattn_phase phase,
                             support_random *random)
{
    const clattn_device_facts *facts = clattn_context_device(device->ctx);
    const clattn_tuning_query_params params = {
        .num_q_heads = problem->num_q_heads,
        .num_kv_heads = problem->num_kv_heads,
        .head_dim = problem->head_dim,
        .head_dim_v = problem->head_dim_v,
        .page_size = problem->page_size,
        .kv_layout = problem->kv_layout,
        .family = device->family,
    };
    clattn_tuning_answer answer;
    const clattn_tunable *tunables = NULL;
    int32_t num_tunables = 0;
    assert_int_equal(clattn_tuning_query(facts, &params, &answer), CLATTN_OK);
    assert_int_equal(clattn_tuning_space(answer.family, phase, &tunables, &num_tunables), CLATTN_OK);
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        clattn_tile tile = (phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill)->tile;
        char reason[CLATTN_SENTENCE_BYTES];
        for (int32_t i = 0; i < num_tunables; i++) {
            const int32_t choice = support_random_between(random, 0, tunables[i].num_values - 1);
            clattn_tile_set(&tile, &tunables[i], tunables[i].values[choice]);
        }
        if (clattn_tuning_check(facts, &params, phase, &tile, reason) == CLATTN_OK)
            return tile;
    }
    fail_msg("none of %d tiles fits", MAX_ATTEMPTS);
    return (clattn_tile){0};
}

static void tiles_that_pass_the_check_match(void **state)
{
    const support_device *device = *state;
    support_random random = support_random_seeded(1);
    for (int32_t i = 0; i < COUNT(problems) * DRAWS; i++) {
        support_attention_case problem = problems[i / DRAWS];
        problem.seed = (uint64_t)i;
        problem.num_seqs = COUNT(q_lens);
        problem.q_lens = q_lens;
        problem.context_lens = context_lens;
        problem.page_size = 7;
        problem.lse = i % 2 == 0;
        const clattn_tile decode = draw_tile(device, &problem, CLATTN_PHASE_DECODE, &random);
        const clattn_tile prefill = draw_tile(device, &problem, CLATTN_PHASE_PREFILL, &random);
        problem.tuning.decode_tile = &decode;
        problem.tuning.prefill_tile = &prefill;
        support_attention_verify(device, &problem);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(tiles_that_pass_the_check_match)};
    support_select_family(argc, argv);
    return support_run_tests("tiles", tests, COUNT(tests));
}
