/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files at once. */
#include "common/json.h"

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

/* The text of a file, which the caller frees; NULL with errno set. */
static char *read_text(FILE *file)
{
    size_t capacity = 1 << 16;
    size_t length = 0;
    char *text = malloc(capacity);
    while (text) {
        length += fread(text + length, 1, capacity - length - 1, file);
        if (length < capacity - 1)
            break;
        capacity *= 2;
        char *larger = realloc(text, capacity);
        if (!larger)
            free(text);
        text = larger;
    }
    if (text && ferror(file)) {
        free(text);
        return NULL;
    }
    if (text)
        text[length] = '\0';
    return text;
}

cJSON *tool_json_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = file ? read_text(file) : NULL;
    if (!text)
        (void)tool_error("cannot read %s: %s", path, strerror(errno));
    cJSON *root = text ? cJSON_Parse(text) : NULL;
    if (text && !root)
        (void)tool_error("%s is not JSON", path);
    free(text);
    if (file)
        fclose(file);
    return root;
}

bool tool_json_add_name(cJSON *object, const char *key, const char *name)
{
    return name ? cJSON_AddStringToObject(object, key, name) : cJSON_AddNullToObject(object, key);
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
