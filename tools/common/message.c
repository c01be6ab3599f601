/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and warnings on stderr. */
#include "common/message.h"

#include <stdarg.h>
#include <stdio.h>

/* What the checks have seen. */
static bool failed_for_memory;

bool tool_failed_for_memory(void)
{
    return failed_for_memory;
}

bool tool_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tool_progress_break();
    fputs("error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

bool tool_check_cl(cl_int result, const char *call)
{
    if (result == CL_SUCCESS)
        return true;
    failed_for_memory =
        failed_for_memory || result == CL_OUT_OF_HOST_MEMORY || result == CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return tool_error("%s failed with OpenCL error %d", call, (int)result);
}

bool tool_check(const clattn_context *ctx, clattn_status status, const char *call)
{
    if (status == CLATTN_OK)
        return true;
    failed_for_memory = failed_for_memory || status == CLATTN_OUT_OF_MEMORY || status == CLATTN_OUT_OF_DEVICE_MEMORY;
    const char *sentence = ctx ? clattn_context_last_error(ctx) : clattn_status_message(status);
    return tool_error("%s: %s: %s", call, clattn_status_name(status), sentence);
}

void tool_log(void *user, clattn_log_level level, const char *message)
{
    (void)user;
    if (level > CLATTN_LOG_WARNING)
        return;
    tool_progress_break();
    fprintf(stderr, "%s: %s\n", level == CLATTN_LOG_ERROR ? "error" : "warning", message);
}
