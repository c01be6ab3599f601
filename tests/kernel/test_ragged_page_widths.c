/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged paged attention over wide heads and values of another width than keys. Every case compiles its own kernels. */
#include "support/attention.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Whole prompts, steps of one or two tokens, or both: the kernels of the prefill phase, of decode, or of both. */
typedef enum kind { PROMPTS, STEPS, BOTH } kind;

static support_attention_case mixed_batch(int32_t head_dim, int32_t head_dim_v, kind tokens)
{
    /* Many, since the largest errors of a few rows are a matter of luck. */
    static const int32_t q_lens[] = {19, 0, 20, 33, 41, 1, 2, 1, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1, 2, 1};
    static const int32_t context_lens[] = {35, 4, 20, 33, 50, 37, 9, 93, 64, 17, 1, 2, 33, 40, 21, 48, 15, 16, 31, 80};
    const int32_t num_prompts = 5;
    const int32_t first = tokens == STEPS ? num_prompts : 0;

    return (support_attention_case){
        .seed = (uint64_t)(100000000 + 1000 * head_dim + head_dim_v),
        .num_seqs = (tokens == PROMPTS ? num_prompts : COUNT(q_lens)) - first,
        .q_lens = q_lens + first,
        .context_lens = context_lens + first,
        .num_q_heads = 2,
        .num_kv_heads = 2,
        .head_dim = head_dim,
        .head_dim_v = head_dim_v,
        .page_size = 16,
        .kv_layout = CLATTN_KV_HND,
        .lse = true,
    };
}

/* The first ones past 256, the last, and multiples of few and of many powers of two. */
static void wide_heads_match(void **state)
{
    static const struct {
        int32_t head_dim;
        kind tokens;
    } cases[] = {{264, PROMPTS}, {320, STEPS}, {376, STEPS}, {384, PROMPTS}, {504, STEPS}, {512, BOTH}};

    for (int32_t i = 0; i < COUNT(cases); i++) {
        support_attention_case problem = mixed_batch(cases[i].head_dim, 0, cases[i].tokens);
        problem.kv_dtype = i % 2 ? CLATTN_FLOAT16 : CLATTN_FLOAT32;
        support_attention_verify(*state, &problem);
    }
}

/* Wider and narrower values, whole vectors of a CPU in one but not in the other, and both limits. */
static void values_of_another_width_match(void **state)
{
    static const int32_t widths[][2] = {{192, 128}, {64, 512}, {512, 64}, {8, 264}, {24, 40}, {40, 24}};

    for (int32_t i = 0; i < COUNT(widths); i++) {
        support_attention_case problem = mixed_batch(widths[i][0], widths[i][1], BOTH);
        problem.kv_layout = i % 2 ? CLATTN_KV_NHD : CLATTN_KV_HEADS_FIRST;
        problem.kv_dtype = i % 3 == 0 ? CLATTN_BFLOAT16 : CLATTN_FLOAT32;
        problem.strided = i >= 4;
        support_attention_verify(*state, &problem);
    }
}

static void other_widths_are_refused(void **state)
{
    static const int32_t widths[][2] = {{576, 512}, {512, 576}, {520, 520}, {512, 20}, {4, 8}};
    const support_device *device = *state;

    for (int32_t i = 0; i < COUNT(widths); i++) {
        const support_attention_case problem = mixed_batch(widths[i][0], widths[i][1], BOTH);
        support_attention *attention = support_attention_create(device, &problem);
        const clattn_plan_params params = support_attention_plan_params(attention);
        clattn_plan *plan = NULL;
        assert_int_equal(support_attention_call(attention, device, NULL, 0, NULL, NULL), CLATTN_UNSUPPORTED);
        assert_int_equal(clattn_plan_create(device->ctx, &params, &plan), CLATTN_UNSUPPORTED);
        assert_null(plan);
        assert_true(support_image_is_untouched(&attention->out));
        support_attention_destroy(&attention);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_heads_match),
        cmocka_unit_test(values_of_another_width_match),
        cmocka_unit_test(other_widths_are_refused),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_widths", tests, sizeof(tests) / sizeof(tests[0]));
}
