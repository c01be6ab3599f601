/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own enumerations as lists of names. */
#include "common/names.h"

#include <clattn/clattn.h>
#include <string.h>

int tool_name_find(tool_name_at names, const char *text, size_t length)
{
    for (int i = 0; names(i); i++) {
        if (strlen(names(i)) == length && strncmp(names(i), text, length) == 0)
            return i;
    }
    return -1;
}

const char *tool_dtype_name_at(int index)
{
    return index + 1 < CLATTN_NUM_DTYPES ? clattn_dtype_name((clattn_dtype)(index + 1)) : NULL;
}

const char *tool_layout_name_at(int index)
{
    return index < CLATTN_NUM_KV_LAYOUTS ? clattn_kv_layout_name((clattn_kv_layout)index) : NULL;
}

const char *tool_family_name_at(int index)
{
    return index < CLATTN_NUM_FAMILIES ? clattn_family_name((clattn_family)index) : NULL;
}
