/* SPDX-License-Identifier: Apache-2.0 */
/* --warm: builds the programs of a model's shapes into the cache, so that the first calls of an application need not.
 */
#ifndef TUNE_WARM_H
#define TUNE_WARM_H

#include "bench/problem.h"
#include "tune/child.h"

typedef struct tune_warm_params {
    const char *device; /* as clattn_context_params, like the three below */
    clattn_family family;
    const char *cache_dir;
    const char *tuning_file;
    const bench_operation *operation;
    bench_problem problem;       /* without a workload and without kv_dtype */
    tool_choice kv_dtypes;       /* tool_dtype_name_at */
    tool_choice phases, batches; /* clattn_phase and clattn_batch_class */
    double limit_s;              /* for the programs of one phase and batch */
    double end;                  /* of all, by bench_now() */
    bool json;
} tune_warm_params;

/*
 * Builds for each storage type in a process of its own, and says on standard output what was built and what was there.
 * False after saying what failed; the other types have been built then.
 */
bool tune_warm_run(const tune_warm_params *params);

#endif
