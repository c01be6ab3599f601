/* SPDX-License-Identifier: Apache-2.0 */
/* How a loader meets a layer (cl_loader_layers); see opencl_layer.h. */
#include "support/opencl_layer.h"

#include <string.h>

const struct _cl_icd_dispatch *opencl_layer_target;

static struct _cl_icd_dispatch layer;

cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *num_bytes)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    const void *answer = what == CL_LAYER_NAME ? (const void *)opencl_layer_name : (const void *)&version;
    const size_t answer_bytes = what == CL_LAYER_NAME ? strlen(opencl_layer_name) + 1 : sizeof version;
    if ((what != CL_LAYER_NAME && what != CL_LAYER_API_VERSION) || (value != NULL && size < answer_bytes))
        return CL_INVALID_VALUE;
    if (value != NULL)
        memcpy(value, answer, answer_bytes);
    if (num_bytes != NULL)
        *num_bytes = answer_bytes;
    return CL_SUCCESS;
}

cl_int CL_API_CALL clInitLayer(cl_uint num_entries, const cl_icd_dispatch *target_dispatch, cl_uint *num_entries_ret,
                               const cl_icd_dispatch **layer_dispatch_ret)
{
    const cl_uint own_entries = sizeof layer / sizeof layer.clGetPlatformIDs;
    if (target_dispatch == NULL || num_entries_ret == NULL || layer_dispatch_ret == NULL || num_entries < own_entries)
        return CL_INVALID_VALUE;
    opencl_layer_target = target_dispatch;
    memcpy(&layer, target_dispatch, sizeof layer);
    if (!opencl_layer_start(&layer))
        return CL_OUT_OF_HOST_MEMORY;
    *num_entries_ret = own_entries;
    *layer_dispatch_ret = &layer;
    return CL_SUCCESS;
}
