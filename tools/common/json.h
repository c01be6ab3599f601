/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that tools write. */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include "common/shapes.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* A text, or null for NULL; false without memory. */
bool tool_json_add_name(cJSON *object, const char *key, const char *name);

/* The fields of a geometry: its name as "model_shape", null without one. */
bool tool_json_add_shape(cJSON *object, const tool_shape *shape);

/*
 * Writes a tree to a path, or to standard output for "-", and deletes it. `complete` is false where the tree could not
 * be made for want of memory, which is said like everything else that fails here.
 */
bool tool_json_write(cJSON *root, bool complete, const char *path);

#endif
