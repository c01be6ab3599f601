/* SPDX-License-Identifier: Apache-2.0 */
/* What one operation on one problem came to. */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include "bench/call.h"
#include "bench/first_call.h"
#include "bench/overhead.h"
#include "bench/plan_update.h"
#include "bench/rates.h"

/* What a replay of a trace did; its time is the subject's. */
typedef struct bench_replay_figures {
    int32_t num_requests; /* 0 = no replay */
    int64_t num_steps;
    int64_t prompt_tokens, decode_tokens; /* computed */
    int32_t most_seqs, most_pages;        /* at once */
    int32_t num_pages;                    /* of the cache */
    double host_s;                        /* extending sequences and updating plans, median of the rounds */
} bench_replay_figures;

typedef struct bench_result {
    const bench_problem *problem; /* borrowed */
    const bench_operation *operation;
    clattn_dtype out_dtype;
    int32_t seq_len; /* of a dense cache; 0 with pages */
    int32_t num_layers;
    clattn_plan_info plan_info;
    double plan_s, plan_update_s;
    bench_measurement measurement;
    bench_subject subject;
    bench_rating rating;
    double paged_read_gbytes_per_s; /* reading alone what the operation reads of K and V; 0 = not measured */
    double paged_read_spread;
    double paged_fraction; /* that of the rating, with the paged rate in place of the read bandwidth */
    uint64_t flops, bytes; /* of one operation */
    double idle_share;     /* of the compute units' time; negative = not known */
    bench_replay_figures replay;
    /* Instead of all from the measurement on, if that is what the options ask for: */
    bench_overhead overhead;
    bench_first_call first_call;
    bench_plan_update plan_update; /* the same for all */
} bench_result;

/* What is known of a call before it has been measured. */
bench_result bench_result_of(const bench_call *call);

/* Adds what the rounds of a measurement showed of the call and of reading its K and V alone. */
void bench_result_rate(bench_result *result, const bench_call *call, const bench_subject *subject,
                       const bench_subject *paged_read, const bench_measurement *measurement);

/* 1 - threads at work over compute units; negative for a device that does not work in threads of this process. */
double bench_idle_share(const clattn_device_facts *facts, const bench_subject *subject);

/* Tokens of a replay, prompts and generated ones, and generated ones alone, in a second of one layer's attention. */
double bench_result_tokens_per_s(const bench_result *result);
double bench_result_decodes_per_s(const bench_result *result);

/* Device memory of the plan: its work list and the workspace of split rows. A call with a plan takes no other. */
uint64_t bench_result_extra_bytes(const bench_result *result);

/* Whether the machine was too restless for the figure to count. */
bool bench_result_is_noisy(const bench_result *result);

#endif
