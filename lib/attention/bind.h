/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the caller's tensors against what an operation expects and turns them into views. */
#ifndef CLATTN_ATTENTION_BIND_H
#define CLATTN_ATTENTION_BIND_H

#include "attention/view.h"
#include "runtime/context.h"

#define CLATTN_ANY_EXTENT (-1)

/*
 * Checks buffer, dtype, rank, shape (CLATTN_ANY_EXTENT = any), strides, offset and the buffer's size.
 * `name` is the field's name for the error sentence.
 */
clattn_status clattn_bind_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name, int32_t rank,
                                 const int64_t *shape, clattn_view *view);

/* The same for a tensor of any shape of that rank, no dimension above 2^31-1. */
clattn_status clattn_bind_open_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name, int32_t rank,
                                      clattn_view *view);

/* The same for a tensor that must have one dtype. */
clattn_status clattn_bind_typed_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name,
                                       clattn_dtype dtype, int32_t rank, const int64_t *shape, clattn_view *view);

/* A tensor that passed its checks. */
typedef struct clattn_bound {
    const char *name;
    cl_mem buffer;
    const clattn_view *view;
} clattn_bound;

/* A result must not share bytes with anything that the kernels read or write besides it. */
clattn_status clattn_bind_require_apart(clattn_context *ctx, const clattn_bound *result, const clattn_bound *other);

#endif
