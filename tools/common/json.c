/* SPDX-License-Identifier: Apache-2.0 */
/* From a tree to a file. */
#include "common/json.h"

#include "common/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool tool_json_add_name(cJSON *object, const char *key, const char *name)
{
    return name ? cJSON_AddStringToObject(object, key, name) : cJSON_AddNullToObject(object, key);
}

bool tool_json_add_shape(cJSON *object, const tool_shape *shape)
{
    return tool_json_add_name(object, "model_shape", shape->name) &&
           cJSON_AddNumberToObject(object, "num_q_heads", shape->num_q_heads) &&
           cJSON_AddNumberToObject(object, "num_kv_heads", shape->num_kv_heads) &&
           cJSON_AddNumberToObject(object, "head_dim", shape->head_dim) &&
           cJSON_AddNumberToObject(object, "head_dim_v", shape->head_dim_v) &&
           cJSON_AddNumberToObject(object, "sliding_window", shape->sliding_window) &&
           cJSON_AddNumberToObject(object, "logits_soft_cap", (double)shape->logits_soft_cap) &&
           cJSON_AddBoolToObject(object, "sinks", shape->sinks);
}

static bool write_text(const char *text, const char *path)
{
    const bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    if (!file)
        return tool_error("cannot open %s: %s", path, strerror(errno));
    bool good = fprintf(file, "%s\n", text) >= 0;
    good = (to_stdout ? fflush(file) : fclose(file)) == 0 && good;
    return good || tool_error("cannot write %s: %s", path, strerror(errno));
}

bool tool_json_write(cJSON *root, bool complete, const char *path)
{
    char *text = complete ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    const bool good = text ? write_text(text, path) : tool_error("out of memory");
    cJSON_free(text);
    return good;
}
