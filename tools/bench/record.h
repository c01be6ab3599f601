/* SPDX-License-Identifier: Apache-2.0 */
/* The results as a document, which files and comparisons are made from. */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include "bench/report.h"
#include "common/json.h"

/* {"results": [{...}]}, one object for each result, which the caller deletes; NULL after saying why not. */
cJSON *bench_record_make(const bench_report *report);

#endif
