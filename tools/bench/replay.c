/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of a replay, and what they come to. */
#include "bench/replay.h"

#include "bench/engine.h"
#include "bench/statistics.h"
#include "common/message.h"

#include <stdlib.h>

#define NUM_WARMUP_STEPS 64

/* What one round came to. */
typedef struct round_sums {
    int64_t num_steps;
    double attention_s, process_s, host_s; /* as bench_step */
    double floor_s, floor_compute_s;       /* of all steps, and of those that the flops bound */
    uint64_t flops, bytes;
    bench_replay_figures figures;
} round_sums;

/* Adds a step, and its floor at the rates of the device. */
static void add_step(const bench_step *step, const bench_measurement *rates, round_sums *sums)
{
    const bench_rating rating =
        bench_rate(step->flops, step->bytes, step->attention_s, rates->peak_gflops, rates->read_gbytes_per_s);
    sums->num_steps++;
    sums->attention_s += step->attention_s;
    sums->process_s += step->process_s;
    sums->host_s += step->host_s;
    sums->flops += step->flops;
    sums->bytes += step->bytes;
    sums->floor_s += rating.floor_s;
    sums->floor_compute_s += rating.compute_bound ? rating.floor_s : 0.0;
}

/* At the end every token has been computed once and every page is free again. */
static bool check_end(const bench_engine *engine, const bench_batcher *batcher)
{
    int64_t prompt_tokens = 0;
    int64_t decode_tokens = 0;
    for (int32_t i = 0; i < engine->batching.trace->num_requests; i++) {
        prompt_tokens += engine->batching.trace->requests[i].prompt_tokens;
        decode_tokens += engine->batching.trace->requests[i].generated_tokens - 1;
    }
    if (batcher->prompt_tokens != prompt_tokens || batcher->decode_tokens != decode_tokens)
        return tool_error("the replay computed %lld prompt and %lld decode tokens of %lld and %lld",
                          (long long)batcher->prompt_tokens, (long long)batcher->decode_tokens,
                          (long long)prompt_tokens, (long long)decode_tokens);
    const int32_t free_pages = clattn_kv_cache_num_free_pages(engine->cache);
    return free_pages == engine->batching.num_pages ||
           tool_error("the replay kept %d of %d pages", (int)(engine->batching.num_pages - free_pages),
                      (int)engine->batching.num_pages);
}

/* All steps, or the first `max_steps`. */
static bool run_round(bench_engine *engine, int64_t max_steps, const bench_measurement *rates, round_sums *sums)
{
    bench_batcher batcher;
    *sums = (round_sums){0};
    if (!bench_batcher_init(&batcher, &engine->batching))
        return false;
    bool good = true;
    bool more = true;
    while (good && sums->num_steps < max_steps && (more = bench_batcher_next(&batcher))) {
        bench_step step;
        good = bench_engine_step(engine, &batcher, &step);
        if (good)
            add_step(&step, rates, sums);
    }
    good = good && (more ? bench_engine_release_all(engine) : check_end(engine, &batcher));
    sums->figures = (bench_replay_figures){
        .num_requests = engine->batching.trace->num_requests,
        .num_steps = sums->num_steps,
        .prompt_tokens = batcher.prompt_tokens,
        .decode_tokens = batcher.decode_tokens,
        .most_seqs = batcher.most_shares,
        .most_pages = batcher.most_pages,
        .num_pages = engine->batching.num_pages,
    };
    bench_batcher_finish(&batcher);
    return good;
}

/* Samples of the rounds. */
typedef struct replay_samples {
    double *attention, *host, *busy, *fraction, *peak, *read; /* [runs] each */
} replay_samples;

static bool sample_round(bench_engine *engine, const bench_probes *probes, const replay_samples *samples, int round,
                         round_sums *sums)
{
    bench_measurement rates = {.runs = 1};
    if (!bench_probe_sample(probes, &probes->fma, &rates.peak_gflops) ||
        !bench_probe_sample(probes, &probes->read, &rates.read_gbytes_per_s) ||
        !run_round(engine, INT64_MAX, &rates, sums))
        return false;
    samples->attention[round] = sums->attention_s;
    samples->host[round] = sums->host_s;
    samples->busy[round] = sums->process_s / sums->attention_s;
    samples->fraction[round] = sums->floor_s / sums->attention_s;
    samples->peak[round] = rates.peak_gflops;
    samples->read[round] = rates.read_gbytes_per_s;
    return true;
}

static double median_of(double *samples, int runs, double *spread)
{
    const bench_quartiles quartiles = bench_quartiles_of(samples, (size_t)runs);
    *spread = bench_spread(&quartiles);
    return quartiles.median;
}

/* The steps are the same in every round: only times differ. */
static void summarise(const bench_engine *engine, const replay_samples *samples, int runs, const round_sums *last,
                      bench_result *result)
{
    double ignored = 0.0;
    bench_measurement *measurement = &result->measurement;
    bench_subject *subject = &result->subject;
    measurement->runs = runs;
    measurement->peak_gflops = median_of(samples->peak, runs, &measurement->peak_spread);
    measurement->read_gbytes_per_s = median_of(samples->read, runs, &measurement->read_spread);
    subject->num_repeats = 1;
    subject->ratio = 1.0;
    subject->median_s = median_of(samples->attention, runs, &subject->spread);
    subject->busy_threads = median_of(samples->busy, runs, &ignored);
    result->flops = last->flops;
    result->bytes = last->bytes;
    result->rating = (bench_rating){
        .gflops = (double)last->flops / subject->median_s * 1e-9,
        .gbytes_per_s = (double)last->bytes / subject->median_s * 1e-9,
        .fraction = median_of(samples->fraction, runs, &ignored),
        .compute_bound = last->floor_compute_s * 2.0 >= last->floor_s,
    };
    result->rating.floor_s = result->rating.fraction * subject->median_s;
    result->idle_share = bench_idle_share(clattn_context_device(engine->ctx), subject);
    result->replay = last->figures;
    result->replay.host_s = median_of(samples->host, runs, &ignored);
}

static bool run_rounds(const bench_probes *probes, bench_engine *engine, int runs, bench_result *result)
{
    const bench_measurement any_rates = {.peak_gflops = 1.0, .read_gbytes_per_s = 1.0};
    const size_t count = (size_t)runs;
    round_sums sums;
    double *storage = calloc(6 * count, sizeof *storage);
    bool good = storage || tool_error("out of memory");
    const replay_samples samples = {.attention = storage,
                                    .host = storage + count,
                                    .busy = storage + 2 * count,
                                    .fraction = storage + 3 * count,
                                    .peak = storage + 4 * count,
                                    .read = storage + 5 * count};
    tool_progress("building the kernels and warming up");
    good = good && run_round(engine, NUM_WARMUP_STEPS, &any_rates, &sums);
    for (int round = 0; good && round < runs; round++) {
        good = sample_round(engine, probes, &samples, round, &sums);
        if (good)
            tool_progress_bar(round + 1, runs, "round %d of %d: %lld steps, %.3f s", round + 1, runs,
                              (long long)sums.num_steps, sums.attention_s);
    }
    if (good)
        summarise(engine, &samples, runs, &sums, result);
    free(storage);
    return good;
}

bool bench_replay_measure(const bench_probes *probes, clattn_context *ctx, const bench_problem *problem,
                          const bench_replay_params *params, int runs, bench_result *result)
{
    bench_engine engine;
    const bench_batcher_params batching = {
        .trace = &params->trace,
        .step_s = params->step_s,
        .token_budget = params->token_budget,
        .max_seqs = params->max_seqs,
        .num_pages = params->kv_tokens / problem->page_size,
        .page_size = problem->page_size,
    };
    tool_progress("filling the KV cache on %s", clattn_context_device(ctx)->name);
    if (!bench_engine_init(&engine, ctx, problem, &batching))
        return false;
    *result = (bench_result){
        .problem = problem,
        .operation = bench_operation_at(BENCH_RAGGED_PAGE_ATTENTION),
        .out_dtype = problem->dtype,
        .num_layers = 1,
    };
    bool good = run_rounds(probes, &engine, runs, result);
    good = good && tool_check(ctx, clattn_plan_get_info(engine.plan, &result->plan_info), "clattn_plan_get_info");
    bench_engine_finish(&engine);
    return good;
}
