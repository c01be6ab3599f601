/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded kernel sources and which of them make up each program. Without OpenCL. */
#ifndef CLATTN_RUNTIME_SOURCES_H
#define CLATTN_RUNTIME_SOURCES_H

#define CLATTN_MAX_SOURCE_PARTS 8

typedef struct clattn_program_source {
    const char *name;   /* such as "vector/prefill", for logs */
    const char *kernel; /* the kernel's name */
    int num_parts;
    const char *replacement; /* the program that answers where this one is rejected; NULL = none does */
    const char *parts[CLATTN_MAX_SOURCE_PARTS]; /* in order; each starts with #line 1 "cl/..." */
} clattn_program_source;

/* Indexed by clattn_program_id. */
extern const clattn_program_source clattn_program_sources[];

#endif
