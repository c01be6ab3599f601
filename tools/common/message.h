/* SPDX-License-Identifier: Apache-2.0 */
/* What the tools say on stderr, and the checks that turn a failed call into a sentence there. */
#ifndef TOOL_MESSAGE_H
#define TOOL_MESSAGE_H

#include <clattn/clattn.h>
#include <stdbool.h>

#if defined(__GNUC__)
#define TOOL_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define TOOL_PRINTF(format_index, first_index)
#endif

/* Writes "error: ..." and returns false, so that a caller can `return tool_error(...)`. */
bool tool_error(const char *format, ...) TOOL_PRINTF(1, 2);

/* Writes one line about what happens next. */
void tool_progress(const char *format, ...) TOOL_PRINTF(1, 2);

/*
 * Shows how much of something long is done, with a line of text: a bar that is redrawn on a terminal, a line elsewhere.
 * The bar ends when all is done, or before the next message.
 */
void tool_progress_bar(int done, int total, const char *format, ...) TOOL_PRINTF(3, 4);

/* True for CL_SUCCESS; otherwise names the call and the OpenCL error number. */
bool tool_check_cl(cl_int result, const char *call);

/* True for CLATTN_OK; otherwise names the call, the status and the context's sentence (ctx NULL: the general one). */
bool tool_check(const clattn_context *ctx, clattn_status status, const char *call);

/* Prints the context's warnings and errors: a clattn_log_callback. */
void tool_log(void *user, clattn_log_level level, const char *message);

#endif
