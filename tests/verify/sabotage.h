/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that miscompiles, refuses, fails or dies as a test wants it to: the linker hands the library's OpenCL calls
 * to it. And contexts whose kernels have to prove themselves to it.
 */
#ifndef VERIFY_SABOTAGE_H
#define VERIFY_SABOTAGE_H

#include "support/attention.h"
#include "support/directory.h"

#define SABOTAGE_MAX_PARTS 2

/* All zero = an honest driver. What happens to programs happens to those that have one of these parts, such as "merge".
 */
typedef struct sabotage {
    const char *parts[SABOTAGE_MAX_PARTS]; /* beginnings of paths below cl/, NULL = none */
    const char *change;                    /* a line before their source; NULL = every second work-group is left out */
    const char *text;                      /* of their source, in whose place the change comes; NULL = none */
    bool refuses;                          /* to build them */
    bool dies_in_build;
    bool dies_in_kernel;       /* whatever it is */
    cl_int kernel_result;      /* of every enqueued kernel, instead of running it; 0 = it runs */
    int buffers_until_failure; /* the buffer that is not made, 0 = none */
} sabotage;

/* The driver's present mood, and what it was asked for since somebody looked. */
extern sabotage sabotage_now;
extern int sabotage_num_kernels;

/* The path of the kernels of a family. */
const char *sabotage_part_of(clattn_family family);

/* What the log said. */
typedef struct verify_log {
    int num_warnings;
    int num_errors;
    char warning[CLATTN_NAME_BYTES * 8]; /* the last one */
} verify_log;

typedef struct verify_fixture {
    support_device device;
    verify_log log;
} verify_fixture;

/* Whether there is a device that runs the family under test; says so if not. */
bool verify_has_device(void);

/* A context of the family under test that keeps its programs and verdicts in `directory` ("" = nowhere). */
verify_fixture *verify_open(const char *directory, bool verify_kernels);
void verify_close(verify_fixture **fixture);

/* The verdicts and programs in the context's directory. */
typedef struct verify_files {
    int num_programs;
    int num_verdicts[CLATTN_NUM_VERDICT_KINDS];
    int num_others;
} verify_files;

verify_files verify_list(const verify_fixture *fixture);

/* One short batch, decoded: one kernel, or with splits two. */
support_attention_case verify_batch(int32_t num_splits);

#endif
