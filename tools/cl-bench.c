/* SPDX-License-Identifier: Apache-2.0 */
/* cl-bench: times attention operations against the device's own measured roofline, or the host's part of a call. */
#include "bench/compare.h"
#include "bench/csv.h"
#include "bench/forecast.h"
#include "bench/list.h"
#include "bench/options.h"
#include "bench/plot.h"
#include "bench/record.h"
#include "bench/report.h"
#include "bench/run.h"
#include "common/gnuplot.h"
#include "common/json.h"
#include "common/message.h"

#include <stdlib.h>
#include <string.h>

#define EXIT_MEASURED 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NO_DEVICE 77

static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static bool write_csv(const cJSON *record, const char *path)
{
    char *text = bench_csv_make(record);
    const bool good = text && tool_write_text(text, path);
    free(text);
    return good;
}

/* Writes all that the options ask for besides the table, as far as each can be written. */
static bool write_record(cJSON *record, const bench_options *options, FILE *table)
{
    bool good = true;
    if (options->old) {
        good = bench_compare(record, options->old);
        if (good)
            bench_compare_print(record, options->compare_path, table);
    }
    if (options->json_path)
        good = tool_json_write(record, options->json_path) && good;
    if (options->csv_path)
        good = write_csv(record, options->csv_path) && good;
    if (options->plot_path)
        good = bench_plot_write(record, options->plot_path) && good;
    return good;
}

static bool write_report(const bench_report *report)
{
    const bench_options *options = report->options;
    FILE *table = is_stdout(options->json_path) || is_stdout(options->csv_path) ? stderr : stdout;
    bench_report_print(report, table);
    cJSON *record = bench_record_make(report);
    const bool good = record && write_record(record, options, table);
    cJSON_Delete(record);
    return good;
}

/* Says which of several problems is next, and how much of the run it is. */
static void announce(const bench_options *options, int index)
{
    double before = 0.0;
    double all = 0.0;
    for (int i = 0; i < options->num_problems; i++) {
        before = i == index ? all : before;
        all += bench_forecast(options, i);
    }
    const bench_problem *problem = &options->problems[index];
    tool_progress_part(
        before / all, (before + bench_forecast(options, index)) / all, "problem %d of %d: %s%s%s %s, K and V %s %s",
        index + 1, options->num_problems, problem->shape.name ? problem->shape.name : "heads by number",
        strcmp(problem->layer, "all") == 0 ? "" : "/", strcmp(problem->layer, "all") == 0 ? "" : problem->layer,
        problem->workload->name ? problem->workload->name : "lengths by number", clattn_dtype_name(problem->kv_dtype),
        clattn_kv_layout_name(problem->layout));
}

/* Measures every problem; what has been measured before something fails is reported all the same. */
static bool measure(clattn_context *ctx, const bench_options *options, const bench_first_call *first_calls,
                    bench_result *results)
{
    const int num_operations = options->operations.count;
    bench_report report = {.options = options, .device = clattn_context_device(ctx), .results = results};
    bench_plan_update update = {0};
    bench_probes probes = {0};
    bool good = !options->overhead || bench_plan_update_measure(ctx, options->runs, &update);
    for (int i = 0; i < options->num_problems; i++) {
        bench_result *found = &results[report.num_results];
        if (options->num_problems > 1)
            announce(options, i);
        const bool measured = bench_run_problem(ctx, options, i, &probes, found);
        for (int op = 0; measured && op < num_operations; op++) {
            found[op].first_call = first_calls[i * num_operations + op];
            found[op].plan_update = update;
        }
        report.num_results += measured ? num_operations : 0;
        good = good && measured;
    }
    bench_probes_finish(&probes);
    tool_progress_end();
    if (report.num_results > 0)
        good = write_report(&report) && good;
    return good;
}

/* In children, before this process calls OpenCL: one for each problem and operation. */
static bool measure_first_calls(const bench_options *options, bench_first_call *first_calls)
{
    const int num_operations = options->operations.count;
    for (int i = 0; i < options->num_problems * num_operations; i++) {
        const bench_first_call_params params = {.device = options->device,
                                                .family = options->family,
                                                .tuning_file = options->tuning_file,
                                                .problem = &options->problems[i / num_operations],
                                                .operation = options->operations.at[i % num_operations]};
        if (!bench_first_call_measure(&params, &first_calls[i]))
            return false;
    }
    return true;
}

/* The arrays have an entry for each problem and operation. */
static int run_with(const bench_options *options, bench_first_call *first_calls, bench_result *results)
{
    if (options->plot_path && !tool_gnuplot_check("plot"))
        return EXIT_FAILED;
    /* What fails there for want of a device does so here, too. */
    const bool known = !options->overhead || measure_first_calls(options, first_calls);
    const clattn_context_params params = {
        .device = options->device, .family = options->family, .tuning_file = options->tuning_file, .log = tool_log};
    clattn_context *ctx = NULL;
    const clattn_status status = clattn_context_create(&params, &ctx);
    if (!tool_check(NULL, status, "clattn_context_create"))
        return status == CLATTN_NO_DEVICE ? EXIT_NO_DEVICE : EXIT_FAILED;
    const bool good = known && measure(ctx, options, first_calls, results);
    clattn_context_destroy(&ctx);
    return good ? EXIT_MEASURED : EXIT_FAILED;
}

static int run(const bench_options *options)
{
    const size_t count = (size_t)options->num_problems * (size_t)options->operations.count;
    bench_first_call *first_calls = calloc(count, sizeof *first_calls);
    bench_result *results = calloc(count, sizeof *results);
    int code = EXIT_FAILED;
    if (first_calls && results)
        code = run_with(options, first_calls, results);
    else
        (void)tool_error("out of memory");
    free(first_calls);
    free(results);
    return code;
}

int main(int argc, char **argv)
{
    bench_options options;
    switch (bench_options_parse(&options, argc, argv)) {
    case TOOL_OPTIONS_HELP:
        return EXIT_MEASURED;
    case TOOL_OPTIONS_BAD:
        return EXIT_USAGE;
    case TOOL_OPTIONS_READ:
        break;
    }
    int code = EXIT_MEASURED;
    if (options.list)
        bench_list_print(stdout);
    else
        code = run(&options);
    bench_options_finish(&options);
    return code;
}
