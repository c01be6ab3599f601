/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and names of the element types. */
#include <clattn/dtype.h>

#include <string.h>

size_t clattn_dtype_size(clattn_dtype dtype)
{
    switch (dtype) {
    case CLATTN_FLOAT32:
        return 4;
    case CLATTN_FLOAT16:
    case CLATTN_BFLOAT16:
        return 2;
    case CLATTN_DTYPE_DEFAULT:
    case CLATTN_NUM_DTYPES:
        break;
    }
    return 0;
}

const char *clattn_dtype_name(clattn_dtype dtype)
{
    switch (dtype) {
    case CLATTN_DTYPE_DEFAULT:
        return "default";
    case CLATTN_FLOAT32:
        return "float32";
    case CLATTN_FLOAT16:
        return "float16";
    case CLATTN_BFLOAT16:
        return "bfloat16";
    case CLATTN_NUM_DTYPES:
        break;
    }
    return "invalid";
}

clattn_dtype clattn_dtype_from_name(const char *name)
{
    if (name == NULL)
        return CLATTN_DTYPE_DEFAULT;
    for (int dtype = CLATTN_FLOAT32; dtype < CLATTN_NUM_DTYPES; dtype++) {
        if (strcmp(name, clattn_dtype_name((clattn_dtype)dtype)) == 0)
            return (clattn_dtype)dtype;
    }
    return CLATTN_DTYPE_DEFAULT;
}
