/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of the results. */
#include "bench/message.h"
#include "bench/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

static bool add_name(cJSON *result, const char *key, const char *name)
{
    return name ? cJSON_AddStringToObject(result, key, name) : cJSON_AddNullToObject(result, key);
}

static bool add_lengths(cJSON *result, const char *key, const int32_t *lengths, int32_t count)
{
    cJSON *list = cJSON_CreateIntArray(lengths, count);
    return cJSON_AddItemToObject(result, key, list);
}

static bool add_shape(cJSON *result, const bench_options *options)
{
    const bench_shape *shape = &options->shape;
    return add_lengths(result, "q_lens", options->q_lens, options->num_seqs) &&
           add_lengths(result, "context_lens", options->context_lens, options->num_seqs) &&
           add_name(result, "model_shape", shape->name) &&
           cJSON_AddNumberToObject(result, "num_q_heads", shape->num_q_heads) &&
           cJSON_AddNumberToObject(result, "num_kv_heads", shape->num_kv_heads) &&
           cJSON_AddNumberToObject(result, "head_dim", shape->head_dim) &&
           cJSON_AddNumberToObject(result, "head_dim_v", shape->head_dim_v) &&
           cJSON_AddNumberToObject(result, "sliding_window", shape->sliding_window) &&
           cJSON_AddNumberToObject(result, "logits_soft_cap", (double)shape->logits_soft_cap) &&
           cJSON_AddBoolToObject(result, "sinks", shape->sinks) &&
           cJSON_AddNumberToObject(result, "num_seqs", options->num_seqs) &&
           cJSON_AddNumberToObject(result, "num_splits", options->num_splits);
}

/* A dense cache has neither pages nor a choice of layouts. */
static bool add_storage(cJSON *result, const bench_call *call)
{
    const bench_options *options = call->workload->options;
    const bool dense = call->operation->dense;
    return cJSON_AddStringToObject(result, "op", call->operation->name) &&
           cJSON_AddStringToObject(result, "dtype", clattn_dtype_name(options->dtype)) &&
           cJSON_AddStringToObject(result, "out_dtype", clattn_dtype_name(call->out_dtype)) &&
           cJSON_AddStringToObject(result, "kv_dtype", clattn_dtype_name(options->kv_dtype)) &&
           (dense ? cJSON_AddNullToObject(result, "page_size")
                  : cJSON_AddNumberToObject(result, "page_size", options->page_size)) &&
           add_name(result, "layout", dense ? NULL : clattn_kv_layout_name(options->layout)) &&
           (dense ? cJSON_AddNumberToObject(result, "seq_len", call->workload->max_context_len)
                  : cJSON_AddNullToObject(result, "seq_len"));
}

static bool add_device(cJSON *result, const clattn_device_facts *device)
{
    return cJSON_AddStringToObject(result, "device", device->name) &&
           cJSON_AddStringToObject(result, "platform", device->platform) &&
           cJSON_AddStringToObject(result, "driver", device->driver) &&
           cJSON_AddNumberToObject(result, "num_compute_units", device->num_compute_units) &&
           cJSON_AddStringToObject(result, "version", clattn_version());
}

static bool add_plan(cJSON *result, const bench_call *call)
{
    const clattn_plan_info *plan = &call->plan_info;
    return cJSON_AddStringToObject(result, "family", clattn_family_name(plan->family)) &&
           cJSON_AddNumberToObject(result, "num_decode_items", plan->num_decode_items) &&
           cJSON_AddNumberToObject(result, "num_prefill_items", plan->num_prefill_items) &&
           cJSON_AddNumberToObject(result, "num_merge_items", plan->num_merge_items) &&
           cJSON_AddNumberToObject(result, "max_splits", plan->max_splits) &&
           cJSON_AddNumberToObject(result, "block_q", plan->block_q) &&
           cJSON_AddNumberToObject(result, "block_kv", plan->block_kv) &&
           cJSON_AddNumberToObject(result, "workspace_bytes", (double)plan->workspace_bytes) &&
           cJSON_AddNumberToObject(result, "metadata_bytes", (double)plan->metadata_bytes) &&
           cJSON_AddNumberToObject(result, "plan_ms", call->plan_s * 1e3) &&
           cJSON_AddNumberToObject(result, "plan_update_ms", call->plan_update_s * 1e3) &&
           cJSON_AddNumberToObject(result, "num_layers", call->workload->num_layers);
}

static bool add_rates(cJSON *object, const bench_measurement *measurement, const bench_result *result)
{
    const bench_subject *subject = &result->subject;
    const bench_rating *rating = &result->rating;
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
           cJSON_AddNumberToObject(object, "roofline_fraction", rating->fraction);
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
    cJSON *object = cJSON_CreateObject();
    return cJSON_AddItemToArray(results, object) && add_device(object, report->device) &&
           add_shape(object, report->workload->options) && add_storage(object, result->call) &&
           add_plan(object, result->call) &&
           (report->workload->options->overhead ? add_overhead(object, &result->overhead)
                                                : add_rates(object, report->measurement, result));
}

static bool write_text(const char *text, const char *path)
{
    const bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    if (!file)
        return bench_error("cannot open %s: %s", path, strerror(errno));
    bool good = fprintf(file, "%s\n", text) >= 0;
    good = (to_stdout ? fflush(file) : fclose(file)) == 0 && good;
    return good || bench_error("cannot write %s: %s", path, strerror(errno));
}

bool bench_report_write_json(const bench_report *report, const char *path)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *results = cJSON_AddArrayToObject(root, "results");
    bool complete = results != NULL;
    for (int i = 0; complete && i < report->num_results; i++)
        complete = add_result(results, report, &report->results[i]);
    char *text = complete ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    const bool good = text ? write_text(text, path) : bench_error("out of memory");
    cJSON_free(text);
    return good;
}
