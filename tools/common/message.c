/* SPDX-License-Identifier: Apache-2.0 */
/* The tools' lines on stderr. */
#include "common/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 30

static bool bar_is_open; /* the cursor stands behind a bar */

static void close_bar(void)
{
    if (bar_is_open)
        fputc('\n', stderr);
    bar_is_open = false;
}

bool tool_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    close_bar();
    fputs("error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

void tool_progress(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    close_bar();
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void tool_progress_bar(int done, int total, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (isatty(STDERR_FILENO)) {
        const int filled = (int)((long)done * BAR_WIDTH / total);
        fputs("\r[", stderr);
        for (int i = 0; i < BAR_WIDTH; i++)
            fputc(i < filled ? '#' : '.', stderr);
        fputs("] ", stderr);
        vfprintf(stderr, format, arguments);
        fputs("\033[K", stderr); /* what a longer line before has left */
        bar_is_open = true;
        if (done == total)
            close_bar();
    } else {
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
    }
    va_end(arguments);
}

bool tool_check_cl(cl_int result, const char *call)
{
    if (result == CL_SUCCESS)
        return true;
    return tool_error("%s failed with OpenCL error %d", call, (int)result);
}

bool tool_check(const clattn_context *ctx, clattn_status status, const char *call)
{
    if (status == CLATTN_OK)
        return true;
    const char *sentence = ctx ? clattn_context_last_error(ctx) : clattn_status_message(status);
    return tool_error("%s: %s: %s", call, clattn_status_name(status), sentence);
}

void tool_log(void *user, clattn_log_level level, const char *message)
{
    (void)user;
    if (level > CLATTN_LOG_WARNING)
        return;
    close_bar();
    fprintf(stderr, "%s: %s\n", level == CLATTN_LOG_ERROR ? "error" : "warning", message);
}
