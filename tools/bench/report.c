/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the results. */
#include "bench/report.h"

static void print_heading(const bench_report *report, FILE *file)
{
    for (int i = 0; i < report->num_results; i++)
        fprintf(file, "%s%s", i > 0 ? ", " : "", report->results[i].call->operation->name);
    fprintf(file, " on %s (%s, driver %s), clattn %s\n", report->device->name, report->device->platform,
            report->device->driver, clattn_version());
}

static void print_shape(const bench_shape *shape, FILE *file)
{
    fprintf(file, "  shape      %s%s%d query heads, %d kv heads, head_dim %d", shape->name ? shape->name : "",
            shape->name ? ": " : "", (int)shape->num_q_heads, (int)shape->num_kv_heads, (int)shape->head_dim);
    if (shape->head_dim_v != shape->head_dim)
        fprintf(file, ", head_dim_v %d", (int)shape->head_dim_v);
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

static void print_batch(const bench_workload *workload, FILE *file)
{
    const bench_options *options = workload->options;
    fprintf(file, "  batch      %d sequence%s", (int)options->num_seqs, options->num_seqs == 1 ? "" : "s");
    print_lengths("new tokens", options->q_lens, options->num_seqs, file);
    print_lengths("context", options->context_lens, options->num_seqs, file);
    fprintf(file, ", %d layer%s\n", (int)workload->num_layers, workload->num_layers == 1 ? "" : "s in turn");
}

static void print_storage(const bench_call *call, FILE *file)
{
    const bench_options *options = call->workload->options;
    fprintf(file, "  storage    queries %s, out %s, K and V %s in ", clattn_dtype_name(options->dtype),
            clattn_dtype_name(call->out_dtype), clattn_dtype_name(options->kv_dtype));
    if (call->operation->dense)
        fprintf(file, "a dense cache of %d\n", (int)call->workload->max_context_len);
    else
        fprintf(file, "%s pages of %d\n", clattn_kv_layout_name(options->layout), (int)options->page_size);
}

static void print_plan(const bench_call *call, FILE *file)
{
    const clattn_plan_info *plan = &call->plan_info;
    fprintf(file, "  plan       family %s, %d decode, %d prefill and %d merge items, at most %d splits, tile %dx%d\n",
            clattn_family_name(plan->family), (int)plan->num_decode_items, (int)plan->num_prefill_items,
            (int)plan->num_merge_items, (int)plan->max_splits, (int)plan->block_q, (int)plan->block_kv);
    fprintf(file, "             made in %.3f ms, updated in %.3f ms, workspace %.1f KiB, work list %.1f KiB\n",
            call->plan_s * 1e3, call->plan_update_s * 1e3, (double)plan->workspace_bytes / 1024.0,
            (double)plan->metadata_bytes / 1024.0);
}

static void print_calls(const bench_report *report, FILE *file)
{
    for (int i = 0; i < report->num_results; i++) {
        if (report->num_results > 1)
            fprintf(file, "  %s\n", report->results[i].call->operation->name);
        print_storage(report->results[i].call, file);
        print_plan(report->results[i].call, file);
    }
}

/* A line for each operation. */
static void print_comparison(const bench_report *report, FILE *file)
{
    fprintf(file, "  %-24s %10s %8s %9s %8s %12s %7s %8s\n", "operation", "median ms", "spread", "GFLOP/s", "GB/s",
            "of roofline", "ratio", "spread");
    for (int i = 0; i < report->num_results; i++) {
        const bench_result *result = &report->results[i];
        const bench_subject *subject = &result->subject;
        fprintf(file, "  %-24s %10.3f %6.1f %% %9.1f %8.2f %12.3f %7.3f %6.1f %%\n", result->call->operation->name,
                subject->median_s * 1e3, subject->spread * 100.0, result->rating.gflops, result->rating.gbytes_per_s,
                result->rating.fraction, subject->ratio, subject->ratio_spread * 100.0);
    }
    bench_device_rates_print(report->measurement, file);
}

static void print_times(const bench_report *report, FILE *file)
{
    print_shape(&report->workload->options->shape, file);
    print_batch(report->workload, file);
    print_calls(report, file);
    const bench_result *first = &report->results[0];
    fprintf(file, "  medians of %d round%s", report->measurement->runs, report->measurement->runs == 1 ? "" : "s");
    if (report->num_results > 1) {
        fprintf(file, " of all operations in turns\n\n");
        print_comparison(report, file);
    } else {
        fprintf(file, ", %d operation%s per sample\n\n", first->subject.num_repeats,
                first->subject.num_repeats == 1 ? "" : "s");
        bench_rates_print(report->measurement, &first->subject, &first->rating, file);
    }
}

static void print_overheads(const bench_report *report, FILE *file)
{
    const bench_overhead *first = &report->results[0].overhead;
    fprintf(file,
            "  host time of a call with a plan and of the bare launch of as many empty kernels of %d arguments,\n",
            first->num_arguments);
    fprintf(file, "  one sequence, one key, one head; medians of %d pairs, the queue drained between\n\n",
            first->num_calls);
    fprintf(file, "  %-24s %8s %10s %8s %10s %8s %12s\n", "operation", "kernels", "call us", "spread", "bare us",
            "spread", "overhead us");
    for (int i = 0; i < report->num_results; i++) {
        const bench_overhead *overhead = &report->results[i].overhead;
        fprintf(file, "  %-24s %8d %10.2f %6.1f %% %10.2f %6.1f %% %12.2f\n", report->results[i].call->operation->name,
                overhead->num_kernels, overhead->call_s * 1e6, overhead->call_spread * 100.0, overhead->bare_s * 1e6,
                overhead->bare_spread * 100.0, overhead->overhead_s * 1e6);
    }
}

void bench_report_print(const bench_report *report, FILE *file)
{
    print_heading(report, file);
    if (report->workload->options->overhead)
        print_overheads(report, file);
    else
        print_times(report, file);
}
