/* SPDX-License-Identifier: Apache-2.0 */
/* From a record to lines (RFC 4180, with line feeds). */
#include "bench/csv.h"

#include "common/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_string(const char *text, FILE *file)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++)
        fprintf(file, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', file);
}

static void write_value(const cJSON *value, FILE *file)
{
    if (cJSON_IsString(value)) {
        write_string(value->valuestring, file);
    } else if (cJSON_IsNumber(value)) {
        fprintf(file, "%.15g", value->valuedouble);
    } else if (cJSON_IsBool(value)) {
        fputs(cJSON_IsTrue(value) ? "true" : "false", file);
    } else if (cJSON_IsArray(value)) {
        for (const cJSON *item = value->child; item; item = item->next) {
            write_value(item, file);
            if (item->next)
                fputc(' ', file);
        }
    }
}

/* The values of `result` under the keys of `heading`, or the keys themselves without a result. */
static void write_line(const cJSON *heading, const cJSON *result, FILE *file)
{
    for (const cJSON *column = heading->child; column; column = column->next) {
        if (column != heading->child)
            fputc(',', file);
        if (result)
            write_value(cJSON_GetObjectItemCaseSensitive(result, column->string), file);
        else
            write_string(column->string, file);
    }
}

char *bench_csv_make(const cJSON *record)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    const cJSON *results = cJSON_GetObjectItemCaseSensitive(record, "results");
    const cJSON *first = cJSON_GetArrayItem(results, 0);
    if (file && first) {
        write_line(first, NULL, file);
        for (const cJSON *result = first; result; result = result->next) {
            fputc('\n', file);
            write_line(first, result, file);
        }
    }
    if (file && fclose(file) == 0)
        return text;
    free(text);
    (void)tool_error("out of memory");
    return NULL;
}
