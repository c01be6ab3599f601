/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the last-error sentence. */
#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>

clattn_status clattn_error_set(clattn_error *error, clattn_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(error->text, sizeof error->text, format, arguments) < 0)
        error->text[0] = '\0';
    va_end(arguments);
    return status;
}
