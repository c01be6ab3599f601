/* SPDX-License-Identifier: Apache-2.0 */
/* See exchange.h. */
#include "tune/exchange.h"

#include "common/file.h"
#include "common/message.h"
#include "tune/database.h"
#include "tune/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tune_exchange_merge(const tool_texts *paths, const char *output)
{
    cJSON *rows = cJSON_CreateArray();
    bool whole = true;
    for (int i = 0; i < paths->count; i++) {
        const int num_before = cJSON_GetArraySize(rows);
        int num_refused = 0;
        const bool good = tune_row_read_all(paths->at[i], rows, &num_refused);
        if (good)
            printf("%s: %d rows, %d refused\n", paths->at[i], cJSON_GetArraySize(rows) - num_before, num_refused);
        whole = whole && good && num_refused == 0;
    }
    fflush(stdout);
    bool good = true;
    if (cJSON_GetArraySize(rows) > 0) {
        good = tune_database_merge(output, rows);
        if (good)
            printf("merged into %s\n", output);
    }
    cJSON_Delete(rows);
    return good && whole;
}

/* The rows as a file of their own: one a line, sorted. */
static bool write_rows(const cJSON *rows, const char *path)
{
    char *text = tune_database_text(rows);
    bool good = text != NULL;
    if (good && strcmp(path, "-") == 0)
        good = (fputs(text, stdout) >= 0 && fflush(stdout) == 0) || tool_error("cannot write the rows");
    else if (good)
        good = tool_file_replace(path, text);
    free(text);
    return good;
}

bool tune_exchange_export(const char *source, const char *path)
{
    cJSON *rows = cJSON_CreateArray();
    int num_refused = 0;
    bool good = rows || tool_error("out of memory");
    good = good && tune_row_read_all(source, rows, &num_refused);
    good = good && write_rows(rows, path);
    cJSON_Delete(rows);
    return good && num_refused == 0;
}
