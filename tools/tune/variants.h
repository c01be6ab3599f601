/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels that a self-test runs: each storage type, option, width and layout that changes what is compiled or how
 * it is called. Needs no device. */
#ifndef TUNE_VARIANTS_H
#define TUNE_VARIANTS_H

#include "bench/problem.h"

#define TUNE_VARIANT_NAME_BYTES 128

typedef enum tune_variant_kind { TUNE_VARIANT_ATTENTION, TUNE_VARIANT_MERGE, TUNE_VARIANT_APPEND } tune_variant_kind;

typedef struct tune_variant {
    tune_variant_kind kind;
    const char *option; /* what is special about it: "plain", "soft cap", ... */
    clattn_dtype dtype; /* of K and V, of states, or of the cache */
    clattn_kv_layout layout;
    /* Attention alone: */
    int problem_number; /* variants that have it in common differ in the family alone */
    clattn_family family;
    clattn_phase phase;
    const bench_operation *operation;
    bench_problem problem; /* without a workload */
    /* Merge alone: */
    int32_t head_dim;
    bool by_lse;
} tune_variant;

/* Which of them are wanted. */
typedef struct tune_variant_params {
    clattn_family family; /* 0 = all */
    bool phases[CLATTN_NUM_PHASES];
    bool kv_dtypes[CLATTN_NUM_DTYPES];
    clattn_dtype dtype;      /* of queries; 0 = as K and V */
    const tool_shape *shape; /* heads and options; NULL = a choice of them */
} tune_variant_params;

typedef struct tune_variants {
    int count;
    int num_problems;
    tune_variant *at;
} tune_variants;

/* False for want of memory. The variants of one problem stand side by side. */
bool tune_variants_init(tune_variants *variants, const tune_variant_params *params);

void tune_variants_finish(tune_variants *variants);

/* The function that is called, without its prefix. */
const char *tune_variant_operation(const tune_variant *variant);

/* How K and V are stored: the name of a layout, or "dense"; NULL where there are none. */
const char *tune_variant_layout(const tune_variant *variant);

/* "vector decode ragged_page_attention float16 128 combined, soft cap", in columns. */
void tune_variant_describe(const tune_variant *variant, char text[TUNE_VARIANT_NAME_BYTES]);

#endif
