/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the options that only cl-bench has. */
#include "bench/values.h"

#include "common/message.h"
#include "common/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool bench_value_soft_cap(const char *text, double *value)
{
    char *stop = NULL;
    *value = strtod(text, &stop);
    /* A positive number that is 0 as float32 would switch the cap off. */
    const bool fits = isfinite((float)*value) && (*value > 0.0) == ((float)*value > 0.0f);
    if (stop != text && *stop == '\0' && fits && *value >= 0.0)
        return true;
    return tool_error("--soft-cap wants 0 or a positive float32, not '%s'", text);
}

bool bench_value_operations(const char *text, int max_operations, const bench_operation **operations, int *count)
{
    *count = 0;
    for (const char *name = text;;) {
        const int length = (int)strcspn(name, ",");
        if (*count == max_operations)
            return tool_error("--op names more than %d operations", max_operations);
        operations[*count] = bench_operation_find(name, length);
        if (!operations[*count])
            return tool_error("--op '%.*s' cannot be measured; --help lists the operations", length, name);
        ++*count;
        if (name[length] == '\0')
            return true;
        name += length + 1;
    }
}

int32_t bench_value_count(const char *list)
{
    int32_t count = 1;
    for (const char *at = list; *at; at++)
        count += *at == ',';
    return count;
}

bool bench_value_list(const char *option, const char *list, int32_t num_seqs, int32_t *values)
{
    const int32_t count = bench_value_count(list);
    if (count != 1 && count != num_seqs)
        return tool_error("%s has %d numbers for %d sequences", option, (int)count, (int)num_seqs);
    const char *rest = list;
    for (int32_t i = 0; i < count; i++) {
        if (!tool_read_number(rest, ',', 1, INT32_MAX, &rest, &values[i]))
            return tool_error("%s wants whole numbers from 1 to %d separated by commas, not '%s'", option, INT32_MAX,
                              list);
    }
    for (int32_t i = count; i < num_seqs; i++)
        values[i] = values[0];
    return true;
}
