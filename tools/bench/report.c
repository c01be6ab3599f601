/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a result. */
#include "bench/report.h"

static void print_shape(const bench_report *report, FILE *file)
{
    const bench_shape *shape = &report->options->shape;
    fprintf(file, "  shape      %s%s%d query heads, %d kv heads, head_dim %d", shape->name ? shape->name : "",
            shape->name ? ": " : "", (int)shape->num_q_heads, (int)shape->num_kv_heads, (int)shape->head_dim);
    if (shape->sliding_window > 0)
        fprintf(file, ", window %d", (int)shape->sliding_window);
    if (shape->logits_soft_cap > 0.0f)
        fprintf(file, ", soft cap %g", (double)shape->logits_soft_cap);
    fprintf(file, "%s\n", shape->sinks ? ", sinks" : "");
}

static void print_lengths(const char *name, const int32_t *lengths, int32_t count, FILE *file)
{
    int32_t least = lengths[0];
    int32_t most = lengths[0];
    for (int32_t i = 1; i < count; i++) {
        least = lengths[i] < least ? lengths[i] : least;
        most = lengths[i] > most ? lengths[i] : most;
    }
    fprintf(file, ", %s %d", name, (int)least);
    if (most > least)
        fprintf(file, " to %d", (int)most);
}

static void print_batch(const bench_report *report, FILE *file)
{
    const bench_options *options = report->options;
    fprintf(file, "  batch      %d sequence%s", (int)options->num_seqs, options->num_seqs == 1 ? "" : "s");
    print_lengths("new tokens", options->q_lens, options->num_seqs, file);
    print_lengths("context", options->context_lens, options->num_seqs, file);
    fprintf(file, "\n  storage    queries and out %s, K and V %s in %s pages of %d, %d layers in turn\n",
            clattn_dtype_name(options->dtype), clattn_dtype_name(options->kv_dtype),
            clattn_kv_layout_name(options->layout), (int)options->page_size, (int)report->workload->num_layers);
}

static void print_plan(const bench_report *report, FILE *file)
{
    const clattn_plan_info *plan = &report->workload->plan_info;
    fprintf(file, "  plan       family %s, %d decode, %d prefill and %d merge items, at most %d splits, tile %dx%d\n",
            clattn_family_name(plan->family), (int)plan->num_decode_items, (int)plan->num_prefill_items,
            (int)plan->num_merge_items, (int)plan->max_splits, (int)plan->block_q, (int)plan->block_kv);
    fprintf(file, "             made in %.3f ms, updated in %.3f ms, workspace %.1f KiB, work list %.1f KiB\n",
            report->workload->plan_s * 1e3, report->workload->plan_update_s * 1e3,
            (double)plan->workspace_bytes / 1024.0, (double)plan->metadata_bytes / 1024.0);
}

void bench_report_print(const bench_report *report, FILE *file)
{
    fprintf(file, "%s on %s (%s, driver %s), clattn %s\n", report->options->operation, report->device->name,
            report->device->platform, report->device->driver, clattn_version());
    print_shape(report, file);
    print_batch(report, file);
    print_plan(report, file);
    fprintf(file, "  medians of %d round%s, %d operation%s per sample\n\n", report->measurement->runs,
            report->measurement->runs == 1 ? "" : "s", report->measurement->num_repeats,
            report->measurement->num_repeats == 1 ? "" : "s");
    bench_rates_print(report->measurement, &report->rating, file);
}
