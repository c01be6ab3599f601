/* SPDX-License-Identifier: Apache-2.0 */
/* Which embedded kernel sources make up each program. The strings are generated from cl/ by the build. */
#include "runtime/sources.h"
#include "runtime/program.h"

extern const char clattn_cl_append[];
extern const char clattn_cl_common_addressing[];
extern const char clattn_cl_common_dtype[];
extern const char clattn_cl_common_plan[];
extern const char clattn_cl_common_results[];
extern const char clattn_cl_common_softmax[];
extern const char clattn_cl_merge[];
extern const char clattn_cl_plain_attention[];
extern const char clattn_cl_simt_decode[];
extern const char clattn_cl_simt_prefill[];
extern const char clattn_cl_simt_tile[];
extern const char clattn_cl_vector_decode[];
extern const char clattn_cl_vector_prefill[];
extern const char clattn_cl_vector_vector[];

/* What every attention kernel starts with. */
#define COMMON_PARTS                                                                                                   \
    clattn_cl_common_dtype, clattn_cl_common_plan, clattn_cl_common_addressing, clattn_cl_common_softmax,              \
        clattn_cl_common_results
#define NUM_COMMON_PARTS 5

const clattn_program_source clattn_program_sources[CLATTN_NUM_PROGRAMS] = {
    [CLATTN_PROGRAM_VECTOR_PREFILL] = {.name = "vector/prefill",
                                       .kernel = "clattn_prefill",
                                       .replacement = "plain/attention",
                                       .num_parts = NUM_COMMON_PARTS + 2,
                                       .parts = {COMMON_PARTS, clattn_cl_vector_vector, clattn_cl_vector_prefill}},
    [CLATTN_PROGRAM_VECTOR_DECODE] = {.name = "vector/decode",
                                      .kernel = "clattn_decode",
                                      .replacement = "plain/attention",
                                      .num_parts = NUM_COMMON_PARTS + 2,
                                      .parts = {COMMON_PARTS, clattn_cl_vector_vector, clattn_cl_vector_decode}},
    [CLATTN_PROGRAM_SIMT_PREFILL] = {.name = "simt/prefill",
                                     .kernel = "clattn_prefill",
                                     .replacement = "plain/attention",
                                     .num_parts = NUM_COMMON_PARTS + 2,
                                     .parts = {COMMON_PARTS, clattn_cl_simt_tile, clattn_cl_simt_prefill}},
    [CLATTN_PROGRAM_SIMT_DECODE] = {.name = "simt/decode",
                                    .kernel = "clattn_decode",
                                    .replacement = "plain/attention",
                                    .num_parts = NUM_COMMON_PARTS + 2,
                                    .parts = {COMMON_PARTS, clattn_cl_simt_tile, clattn_cl_simt_decode}},
    [CLATTN_PROGRAM_PLAIN_ATTENTION] = {.name = "plain/attention",
                                        .kernel = "clattn_attention",
                                        .num_parts = NUM_COMMON_PARTS + 1,
                                        .parts = {COMMON_PARTS, clattn_cl_plain_attention}},
    [CLATTN_PROGRAM_MERGE] = {.name = "merge",
                              .kernel = "clattn_merge",
                              .num_parts = NUM_COMMON_PARTS + 1,
                              .parts = {COMMON_PARTS, clattn_cl_merge}},
    [CLATTN_PROGRAM_APPEND] = {.name = "append",
                               .kernel = "clattn_append",
                               .num_parts = 2,
                               .parts = {clattn_cl_common_dtype, clattn_cl_append}},
};
