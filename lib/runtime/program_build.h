/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and their kernels from source or from a binary, and the binary of a program. When which of them is made, and
 * where binaries are kept, is program.c's business.
 */
#ifndef CLATTN_RUNTIME_PROGRAM_BUILD_H
#define CLATTN_RUNTIME_PROGRAM_BUILD_H

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/sources.h"

#include <CL/cl.h>
#include <clattn/program.h>

/* What programs are built for. */
typedef struct clattn_build_target {
    cl_context cl;
    cl_device_id device;
    const clattn_log *log;
} clattn_build_target;

/* A program and its one kernel; zero-initialised: none. */
typedef struct clattn_built_program {
    cl_program program;
    cl_kernel kernel;
} clattn_built_program;

/* On failure, which the error and the log tell with the build log, there may be a program without a kernel. */
clattn_status clattn_build_from_source(const clattn_build_target *target, const clattn_program_source *source,
                                       const char *options, clattn_built_program *built, clattn_error *error);

/* False, with nothing made, if the driver refuses the binary. */
bool clattn_build_from_binary(const clattn_build_target *target, const clattn_program_source *source,
                              const char *options, const void *binary, size_t num_bytes, clattn_built_program *built);

/* The binary of a program for the target's device, malloc'ed; NULL if the driver gives none. */
void *clattn_build_read_binary(const clattn_build_target *target, cl_program program, size_t *binary_bytes);

/* Asks the driver for the numbers of `info` that speak of the kernel; the texts are left alone. */
clattn_status clattn_build_read_needs(const clattn_build_target *target, cl_kernel kernel, clattn_program_info *info,
                                      clattn_error *error);

void clattn_built_program_finish(clattn_built_program *built);

#endif
