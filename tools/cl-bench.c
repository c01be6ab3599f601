/* SPDX-License-Identifier: Apache-2.0 */
/* cl-bench: times attention operations against the device's own measured roofline, or the host's part of a call. */
#include "bench/measure.h"
#include "bench/message.h"
#include "bench/options.h"
#include "bench/report.h"
#include "bench/workload.h"

#include <string.h>

#define EXIT_MEASURED 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* Times the operations in turns and rates what came out. */
static bool time_calls(const bench_workload *workload, bench_call *calls, bench_result *results,
                       bench_measurement *measurement)
{
    const bench_options *options = workload->options;
    const uint64_t layers_bytes = bench_count_kv_bytes(&workload->batch) * (uint64_t)workload->num_layers;
    bench_probes probes;
    bench_progress("building the probes");
    if (!bench_probes_init(&probes, workload->ctx, layers_bytes))
        return false;

    bench_subject subjects[BENCH_MAX_OPERATIONS];
    for (int i = 0; i < options->num_operations; i++)
        subjects[i] =
            (bench_subject){.enqueue = bench_call_enqueue, .user = &calls[i], .num_warmups = workload->num_layers};
    bench_progress("building the kernels and warming up");
    const bool good = bench_measure(&probes, subjects, options->num_operations, options->runs, measurement);
    bench_probes_finish(&probes);
    for (int i = 0; good && i < options->num_operations; i++) {
        bench_result *result = &results[i];
        result->subject = subjects[i];
        result->flops = bench_count_flops(&calls[i].batch);
        result->bytes = bench_count_bytes(&calls[i].batch);
        result->rating = bench_rate(result->flops, result->bytes, subjects[i].median_s, measurement->peak_gflops,
                                    measurement->read_gbytes_per_s);
    }
    return good;
}

static bool time_overheads(const bench_options *options, bench_call *calls, bench_result *results)
{
    for (int i = 0; i < options->num_operations; i++) {
        bench_progress("calling %s", options->operations[i]->name);
        if (!bench_overhead_measure(&calls[i], options->runs, &results[i].overhead))
            return false;
    }
    return true;
}

/* Measures planned calls and writes what came out. */
static bool measure(const bench_workload *workload, bench_call *calls)
{
    const bench_options *options = workload->options;
    bench_result results[BENCH_MAX_OPERATIONS] = {0};
    bench_measurement measurement = {0};
    for (int i = 0; i < options->num_operations; i++)
        results[i].call = &calls[i];
    if (options->overhead ? !time_overheads(options, calls, results)
                          : !time_calls(workload, calls, results, &measurement))
        return false;

    const bench_report report = {
        .workload = workload,
        .device = clattn_context_device(workload->ctx),
        .measurement = options->overhead ? NULL : &measurement,
        .num_results = options->num_operations,
        .results = results,
    };
    const bool json_to_stdout = options->json_path && strcmp(options->json_path, "-") == 0;
    bench_report_print(&report, json_to_stdout ? stderr : stdout);
    return !options->json_path || bench_report_write_json(&report, options->json_path);
}

/* Plans every operation on the workload, and measures them. */
static bool plan_and_measure(const bench_workload *workload)
{
    const bench_options *options = workload->options;
    bench_call calls[BENCH_MAX_OPERATIONS] = {0};
    bool good = true;
    for (int i = 0; good && i < options->num_operations; i++)
        good = bench_call_init(&calls[i], workload, options->operations[i]);
    good = good && measure(workload, calls);
    for (int i = 0; i < options->num_operations; i++)
        bench_call_finish(&calls[i]);
    return good;
}

static bool run(const bench_options *options)
{
    const clattn_context_params params = {.device = options->device, .family = options->family, .log = bench_log};
    clattn_context *ctx = NULL;
    const clattn_status status = clattn_context_create(&params, &ctx);
    if (status != CLATTN_OK)
        return bench_check(NULL, status, "clattn_context_create");

    bench_workload workload;
    bench_progress("filling the KV cache on %s", clattn_context_device(ctx)->name);
    bool good = bench_workload_init(&workload, ctx, options);
    if (good) {
        good = plan_and_measure(&workload);
        bench_workload_finish(&workload);
    }
    clattn_context_destroy(&ctx);
    return good;
}

int main(int argc, char **argv)
{
    bench_options options;
    switch (bench_options_parse(&options, argc, argv)) {
    case BENCH_OPTIONS_HELP:
        return EXIT_MEASURED;
    case BENCH_OPTIONS_BAD:
        return EXIT_USAGE;
    case BENCH_OPTIONS_RUN:
        break;
    }
    const bool good = run(&options);
    bench_options_finish(&options);
    return good ? EXIT_MEASURED : EXIT_FAILED;
}
