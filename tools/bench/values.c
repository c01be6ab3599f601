/* SPDX-License-Identifier: Apache-2.0 */
/* The values of single options, each checked by itself. */
#include "bench/values.h"

#include "bench/message.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A whole decimal number in [minimum, maximum] that ends at `end`. */
static bool read_number(const char *text, char end, long minimum, long maximum, const char **rest, int32_t *value)
{
    char *stop = NULL;
    errno = 0;
    const long number = strtol(text, &stop, 10);
    if (stop == text || (*stop != end && *stop != '\0') || errno != 0 || number < minimum || number > maximum)
        return false;
    *value = (int32_t)number;
    *rest = *stop == '\0' ? stop : stop + 1;
    return true;
}

bool bench_value_int(const char *option, const char *text, long minimum, long maximum, int32_t *value)
{
    const char *rest = NULL;
    if (read_number(text, '\0', minimum, maximum, &rest, value))
        return true;
    return bench_error("%s wants a whole number from %ld to %ld, not '%s'", option, minimum, maximum, text);
}

bool bench_value_soft_cap(const char *text, double *value)
{
    char *stop = NULL;
    *value = strtod(text, &stop);
    /* A positive number that is 0 as float32 would switch the cap off. */
    const bool fits = isfinite((float)*value) && (*value > 0.0) == ((float)*value > 0.0f);
    if (stop != text && *stop == '\0' && fits && *value >= 0.0)
        return true;
    return bench_error("--soft-cap wants 0 or a positive float32, not '%s'", text);
}

bool bench_value_dtype(const char *option, const char *text, clattn_dtype *dtype)
{
    *dtype = clattn_dtype_from_name(text);
    if (*dtype != CLATTN_DTYPE_DEFAULT)
        return true;
    return bench_error("%s is float32, float16 or bfloat16, not '%s'", option, text);
}

bool bench_value_layout(const char *text, clattn_kv_layout *layout)
{
    for (int i = 0; i < CLATTN_NUM_KV_LAYOUTS; i++) {
        *layout = (clattn_kv_layout)i;
        if (strcmp(text, clattn_kv_layout_name(*layout)) == 0)
            return true;
    }
    return bench_error("--layout is combined, nhd, hnd or heads_first, not '%s'", text);
}

bool bench_value_family(const char *text, clattn_family *family)
{
    *family = clattn_family_from_name(text);
    if (*family != CLATTN_FAMILY_DEFAULT || strcmp(text, clattn_family_name(CLATTN_FAMILY_DEFAULT)) == 0)
        return true;
    return bench_error("--family is default, vector, simt or plain, not '%s'", text);
}

bool bench_value_operations(const char *text, int max_operations, const bench_operation **operations, int *count)
{
    *count = 0;
    for (const char *name = text;;) {
        const int length = (int)strcspn(name, ",");
        if (*count == max_operations)
            return bench_error("--op names more than %d operations", max_operations);
        operations[*count] = bench_operation_find(name, length);
        if (!operations[*count])
            return bench_error("--op '%.*s' cannot be measured; --help lists the operations", length, name);
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
        return bench_error("%s has %d numbers for %d sequences", option, (int)count, (int)num_seqs);
    const char *rest = list;
    for (int32_t i = 0; i < count; i++) {
        if (!read_number(rest, ',', 1, INT32_MAX, &rest, &values[i]))
            return bench_error("%s wants whole numbers from 1 to %d separated by commas, not '%s'", option, INT32_MAX,
                               list);
    }
    for (int32_t i = count; i < num_seqs; i++)
        values[i] = values[0];
    return true;
}
