/* SPDX-License-Identifier: Apache-2.0 */
/* The results as JSON. */
#include "bench/record.h"

#include "common/message.h"

static bool add_lengths(cJSON *result, const char *key, const int32_t *lengths, int32_t count)
{
    cJSON *list = cJSON_CreateIntArray(lengths, count);
    return cJSON_AddItemToObject(result, key, list);
}

static bool add_problem(cJSON *result, const bench_problem *problem)
{
    const bench_workload *workload = problem->workload;
    return add_lengths(result, "q_lens", workload->q_lens, workload->num_seqs) &&
           add_lengths(result, "context_lens", workload->context_lens, workload->num_seqs) &&
           cJSON_AddStringToObject(result, "layer", problem->layer) &&
           tool_json_add_name(result, "workload", workload->name) && tool_json_add_shape(result, &problem->shape) &&
           cJSON_AddNumberToObject(result, "num_seqs", workload->num_seqs) &&
           cJSON_AddNumberToObject(result, "num_splits", problem->num_splits);
}

/* A number, or null where there is none to give. */
static bool add_number(cJSON *result, const char *key, bool known, double value)
{
    return known ? cJSON_AddNumberToObject(result, key, value) : cJSON_AddNullToObject(result, key);
}

/* A dense cache has neither pages nor a choice of layouts. */
static bool add_storage(cJSON *object, const bench_result *result)
{
    const bench_problem *problem = result->problem;
    const bool dense = result->operation->dense;
    return cJSON_AddStringToObject(object, "op", result->operation->name) &&
           cJSON_AddStringToObject(object, "dtype", clattn_dtype_name(problem->dtype)) &&
           cJSON_AddStringToObject(object, "out_dtype", clattn_dtype_name(result->out_dtype)) &&
           cJSON_AddStringToObject(object, "kv_dtype", clattn_dtype_name(problem->kv_dtype)) &&
           add_number(object, "page_size", !dense, problem->page_size) &&
           tool_json_add_name(object, "layout", dense ? NULL : clattn_kv_layout_name(problem->layout)) &&
           add_number(object, "seq_len", dense, result->seq_len);
}

static bool add_device(cJSON *result, const clattn_device_facts *device)
{
    return cJSON_AddStringToObject(result, "device", device->name) &&
           cJSON_AddStringToObject(result, "platform", device->platform) &&
           cJSON_AddStringToObject(result, "driver", device->driver) &&
           cJSON_AddNumberToObject(result, "num_compute_units", device->num_compute_units) &&
           cJSON_AddStringToObject(result, "version", clattn_version());
}

static bool add_plan(cJSON *object, const bench_result *result)
{
    const clattn_plan_info *plan = &result->plan_info;
    return cJSON_AddStringToObject(object, "family", clattn_family_name(plan->family)) &&
           cJSON_AddNumberToObject(object, "num_decode_items", plan->num_decode_items) &&
           cJSON_AddNumberToObject(object, "num_prefill_items", plan->num_prefill_items) &&
           cJSON_AddNumberToObject(object, "num_merge_items", plan->num_merge_items) &&
           cJSON_AddNumberToObject(object, "max_splits", plan->max_splits) &&
           cJSON_AddNumberToObject(object, "block_q", plan->block_q) &&
           cJSON_AddNumberToObject(object, "block_kv", plan->block_kv) &&
           cJSON_AddNumberToObject(object, "workspace_bytes", (double)plan->workspace_bytes) &&
           cJSON_AddNumberToObject(object, "metadata_bytes", (double)plan->metadata_bytes) &&
           cJSON_AddNumberToObject(object, "extra_bytes", (double)bench_result_extra_bytes(result)) &&
           cJSON_AddNumberToObject(object, "plan_ms", result->plan_s * 1e3) &&
           cJSON_AddNumberToObject(object, "plan_update_ms", result->plan_update_s * 1e3) &&
           cJSON_AddNumberToObject(object, "num_layers", result->num_layers);
}

static bool add_rates(cJSON *object, const bench_result *result)
{
    const bench_measurement *measurement = &result->measurement;
    const bench_subject *subject = &result->subject;
    const bench_rating *rating = &result->rating;
    const bool paged = result->paged_read_gbytes_per_s > 0.0;
    return cJSON_AddNumberToObject(object, "runs", measurement->runs) &&
           cJSON_AddNumberToObject(object, "repeats_per_run", subject->num_repeats) &&
           cJSON_AddNumberToObject(object, "flops", (double)result->flops) &&
           cJSON_AddNumberToObject(object, "bytes", (double)result->bytes) &&
           cJSON_AddNumberToObject(object, "median_ms", subject->median_s * 1e3) &&
           cJSON_AddNumberToObject(object, "spread", subject->spread) &&
           cJSON_AddNumberToObject(object, "ratio_to_first", subject->ratio) &&
           cJSON_AddNumberToObject(object, "ratio_spread", subject->ratio_spread) &&
           cJSON_AddNumberToObject(object, "gflops", rating->gflops) &&
           cJSON_AddNumberToObject(object, "gbytes_per_s", rating->gbytes_per_s) &&
           cJSON_AddNumberToObject(object, "peak_gflops", measurement->peak_gflops) &&
           cJSON_AddNumberToObject(object, "peak_spread", measurement->peak_spread) &&
           cJSON_AddNumberToObject(object, "read_gbytes_per_s", measurement->read_gbytes_per_s) &&
           cJSON_AddNumberToObject(object, "read_spread", measurement->read_spread) &&
           cJSON_AddNumberToObject(object, "floor_ms", rating->floor_s * 1e3) &&
           cJSON_AddStringToObject(object, "bound", rating->compute_bound ? "compute" : "memory") &&
           cJSON_AddNumberToObject(object, "roofline_fraction", rating->fraction) &&
           add_number(object, "paged_read_gbytes_per_s", paged, result->paged_read_gbytes_per_s) &&
           add_number(object, "paged_read_spread", paged, result->paged_read_spread) &&
           add_number(object, "paged_fraction", paged, result->paged_fraction) &&
           add_number(object, "idle_share", result->idle_share >= 0.0, result->idle_share) &&
           add_number(object, "parts_ratio", subject->num_parts > 0, subject->parts_ratio) &&
           add_number(object, "parts_spread", subject->num_parts > 0, subject->parts_spread) &&
           add_number(object, "gain_over_default", subject->baseline > 0, subject->gain) &&
           add_number(object, "gain_spread", subject->baseline > 0, subject->gain_spread) &&
           cJSON_AddBoolToObject(object, "noisy", bench_result_is_noisy(result));
}

static bool add_replay(cJSON *object, const bench_result *result, const bench_replay_params *params)
{
    const bench_replay_figures *replay = &result->replay;
    return cJSON_AddStringToObject(object, "trace", params->trace.path) &&
           cJSON_AddNumberToObject(object, "step_ms", params->step_s * 1e3) &&
           cJSON_AddNumberToObject(object, "token_budget", params->token_budget) &&
           cJSON_AddNumberToObject(object, "max_seqs", params->max_seqs) &&
           cJSON_AddNumberToObject(object, "num_pages", replay->num_pages) &&
           cJSON_AddNumberToObject(object, "num_requests", replay->num_requests) &&
           cJSON_AddNumberToObject(object, "num_steps", (double)replay->num_steps) &&
           cJSON_AddNumberToObject(object, "prompt_tokens", (double)replay->prompt_tokens) &&
           cJSON_AddNumberToObject(object, "decode_tokens", (double)replay->decode_tokens) &&
           cJSON_AddNumberToObject(object, "most_seqs", replay->most_seqs) &&
           cJSON_AddNumberToObject(object, "most_pages", replay->most_pages) &&
           cJSON_AddNumberToObject(object, "tokens_per_s", bench_result_tokens_per_s(result)) &&
           cJSON_AddNumberToObject(object, "decodes_per_s", bench_result_decodes_per_s(result)) &&
           cJSON_AddNumberToObject(object, "host_ms", replay->host_s * 1e3);
}

static bool add_first_call(cJSON *result, const bench_first_call *calls)
{
    return cJSON_AddNumberToObject(result, "cold_call_ms", calls->cold_s * 1e3) &&
           cJSON_AddNumberToObject(result, "cold_built", calls->num_built) &&
           cJSON_AddNumberToObject(result, "warm_call_ms", calls->warm_s * 1e3) &&
           cJSON_AddNumberToObject(result, "warm_disk_hits", calls->num_disk_hits);
}

static bool add_plan_update(cJSON *result, const bench_plan_update *update)
{
    return cJSON_AddNumberToObject(result, "plan_update_seqs", update->num_seqs) &&
           cJSON_AddNumberToObject(result, "plan_update_us", update->update_s * 1e6) &&
           cJSON_AddNumberToObject(result, "plan_update_spread", update->spread);
}

static bool add_overhead(cJSON *result, const bench_overhead *overhead)
{
    return cJSON_AddNumberToObject(result, "num_calls", overhead->num_calls) &&
           cJSON_AddNumberToObject(result, "num_kernels", overhead->num_kernels) &&
           cJSON_AddNumberToObject(result, "num_arguments", overhead->num_arguments) &&
           cJSON_AddNumberToObject(result, "call_us", overhead->call_s * 1e6) &&
           cJSON_AddNumberToObject(result, "call_spread", overhead->call_spread) &&
           cJSON_AddNumberToObject(result, "bare_us", overhead->bare_s * 1e6) &&
           cJSON_AddNumberToObject(result, "bare_spread", overhead->bare_spread) &&
           cJSON_AddNumberToObject(result, "overhead_us", overhead->overhead_s * 1e6);
}

static bool add_result(cJSON *results, const bench_report *report, const bench_result *result)
{
    const bench_options *options = report->options;
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(results, object) || !add_device(object, report->device) ||
        !add_problem(object, result->problem) || !add_storage(object, result) || !add_plan(object, result))
        return false;
    if (options->overhead)
        return add_overhead(object, &result->overhead) && add_first_call(object, &result->first_call) &&
               add_plan_update(object, &result->plan_update);
    return add_rates(object, result) && (!options->replay.trace.path || add_replay(object, result, &options->replay));
}

cJSON *bench_record_make(const bench_report *report)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *results = cJSON_AddArrayToObject(root, "results");
    bool complete = results != NULL;
    for (int i = 0; complete && i < report->num_results; i++)
        complete = add_result(results, report, &report->results[i]);
    if (complete)
        return root;
    cJSON_Delete(root);
    (void)tool_error("out of memory");
    return NULL;
}
