/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that a context holds in memory, and what their kernels need of the device. */
#ifndef CLATTN_PROGRAM_H
#define CLATTN_PROGRAM_H

#include <clattn/context.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A program, and what its one kernel needs: the numbers are the driver's (clGetKernelWorkGroupInfo). */
typedef struct clattn_program_info {
    const char *program;           /* such as "vector/decode" */
    const char *kernel;            /* the name of its kernel */
    const char *options;           /* that it was built with */
    bool is_loaded;                /* from the cache directory; false = built from source */
    uint64_t local_memory_bytes;   /* of a work-group; local arguments count once they have been set, by a call */
    uint64_t private_memory_bytes; /* of a work-item, at the least; many drivers say 0 */
    uint32_t max_work_group_size;  /* work-items that the kernel can run with */
    uint32_t preferred_multiple;   /* of work-group sizes */
} clattn_program_info;

/** Receives one program; what it points to lives during the call. It must not use the context. */
typedef void (*clattn_program_visitor)(void *user, const clattn_program_info *info);

/**
 * Hands every program that the context holds in memory to `visit`, in the order in which they were first needed.
 * Kernels that were rejected (verify_kernels) are not among them.
 *
 * Edge      a context that has not yet needed a kernel holds no program
 * Errors    INVALID_ARGUMENT  ctx or visit is NULL
 *           OPENCL_ERROR      the driver does not answer; some programs may have been visited
 * Since     0.1
 */
CLATTN_API clattn_status clattn_context_visit_programs(clattn_context *ctx, clattn_program_visitor visit, void *user);

#ifdef __cplusplus
}
#endif

#endif
