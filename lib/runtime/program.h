/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel variants: an embedded program and the values of its defines, built on first use and kept
 * in memory for the life of the context and in the disk cache beyond it.
 */
#ifndef CLATTN_RUNTIME_PROGRAM_H
#define CLATTN_RUNTIME_PROGRAM_H

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/program_cache.h"

#include <CL/cl.h>
#include <clattn/program.h>
#include <clattn/verdict.h>

/* Every program and its one kernel; the table with their source parts is in sources.c. */
typedef enum clattn_program_id {
    CLATTN_PROGRAM_VECTOR_PREFILL,
    CLATTN_PROGRAM_VECTOR_DECODE,
    CLATTN_PROGRAM_SIMT_PREFILL,
    CLATTN_PROGRAM_SIMT_DECODE,
    CLATTN_PROGRAM_PLAIN_ATTENTION,
    CLATTN_PROGRAM_MERGE,
    CLATTN_PROGRAM_APPEND,
    CLATTN_NUM_PROGRAMS
} clattn_program_id;

#define CLATTN_MAX_DEFINES 24

typedef struct clattn_define {
    const char *name; /* static storage */
    int32_t value;
} clattn_define;

typedef struct clattn_variant {
    clattn_program_id program;
    int32_t num_defines;
    clattn_define defines[CLATTN_MAX_DEFINES];
} clattn_variant;

/* Appends a define; asserts that there is room. */
void clattn_variant_define(clattn_variant *variant, const char *name, int32_t value);

/* The value of a define; 0 if the variant has none of that name. */
int32_t clattn_variant_value(const clattn_variant *variant, const char *name);

/* The options that a variant is built with; malloc'ed, NULL without memory. */
char *clattn_variant_options(const clattn_variant *variant);

/*
 * Tries a freshly built kernel and gives the verdict on it. Fails where the trial itself could not be made, which says
 * nothing about the kernel. `run` NULL: every kernel is taken at its word.
 */
typedef struct clattn_program_trial {
    clattn_status (*run)(void *user, const clattn_variant *variant, cl_kernel kernel, clattn_verdict *verdict,
                         clattn_error *error);
    void *user; /* outlives the store */
} clattn_program_trial;

/* Programs of one device: an array searched by hash, and the disk cache behind it. Owned by the context. */
typedef struct clattn_program_store clattn_program_store;

typedef struct clattn_program_store_params {
    cl_context cl;
    cl_device_id device;
    const clattn_device_facts *facts; /* outlives the store */
    const char *cache_dir;            /* resolved directory, NULL = no disk cache */
    uint64_t cache_max_bytes;         /* as in clattn_context_params */
    const clattn_log *log;            /* outlives the store */
    clattn_program_trial trial;
} clattn_program_store_params;

clattn_status clattn_program_store_create(const clattn_program_store_params *params, clattn_program_store **store,
                                          clattn_error *error);

/* Releases every kernel and program; waits for nothing. */
void clattn_program_store_destroy(clattn_program_store **store);

/*
 * The kernel of a variant, built and tried if need be; it belongs to the store. The build log goes into `error` and the
 * log. KERNEL_REJECTED: the variant failed its trial, now or earlier.
 */
clattn_status clattn_program_store_kernel(clattn_program_store *store, const clattn_variant *variant, cl_kernel *kernel,
                                          clattn_error *error);

/* As clattn_context_visit_programs() says. */
clattn_status clattn_program_store_visit(const clattn_program_store *store, clattn_program_visitor visit, void *user,
                                         clattn_error *error);

/* The directory of the disk cache; NULL = none. */
const char *clattn_program_store_cache_dir(const clattn_program_store *store);

void clattn_program_store_stats(const clattn_program_store *store, clattn_cache_stats *stats);

#endif
