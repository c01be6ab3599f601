/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of the attention kernels say of themselves, said a second time and without anything of lib/: which
 * values of their defines they refuse (#error), and how much local memory they declare.
 */
#ifndef SUPPORT_KERNEL_SHAPE_H
#define SUPPORT_KERNEL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum shape_kernel {
    SHAPE_VECTOR_DECODE,
    SHAPE_VECTOR_PREFILL,
    SHAPE_SIMT_DECODE,
    SHAPE_SIMT_PREFILL,
    SHAPE_PLAIN, /* both phases */
    SHAPE_NUM_KERNELS
} shape_kernel;

/* The defines that sizes depend on; what a kernel has not is 0. */
typedef struct kernel_shape {
    shape_kernel kernel;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t block_q;
    int32_t block_kv;
    int32_t work_group_size;
    int32_t lanes;
    int32_t heads;
    int32_t qk_keys;
    bool converts_k; /* K has 16 bits */
} kernel_shape;

/* NULL if the kernel compiles with these defines, else why not. */
const char *kernel_shape_error(const kernel_shape *shape);

/* Bytes of local memory, those of a local argument included. */
int64_t kernel_shape_local_bytes(const kernel_shape *shape);

#endif
