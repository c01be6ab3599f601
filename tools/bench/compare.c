/* SPDX-License-Identifier: Apache-2.0 */
/* Matches results of two records by what was measured, and compares their times. */
#include "bench/compare.h"

#include "common/json.h"
#include "common/message.h"

#include <math.h>

/* What two results of the same problem have in common. */
static const char *const identity[] = {
    "op",           "q_lens",    "context_lens", "num_q_heads",    "num_kv_heads",    "head_dim",
    "head_dim_v",   "dtype",     "out_dtype",    "sliding_window", "logits_soft_cap", "sinks",
    "kv_dtype",     "page_size", "layout",       "num_splits",     "num_requests",    "step_ms",
    "token_budget", "max_seqs",  "num_pages",    "num_steps",
};

#define NUM_IDENTITY ((int)(sizeof identity / sizeof *identity))

static const cJSON *get(const cJSON *result, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(result, key);
}

static double number_of(const cJSON *result, const char *key)
{
    const cJSON *value = get(result, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0.0;
}

static bool is_same_problem(const cJSON *left, const cJSON *right)
{
    for (int i = 0; i < NUM_IDENTITY; i++) {
        const cJSON *a = get(left, identity[i]);
        const cJSON *b = get(right, identity[i]);
        if (a && b && !cJSON_Compare(a, b, true))
            return false;
    }
    return (get(left, "median_ms") != NULL) == (get(right, "median_ms") != NULL) &&
           (get(left, "trace") != NULL) == (get(right, "trace") != NULL);
}

/* The old result with as many of its like before it as stand before the new one: operations may be listed twice. */
static const cJSON *find_old(const cJSON *old_results, const cJSON *results, const cJSON *result)
{
    int num_before = 0;
    for (const cJSON *other = results->child; other && other != result; other = other->next)
        num_before += is_same_problem(other, result);
    for (const cJSON *other = old_results ? old_results->child : NULL; other; other = other->next) {
        if (is_same_problem(other, result) && num_before-- == 0)
            return other;
    }
    return NULL;
}

static const char *time_key(const cJSON *result)
{
    return get(result, "median_ms") ? "median_ms" : "call_us";
}

static const char *spread_key(const cJSON *result)
{
    return get(result, "median_ms") ? "spread" : "call_spread";
}

static bool add_comparison(cJSON *result, const cJSON *old)
{
    const double old_time = old ? number_of(old, time_key(result)) : 0.0;
    if (!(old_time > 0.0))
        return cJSON_AddNullToObject(result, "old_time") && cJSON_AddNullToObject(result, "ratio_to_old") &&
               cJSON_AddNullToObject(result, "old_noise") && cJSON_AddNullToObject(result, "verdict");
    const double ratio = number_of(result, time_key(result)) / old_time;
    const double noise = hypot(number_of(result, spread_key(result)), number_of(old, spread_key(result)));
    const char *verdict = fabs(ratio - 1.0) <= noise ? "same" : ratio < 1.0 ? "faster" : "slower";
    return cJSON_AddNumberToObject(result, "old_time", old_time) &&
           cJSON_AddNumberToObject(result, "ratio_to_old", ratio) &&
           cJSON_AddNumberToObject(result, "old_noise", noise) && cJSON_AddStringToObject(result, "verdict", verdict);
}

bool bench_compare(cJSON *record, const cJSON *old)
{
    cJSON *results = cJSON_GetObjectItemCaseSensitive(record, "results");
    const cJSON *old_results = get(old, "results");
    for (cJSON *result = results->child; result; result = result->next) {
        if (!add_comparison(result, find_old(old_results, results, result)))
            return tool_error("out of memory");
    }
    return true;
}

static const char *text_of(const cJSON *result, const char *key)
{
    const cJSON *value = get(result, key);
    return cJSON_IsString(value) ? value->valuestring : "-";
}

void bench_compare_print(const cJSON *record, const char *old_name, FILE *file)
{
    fprintf(file, "\n  against %s: time as a ratio to the old one, and the noise of both\n", old_name);
    fprintf(file, "  %-23s %-15s %-8s %-15s %-8s %-11s %10s %10s %7s %7s\n", "operation", "model", "layers", "workload",
            "kv", "layout", "old", "new", "ratio", "noise");
    for (const cJSON *result = get(record, "results")->child; result; result = result->next) {
        fprintf(file, "  %-23s %-15s %-8s %-15s %-8s %-11s", text_of(result, "op"), text_of(result, "model"),
                text_of(result, "layer"), text_of(result, "workload"), text_of(result, "kv_dtype"),
                text_of(result, "layout"));
        if (cJSON_IsNumber(get(result, "ratio_to_old")))
            fprintf(file, " %10.3f %10.3f %7.3f %7.3f  %s\n", number_of(result, "old_time"),
                    number_of(result, time_key(result)), number_of(result, "ratio_to_old"),
                    number_of(result, "old_noise"), text_of(result, "verdict"));
        else
            fprintf(file, " %10s %10.3f  not measured then\n", "-", number_of(result, time_key(result)));
    }
}
