/* SPDX-License-Identifier: Apache-2.0 */
/* The lengths of a batch: those that have a name, and those that were written as lists. Host code without OpenCL. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_MAX_SEQS 65536

/* q_lens and context_lens [num_seqs], in tokens, 1 <= q_len <= context_len. */
typedef struct bench_workload {
    const char *name; /* NULL = given by number */
    int32_t num_seqs;
    int32_t total_tokens; /* sum of q_lens */
    int32_t *q_lens;
    int32_t *context_lens; /* this step's tokens included */
} bench_workload;

/* What sequences do in the step; a set of bits. */
typedef enum bench_phases {
    BENCH_DECODES = 1,  /* one new token */
    BENCH_PREFILLS = 2, /* several */
    BENCH_ALL_PHASES = BENCH_DECODES | BENCH_PREFILLS
} bench_phases;

/* The names in order, a tool_name_at, and what stands behind a name in a sentence. */
const char *bench_workload_name_at(int index);
const char *bench_workload_text_at(int index);

/* A named workload; false after saying that memory is short. */
bool bench_workload_init_named(bench_workload *workload, int index);

/*
 * A workload from lists of numbers separated by commas: one for all sequences, or one for each. num_seqs 0 = as many as
 * the longer list has; a list that is NULL has one number, 1 or 1024. False after saying what is wrong.
 */
bool bench_workload_init_listed(bench_workload *workload, int32_t num_seqs, const char *q_lens,
                                const char *context_lens);

/* What stands for the batches of a trace: a name without sequences. */
bool bench_workload_init_trace(bench_workload *workload);

/* The sequences of a workload that are of one of the phases, in their order: at least one. */
bool bench_workload_init_part(bench_workload *part, const bench_workload *whole, bench_phases phases);

/* Accepts a half-made or zeroed object. */
void bench_workload_finish(bench_workload *workload);

/* Whether a sequence is of one of the phases, and how many are. */
bool bench_workload_has(const bench_workload *workload, int32_t sequence, bench_phases phases);
int32_t bench_workload_count(const bench_workload *workload, bench_phases phases);

/* Tokens of the longest sequence; 0 without sequences. */
int32_t bench_workload_longest(const bench_workload *workload);

#endif
