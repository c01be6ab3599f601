/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a result. */
#include "bench/message.h"
#include "bench/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

static bool add_shape(cJSON *result, const bench_options *options)
{
    const bench_shape *shape = &options->shape;
    cJSON *q_lens = cJSON_CreateIntArray(options->q_lens, options->num_seqs);
    cJSON *context_lens = cJSON_CreateIntArray(options->context_lens, options->num_seqs);
    const bool lists =
        cJSON_AddItemToObject(result, "q_lens", q_lens) && cJSON_AddItemToObject(result, "context_lens", context_lens);
    return lists && cJSON_AddStringToObject(result, "op", options->operation) &&
           (shape->name ? cJSON_AddStringToObject(result, "model_shape", shape->name)
                        : cJSON_AddNullToObject(result, "model_shape")) &&
           cJSON_AddNumberToObject(result, "num_q_heads", shape->num_q_heads) &&
           cJSON_AddNumberToObject(result, "num_kv_heads", shape->num_kv_heads) &&
           cJSON_AddNumberToObject(result, "head_dim", shape->head_dim) &&
           cJSON_AddNumberToObject(result, "sliding_window", shape->sliding_window) &&
           cJSON_AddNumberToObject(result, "logits_soft_cap", (double)shape->logits_soft_cap) &&
           cJSON_AddBoolToObject(result, "sinks", shape->sinks) &&
           cJSON_AddStringToObject(result, "dtype", clattn_dtype_name(options->dtype)) &&
           cJSON_AddStringToObject(result, "kv_dtype", clattn_dtype_name(options->kv_dtype)) &&
           cJSON_AddNumberToObject(result, "page_size", options->page_size) &&
           cJSON_AddStringToObject(result, "layout", clattn_kv_layout_name(options->layout)) &&
           cJSON_AddNumberToObject(result, "num_seqs", options->num_seqs) &&
           cJSON_AddNumberToObject(result, "num_splits", options->num_splits);
}

static bool add_device(cJSON *result, const clattn_device_facts *device)
{
    return cJSON_AddStringToObject(result, "device", device->name) &&
           cJSON_AddStringToObject(result, "platform", device->platform) &&
           cJSON_AddStringToObject(result, "driver", device->driver) &&
           cJSON_AddNumberToObject(result, "num_compute_units", device->num_compute_units) &&
           cJSON_AddStringToObject(result, "version", clattn_version());
}

static bool add_plan(cJSON *result, const bench_workload *workload)
{
    const clattn_plan_info *plan = &workload->plan_info;
    return cJSON_AddStringToObject(result, "family", clattn_family_name(plan->family)) &&
           cJSON_AddNumberToObject(result, "num_decode_items", plan->num_decode_items) &&
           cJSON_AddNumberToObject(result, "num_prefill_items", plan->num_prefill_items) &&
           cJSON_AddNumberToObject(result, "num_merge_items", plan->num_merge_items) &&
           cJSON_AddNumberToObject(result, "max_splits", plan->max_splits) &&
           cJSON_AddNumberToObject(result, "block_q", plan->block_q) &&
           cJSON_AddNumberToObject(result, "block_kv", plan->block_kv) &&
           cJSON_AddNumberToObject(result, "workspace_bytes", (double)plan->workspace_bytes) &&
           cJSON_AddNumberToObject(result, "metadata_bytes", (double)plan->metadata_bytes) &&
           cJSON_AddNumberToObject(result, "plan_ms", workload->plan_s * 1e3) &&
           cJSON_AddNumberToObject(result, "plan_update_ms", workload->plan_update_s * 1e3) &&
           cJSON_AddNumberToObject(result, "num_layers", workload->num_layers);
}

static bool add_rates(cJSON *result, const bench_report *report)
{
    const bench_measurement *measurement = report->measurement;
    const bench_rating *rating = &report->rating;
    return cJSON_AddNumberToObject(result, "runs", measurement->runs) &&
           cJSON_AddNumberToObject(result, "repeats_per_run", measurement->num_repeats) &&
           cJSON_AddNumberToObject(result, "flops", (double)report->flops) &&
           cJSON_AddNumberToObject(result, "bytes", (double)report->bytes) &&
           cJSON_AddNumberToObject(result, "median_ms", measurement->median_s * 1e3) &&
           cJSON_AddNumberToObject(result, "spread", measurement->spread) &&
           cJSON_AddNumberToObject(result, "gflops", rating->gflops) &&
           cJSON_AddNumberToObject(result, "gbytes_per_s", rating->gbytes_per_s) &&
           cJSON_AddNumberToObject(result, "peak_gflops", measurement->peak_gflops) &&
           cJSON_AddNumberToObject(result, "peak_spread", measurement->peak_spread) &&
           cJSON_AddNumberToObject(result, "read_gbytes_per_s", measurement->read_gbytes_per_s) &&
           cJSON_AddNumberToObject(result, "read_spread", measurement->read_spread) &&
           cJSON_AddNumberToObject(result, "floor_ms", rating->floor_s * 1e3) &&
           cJSON_AddStringToObject(result, "bound", rating->compute_bound ? "compute" : "memory") &&
           cJSON_AddNumberToObject(result, "roofline_fraction", rating->fraction);
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
    cJSON *result = cJSON_CreateObject();
    char *text = NULL;
    if (cJSON_AddItemToArray(results, result) && add_device(result, report->device) &&
        add_shape(result, report->options) && add_plan(result, report->workload) && add_rates(result, report))
        text = cJSON_Print(root);
    cJSON_Delete(root);
    const bool good = text ? write_text(text, path) : bench_error("out of memory");
    cJSON_free(text);
    return good;
}
