/* SPDX-License-Identifier: Apache-2.0 */
/* Size arithmetic that cannot wrap: false = overflow, *result untouched. Without OpenCL. */
#ifndef CLATTN_RUNTIME_SIZE_H
#define CLATTN_RUNTIME_SIZE_H

#include <stdbool.h>
#include <stdint.h>

static inline bool clattn_size_add(uint64_t a, uint64_t b, uint64_t *result)
{
    if (a > UINT64_MAX - b)
        return false;
    *result = a + b;
    return true;
}

static inline bool clattn_size_multiply(uint64_t a, uint64_t b, uint64_t *result)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *result = a * b;
    return true;
}

/* Quotient rounded up; b > 0. */
static inline int64_t clattn_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b > 0);
}

#endif
