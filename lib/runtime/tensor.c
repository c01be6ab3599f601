/* SPDX-License-Identifier: Apache-2.0 */
/* Makes tensors; the operations check them. */
#include <clattn/tensor.h>

clattn_tensor clattn_tensor_make(cl_mem buffer, clattn_dtype dtype, int32_t rank, const int64_t *shape)
{
    clattn_tensor tensor = {.buffer = buffer, .dtype = dtype};
    if (rank < 1 || rank > CLATTN_MAX_RANK || shape == NULL)
        return tensor;
    tensor.rank = rank;
    for (int32_t dimension = 0; dimension < rank; dimension++)
        tensor.shape[dimension] = shape[dimension];
    return tensor;
}
