/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files at once. */
#include "common/json.h"

#include "common/file.h"
#include "common/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tool_write_text(const char *text, const char *path)
{
    const bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    if (!file)
        return tool_error("cannot open %s: %s", path, strerror(errno));
    bool good = fprintf(file, "%s\n", text) >= 0;
    good = (to_stdout ? fflush(file) : fclose(file)) == 0 && good;
    return good || tool_error("cannot write %s: %s", path, strerror(errno));
}

bool tool_json_write(const cJSON *root, const char *path)
{
    char *text = cJSON_Print(root);
    const bool good = text ? tool_write_text(text, path) : tool_error("out of memory");
    cJSON_free(text);
    return good;
}

cJSON *tool_json_read(const char *path)
{
    char *text = tool_file_read(path);
    if (!text)
        (void)tool_error("cannot read %s: %s", path, strerror(errno));
    cJSON *root = text ? cJSON_Parse(text) : NULL;
    if (text && !root)
        (void)tool_error("%s is not JSON", path);
    free(text);
    return root;
}

double tool_json_number(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0.0;
}

const char *tool_json_text(const cJSON *object, const char *key)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return value ? value : "";
}

bool tool_json_add_name(cJSON *object, const char *key, const char *name)
{
    return name ? cJSON_AddStringToObject(object, key, name) : cJSON_AddNullToObject(object, key);
}

bool tool_json_add_ints(cJSON *object, const char *key, const int32_t *numbers, int32_t count)
{
    cJSON *array = cJSON_CreateIntArray(numbers, count);
    if (array && cJSON_AddItemToObject(object, key, array))
        return true;
    cJSON_Delete(array);
    return false;
}

bool tool_json_add_shape(cJSON *object, const tool_shape *shape)
{
    return tool_json_add_name(object, "model", shape->name) &&
           cJSON_AddNumberToObject(object, "num_q_heads", shape->num_q_heads) &&
           cJSON_AddNumberToObject(object, "num_kv_heads", shape->num_kv_heads) &&
           cJSON_AddNumberToObject(object, "head_dim", shape->head_dim) &&
           cJSON_AddNumberToObject(object, "head_dim_v", shape->head_dim_v) &&
           cJSON_AddNumberToObject(object, "sliding_window", shape->sliding_window) &&
           cJSON_AddNumberToObject(object, "logits_soft_cap", (double)shape->logits_soft_cap) &&
           cJSON_AddBoolToObject(object, "sinks", shape->sinks);
}
