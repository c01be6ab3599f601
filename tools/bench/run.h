/* SPDX-License-Identifier: Apache-2.0 */
/* Measures one problem with all operations of a run. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench/options.h"
#include "bench/probes.h"
#include "bench/result.h"

/*
 * Fills in one result for each operation, times or, if the options ask for them, overheads. The probes are made if they
 * are zeroed and needed, and serve the next problem as well; the caller finishes them.
 */
bool bench_run_problem(clattn_context *ctx, const bench_options *options, int index, bench_probes *probes,
                       bench_result *results);

#endif
