/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of tuning files: one good row, whose fields a test changes. Whatever goes wrong here fails the test. */
#ifndef SUPPORT_TUNING_ROWS_H
#define SUPPORT_TUNING_ROWS_H

#include <stddef.h>

/* A field and its value as JSON; NULL = left out. A name that the good row does not have is added. */
typedef struct support_tuning_field {
    const char *name;
    const char *value;
} support_tuning_field;

/* A tuning file in the making. */
typedef struct support_tuning_text {
    char *text; /* malloc'ed */
    size_t num_bytes;
    int num_rows;
} support_tuning_text;

/* Adds the good row with these fields changed: of a device "device of a test", simt decode, float16, head_dim 128. */
void support_tuning_add_row(support_tuning_text *file, int num_changes, const support_tuning_field *changes);

/* Ends the file, writes it to a path and frees the text. */
void support_tuning_write(support_tuning_text *file, const char *path);

#endif
