/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of stored tensors. Arithmetic is float32 whatever the storage. */
#ifndef CLATTN_DTYPE_H
#define CLATTN_DTYPE_H

#include <clattn/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLATTN_MAX_RANK 4

typedef enum clattn_dtype {
    CLATTN_DTYPE_DEFAULT = 0, /* not given */
    CLATTN_FLOAT32 = 1,
    CLATTN_FLOAT16 = 2,  /* IEEE 754 binary16 */
    CLATTN_BFLOAT16 = 3, /* upper half of a binary32 */
    CLATTN_NUM_DTYPES = 4
} clattn_dtype;

/** Bytes of one element; 0 for a value that is no dtype. */
CLATTN_API size_t clattn_dtype_size(clattn_dtype dtype);

/** "float32", "float16", "bfloat16"; "default" for 0; "invalid" otherwise. */
CLATTN_API const char *clattn_dtype_name(clattn_dtype dtype);

/** The dtype of a name as clattn_dtype_name() gives it; CLATTN_DTYPE_DEFAULT if there is none. */
CLATTN_API clattn_dtype clattn_dtype_from_name(const char *name);

#ifdef __cplusplus
}
#endif

#endif
