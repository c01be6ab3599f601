/* SPDX-License-Identifier: Apache-2.0 */
/* What a command line can call by name, as numbered lists. */
#ifndef TOOL_NAMES_H
#define TOOL_NAMES_H

#include <stddef.h>

/* The name with a number; NULL behind the last one. */
typedef const char *(*tool_name_at)(int index);

/* The number of the name that `length` characters of `text` spell; -1 if there is none. */
int tool_name_find(tool_name_at names, const char *text, size_t length);

/* Storage types; number i is clattn_dtype i + 1. */
const char *tool_dtype_name_at(int index);

/* Layouts of pages; number i is clattn_kv_layout i. */
const char *tool_layout_name_at(int index);

/* Kernel families; number i is clattn_family i, the default included. */
const char *tool_family_name_at(int index);

#endif
