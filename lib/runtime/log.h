/* SPDX-License-Identifier: Apache-2.0 */
/* Formats one line for the user's log callback; silent without one. */
#ifndef CLATTN_RUNTIME_LOG_H
#define CLATTN_RUNTIME_LOG_H

#include "runtime/error.h"

#include <clattn/context.h>

typedef struct clattn_log {
    clattn_log_callback callback; /* NULL = silent */
    void *user;
} clattn_log;

void clattn_log_write(const clattn_log *log, clattn_log_level level, const char *format, ...) CLATTN_PRINTF(3, 4);

#endif
