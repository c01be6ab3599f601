/* SPDX-License-Identifier: Apache-2.0 */
/* A random batch of attention on the device: queries, layers of K and V in shuffled pages, and the plan they share. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/model.h"
#include "bench/options.h"

#define BENCH_MAX_LAYERS 64

typedef struct bench_workload {
    clattn_context *ctx; /* borrowed */
    bench_batch batch;   /* for counting; its lists are the options' */
    clattn_dtype kv_dtype;
    int32_t total_tokens;
    int32_t num_pages;
    int32_t pages_per_seq;
    int32_t *query_start_loc; /* [num_seqs+1] */
    int32_t *block_tables;    /* [num_seqs, pages_per_seq] */
    int32_t num_layers;
    int32_t next_layer;              /* which K and V the next enqueue reads */
    cl_mem keys[BENCH_MAX_LAYERS];   /* with the combined layout K and V together */
    cl_mem values[BENCH_MAX_LAYERS]; /* NULL with the combined layout */
    cl_mem queries, out, sinks;      /* sinks NULL without */
    clattn_plan_params plan_params;
    clattn_plan *plan;
    clattn_plan_info plan_info;
    double plan_s;                              /* creating the plan and uploading it */
    double plan_update_s;                       /* replacing its batch by the same one, median */
    clattn_ragged_page_attention_params params; /* without K and V, which change from call to call */
} bench_workload;

/* Builds everything the options ask for; options outlive the workload. */
bool bench_workload_init(bench_workload *workload, clattn_context *ctx, const bench_options *options);

/* Accepts a half-made or zeroed object. */
void bench_workload_finish(bench_workload *workload);

/* Enqueues the operation once, on the next layer: a bench_enqueue over a bench_workload. */
bool bench_workload_enqueue(void *workload);

#endif
