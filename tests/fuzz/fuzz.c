/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fuzz_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fuzz: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

uint64_t fuzz_take(fuzz_bytes *bytes, int num_bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < num_bytes && bytes->num_left > 0; i++) {
        value |= (uint64_t)*bytes->next++ << (8 * i);
        bytes->num_left--;
    }
    return value;
}

int32_t fuzz_between(fuzz_bytes *bytes, int32_t low, int32_t high)
{
    const uint64_t count = (uint64_t)((int64_t)high - low) + 1;
    const int num_bytes = count <= 1 ? 0 : count <= 1u << 8 ? 1 : count <= 1u << 16 ? 2 : 4;
    return (int32_t)(low + (int64_t)(fuzz_take(bytes, num_bytes) % count));
}

bool fuzz_one_in(fuzz_bytes *bytes, int many)
{
    return fuzz_between(bytes, 0, 255) >= 256 - 256 / many;
}

int64_t fuzz_extreme(fuzz_bytes *bytes)
{
    const int64_t near = fuzz_between(bytes, -3, 3);
    switch (fuzz_between(bytes, 0, 7)) {
    case 0:
        return near;
    case 1:
        return fuzz_between(bytes, -64, 191);
    case 2:
        return INT32_MAX + near;
    case 3:
        return INT32_MIN + near;
    case 4:
        return (int64_t)(UINT64_C(1) << fuzz_between(bytes, 0, 62)) + near;
    case 5:
        return near >= 0 ? INT64_MAX - near : INT64_MIN - near;
    case 6:
        return (int64_t)fuzz_take(bytes, 4);
    default:
        return (int64_t)fuzz_take(bytes, 8);
    }
}

int32_t fuzz_extreme_int32(fuzz_bytes *bytes)
{
    const int64_t value = fuzz_extreme(bytes);
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

float fuzz_float(fuzz_bytes *bytes)
{
    static const float values[] = {0.0f,   -0.0f,  1.0f,   0.125f,  30.0f, -1.0f,     NAN,       INFINITY,
                                   -1e30f, -2e38f, 1e-45f, -1e-45f, 3e38f, -INFINITY, -0.999e30f};
    return values[fuzz_between(bytes, 0, (int32_t)(sizeof values / sizeof *values) - 1)];
}
