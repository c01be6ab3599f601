/* SPDX-License-Identifier: Apache-2.0 */
/* Removes what a user wants to be rid of in a cache directory. Without OpenCL. */
#ifndef CLATTN_RUNTIME_CACHE_CLEAR_H
#define CLATTN_RUNTIME_CACHE_CLEAR_H

#include "runtime/error.h"

#include <clattn/cache.h>

/* As clattn_context_clear_cache() says; a directory of NULL holds no files. */
clattn_status clattn_cache_clear(const char *directory, clattn_cache_part part, clattn_cache_cleared *cleared,
                                 clattn_error *error);

#endif
