/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the caller's tensors; see bind.h. */
#include "attention/bind.h"

#include "runtime/size.h"

/* Fills in the strides of a contiguous tensor; refuses given ones that are not positive or not dense at the end. */
static clattn_status resolve_strides(clattn_error *error, const clattn_tensor *tensor, const char *name,
                                     clattn_view *view)
{
    bool contiguous = true;
    for (int32_t i = 0; i < tensor->rank; ++i)
        contiguous = contiguous && tensor->strides[i] == 0;

    uint64_t stride = 1;
    for (int32_t i = tensor->rank - 1; i >= 0; --i) {
        view->strides[i] = contiguous ? (int64_t)stride : tensor->strides[i];
        CLATTN_REQUIRE(error, view->strides[i] > 0, CLATTN_INVALID_SHAPE,
                       "%s: stride of dimension %d is %lld, expected all strides 0 (contiguous) or all positive", name,
                       (int)i, (long long)view->strides[i]);
        CLATTN_REQUIRE(error, clattn_size_multiply(stride, (uint64_t)tensor->shape[i], &stride) && stride <= INT64_MAX,
                       CLATTN_SIZE_OVERFLOW, "%s: the number of elements overflows", name);
        if (stride == 0)
            stride = 1; /* an empty dimension: the outer strides are never used */
    }
    CLATTN_REQUIRE(error, view->strides[tensor->rank - 1] == 1, CLATTN_INVALID_SHAPE,
                   "%s: stride of the last dimension is %lld, expected 1", name,
                   (long long)view->strides[tensor->rank - 1]);
    return CLATTN_OK;
}

/* Bytes from the start of the buffer to the end of the tensor's last element; 0 for an empty tensor. */
static clattn_status extent_bytes(clattn_error *error, const clattn_tensor *tensor, const clattn_view *view,
                                  const char *name, uint64_t *num_bytes)
{
    uint64_t last = 0;
    for (int32_t i = 0; i < view->rank; ++i) {
        if (view->shape[i] == 0) {
            *num_bytes = 0;
            return CLATTN_OK;
        }
        uint64_t reach = 0;
        CLATTN_REQUIRE(error,
                       clattn_size_multiply((uint64_t)(view->shape[i] - 1), (uint64_t)view->strides[i], &reach) &&
                           clattn_size_add(last, reach, &last),
                       CLATTN_SIZE_OVERFLOW, "%s: shape times strides overflows", name);
    }
    CLATTN_REQUIRE(error,
                   clattn_size_add(last, 1, &last) &&
                       clattn_size_multiply(last, clattn_dtype_size(view->dtype), &last) &&
                       clattn_size_add(last, tensor->offset_bytes, &last),
                   CLATTN_SIZE_OVERFLOW, "%s: its size in bytes overflows", name);
    *num_bytes = last;
    return CLATTN_OK;
}

static clattn_status check_shape(clattn_error *error, const clattn_tensor *tensor, const char *name, int32_t rank,
                                 const int64_t *shape)
{
    CLATTN_REQUIRE(error, tensor->rank == rank, CLATTN_INVALID_SHAPE, "%s: rank is %d, expected %d", name,
                   (int)tensor->rank, (int)rank);
    for (int32_t i = 0; i < rank; ++i) {
        if (shape[i] == CLATTN_ANY_EXTENT)
            CLATTN_REQUIRE(error, tensor->shape[i] >= 0, CLATTN_INVALID_SHAPE,
                           "%s: dimension %d is %lld, expected 0 or more", name, (int)i, (long long)tensor->shape[i]);
        else
            CLATTN_REQUIRE(error, tensor->shape[i] == shape[i], CLATTN_INVALID_SHAPE,
                           "%s: dimension %d is %lld, expected %lld", name, (int)i, (long long)tensor->shape[i],
                           (long long)shape[i]);
    }
    return CLATTN_OK;
}

/* The buffer must be one of this context and hold all of the tensor. */
static clattn_status check_buffer(clattn_context *ctx, const clattn_tensor *tensor, const char *name,
                                  uint64_t num_bytes)
{
    cl_context owner = NULL;
    size_t size = 0;
    cl_int result = clGetMemObjectInfo(tensor->buffer, CL_MEM_CONTEXT, sizeof owner, &owner, NULL);
    if (result == CL_SUCCESS)
        result = clGetMemObjectInfo(tensor->buffer, CL_MEM_SIZE, sizeof size, &size, NULL);
    CLATTN_REQUIRE(&ctx->error, result != CL_INVALID_MEM_OBJECT, CLATTN_INVALID_ARGUMENT,
                   "%s: its buffer is not a memory object", name);
    CLATTN_TRY(clattn_context_check_cl(ctx, result, "clGetMemObjectInfo"));
    CLATTN_REQUIRE(&ctx->error, owner == ctx->cl, CLATTN_INVALID_ARGUMENT,
                   "%s: its buffer belongs to another cl_context", name);
    CLATTN_REQUIRE(&ctx->error, num_bytes <= size, CLATTN_BUFFER_TOO_SMALL,
                   "%s: the tensor ends at byte %llu of a buffer of %llu bytes", name, (unsigned long long)num_bytes,
                   (unsigned long long)size);
    return CLATTN_OK;
}

clattn_status clattn_bind_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name, int32_t rank,
                                 const int64_t *shape, clattn_view *view)
{
    clattn_error *error = &ctx->error;
    CLATTN_REQUIRE(error, tensor->buffer != NULL, CLATTN_INVALID_ARGUMENT, "%s: its buffer is NULL", name);
    const size_t element_bytes = clattn_dtype_size(tensor->dtype);
    CLATTN_REQUIRE(error, element_bytes > 0, CLATTN_INVALID_DTYPE, "%s: dtype %d is not a storage dtype", name,
                   (int)tensor->dtype);
    CLATTN_TRY(check_shape(error, tensor, name, rank, shape));
    CLATTN_REQUIRE(error, tensor->offset_bytes % element_bytes == 0, CLATTN_INVALID_ARGUMENT,
                   "%s: offset_bytes is %llu, expected a multiple of the element size %zu", name,
                   (unsigned long long)tensor->offset_bytes, element_bytes);

    clattn_view checked = {.dtype = tensor->dtype, .rank = rank, .offset = tensor->offset_bytes / element_bytes};
    for (int32_t i = 0; i < rank; ++i)
        checked.shape[i] = tensor->shape[i];
    CLATTN_TRY(resolve_strides(error, tensor, name, &checked));
    uint64_t num_bytes = 0;
    CLATTN_TRY(extent_bytes(error, tensor, &checked, name, &num_bytes));
    CLATTN_TRY(check_buffer(ctx, tensor, name, num_bytes));
    checked.begin_bytes = num_bytes > 0 ? tensor->offset_bytes : 0;
    checked.end_bytes = num_bytes;
    *view = checked;
    return CLATTN_OK;
}

clattn_status clattn_bind_open_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name, int32_t rank,
                                      clattn_view *view)
{
    static const int64_t any[CLATTN_MAX_RANK] = {CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT, CLATTN_ANY_EXTENT,
                                                 CLATTN_ANY_EXTENT};
    CLATTN_TRY(clattn_bind_tensor(ctx, tensor, name, rank, any, view));
    for (int32_t i = 0; i < rank; ++i)
        CLATTN_REQUIRE(&ctx->error, view->shape[i] <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                       "%s: dimension %d is %lld, more than 2^31-1", name, (int)i, (long long)view->shape[i]);
    return CLATTN_OK;
}

clattn_status clattn_bind_typed_tensor(clattn_context *ctx, const clattn_tensor *tensor, const char *name,
                                       clattn_dtype dtype, int32_t rank, const int64_t *shape, clattn_view *view)
{
    CLATTN_REQUIRE(&ctx->error, tensor->buffer == NULL || tensor->dtype == dtype, CLATTN_INVALID_DTYPE,
                   "%s: dtype is %s, expected %s", name, clattn_dtype_name(tensor->dtype), clattn_dtype_name(dtype));
    return clattn_bind_tensor(ctx, tensor, name, rank, shape, view);
}

clattn_status clattn_bind_require_apart(clattn_context *ctx, const clattn_bound *result, const clattn_bound *other)
{
    const bool overlap = result->buffer == other->buffer && result->view->begin_bytes < other->view->end_bytes &&
                         other->view->begin_bytes < result->view->end_bytes;
    CLATTN_REQUIRE(
        &ctx->error, !overlap, CLATTN_INVALID_ARGUMENT, "%s: its bytes %llu..%llu overlap those of %s, %llu..%llu",
        result->name, (unsigned long long)result->view->begin_bytes, (unsigned long long)result->view->end_bytes,
        other->name, (unsigned long long)other->view->begin_bytes, (unsigned long long)other->view->end_bytes);
    return CLATTN_OK;
}
