/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "fp.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OFFSET_ELEMENTS 5 /* odd on purpose: the tensor starts at no friendlier address than its dtype demands */
#define TAIL_ELEMENTS 64

static uint8_t canary_byte(size_t position)
{
    return (uint8_t)(0xa5u ^ (position * 37u));
}

/* Elements from the first to behind the last one. */
static int64_t span_of(const support_image *image)
{
    int64_t span = 1;

    for (int32_t i = 0; i < image->tensor.rank; i++) {
        if (image->tensor.shape[i] == 0)
            return 0;
        span += (image->tensor.shape[i] - 1) * image->strides[i];
    }
    return span;
}

support_image support_image_create(clattn_dtype dtype, int32_t rank, const int64_t *shape, bool strided)
{
    const int64_t offset = strided ? OFFSET_ELEMENTS : 0;
    support_image image = {.tensor = {.dtype = dtype, .rank = rank}};
    int64_t stride = 1;

    for (int32_t i = rank - 1; i >= 0; i--) {
        const int64_t gap = strided && i > 0 ? 2 * (rank - i) + 1 : 0;
        image.tensor.shape[i] = shape[i];
        image.strides[i] = stride;
        stride = stride * shape[i] + gap;
    }
    if (strided)
        memcpy(image.tensor.strides, image.strides, sizeof(image.strides));
    image.tensor.offset_bytes = (uint64_t)offset * clattn_dtype_size(dtype);
    image.num_bytes = (size_t)(offset + span_of(&image) + TAIL_ELEMENTS) * clattn_dtype_size(dtype);
    image.bytes = malloc(image.num_bytes);
    assert_non_null(image.bytes);
    return image;
}

void support_image_destroy(support_image *image)
{
    if (image->tensor.buffer)
        clReleaseMemObject(image->tensor.buffer);
    free(image->bytes);
    memset(image, 0, sizeof(*image));
}

void support_image_fill(support_image *image, float value)
{
    const size_t size = clattn_dtype_size(image->tensor.dtype);

    for (size_t position = 0; position < image->num_bytes; position += size)
        support_store(image->bytes + position, image->tensor.dtype, value);
}

void support_image_fill_canary(support_image *image)
{
    for (size_t position = 0; position < image->num_bytes; position++)
        image->bytes[position] = canary_byte(position);
}

int64_t support_image_at(const support_image *image, const int64_t *index)
{
    int64_t element = 0;

    for (int32_t i = 0; i < image->tensor.rank; i++)
        element += index[i] * image->strides[i];
    return element;
}

static size_t position_of(const support_image *image, int64_t element)
{
    return (size_t)image->tensor.offset_bytes + (size_t)element * clattn_dtype_size(image->tensor.dtype);
}

void support_image_set(support_image *image, int64_t element, float value)
{
    support_store(image->bytes + position_of(image, element), image->tensor.dtype, value);
}

float support_image_get(const support_image *image, int64_t element)
{
    return support_load(image->bytes + position_of(image, element), image->tensor.dtype);
}

const uint8_t *support_image_bytes(const support_image *image, int64_t element)
{
    return image->bytes + position_of(image, element);
}

void support_image_upload(support_image *image, const support_device *device)
{
    if (!image->tensor.buffer) {
        image->tensor.buffer = support_buffer_create(device, image->bytes, image->num_bytes);
        return;
    }
    support_require_cl(clEnqueueWriteBuffer(device->queue, image->tensor.buffer, CL_TRUE, 0, image->num_bytes,
                                            image->bytes, 0, NULL, NULL),
                       "clEnqueueWriteBuffer");
}

void support_image_download(support_image *image, const support_device *device)
{
    support_require_cl(clEnqueueReadBuffer(device->queue, image->tensor.buffer, CL_TRUE, 0, image->num_bytes,
                                           image->bytes, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
}

void support_image_expect_close(const support_image *a, const support_image *b, double tolerance)
{
    const clattn_tensor *tensor = &a->tensor;
    int64_t num_elements = 1;

    assert_int_equal(tensor->dtype, b->tensor.dtype);
    assert_int_equal(tensor->rank, b->tensor.rank);
    assert_memory_equal(tensor->shape, b->tensor.shape, (size_t)tensor->rank * sizeof(tensor->shape[0]));
    for (int32_t i = 0; i < tensor->rank; i++)
        num_elements *= tensor->shape[i];
    for (int64_t element = 0; element < num_elements; element++) {
        int64_t index[CLATTN_MAX_RANK] = {0};
        int64_t rest = element;
        for (int32_t i = tensor->rank - 1; i >= 0; i--) {
            index[i] = rest % tensor->shape[i];
            rest /= tensor->shape[i];
        }
        const int64_t at_a = support_image_at(a, index);
        const int64_t at_b = support_image_at(b, index);
        const double in_a = (double)support_image_get(a, at_a);
        const double in_b = (double)support_image_get(b, at_b);
        const bool same_bits =
            memcmp(support_image_bytes(a, at_a), support_image_bytes(b, at_b), clattn_dtype_size(tensor->dtype)) == 0;
        const bool close = tolerance >= 0.0 && fabs(in_a - in_b) <= tolerance * (1.0 + fabs(in_a));
        if (!same_bits && !close)
            fail_msg("index=%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 " a=%.9g b=%.9g", index[0], index[1],
                     index[2], index[3], in_a, in_b);
    }
}

float *support_image_decode(const support_image *image, int64_t *first)
{
    const size_t size = clattn_dtype_size(image->tensor.dtype);
    const size_t count = image->num_bytes / size;
    float *values = malloc(count * sizeof(*values));

    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = support_load(image->bytes + i * size, image->tensor.dtype);
    *first = (int64_t)(image->tensor.offset_bytes / size);
    return values;
}

/* Marks the bytes of the tensor's rows, a row being the elements of its last dimension, which lie side by side. */
static void mark_rows(const support_image *image, bool *inside)
{
    const clattn_tensor *tensor = &image->tensor;
    const int64_t width = tensor->shape[tensor->rank - 1];
    int64_t index[CLATTN_MAX_RANK] = {0};
    int64_t num_rows = 1;

    for (int32_t i = 0; i < tensor->rank - 1; i++)
        num_rows *= tensor->shape[i];
    for (int64_t row = 0; row < num_rows; row++) {
        int64_t rest = row;
        for (int32_t i = tensor->rank - 2; i >= 0; i--) {
            index[i] = rest % tensor->shape[i];
            rest /= tensor->shape[i];
        }
        const size_t position = position_of(image, support_image_at(image, index));
        memset(inside + position, true, (size_t)width * clattn_dtype_size(tensor->dtype));
    }
}

int64_t support_image_find_damage(const support_image *image)
{
    bool *inside = calloc(image->num_bytes, sizeof(*inside));
    int64_t damage = -1;

    assert_non_null(inside);
    mark_rows(image, inside);
    for (size_t position = 0; position < image->num_bytes && damage < 0; position++)
        if (!inside[position] && image->bytes[position] != canary_byte(position))
            damage = (int64_t)position;
    free(inside);
    return damage;
}

bool support_image_is_untouched(const support_image *image)
{
    for (size_t position = 0; position < image->num_bytes; position++)
        if (image->bytes[position] != canary_byte(position))
            return false;
    return true;
}
