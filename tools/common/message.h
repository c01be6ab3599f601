/* SPDX-License-Identifier: Apache-2.0 */
/* What the tools say on stderr besides their progress, and the checks that turn a failed call into a sentence there. */
#ifndef TOOL_MESSAGE_H
#define TOOL_MESSAGE_H

#include "common/progress.h"

#include <clattn/clattn.h>

/* Writes "error: ..." and returns false, so that a caller can `return tool_error(...)`. */
bool tool_error(const char *format, ...) TOOL_PRINTF(1, 2);

/* True for CL_SUCCESS; otherwise names the call and the OpenCL error number. */
bool tool_check_cl(cl_int result, const char *call);

/* True for CLATTN_OK; otherwise names the call, the status and the context's sentence (ctx NULL: the general one). */
bool tool_check(const clattn_context *ctx, clattn_status status, const char *call);

/* Whether one of the two checks above has ever failed for want of memory, the host's or the device's. */
bool tool_failed_for_memory(void);

/* Prints the context's warnings and errors: a clattn_log_callback. */
void tool_log(void *user, clattn_log_level level, const char *message);

#endif
