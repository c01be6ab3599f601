/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-tune. */
#ifndef TUNE_OPTIONS_H
#define TUNE_OPTIONS_H

#include "bench/problem.h"
#include "common/options.h"
#include "tune/search.h"

/* What is done, as a set of bits: options that only some of it has are refused with the rest. */
typedef enum tune_mode {
    TUNE_MODE_SEARCH = 1,
    TUNE_MODE_DRY_RUN = 2,
    TUNE_MODE_EXPLAIN = 4,
    TUNE_MODE_CHECK = 8,
    TUNE_MODE_WARM = 16,
    TUNE_MODE_REPORT = 32, /* of a journal that is there */
    TUNE_MODE_MERGE = 64,
    TUNE_MODE_EXPORT = 128,
    TUNE_MODE_LIST_DEVICES = 256,
    TUNE_MODE_LIST_SPACES = 512,
    TUNE_MODE_VERSION = 1024
} tune_mode;

/* What to do; every value has been checked. Strings point into argv. */
typedef struct tune_options {
    tune_mode mode;
    const bench_operation *operation;
    bench_problem problem;       /* without a workload, which every task has of its own */
    bool has_shape, has_dtype;   /* the problem's were given */
    tool_choice kv_dtypes;       /* tool_dtype_name_at; a search is of the problem's alone */
    tool_choice phases, batches; /* clattn_phase and clattn_batch_class */
    clattn_family family;
    const char *device; /* NULL = best */
    int strategy;       /* tune_strategy */
    double budget_s;
    int32_t max_candidates; /* of a task, 0 = as many as the budget allows */
    int32_t runs;
    int32_t seed;
    double build_limit_s, run_limit_s;
    const char *cache_dir;   /* NULL = a folder that vanishes; without a search that of contexts */
    const char *tuning;      /* the tuning file of contexts, as clattn_context_params */
    const char *output;      /* NULL = the user's tuning file */
    const char *report;      /* NULL = none */
    const char *journal;     /* that a report is made of */
    const char *export_path; /* "-" = standard output */
    tool_texts merge;
    bool resume;
    bool json;
} tune_options;

/* Fills in the options if the result is TOOL_OPTIONS_READ; prints the help if that was asked for. */
tool_options_result tune_options_parse(tune_options *options, int argc, char **argv);

#endif
