/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-tune. */
#ifndef TUNE_OPTIONS_H
#define TUNE_OPTIONS_H

#include "bench/problem.h"
#include "common/options.h"
#include "tune/search.h"

/* What to do; every value has been checked. Strings point into argv. */
typedef struct tune_options {
    bool list_devices, list_spaces, version; /* tell, and search nothing */
    bool dry_run;
    const bench_operation *operation;
    bench_problem problem;       /* without a workload, which every task has of its own */
    tool_choice phases, batches; /* clattn_phase and clattn_batch_class */
    clattn_family family;
    const char *device; /* NULL = best */
    int strategy;       /* tune_strategy */
    double budget_s;
    int32_t max_candidates; /* of a task, 0 = as many as the budget allows */
    int32_t runs;
    int32_t seed;
    double build_limit_s, run_limit_s;
    const char *cache_dir; /* NULL = a folder that vanishes */
    const char *output;    /* NULL = the user's tuning file */
    bool resume;
    bool json;
} tune_options;

/* Fills in the options if the result is TOOL_OPTIONS_READ; prints the help if that was asked for. */
tool_options_result tune_options_parse(tune_options *options, int argc, char **argv);

#endif
