/* SPDX-License-Identifier: Apache-2.0 */
/* The last-error sentence and the two macros that return through it. Without OpenCL. */
#ifndef CLATTN_RUNTIME_ERROR_H
#define CLATTN_RUNTIME_ERROR_H

#include <clattn/status.h>

#define CLATTN_ERROR_BYTES 4096

typedef struct clattn_error {
    char text[CLATTN_ERROR_BYTES];
} clattn_error;

#if defined(__GNUC__)
#define CLATTN_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define CLATTN_PRINTF(format_index, first_index)
#endif

/* Writes the sentence (cut to fit) and returns `status`, so that a caller can `return clattn_error_set(...)`. */
clattn_status clattn_error_set(clattn_error *error, clattn_status status, const char *format, ...) CLATTN_PRINTF(3, 4);

/* Both return from the calling function: only while it owns nothing. */
#define CLATTN_TRY(expression)                                                                                         \
    do {                                                                                                               \
        const clattn_status status_ = (expression);                                                                    \
        if (status_ != CLATTN_OK)                                                                                      \
            return status_;                                                                                            \
    } while (0)

#define CLATTN_REQUIRE(error, condition, status, ...)                                                                  \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return clattn_error_set((error), (status), __VA_ARGS__);                                                   \
    } while (0)

#endif
