/* SPDX-License-Identifier: Apache-2.0 */
/* A plan alone: it needs no keys, values or queries. */
#include "bench/plan_update.h"

#include "bench/clock.h"
#include "bench/sequences.h"
#include "bench/statistics.h"
#include "common/message.h"
#include "common/names.h"
#include "common/shapes.h"

#include <stdlib.h>
#include <string.h>

#define SEED 20240607
#define PAGE_SIZE 16
#define WORKLOAD "ragged"

static bool make_sequences(bench_sequences *sequences)
{
    bench_random random;
    bench_workload workload;
    bench_random_init(&random, SEED);
    if (!bench_workload_init_named(&workload, tool_name_find(bench_workload_name_at, WORKLOAD, strlen(WORKLOAD))))
        return false;
    const bool good = bench_sequences_init(sequences, &workload, PAGE_SIZE, 0, &random);
    bench_workload_finish(&workload);
    return good;
}

static bool time_updates(clattn_context *ctx, const clattn_plan_params *params, int runs, double *samples)
{
    clattn_plan *plan = NULL;
    bool good = tool_check(ctx, clattn_plan_create(ctx, params, &plan), "clattn_plan_create");
    for (int i = 0; good && i < runs; i++) {
        good = tool_check_cl(clFinish(clattn_context_cl_queue(ctx)), "clFinish");
        const double start = bench_now();
        good = good && tool_check(ctx, clattn_plan_update(plan, params), "clattn_plan_update");
        samples[i] = bench_now() - start;
    }
    clattn_plan_destroy(&plan);
    return good;
}

bool bench_plan_update_measure(clattn_context *ctx, int runs, bench_plan_update *update)
{
    const tool_shape *shape = tool_shape_at(0);
    bench_sequences sequences;
    if (!make_sequences(&sequences))
        return false;
    const clattn_plan_params params = {
        .num_seqs = sequences.lengths.num_seqs,
        .total_tokens = sequences.lengths.total_tokens,
        .query_start_loc = sequences.query_start_loc,
        .context_lens = sequences.lengths.context_lens,
        .block_tables = sequences.block_tables,
        .pages_per_seq = sequences.pages_per_seq,
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .page_size = PAGE_SIZE,
        .num_pages = sequences.num_pages,
    };
    tool_progress("updating a plan of %d sequences", (int)params.num_seqs);
    double *samples = calloc((size_t)runs, sizeof *samples);
    const bool good = samples ? time_updates(ctx, &params, runs, samples) : tool_error("out of memory");
    if (good) {
        const bench_quartiles quartiles = bench_quartiles_of(samples, (size_t)runs);
        *update = (bench_plan_update){params.num_seqs, quartiles.median, bench_spread(&quartiles)};
    }
    free(samples);
    bench_sequences_finish(&sequences);
    return good;
}
