/* SPDX-License-Identifier: Apache-2.0 */
#include "append_fixture.h"

#include "kv_layout.h"
#include "support/fp.h"
#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Values on and beside the edges of every conversion. */
static float special_value(int32_t number)
{
    static const uint32_t bits[] = {
        0x00000000, 0x80000000,             /* zeros */
        0x3f801000, 0x3f803000, 0x3f801001, /* half: ties between odd and even, and just above */
        0x3f808000, 0x3f818000, 0x3f808001, /* bfloat16: the same */
        0x33800000, 0x33000000, 0x33000001, /* half: smallest subnormal, half of it, just above */
        0x387fc000, 0x387fe000, 0x387fefff, /* half: largest subnormals, a tie to the smallest normal */
        0x477fe000, 0x477fefff, 0x477ff000, /* half: 65504, last before and first of infinity */
        0x7f7f7fff, 0x7f7f8000, 0x7f7fffff, /* bfloat16: last before and first of infinity */
        0x00000001, 0x007fffff, 0x00018000, /* float32 subnormals, a tie of bfloat16 */
        0x7f800000, 0xff800000,             /* infinities */
        0x7fc00000, 0x7f800001, 0xffffffff, /* NaN whose payload lies low or everywhere */
    };
    const uint32_t count = sizeof bits / sizeof bits[0];
    float value;
    memcpy(&value, &bits[(uint32_t)number % count], sizeof value);
    return value;
}

/* Poison around the rows, and in them random numbers with a special value at every third place. */
static support_image make_rows(clattn_dtype dtype, const int64_t shape[3], bool strided, support_random *random)
{
    support_image image = support_image_create(dtype, 3, shape, strided);
    int32_t number = support_random_between(random, 0, 30);
    support_image_fill(&image, NAN);
    for (int64_t t = 0; t < shape[0]; t++) {
        for (int64_t h = 0; h < shape[1]; h++) {
            for (int64_t d = 0; d < shape[2]; d++, number++) {
                const float value = number % 3 == 0 ? special_value(number / 3) : support_random_normal(random);
                support_image_set(&image, support_image_at(&image, (const int64_t[]){t, h, d}), value);
            }
        }
    }
    return image;
}

static cl_mem layer_buffer(const append_fixture *tested, int32_t layer, int which)
{
    clattn_tensor tensors[2];
    assert_int_equal(clattn_kv_cache_layer(tested->cache, layer, &tensors[0], &tensors[1]), CLATTN_OK);
    return tensors[which].buffer;
}

static size_t layer_bytes(const append_fixture *tested, int which)
{
    return kv_num_elements(tested->params, which == 1) * clattn_dtype_size(tested->params->dtype);
}

/* NaN in every dtype, and different from place to place. */
static void fill_with_nan(uint8_t *bytes, size_t num_bytes)
{
    for (size_t i = 0; i < num_bytes; i += 2) {
        bytes[i] = (uint8_t)(0xc1u + i / 2 % 60);
        bytes[i + 1] = 0x7f;
    }
}

static void fill_layers(append_fixture *tested)
{
    for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
        for (int which = 0; which < 2; which++) {
            cl_mem buffer = layer_buffer(tested, layer, which);
            if (!buffer)
                continue;
            tested->expected[layer][which] = malloc(layer_bytes(tested, which));
            assert_non_null(tested->expected[layer][which]);
            fill_with_nan(tested->expected[layer][which], layer_bytes(tested, which));
            support_require_cl(clEnqueueWriteBuffer(tested->device->queue, buffer, CL_TRUE, 0,
                                                    layer_bytes(tested, which), tested->expected[layer][which], 0, NULL,
                                                    NULL),
                               "clEnqueueWriteBuffer");
        }
    }
}

void append_setup(append_fixture *tested, const support_device *device, const append_case *made, support_random *random)
{
    const clattn_kv_cache_params params = {
        .num_layers = NUM_LAYERS,
        .num_pages = made->num_pages,
        .page_size = made->page_size,
        .num_kv_heads = made->num_kv_heads,
        .head_dim = made->head_dim,
        .head_dim_v = made->head_dim_v,
        .dtype = made->dtype,
        .layout = made->layout,
    };
    const int32_t num_slots = made->num_pages * made->page_size;
    support_size_spend((int64_t)made->total_tokens * made->num_kv_heads * (made->head_dim + made->head_dim_v) / 4);
    int32_t *order = malloc((size_t)num_slots * sizeof *order);
    *tested = (append_fixture){.device = device, .total_tokens = made->total_tokens};
    if (clattn_kv_cache_create(device->ctx, &params, &tested->cache) != CLATTN_OK)
        fail_msg("%s", clattn_context_last_error(device->ctx));
    tested->params = clattn_kv_cache_get_params(tested->cache);
    fill_layers(tested);
    tested->keys = make_rows(made->k_dtype, (const int64_t[]){made->total_tokens, made->num_kv_heads, made->head_dim},
                             made->strided, random);
    tested->values =
        make_rows(made->v_dtype, (const int64_t[]){made->total_tokens, made->num_kv_heads, made->head_dim_v},
                  made->strided, random);
    support_image_upload(&tested->keys, device);
    support_image_upload(&tested->values, device);

    tested->slots = malloc((size_t)num_slots * sizeof *tested->slots);
    assert_non_null(order);
    assert_non_null(tested->slots);
    support_random_permutation(random, num_slots, order);
    for (int32_t i = 0; i < num_slots; i++)
        tested->slots[i] = order[i];
    free(order);
}

void append_teardown(append_fixture *tested)
{
    clFinish(tested->device->queue);
    for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
        free(tested->expected[layer][0]);
        free(tested->expected[layer][1]);
    }
    support_image_destroy(&tested->keys);
    support_image_destroy(&tested->values);
    free(tested->slots);
    clattn_kv_cache_destroy(&tested->cache);
}

static void expect_rows(append_fixture *tested, int32_t layer, const int64_t *slots, const support_image *rows,
                        bool value)
{
    uint8_t *expected = tested->expected[layer][value && tested->params->layout != CLATTN_KV_COMBINED];
    const clattn_dtype dtype = tested->params->dtype;
    for (int32_t t = 0; t < tested->total_tokens; t++) {
        for (int32_t h = 0; h < tested->params->num_kv_heads; h++) {
            for (int32_t d = 0; d < rows->tensor.shape[2]; d++) {
                const int64_t from = support_image_at(rows, (const int64_t[]){t, h, d});
                const size_t to = kv_element(tested->params, value, slots[t], h, d);
                support_store(expected + to * clattn_dtype_size(dtype), dtype, support_image_get(rows, from));
            }
        }
    }
}

void append_expect(append_fixture *tested, int32_t layer, const int64_t *slots)
{
    expect_rows(tested, layer, slots, &tested->keys, false);
    expect_rows(tested, layer, slots, &tested->values, true);
}

/* Bit for bit, but a NaN that was written may have any payload: the first differing element, -1 = none. */
static int64_t find_difference(const append_fixture *tested, int32_t layer, int which, const uint8_t *found)
{
    const uint8_t *expected = tested->expected[layer][which];
    const clattn_dtype dtype = tested->params->dtype;
    const size_t size = clattn_dtype_size(dtype);
    for (size_t i = 0; i < layer_bytes(tested, which); i += size) {
        if (memcmp(found + i, expected + i, size) == 0)
            continue;
        if (!isnan(support_load(expected + i, dtype)) || !isnan(support_load(found + i, dtype)))
            return (int64_t)(i / size);
    }
    return -1;
}

void append_check_layers(const append_fixture *tested, const char *what)
{
    for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
        for (int which = 0; which < 2; which++) {
            if (!tested->expected[layer][which])
                continue;
            const size_t size = clattn_dtype_size(tested->params->dtype);
            uint8_t *found = malloc(layer_bytes(tested, which));
            assert_non_null(found);
            support_require_cl(clEnqueueReadBuffer(tested->device->queue, layer_buffer(tested, layer, which), CL_TRUE,
                                                   0, layer_bytes(tested, which), found, 0, NULL, NULL),
                               "clEnqueueReadBuffer");
            const int64_t element = find_difference(tested, layer, which, found);
            if (element >= 0)
                fail_msg("%s layer=%d which=%d element=%lld found=%a expected=%a", what, (int)layer, which,
                         (long long)element,
                         (double)support_load(found + (size_t)element * size, tested->params->dtype),
                         (double)support_load(tested->expected[layer][which] + (size_t)element * size,
                                              tested->params->dtype));
            free(found);
        }
    }
}

clattn_kv_append_params append_params_of(const append_fixture *tested, int32_t layer)
{
    return (clattn_kv_append_params){
        .layer = layer,
        .keys = tested->keys.tensor,
        .values = tested->values.tensor,
        .slot_mapping = tested->slots,
    };
}

void append_rows(append_fixture *tested, int32_t layer)
{
    const clattn_kv_append_params params = append_params_of(tested, layer);
    if (clattn_kv_cache_append(tested->cache, &params, 0, NULL, NULL) != CLATTN_OK)
        fail_msg("%s", clattn_context_last_error(tested->device->ctx));
    append_expect(tested, layer, tested->slots);
}
