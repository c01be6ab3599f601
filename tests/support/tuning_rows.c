/* SPDX-License-Identifier: Apache-2.0 */
#include "tuning_rows.h"

#include "directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const support_tuning_field good_row[] = {
    {"device", "\"device of a test\""},
    {"vendor", "\"its vendor\""},
    {"driver", "\"1.5\""},
    {"architecture", "\"sm_99\""},
    {"type", "\"gpu\""},
    {"version", "\"0.1.0\""},
    {"op", "\"paged\""},
    {"phase", "\"decode\""},
    {"family", "\"simt\""},
    {"kv_dtype", "\"float16\""},
    {"head_dim", "128"},
    {"head_dim_v", "128"},
    {"group_size", "4"},
    {"num_kv_heads", "8"},
    {"kv_layout", "\"nhd\""},
    {"page_size", "16"},
    {"batch", "\"small\""},
    {"parameters", "{\"block_q\": 4, \"block_kv\": 64}"},
    {"time_us", "12.5"},
    {"default_time_us", "25"},
    {"gain", "2"},
    {"noise", "0.01"},
    {"date", "\"2026-01-31\""},
};

#define NUM_GOOD (sizeof good_row / sizeof good_row[0])

static void append(support_tuning_text *file, const char *text)
{
    const size_t num_bytes = strlen(text);
    file->text = realloc(file->text, file->num_bytes + num_bytes + 1);
    assert_non_null(file->text);
    memcpy(file->text + file->num_bytes, text, num_bytes + 1);
    file->num_bytes += num_bytes;
}

static void append_field(support_tuning_text *file, const support_tuning_field *field, int *num_fields)
{
    if (field->value == NULL)
        return;
    append(file, (*num_fields)++ == 0 ? "\"" : ", \"");
    append(file, field->name);
    append(file, "\": ");
    append(file, field->value);
}

static const support_tuning_field *find_change(const char *name, int num_changes, const support_tuning_field *changes)
{
    for (int i = 0; i < num_changes; i++) {
        if (strcmp(changes[i].name, name) == 0)
            return &changes[i];
    }
    return NULL;
}

static int is_good_field(const char *name)
{
    return find_change(name, NUM_GOOD, good_row) != NULL;
}

void support_tuning_add_row(support_tuning_text *file, int num_changes, const support_tuning_field *changes)
{
    int num_fields = 0;
    append(file, file->num_rows++ == 0 ? "{\"schema\": 1, \"rows\": [\n{" : ",\n{");
    for (size_t i = 0; i < NUM_GOOD; i++) {
        const support_tuning_field *change = find_change(good_row[i].name, num_changes, changes);
        append_field(file, change != NULL ? change : &good_row[i], &num_fields);
    }
    for (int i = 0; i < num_changes; i++) {
        if (!is_good_field(changes[i].name))
            append_field(file, &changes[i], &num_fields);
    }
    append(file, "}");
}

void support_tuning_write(support_tuning_text *file, const char *path)
{
    append(file, file->num_rows == 0 ? "{\"schema\": 1, \"rows\": []}\n" : "\n]}\n");
    support_file_write(path, file->text, file->num_bytes);
    free(file->text);
    *file = (support_tuning_text){.text = NULL};
}
