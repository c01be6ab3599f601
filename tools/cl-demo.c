/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cl-demo: a mixed batch of prefill and decode over a paged KV cache on one OpenCL device, checked against a float64
 * reference and timed against the device's own roofline.
 */
#include "bench/measure.h"
#include "bench/model.h"
#include "bench/rates.h"
#include "common/message.h"
#include "demo/check.h"
#include "demo/step.h"

#include <getopt.h>
#include <string.h>

#define NUM_ROUNDS 7

#define EXIT_GOOD 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

static const char help_text[] =
    "usage: cl-demo [--device NAME|INDEX]\n"
    "\n"
    "Runs a mixed batch of prefill and decode over a paged KV cache, compares every row with a float64 reference and\n"
    "times it against what the device does at most.\n"
    "\n"
    "  --device NAME|INDEX  part of \"platform / device\", or a number (default: the best device)\n"
    "  --help               this text\n"
    "\n"
    "exit status: 0 every row within its bound, 1 not, or something failed, 2 wrong usage\n";

static void print_lengths(const char *name, bool prefill)
{
    const char *separator = "";
    printf("%s", name);
    for (int32_t seq = 0; seq < DEMO_NUM_SEQS; seq++) {
        if ((demo_q_lens[seq] > 1) != prefill)
            continue;
        printf("%s %d", separator, (int)demo_context_lens[seq]);
        separator = ",";
    }
}

static void print_step(const clattn_context *ctx, const demo_step *step)
{
    const clattn_device_facts *device = clattn_context_device(ctx);
    printf("clattn %s on %s (%s, driver %s)\n", clattn_version(), device->name, device->platform, device->driver);
    printf("  heads      %d query heads, %d kv heads, head_dim %d (llama-3-8b), %d layers\n", DEMO_NUM_Q_HEADS,
           DEMO_NUM_KV_HEADS, DEMO_HEAD_DIM, DEMO_NUM_LAYERS);
    printf("  storage    queries, K and V float16, out float32, pages of %d tokens\n", DEMO_PAGE_SIZE);
    printf("  batch      %d sequences, %d new tokens:", DEMO_NUM_SEQS, (int)step->total_tokens);
    print_lengths(" prefill of", true);
    print_lengths("; decode at context", false);
    printf("\n");
}

static bool print_plan(const clattn_context *ctx, const clattn_plan *plan)
{
    clattn_plan_info info;
    if (!tool_check(ctx, clattn_plan_get_info(plan, &info), "clattn_plan_get_info"))
        return false;
    printf("  plan       family %s, %d decode, %d prefill and %d merge items, tile %dx%d\n",
           clattn_family_name(info.family), (int)info.num_decode_items, (int)info.num_prefill_items,
           (int)info.num_merge_items, (int)info.block_q, (int)info.block_kv);
    return true;
}

static void print_verdict(const demo_verdict *verdict)
{
    printf("  accuracy   %s: error %.3g where %.3g is allowed, at the worst of %lld numbers\n",
           verdict->within_bound ? "within bound" : "OUT OF BOUND", verdict->error, verdict->allowed,
           (long long)verdict->num_compared);
    printf("             allowed: twice the largest error of naive float32 (%.3g) and one rounding of out\n\n",
           verdict->naive_error);
}

/* Times the attention of the step and prints the rates. */
static bool time_step(clattn_context *ctx, demo_step *step)
{
    const bench_batch batch = {
        .num_seqs = DEMO_NUM_SEQS,
        .q_lens = demo_q_lens,
        .context_lens = demo_context_lens,
        .num_q_heads = DEMO_NUM_Q_HEADS,
        .num_kv_heads = DEMO_NUM_KV_HEADS,
        .head_dim = DEMO_HEAD_DIM,
        .head_dim_v = DEMO_HEAD_DIM,
        .query_element_bytes = 2,
        .out_element_bytes = 4,
        .kv_element_bytes = 2,
    };
    bench_probes probes;
    if (!bench_probes_init(&probes, ctx))
        return false;
    bench_subject attention = {.enqueue = demo_step_enqueue, .user = step, .num_warmups = DEMO_NUM_LAYERS};
    bench_measurement measurement;
    const bool good = bench_measure(&probes, &attention, 1, NUM_ROUNDS, &measurement);
    bench_probes_finish(&probes);
    if (!good)
        return false;
    const bench_rating rating = bench_rate(bench_count_flops(&batch), bench_count_bytes(&batch), attention.median_s,
                                           measurement.peak_gflops, measurement.read_gbytes_per_s);
    bench_rates_print(&measurement, &attention, &rating, stdout);
    return true;
}

static bool run_step(clattn_context *ctx, demo_step *step)
{
    demo_verdict verdict;
    print_step(ctx, step);
    tool_progress("computing the reference");
    if (!print_plan(ctx, step->plan) || !demo_check(step, &verdict))
        return false;
    print_verdict(&verdict);
    tool_progress("measuring");
    return time_step(ctx, step) && verdict.within_bound;
}

static bool run(const char *device)
{
    const clattn_context_params params = {.device = device, .log = tool_log};
    clattn_context *ctx = NULL;
    const clattn_status status = clattn_context_create(&params, &ctx);
    if (status != CLATTN_OK)
        return tool_check(NULL, status, "clattn_context_create");
    demo_step step;
    tool_progress("building the kernels and running the batch");
    bool good = demo_step_init(&step, ctx);
    if (good) {
        good = run_step(ctx, &step);
        demo_step_finish(&step);
    }
    clattn_context_destroy(&ctx);
    return good;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"device", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *device = NULL;
    int code = 0;
    while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (code == 'h') {
            fputs(help_text, stdout);
            return EXIT_GOOD;
        }
        if (code != 'd')
            return EXIT_USAGE;
        device = optarg;
    }
    if (optind < argc) {
        (void)tool_error("'%s' is no option; --help lists them", argv[optind]);
        return EXIT_USAGE;
    }
    return run(device) ? EXIT_GOOD : EXIT_FAILED;
}
