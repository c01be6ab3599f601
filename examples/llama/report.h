/* SPDX-License-Identifier: Apache-2.0 */
/* How the parts of the generator say what went wrong: one sentence on standard error. */
#ifndef LLAMA_REPORT_H
#define LLAMA_REPORT_H

#include <stdbool.h>

#if defined(__GNUC__) || defined(__clang__)
#define LLAMA_PRINTF __attribute__((format(printf, 1, 2)))
#else
#define LLAMA_PRINTF
#endif

/** Writes "generate: <sentence>" to standard error and returns false, for `return llama_fail(...)`. */
bool llama_fail(const char *format, ...) LLAMA_PRINTF;

/** As llama_fail(), for an allocation: names what did not fit into memory. */
bool llama_fail_memory(const char *what);

#endif
