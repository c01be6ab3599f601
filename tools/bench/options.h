/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-bench. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/operation.h"
#include "bench/shapes.h"

#include <clattn/clattn.h>

#define BENCH_MAX_OPERATIONS 8
#define BENCH_DEFAULT_OPERATION "ragged_page_attention"
#define BENCH_DEFAULT_SHAPE "llama-3-8b"

/* What to measure; every value has been checked. Strings point into argv. */
typedef struct bench_options {
    bool overhead; /* the host time of a call; the problem below is then the smallest there is */
    int num_operations;
    const bench_operation *operations[BENCH_MAX_OPERATIONS];
    bench_shape shape; /* the name is NULL if heads were given by number */
    clattn_dtype dtype;
    clattn_dtype kv_dtype;
    int32_t page_size;       /* of the operations that have pages */
    clattn_kv_layout layout; /* likewise */
    int32_t num_seqs;
    int32_t *q_lens;       /* [num_seqs] */
    int32_t *context_lens; /* [num_seqs] */
    int32_t num_splits;
    clattn_family family;
    const char *device; /* NULL = best */
    int32_t runs;
    const char *json_path; /* NULL = none, "-" = standard output */
} bench_options;

typedef enum bench_options_result {
    BENCH_OPTIONS_RUN,  /* options are filled in */
    BENCH_OPTIONS_HELP, /* the help was asked for and printed */
    BENCH_OPTIONS_BAD   /* a sentence went to stderr */
} bench_options_result;

bench_options_result bench_options_parse(bench_options *options, int argc, char **argv);

/* Frees the lists. */
void bench_options_finish(bench_options *options);

/* Whether an operation of the run reads pages, or a dense cache. */
bool bench_options_have_pages(const bench_options *options);
bool bench_options_have_dense(const bench_options *options);

#endif
