/* SPDX-License-Identifier: Apache-2.0 */
/* The values of single options, each checked by itself. */
#include "common/values.h"

#include "common/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool tool_read_number(const char *text, char end, long minimum, long maximum, const char **rest, int32_t *value)
{
    char *stop = NULL;
    errno = 0;
    const long number = strtol(text, &stop, 10);
    if (stop == text || (*stop != end && *stop != '\0') || errno != 0 || number < minimum || number > maximum)
        return false;
    *value = (int32_t)number;
    *rest = *stop == '\0' ? stop : stop + 1;
    return true;
}

bool tool_value_int(const char *option, const char *text, long minimum, long maximum, int32_t *value)
{
    const char *rest = NULL;
    if (tool_read_number(text, '\0', minimum, maximum, &rest, value))
        return true;
    return tool_error("%s wants a whole number from %ld to %ld, not '%s'", option, minimum, maximum, text);
}

bool tool_value_dtype(const char *option, const char *text, clattn_dtype *dtype)
{
    *dtype = clattn_dtype_from_name(text);
    if (*dtype != CLATTN_DTYPE_DEFAULT)
        return true;
    return tool_error("%s is float32, float16 or bfloat16, not '%s'", option, text);
}

bool tool_value_layout(const char *text, clattn_kv_layout *layout)
{
    for (int i = 0; i < CLATTN_NUM_KV_LAYOUTS; i++) {
        *layout = (clattn_kv_layout)i;
        if (strcmp(text, clattn_kv_layout_name(*layout)) == 0)
            return true;
    }
    return tool_error("--layout is combined, nhd, hnd or heads_first, not '%s'", text);
}

bool tool_value_family(const char *text, clattn_family *family)
{
    *family = clattn_family_from_name(text);
    if (*family != CLATTN_FAMILY_DEFAULT || strcmp(text, clattn_family_name(CLATTN_FAMILY_DEFAULT)) == 0)
        return true;
    return tool_error("--family is default, vector, simt or plain, not '%s'", text);
}
