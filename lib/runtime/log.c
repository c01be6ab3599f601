/* SPDX-License-Identifier: Apache-2.0 */
/* Hands formatted lines to the user's log callback. */
#include "runtime/log.h"

#include <stdarg.h>
#include <stdio.h>

void clattn_log_write(const clattn_log *log, clattn_log_level level, const char *format, ...)
{
    if (log->callback == NULL)
        return;
    /* As long as the longest error sentence; a longer line is cut. */
    char line[CLATTN_ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length >= 0)
        log->callback(log->user, level, line);
}
