/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the tools' own kernels. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include <clattn/clattn.h>
#include <stdbool.h>

/* Builds `source` with `options` and takes one kernel from it, which the caller releases. */
bool bench_build_kernel(const clattn_context *ctx, const char *source, const char *options, const char *name,
                        cl_kernel *kernel);

#endif
