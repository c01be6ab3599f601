/* SPDX-License-Identifier: Apache-2.0 */
/* Element types and tensors: how an operation sees the caller's device buffers. */
#ifndef CLATTN_TENSOR_H
#define CLATTN_TENSOR_H

#include <clattn/status.h>

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include <stddef.h>
#include <stdint.h>

#include <clattn/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A dense or strided view of a device buffer. A plain value: copy it freely.
 * clattn never owns the buffer; it belongs to the caller until the event of the last call that uses it completes.
 *
 * Units     offset in bytes, a multiple of the element size; strides in elements
 * Edge      all strides 0 = contiguous, the last dimension fastest; otherwise every stride is given and the last one is
 * 1
 */
typedef struct clattn_tensor {
    cl_mem buffer;                    /* NULL = tensor absent */
    uint64_t offset_bytes;            /* bytes from the start of the buffer to element [0, 0, ...] */
    clattn_dtype dtype;               /* element type */
    int32_t rank;                     /* dimensions used, 1..CLATTN_MAX_RANK */
    int64_t shape[CLATTN_MAX_RANK];   /* elements per dimension, >= 0 */
    int64_t strides[CLATTN_MAX_RANK]; /* elements between neighbours, 0 everywhere = contiguous */
} clattn_tensor;

/**
 * A contiguous tensor over a buffer, from its first byte.
 *
 * Edge      a rank outside 1..CLATTN_MAX_RANK gives a tensor of rank 0, which every operation refuses
 */
CLATTN_API clattn_tensor clattn_tensor_make(cl_mem buffer, clattn_dtype dtype, int32_t rank, const int64_t *shape);

#ifdef __cplusplus
}
#endif

#endif
