/* SPDX-License-Identifier: Apache-2.0 */
/* The append kernel's variants and arguments, and the slot mappings that it is given on the host, on their way to the
 * device. */
#ifndef CLATTN_KV_CACHE_APPEND_H
#define CLATTN_KV_CACHE_APPEND_H

#include "attention/kernel.h"
#include "runtime/upload.h"

/* All zero = empty. */
typedef struct clattn_slot_upload {
    clattn_upload upload;
    const int64_t *slots; /* [num_slots] the upload's staging memory of what the device buffer holds; NULL = nothing */
    int32_t num_slots;
    int32_t *scratch; /* of clattn_slots_check(), room for [scratch_entries] */
    uint64_t scratch_entries;
} clattn_slot_upload;

/* Waits for writes that still read host memory, and releases everything. */
void clattn_slot_upload_finish(clattn_slot_upload *upload);

/* What the append kernel gets; all numbers in elements. */
typedef struct clattn_append_operands {
    cl_mem keys;
    cl_mem values;
    cl_mem slots;
    cl_mem key_pages;
    cl_mem value_pages;
    cl_ulong num_kv_heads;
    cl_ulong heads_per_group; /* kv heads that a work-group copies */
    cl_ulong head_dim;
    cl_ulong head_dim_v;
    cl_ulong page_size;
    cl_ulong slots_offset;
    clattn_rows new_keys;
    clattn_rows new_values;
    clattn_pages_address key;
    clattn_pages_address value;
} clattn_append_operands;

clattn_status clattn_append_enqueue(clattn_context *ctx, const clattn_kernel_launch *launch,
                                    const clattn_append_operands *operands, const clattn_sync *sync);

/* The append kernel for these storage types, in work-groups of that size. */
clattn_variant clattn_append_variant(clattn_dtype keys, clattn_dtype values, clattn_dtype cache,
                                     uint32_t work_group_size);

#endif
