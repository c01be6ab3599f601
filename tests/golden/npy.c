/* SPDX-License-Identifier: Apache-2.0 */
/* The format is NumPy's, numpy.lib.format: magic, version, header length, a Python dictionary as text, the elements. */
#include "golden/npy.h"

#include "runtime/size.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PREAMBLE_BYTES 10 /* magic, version, header length */

/* What is left of the header to read. */
typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

/* Moves behind `text` if it is what comes next. */
static bool take(cursor *header, const char *text)
{
    const size_t length = strlen(text);

    if ((size_t)(header->end - header->at) < length || memcmp(header->at, text, length) != 0)
        return false;
    header->at += length;
    return true;
}

/* Reads a decimal number without a sign. */
static bool read_number(cursor *header, int64_t *number)
{
    const char *first = header->at;
    int64_t value = 0;

    for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++) {
        const int digit = *header->at - '0';
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return header->at > first;
}

/* Python's tuples: (), (3,), (3, 4). */
static const char *read_shape(cursor *header, npy_array *array)
{
    if (!take(header, "("))
        return "the header has no shape";
    if (take(header, ")"))
        return NULL;
    do {
        if (array->rank == CLATTN_MAX_RANK)
            return "too many dimensions";
        if (!read_number(header, &array->shape[array->rank]))
            return "a dimension is not a number";
        array->rank++;
    } while (take(header, ", "));
    if (array->rank == 1 && !take(header, ","))
        return "the shape is not a tuple";
    return take(header, ")") ? NULL : "the shape has no end";
}

static const char *read_dtype(cursor *header, npy_dtype *dtype)
{
    if (take(header, "'<f4'"))
        *dtype = NPY_FLOAT32;
    else if (take(header, "'<i4'"))
        *dtype = NPY_INT32;
    else if (take(header, "'<i8'"))
        *dtype = NPY_INT64;
    else
        return "the dtype is not <f4, <i4 or <i8";
    return NULL;
}

/* NumPy writes the keys in alphabetical order and nothing but spaces and a line end behind the dictionary. */
static const char *read_header(cursor *header, npy_array *array)
{
    const char *reason;

    if (!take(header, "{'descr': "))
        return "the header has no dtype";
    reason = read_dtype(header, &array->dtype);
    if (reason)
        return reason;
    if (take(header, ", 'fortran_order': True"))
        return "the elements are in Fortran order";
    if (!take(header, ", 'fortran_order': False, 'shape': "))
        return "the header has no order or no shape";
    reason = read_shape(header, array);
    if (reason)
        return reason;
    if (!take(header, ", }"))
        return "the header has more than dtype, order and shape";
    while (take(header, " "))
        ;
    return take(header, "\n") && header->at == header->end ? NULL : "the header has no end";
}

static size_t element_bytes(npy_dtype dtype)
{
    return dtype == NPY_INT64 ? sizeof(int64_t) : sizeof(int32_t);
}

/* The number of elements, if their bytes are exactly those behind the header. */
static const char *check_size(const npy_array *array, size_t num_bytes, size_t *num_elements)
{
    uint64_t count = 1;
    uint64_t expected;

    for (int32_t i = 0; i < array->rank; i++) {
        if (!clattn_size_multiply(count, (uint64_t)array->shape[i], &count))
            return "the shape is too large";
    }
    if (!clattn_size_multiply(count, element_bytes(array->dtype), &expected))
        return "the shape is too large";
    if (num_bytes < expected)
        return "the file ends before the last element";
    if (num_bytes > expected)
        return "the file goes on behind the last element";
    *num_elements = (size_t)count;
    return NULL;
}

static uint32_t little_endian_32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void decode(const uint8_t *bytes, npy_array *array)
{
    for (size_t i = 0; i < array->num_elements; i++) {
        const uint8_t *element = bytes + i * element_bytes(array->dtype);
        const uint32_t low = little_endian_32(element);
        if (array->dtype == NPY_INT64)
            array->data.int64[i] = (int64_t)((uint64_t)little_endian_32(element + 4) << 32 | low);
        else
            memcpy(&array->data.int32[i], &low, sizeof(low)); /* float32: the same 32 bits */
    }
}

static const char *parse(const uint8_t *contents, size_t num_bytes, npy_array *array)
{
    const char *reason;
    size_t header_bytes;
    cursor header;

    if (num_bytes < PREAMBLE_BYTES || memcmp(contents, "\x93NUMPY", 6) != 0)
        return "not a .npy file";
    if (contents[6] != 1 || contents[7] != 0)
        return "the version is not 1.0";
    header_bytes = (size_t)contents[8] | (size_t)contents[9] << 8;
    if (num_bytes - PREAMBLE_BYTES < header_bytes)
        return "the file ends in the header";
    header.at = (const char *)contents + PREAMBLE_BYTES;
    header.end = header.at + header_bytes;
    reason = read_header(&header, array);
    if (!reason)
        reason = check_size(array, num_bytes - PREAMBLE_BYTES - header_bytes, &array->num_elements);
    if (reason)
        return reason;
    array->data.bytes = malloc(array->num_elements * element_bytes(array->dtype) + 1); /* not NULL for no elements */
    if (!array->data.bytes)
        return "out of memory";
    decode(contents + PREAMBLE_BYTES + header_bytes, array);
    return NULL;
}

const char *npy_parse(const void *contents, size_t num_bytes, npy_array *array)
{
    const char *reason;

    *array = (npy_array){0};
    reason = parse(contents, num_bytes, array);
    if (reason)
        *array = (npy_array){0};
    return reason;
}

npy_array npy_read(const char *path)
{
    npy_array array;
    size_t num_bytes;
    char *contents;
    const char *reason;

    if (access(path, R_OK) != 0)
        fail_msg("%s: cannot be read", path);
    contents = support_file_read(path, &num_bytes);
    reason = npy_parse(contents, num_bytes, &array);
    free(contents);
    if (reason)
        fail_msg("%s: %s", path, reason);
    return array;
}

void npy_destroy(npy_array *array)
{
    free(array->data.bytes);
    *array = (npy_array){0};
}
