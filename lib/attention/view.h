/* SPDX-License-Identifier: Apache-2.0 */
/* A checked tensor without its buffer: what address arithmetic needs. Without OpenCL. */
#ifndef CLATTN_ATTENTION_VIEW_H
#define CLATTN_ATTENTION_VIEW_H

#include <clattn/dtype.h>
#include <stdint.h>

typedef struct clattn_view {
    clattn_dtype dtype;
    int32_t rank;
    int64_t shape[CLATTN_MAX_RANK];
    int64_t strides[CLATTN_MAX_RANK]; /* elements, filled in also where the tensor was contiguous */
    uint64_t offset;                  /* elements */
    uint64_t begin_bytes;             /* the buffer's bytes from the first element to behind the last, */
    uint64_t end_bytes;               /*   gaps between strides included; equal if there is no element */
} clattn_view;

#endif
