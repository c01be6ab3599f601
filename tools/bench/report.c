/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the results: one problem in all detail, or a line for each result. */
#include "bench/report.h"

#include "bench/describe.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static void print_heading(const bench_report *report, FILE *file)
{
    const bench_operations *operations = &report->options->operations;
    for (int i = 0; i < operations->count; i++)
        fprintf(file, "%s%s", i > 0 ? ", " : "", operations->at[i]->name);
    fprintf(file, " on %s (%s, driver %s), clattn %s\n", report->device->name, report->device->platform,
            report->device->driver, clattn_version());
}

static void print_plan(const bench_result *result, FILE *file)
{
    const clattn_plan_info *plan = &result->plan_info;
    fprintf(file, "  plan       family %s, %d decode, %d prefill and %d merge items, at most %d splits, tile %dx%d\n",
            clattn_family_name(plan->family), (int)plan->num_decode_items, (int)plan->num_prefill_items,
            (int)plan->num_merge_items, (int)plan->max_splits, (int)plan->block_q, (int)plan->block_kv);
    fprintf(file, "             made in %.3f ms, updated in %.3f ms, workspace %.1f KiB, work list %.1f KiB\n",
            result->plan_s * 1e3, result->plan_update_s * 1e3, (double)plan->workspace_bytes / 1024.0,
            (double)plan->metadata_bytes / 1024.0);
}

static void print_calls(const bench_report *report, FILE *file)
{
    for (int i = 0; i < report->num_results; i++) {
        if (report->num_results > 1)
            fprintf(file, "  %s\n", report->results[i].operation->name);
        bench_describe_storage(report->results[i].problem, report->results[i].operation, file);
        print_plan(&report->results[i], file);
    }
}

/* A line for each operation. */
static void print_comparison(const bench_report *report, FILE *file)
{
    fprintf(file, "  %-24s %10s %8s %9s %8s %12s %7s %7s %8s%s\n", "operation", "median ms", "spread", "GFLOP/s",
            "GB/s", "of roofline", "paged", "ratio", "spread", report->options->against_default ? "    gain" : "");
    for (int i = 0; i < report->num_results; i++) {
        const bench_result *result = &report->results[i];
        const bench_subject *subject = &result->subject;
        fprintf(file, "  %-24s %10.3f %6.1f %% %9.1f %8.2f %12.3f %7.3f %7.3f %6.1f %%", result->operation->name,
                subject->median_s * 1e3, subject->spread * 100.0, result->rating.gflops, result->rating.gbytes_per_s,
                result->rating.fraction, result->paged_fraction, subject->ratio, subject->ratio_spread * 100.0);
        if (subject->baseline > 0)
            fprintf(file, " %7.3f", subject->gain);
        fputc('\n', file);
    }
    bench_device_rates_print(&report->results[0].measurement, file);
}

/* What only some results have. */
static void print_shares(const bench_result *result, FILE *file)
{
    fprintf(file,
            "  reading its K and V alone, in the same order, runs at %.2f GB/s: %.3f of the roofline with that rate\n",
            result->paged_read_gbytes_per_s, result->paged_fraction);
    if (result->idle_share >= 0.0)
        fprintf(file, "  the threads stood idle for %.1f %% of the time\n", result->idle_share * 100.0);
    if (result->subject.num_parts > 0)
        fprintf(file, "  its prefills and its decodes, each alone: together %.3f ms; the whole takes %.3f of that\n",
                result->subject.median_s * 1e3 / result->subject.parts_ratio, result->subject.parts_ratio);
    if (result->subject.baseline > 0)
        fprintf(file, "  %.3f times as fast as with the tiles that run without a tuning file (spread %.1f %%)\n",
                result->subject.gain, result->subject.gain_spread * 100.0);
}

/* The results of the one problem. */
static void print_problem(const bench_report *report, FILE *file)
{
    const bench_result *first = &report->results[0];
    const int runs = first->measurement.runs;
    bench_describe_model(first->problem, file);
    bench_describe_batch(first->problem->workload, file);
    fprintf(file, ", %d layer%s\n", (int)first->num_layers, first->num_layers == 1 ? "" : "s in turn");
    print_calls(report, file);
    fprintf(file, "  medians of %d round%s", runs, runs == 1 ? "" : "s");
    if (report->num_results > 1) {
        fprintf(file, " of all operations in turns\n\n");
        print_comparison(report, file);
    } else {
        fprintf(file, ", %d operation%s per sample\n\n", first->subject.num_repeats,
                first->subject.num_repeats == 1 ? "" : "s");
        bench_rates_print(&first->measurement, &first->subject, &first->rating, file);
        print_shares(first, file);
    }
}

/* A figure, or a dash where there is none. */
static void print_cell(double value, bool known, int width, int decimals, FILE *file)
{
    if (known)
        fprintf(file, " %*.*f", width, decimals, value);
    else
        fprintf(file, " %*s", width, "-");
}

/* A model and, if it has several, its kind of layers, or the heads; as wide as the column. */
static void print_name(const bench_problem *problem, FILE *file)
{
    const tool_shape *shape = &problem->shape;
    const bool alike = strcmp(problem->layer, "all") == 0;
    char name[48];
    if (shape->name)
        snprintf(name, sizeof name, "%s%s%s", shape->name, alike ? "" : "/", alike ? "" : problem->layer);
    else
        snprintf(name, sizeof name, "%d/%d/%d", (int)shape->num_q_heads, (int)shape->num_kv_heads,
                 (int)shape->head_dim);
    fprintf(file, "%-19s", name);
}

static void print_row(const bench_result *result, bool name_operation, FILE *file)
{
    const bench_problem *problem = result->problem;
    fprintf(file, "  ");
    print_name(problem, file);
    fprintf(file, " %-15s %-8s %-11s", problem->workload->name ? problem->workload->name : "-",
            clattn_dtype_name(problem->kv_dtype),
            result->operation->dense ? "dense" : clattn_kv_layout_name(problem->layout));
    if (name_operation)
        fprintf(file, " %-23s", result->operation->name);
    fprintf(file, " %10.3f %5.1f%c %8.1f %7.2f %8.3f", result->subject.median_s * 1e3, result->subject.spread * 100.0,
            bench_result_is_noisy(result) ? '!' : ' ', result->rating.gflops, result->rating.gbytes_per_s,
            result->rating.fraction);
    print_cell(result->paged_fraction, result->paged_read_gbytes_per_s > 0.0, 6, 3, file);
    fprintf(file, " %-7s", result->rating.compute_bound ? "compute" : "memory");
    print_cell(result->idle_share, result->idle_share >= 0.0, 6, 3, file);
    print_cell(result->subject.parts_ratio, result->subject.num_parts > 0, 6, 3, file);
    if (result->subject.baseline > 0)
        fprintf(file, " %6.3f", result->subject.gain);
    fprintf(file, " %9.3f\n", (double)bench_result_extra_bytes(result) / 1e6);
}

/* The least and the greatest of a rate that was measured beside each result. */
static void print_range(const bench_report *report, const char *name, size_t offset, const char *unit, FILE *file)
{
    double least = HUGE_VAL;
    double greatest = 0.0;
    for (int i = 0; i < report->num_results; i++) {
        const double rate = *(const double *)((const char *)&report->results[i].measurement + offset);
        least = fmin(least, rate);
        greatest = fmax(greatest, rate);
    }
    fprintf(file, "%s %.1f to %.1f %s", name, least, greatest, unit);
}

static void print_rows(const bench_report *report, FILE *file)
{
    const bool name_operation = report->options->operations.count > 1;
    bool noisy = false;
    fprintf(file, "\n  %-19s %-15s %-8s %-11s", "model", "workload", "kv", "layout");
    if (name_operation)
        fprintf(file, " %-23s", "operation");
    fprintf(file, " %10s %6s %8s %7s %8s %6s %-7s %6s %6s%s %9s\n", "median ms", "spread", "GFLOP/s", "GB/s",
            "roofline", "paged", "bound", "idle", "parts", report->options->against_default ? "   gain" : "",
            "extra MB");
    for (int i = 0; i < report->num_results; i++) {
        print_row(&report->results[i], name_operation, file);
        noisy = noisy || bench_result_is_noisy(&report->results[i]);
    }
    fprintf(file, "  measured beside them: ");
    print_range(report, "FMA peak", offsetof(bench_measurement, peak_gflops), "GFLOP/s", file);
    print_range(report, ", read bandwidth", offsetof(bench_measurement, read_gbytes_per_s), "GB/s", file);
    fputc('\n', file);
    if (noisy)
        fprintf(file, "  ! a spread over 10 %%, of the time or of the device's rates: the machine was not quiet\n");
}

static void print_replays(const bench_report *report, FILE *file)
{
    const bench_replay_params *params = &report->options->replay;
    const bench_result *first = &report->results[0];
    fprintf(file, "  trace      %s: %d requests, %lld prompt and %lld decode tokens in %lld steps\n",
            params->trace.path, (int)first->replay.num_requests, (long long)first->replay.prompt_tokens,
            (long long)first->replay.decode_tokens, (long long)first->replay.num_steps);
    fprintf(file,
            "  batch      a step every %g ms, at most %d tokens and %d requests; at most %d requests ran at once\n",
            params->step_s * 1e3, (int)params->token_budget, (int)params->max_seqs, (int)first->replay.most_seqs);
    fprintf(file, "  cache      %d of %d pages were in use at once\n", (int)first->replay.most_pages,
            (int)first->replay.num_pages);
    fprintf(file, "  medians of %d replays, one layer; roofline: the sum of the steps' floors over their time\n",
            first->measurement.runs);
    print_rows(report, file);
    fprintf(file, "\n  %-19s %-8s %-11s %12s %12s %12s\n", "model", "kv", "layout", "tokens/s", "decodes/s", "host ms");
    for (int i = 0; i < report->num_results; i++) {
        const bench_result *result = &report->results[i];
        fprintf(file, "  ");
        print_name(result->problem, file);
        fprintf(file, " %-8s %-11s %12.1f %12.1f %12.3f\n", clattn_dtype_name(result->problem->kv_dtype),
                clattn_kv_layout_name(result->problem->layout), bench_result_tokens_per_s(result),
                bench_result_decodes_per_s(result), result->replay.host_s * 1e3);
    }
}

static void print_first_calls(const bench_report *report, FILE *file)
{
    const bench_plan_update *update = &report->results[0].plan_update;
    fprintf(file, "\n  updating the plan of %d sequences takes %.1f us (spread %.1f %%)\n\n", (int)update->num_seqs,
            update->update_s * 1e6, update->spread * 100.0);
    fprintf(file, "  %-24s %10s %14s %10s %14s\n", "first call of a process", "cold ms", "programs built", "warm ms",
            "from the cache");
    for (int i = 0; i < report->num_results; i++) {
        const bench_first_call *calls = &report->results[i].first_call;
        fprintf(file, "  %-24s %10.1f %14d %10.1f %14d\n", report->results[i].operation->name, calls->cold_s * 1e3,
                (int)calls->num_built, calls->warm_s * 1e3, (int)calls->num_disk_hits);
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
        fprintf(file, "  %-24s %8d %10.2f %6.1f %% %10.2f %6.1f %% %12.2f\n", report->results[i].operation->name,
                overhead->num_kernels, overhead->call_s * 1e6, overhead->call_spread * 100.0, overhead->bare_s * 1e6,
                overhead->bare_spread * 100.0, overhead->overhead_s * 1e6);
    }
    print_first_calls(report, file);
}

void bench_report_print(const bench_report *report, FILE *file)
{
    print_heading(report, file);
    if (report->options->overhead)
        print_overheads(report, file);
    else if (report->options->replay.trace.path)
        print_replays(report, file);
    else if (report->options->num_problems == 1)
        print_problem(report, file);
    else
        print_rows(report, file);
}
