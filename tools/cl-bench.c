/* SPDX-License-Identifier: Apache-2.0 */
/* cl-bench: times an attention operation and holds it against the device's own measured roofline. */
#include "bench/measure.h"
#include "bench/message.h"
#include "bench/options.h"
#include "bench/report.h"
#include "bench/workload.h"

#include <string.h>

#define EXIT_MEASURED 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* Measures a workload that stands on the device and writes what came out. */
static bool measure(clattn_context *ctx, const bench_options *options, bench_workload *workload)
{
    const uint64_t layers_bytes = bench_count_kv_bytes(&workload->batch) * (uint64_t)workload->num_layers;
    bench_probes probes;
    bench_progress("building the probes");
    if (!bench_probes_init(&probes, ctx, layers_bytes))
        return false;

    bench_measurement measurement;
    bench_progress("building the kernels and warming up");
    const bool measured =
        bench_measure(&probes, bench_workload_enqueue, workload, workload->num_layers, options->runs, &measurement);
    bench_probes_finish(&probes);
    if (!measured)
        return false;

    bench_report report = {
        .options = options,
        .workload = workload,
        .device = clattn_context_device(ctx),
        .measurement = &measurement,
        .flops = bench_count_flops(&workload->batch),
        .bytes = bench_count_bytes(&workload->batch),
    };
    report.rating = bench_rate(report.flops, report.bytes, measurement.median_s, measurement.peak_gflops,
                               measurement.read_gbytes_per_s);
    const bool json_to_stdout = options->json_path && strcmp(options->json_path, "-") == 0;
    bench_report_print(&report, json_to_stdout ? stderr : stdout);
    return !options->json_path || bench_report_write_json(&report, options->json_path);
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
        good = measure(ctx, options, &workload);
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
