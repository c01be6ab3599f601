/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels a self-test looks at. */
#include "tune/variants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const tune_variant_params everything = {.phases = {true, true}, .kv_dtypes = {false, true, true, true}};

static int count_attentions(const tune_variants *variants, clattn_family family, clattn_phase phase, clattn_dtype dtype,
                            const char *option)
{
    int count = 0;
    for (int i = 0; i < variants->count; i++) {
        const tune_variant *variant = &variants->at[i];
        count += variant->kind == TUNE_VARIANT_ATTENTION && variant->family == family && variant->phase == phase &&
                 variant->dtype == dtype && strcmp(variant->option, option) == 0;
    }
    return count;
}

static void every_family_phase_and_dtype_has_every_option(void **state)
{
    (void)state;
    static const char *const options[] = {"plain", "soft cap", "sinks", "window", "log-sum-exp", "all options"};
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &everything));
    for (int family = 1; family < CLATTN_NUM_FAMILIES; family++) {
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            for (int dtype = 1; dtype < CLATTN_NUM_DTYPES; dtype++) {
                for (size_t i = 0; i < sizeof options / sizeof *options; i++)
                    assert_true(count_attentions(&variants, (clattn_family)family, (clattn_phase)phase,
                                                 (clattn_dtype)dtype, options[i]) >= 1);
            }
        }
    }
    tune_variants_finish(&variants);
}

/* The widths of the models that the tools know: a kernel of each is looked at. */
static void every_head_dim_of_the_models_is_there(void **state)
{
    (void)state;
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &everything));
    for (int model = 0; tool_shape_at(model); model++) {
        bool found = false;
        for (int i = 0; i < variants.count; i++) {
            const tool_shape *shape = &variants.at[i].problem.shape;
            found = found || (shape->head_dim == tool_shape_at(model)->head_dim &&
                              shape->head_dim_v == tool_shape_at(model)->head_dim_v);
        }
        if (!found)
            fail_msg("%s has no variant", tool_shape_at(model)->name);
    }
    tune_variants_finish(&variants);
}

static void no_two_variants_are_alike(void **state)
{
    (void)state;
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &everything));
    for (int i = 0; i < variants.count; i++) {
        char text[TUNE_VARIANT_NAME_BYTES];
        tune_variant_describe(&variants.at[i], text);
        for (int j = 0; j < i; j++) {
            char other[TUNE_VARIANT_NAME_BYTES];
            tune_variant_describe(&variants.at[j], other);
            assert_string_not_equal(text, other);
        }
    }
    tune_variants_finish(&variants);
}

static void operations_can_have_what_they_are_given(void **state)
{
    (void)state;
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &everything));
    bench_workload workload;
    assert_true(bench_workload_init_listed(&workload, 2, "1", "9"));
    for (int i = 0; i < variants.count; i++) {
        const tune_variant *variant = &variants.at[i];
        if (variant->kind != TUNE_VARIANT_ATTENTION)
            continue;
        const bench_operations operations = {.count = 1, .at = {variant->operation}};
        bench_problem problem = variant->problem;
        problem.workload = &workload;
        assert_true(bench_problem_check(&problem, &operations));
        assert_int_equal(problem.layout, variant->layout);
        assert_int_equal(problem.kv_dtype, variant->dtype);
        assert_true(variant->phase == CLATTN_PHASE_DECODE || !variant->operation->decode_only);
    }
    bench_workload_finish(&workload);
    tune_variants_finish(&variants);
}

static void variants_of_one_problem_stand_side_by_side_and_differ_in_the_family(void **state)
{
    (void)state;
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &everything));
    int last = 0;
    for (int i = 0; i < variants.count; i++) {
        const tune_variant *variant = &variants.at[i];
        if (variant->kind != TUNE_VARIANT_ATTENTION) {
            assert_int_equal(variant->problem_number, 0);
            continue;
        }
        assert_true(variant->problem_number == last || variant->problem_number == last + 1);
        if (variant->problem_number == last) {
            assert_true(variant->family != variants.at[i - 1].family);
            assert_int_equal(variant->phase, variants.at[i - 1].phase);
            assert_string_equal(variant->option, variants.at[i - 1].option);
        }
        last = variant->problem_number;
    }
    assert_int_equal(last, variants.num_problems);
    tune_variants_finish(&variants);
}

static void what_is_asked_for_is_all_there_is(void **state)
{
    (void)state;
    const tool_shape shape = {
        .name = "own", .num_q_heads = 6, .num_kv_heads = 2, .head_dim = 40, .head_dim_v = 24, .logits_soft_cap = 5.0F};
    const tune_variant_params params = {.family = CLATTN_FAMILY_SIMT,
                                        .phases = {[CLATTN_PHASE_PREFILL] = true},
                                        .kv_dtypes = {[CLATTN_BFLOAT16] = true},
                                        .dtype = CLATTN_FLOAT32,
                                        .shape = &shape};
    tune_variants variants;
    assert_true(tune_variants_init(&variants, &params));
    int num_attentions = 0;
    for (int i = 0; i < variants.count; i++) {
        const tune_variant *variant = &variants.at[i];
        assert_int_equal(variant->dtype, CLATTN_BFLOAT16);
        if (variant->kind == TUNE_VARIANT_MERGE)
            assert_int_equal(variant->head_dim, 24);
        if (variant->kind != TUNE_VARIANT_ATTENTION)
            continue;
        num_attentions++;
        assert_int_equal(variant->family, CLATTN_FAMILY_SIMT);
        assert_int_equal(variant->phase, CLATTN_PHASE_PREFILL);
        assert_int_equal(variant->layout, CLATTN_KV_NHD); /* combined pages have one width */
        assert_int_equal(variant->problem.dtype, CLATTN_FLOAT32);
        assert_int_equal(variant->problem.shape.head_dim, 40);
        assert_true(variant->problem.shape.logits_soft_cap == 5.0F);
    }
    assert_int_equal(num_attentions, 1);
    tune_variants_finish(&variants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_phase_and_dtype_has_every_option),
        cmocka_unit_test(every_head_dim_of_the_models_is_there),
        cmocka_unit_test(no_two_variants_are_alike),
        cmocka_unit_test(operations_can_have_what_they_are_given),
        cmocka_unit_test(variants_of_one_problem_stand_side_by_side_and_differ_in_the_family),
        cmocka_unit_test(what_is_asked_for_is_all_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
