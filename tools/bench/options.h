/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-bench. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/shapes.h"

#include <clattn/clattn.h>

/* What to measure; every value has been checked. Strings point into argv. */
typedef struct bench_options {
    const char *operation;
    bench_shape shape; /* the name is NULL if heads were given by number */
    clattn_dtype dtype;
    clattn_dtype kv_dtype;
    int32_t page_size;
    clattn_kv_layout layout;
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

#endif
