/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device tensor together with the host's image of its whole buffer: what lies before it, in the gaps
 * between its rows and behind it. Inputs have poison there, outputs a canary pattern.
 */
#ifndef SUPPORT_IMAGE_H
#define SUPPORT_IMAGE_H

#include "device.h"

typedef struct support_image {
    clattn_tensor tensor;             /* buffer NULL until uploaded; rank 0 = absent */
    int64_t strides[CLATTN_MAX_RANK]; /* elements, written out also where the tensor leaves them 0 */
    size_t num_bytes;                 /* of the buffer */
    uint8_t *bytes;                   /* the buffer's contents */
} support_image;

/* Lays a tensor out; `strided` gives it an offset and gaps of an odd number of elements. */
support_image support_image_create(clattn_dtype dtype, int32_t rank, const int64_t *shape, bool strided);

void support_image_destroy(support_image *image);

/* Fills the whole buffer, gaps and zones included, with one value or with the canary pattern. */
void support_image_fill(support_image *image, float value);
void support_image_fill_canary(support_image *image);

/* The number of elements from the tensor's first element to that of an index [rank]. */
int64_t support_image_at(const support_image *image, const int64_t *index);

/* Writes or reads the element that lies `element` elements behind the tensor's first one. */
void support_image_set(support_image *image, int64_t element, float value);
float support_image_get(const support_image *image, int64_t element);

/* The stored bytes of an element. */
const uint8_t *support_image_bytes(const support_image *image, int64_t element);

/* Host to device, making the buffer if there is none; device to host. Both block. */
void support_image_upload(support_image *image, const support_device *device);
void support_image_download(support_image *image, const support_device *device);

/*
 * Fails unless two tensors of one dtype and shape, wherever they lie, hold the same: |a - b| <= tolerance * (1 + |a|),
 * or bit for bit if tolerance < 0.
 */
void support_image_expect_close(const support_image *a, const support_image *b, double tolerance);

/* The buffer as float32, in the caller's memory to free; the tensor's first element is at *first. */
float *support_image_decode(const support_image *image, int64_t *first);

/* The first byte outside the tensor that is not the canary's, as an offset into the buffer; -1 = none. */
int64_t support_image_find_damage(const support_image *image);

/* Whether the whole buffer, the tensor included, still holds the canary pattern. */
bool support_image_is_untouched(const support_image *image);

#endif
