/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the value of one option of a command line. Every function says on stderr what it wants if it returns false. */
#ifndef TOOL_VALUES_H
#define TOOL_VALUES_H

#include <clattn/clattn.h>
#include <stdbool.h>

/*
 * A whole decimal number in [minimum, maximum] that ends at `end` or with the text; *rest is what follows. Says nothing
 * if it is none.
 */
bool tool_read_number(const char *text, char end, long minimum, long maximum, const char **rest, int32_t *value);

/* A whole decimal number in [minimum, maximum]. */
bool tool_value_int(const char *option, const char *text, long minimum, long maximum, int32_t *value);

bool tool_value_dtype(const char *option, const char *text, clattn_dtype *dtype);
bool tool_value_layout(const char *text, clattn_kv_layout *layout);
bool tool_value_family(const char *text, clattn_family *family);

#endif
