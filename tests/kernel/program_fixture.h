/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts whose counters are compared, and a small program in as many variants as it takes. */
#ifndef PROGRAM_FIXTURE_H
#define PROGRAM_FIXTURE_H

#include "runtime/context.h"

/* What the log callback received. */
typedef struct program_log {
    int num_lines[CLATTN_LOG_DEBUG + 1];
    bool names_source_line; /* a line of the build log told file and line number */
} program_log;

/* On the device of the tests. The log may be NULL. */
clattn_context *program_create_context(const char *cache_dir, uint64_t cache_max_bytes, program_log *log);

/* The append program that copies float32 rows, by default in groups of `work_group_size`. */
clattn_variant program_append_variant(int32_t work_group_size);

clattn_status program_find_kernel(clattn_context *ctx, const clattn_variant *variant, cl_kernel *kernel);

/* The kernel of program_append_variant(); fails the test if there is none. */
cl_kernel program_require_kernel(clattn_context *ctx, int32_t work_group_size);

void program_assert_stats(const clattn_context *ctx, int num_programs, int num_built, int num_hits, int num_rejected);

/* Builds or loads one variant in a context of its own and compares the counters. */
void program_assert_fresh_context(const char *cache_dir, int num_built, int num_hits, int num_rejected);

/* Appends one token to a cache of one page and reads it back. */
void program_assert_append_copies(clattn_context *ctx);

#endif
