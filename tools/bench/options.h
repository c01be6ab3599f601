/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-bench. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/problem.h"
#include "bench/replay.h"
#include "common/json.h"
#include "common/options.h"

/* What to measure; every value has been checked. Strings point into argv. */
typedef struct bench_options {
    bool list;            /* print what there is, and measure nothing */
    bool against_default; /* also time the tiles that run without a tuning file */
    bool overhead;        /* the host time of a call; the problem is then the smallest there is */
    bench_operations operations;
    int num_workloads;
    bench_workload *workloads; /* [num_workloads] */
    int num_problems;
    bench_problem *problems;    /* [num_problems], on the workloads above */
    bench_replay_params replay; /* its trace has no path unless one is to be replayed */
    clattn_family family;
    const char *device;      /* NULL = best */
    const char *tuning_file; /* NULL = the one that contexts read, "" = none */
    int32_t runs;
    const char *json_path;    /* NULL = none, "-" = standard output */
    const char *csv_path;     /* likewise; not both to standard output */
    const char *plot_path;    /* NULL = none */
    const char *compare_path; /* NULL = none */
    cJSON *old;               /* the record there */
} bench_options;

/* Fills in the options if the result is TOOL_OPTIONS_READ; prints the help if that was asked for. */
tool_options_result bench_options_parse(bench_options *options, int argc, char **argv);

/* Frees what the options own. */
void bench_options_finish(bench_options *options);

#endif
