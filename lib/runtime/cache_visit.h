/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the files of a cache directory. Without OpenCL. */
#ifndef CLATTN_RUNTIME_CACHE_VISIT_H
#define CLATTN_RUNTIME_CACHE_VISIT_H

#include "runtime/error.h"

#include <clattn/cache.h>

/* As clattn_context_visit_cache() says; a directory of NULL holds no files. */
clattn_status clattn_cache_visit(const char *directory, clattn_cache_visitor visit, void *user, clattn_error *error);

/* The sentence of a path that could not be, say, "read", for the reason of an errno, and the status that goes with it.
 */
clattn_status clattn_cache_refuse(const char *path, const char *what, int reason, clattn_error *error);

#endif
