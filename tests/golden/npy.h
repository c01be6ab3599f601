/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of .npy files as generate.py writes them: version 1.0, C order, little-endian float32, int32 or int64.
 * Everything else is refused with a reason.
 */
#ifndef GOLDEN_NPY_H
#define GOLDEN_NPY_H

#include <clattn/dtype.h>

#include <stddef.h>
#include <stdint.h>

typedef enum npy_dtype { NPY_FLOAT32, NPY_INT32, NPY_INT64 } npy_dtype;

typedef struct npy_array {
    npy_dtype dtype;
    int32_t rank;                   /* 0..CLATTN_MAX_RANK */
    int64_t shape[CLATTN_MAX_RANK]; /* 0 behind the rank */
    size_t num_elements;            /* 1 for rank 0 */
    union {
        void *bytes; /* NULL = no array; never NULL in one that was read */
        float *float32;
        int32_t *int32;
        int64_t *int64;
    } data; /* in the host's byte order */
} npy_array;

/*
 * Reads an array from a file's contents. NULL, and the array is the caller's to give to npy_destroy(); or the reason
 * why it cannot be read, and the array is empty.
 */
const char *npy_parse(const void *contents, size_t num_bytes, npy_array *array);

/* Reads an array from a file; what goes wrong fails the test and is printed with the path. */
npy_array npy_read(const char *path);

/* Releases and empties the array; an empty one is accepted. */
void npy_destroy(npy_array *array);

#endif
