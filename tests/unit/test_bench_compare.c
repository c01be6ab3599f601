/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing records of cl-bench, and writing them as comma-separated values. */
#include "bench/compare.h"
#include "bench/csv.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static cJSON *parse(const char *text)
{
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

/* The compared result `index` of two records, of which `record` is deleted by the caller. */
static const cJSON *compared(cJSON *record, const char *old_text, int index)
{
    cJSON *old = parse(old_text);
    assert_true(bench_compare(record, old));
    cJSON_Delete(old);
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "results"), index);
    assert_non_null(result);
    return result;
}

static void assert_number(const cJSON *result, const char *key, double expected)
{
    const cJSON *value = cJSON_GetObjectItem(result, key);
    assert_true(cJSON_IsNumber(value));
    assert_true(fabs(value->valuedouble - expected) <= 1e-12 * fabs(expected));
}

static void assert_verdict(const cJSON *result, const char *expected)
{
    const cJSON *verdict = cJSON_GetObjectItem(result, "verdict");
    if (expected)
        assert_string_equal(cJSON_GetStringValue(verdict), expected);
    else
        assert_true(cJSON_IsNull(verdict));
}

static void a_ratio_beyond_the_noise_of_both_is_a_verdict(void **state)
{
    (void)state;
    static const struct {
        double new_ms;
        const char *verdict;
    } cases[] = {{9.4, "faster"}, {9.51, "same"}, {10.0, "same"}, {10.49, "same"}, {10.6, "slower"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *record = parse("{\"results\": [{\"op\": \"a\", \"spread\": 0.03}]}");
        cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "results"), 0);
        cJSON_AddNumberToObject(result, "median_ms", cases[i].new_ms);
        (void)compared(record, "{\"results\": [{\"op\": \"a\", \"spread\": 0.04, \"median_ms\": 10}]}", 0);
        assert_verdict(result, cases[i].verdict);
        assert_number(result, "old_time", 10.0);
        assert_number(result, "ratio_to_old", cases[i].new_ms / 10.0);
        assert_number(result, "old_noise", 0.05);
        cJSON_Delete(record);
    }
}

static void another_problem_is_not_compared(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{\"op\": \"b\", \"q_lens\": [1, 2], \"layout\": null, \"median_ms\": 1}",
        "{\"op\": \"a\", \"q_lens\": [1, 3], \"layout\": null, \"median_ms\": 1}",
        "{\"op\": \"a\", \"q_lens\": [1], \"layout\": null, \"median_ms\": 1}",
        "{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": \"nhd\", \"median_ms\": 1}",
        "{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": null, \"call_us\": 1}",
        "{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": null, \"median_ms\": 1, \"trace\": \"t\"}",
        "{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": null, \"median_ms\": 0}",
        "{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": null, \"median_ms\": \"1\"}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"results\": [%s]}", others[i]);
        cJSON *record = parse("{\"results\": [{\"op\": \"a\", \"q_lens\": [1, 2], \"layout\": null, "
                              "\"median_ms\": 1}]}");
        assert_verdict(compared(record, text, 0), NULL);
        cJSON_Delete(record);
    }
}

static void what_an_old_record_lacks_counts_as_the_same(void **state)
{
    (void)state;
    cJSON *record = parse("{\"results\": [{\"op\": \"a\", \"head_dim_v\": 64, \"median_ms\": 1}]}");
    assert_verdict(compared(record, "{\"results\": [{\"op\": \"a\", \"median_ms\": 4, \"device\": \"x\"}]}", 0),
                   "faster");
    cJSON_Delete(record);
    record = parse("{\"results\": [{\"op\": \"a\", \"median_ms\": 1}]}");
    assert_verdict(compared(record, "{\"results\": []}", 0), NULL);
    cJSON_Delete(record);
    record = parse("{\"results\": [{\"op\": \"a\", \"median_ms\": 1}]}");
    assert_verdict(compared(record, "{}", 0), NULL);
    cJSON_Delete(record);
}

static void a_problem_listed_twice_is_compared_in_order(void **state)
{
    (void)state;
    cJSON *record = parse("{\"results\": [{\"op\": \"a\", \"median_ms\": 2}, {\"op\": \"a\", \"median_ms\": 2}]}");
    const char *old = "{\"results\": [{\"op\": \"a\", \"median_ms\": 1}, {\"op\": \"a\", \"median_ms\": 8}]}";
    const cJSON *second = compared(record, old, 1);
    assert_verdict(second, "faster");
    assert_verdict(cJSON_GetArrayItem(cJSON_GetObjectItem(record, "results"), 0), "slower");
    cJSON_Delete(record);
}

static void an_overhead_is_compared_by_its_call(void **state)
{
    (void)state;
    cJSON *record = parse("{\"results\": [{\"op\": \"a\", \"call_us\": 3, \"call_spread\": 0.6}]}");
    const cJSON *result = compared(record, "{\"results\": [{\"op\": \"a\", \"call_us\": 2, \"call_spread\": 0.8}]}", 0);
    assert_verdict(result, "same");
    assert_number(result, "ratio_to_old", 1.5);
    assert_number(result, "old_noise", 1.0);
    cJSON_Delete(record);
}

static void values_are_separated_by_commas_and_quoted_where_they_hold_some(void **state)
{
    (void)state;
    cJSON *record =
        parse("{\"results\": [{\"name\": \"x\", \"list\": [1, 2], \"none\": null, \"number\": 0.1, \"b\": true},"
              " {\"name\": \"a, \\\"b\\\"\", \"number\": 1e300, \"b\": false, \"list\": []}]}");
    char *text = bench_csv_make(record);
    assert_non_null(text);
    assert_string_equal(text, "name,list,none,number,b\n"
                              "x,1 2,,0.1,true\n"
                              "\"a, \"\"b\"\"\",,,1e+300,false");
    free(text);
    cJSON_Delete(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_beyond_the_noise_of_both_is_a_verdict),
        cmocka_unit_test(another_problem_is_not_compared),
        cmocka_unit_test(what_an_old_record_lacks_counts_as_the_same),
        cmocka_unit_test(a_problem_listed_twice_is_compared_in_order),
        cmocka_unit_test(an_overhead_is_compared_by_its_call),
        cmocka_unit_test(values_are_separated_by_commas_and_quoted_where_they_hold_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
