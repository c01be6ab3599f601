/* SPDX-License-Identifier: Apache-2.0 */
/* JSON documents in files. */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include "common/shapes.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Writes a text and a line end to a path, or to standard output for "-". */
bool tool_write_text(const char *text, const char *path);

/* The same for a document. */
bool tool_json_write(const cJSON *root, const char *path);

/* Reads a document, which the caller deletes; NULL after saying why not. */
cJSON *tool_json_read(const char *path);

/* A field of an object that is a number, or a text; 0 or "" if there is none. */
double tool_json_number(const cJSON *object, const char *key);
const char *tool_json_text(const cJSON *object, const char *key);

/* Adds a string, or null for NULL. */
bool tool_json_add_name(cJSON *object, const char *key, const char *name);

/* Adds an array of numbers. */
bool tool_json_add_ints(cJSON *object, const char *key, const int32_t *numbers, int32_t count);

/* Adds the fields of a geometry: its name as "model", null without one. */
bool tool_json_add_shape(cJSON *object, const tool_shape *shape);

#endif
