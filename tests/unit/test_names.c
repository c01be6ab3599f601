/* SPDX-License-Identifier: Apache-2.0 */
/* Names of device types, dtypes, families and layouts, and tensors made from a shape. */
#include <clattn/clattn.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void device_type_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(clattn_device_type_name(CLATTN_DEVICE_OTHER), "other");
    assert_string_equal(clattn_device_type_name(CLATTN_DEVICE_CPU), "cpu");
    assert_string_equal(clattn_device_type_name(CLATTN_DEVICE_GPU), "gpu");
    assert_string_equal(clattn_device_type_name(CLATTN_DEVICE_ACCELERATOR), "accelerator");
    assert_string_equal(clattn_device_type_name(CLATTN_NUM_DEVICE_TYPES), "invalid");
    assert_string_equal(clattn_device_type_name((clattn_device_type)-1), "invalid");
}

static void dtype_name_and_size_agree(void **state)
{
    (void)state;
    assert_string_equal(clattn_dtype_name(CLATTN_FLOAT32), "float32");
    assert_string_equal(clattn_dtype_name(CLATTN_FLOAT16), "float16");
    assert_string_equal(clattn_dtype_name(CLATTN_BFLOAT16), "bfloat16");
    assert_string_equal(clattn_dtype_name(CLATTN_DTYPE_DEFAULT), "default");
    assert_int_equal(clattn_dtype_size(CLATTN_FLOAT32), 4);
    assert_int_equal(clattn_dtype_size(CLATTN_FLOAT16), 2);
    assert_int_equal(clattn_dtype_size(CLATTN_BFLOAT16), 2);
    assert_int_equal(clattn_dtype_size(CLATTN_DTYPE_DEFAULT), 0);
}

static void dtype_out_of_range_is_invalid(void **state)
{
    (void)state;
    const clattn_dtype wrong[] = {CLATTN_NUM_DTYPES, (clattn_dtype)-1, (clattn_dtype)77};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(clattn_dtype_name(wrong[i]), "invalid");
        assert_int_equal(clattn_dtype_size(wrong[i]), 0);
    }
}

static void dtype_name_gives_the_dtype_back(void **state)
{
    (void)state;
    for (int dtype = 1; dtype < CLATTN_NUM_DTYPES; dtype++)
        assert_int_equal(clattn_dtype_from_name(clattn_dtype_name((clattn_dtype)dtype)), dtype);
    const char *const wrong[] = {"default", "invalid", "", "Float32", "float32 ", "float", NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(clattn_dtype_from_name(wrong[i]), CLATTN_DTYPE_DEFAULT);
}

static void family_name_gives_the_family_back(void **state)
{
    (void)state;
    assert_string_equal(clattn_family_name(CLATTN_FAMILY_DEFAULT), "default");
    assert_string_equal(clattn_family_name(CLATTN_FAMILY_VECTOR), "vector");
    assert_string_equal(clattn_family_name(CLATTN_FAMILY_SIMT), "simt");
    assert_string_equal(clattn_family_name(CLATTN_FAMILY_PLAIN), "plain");
    assert_string_equal(clattn_family_name(CLATTN_NUM_FAMILIES), "invalid");
    assert_string_equal(clattn_family_name((clattn_family)-1), "invalid");
    for (int family = 1; family < CLATTN_NUM_FAMILIES; family++)
        assert_int_equal(clattn_family_from_name(clattn_family_name((clattn_family)family)), family);
    const char *const wrong[] = {"default", "invalid", "", "SIMT", "simt ", NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(clattn_family_from_name(wrong[i]), CLATTN_FAMILY_DEFAULT);
}

static void layout_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(clattn_kv_layout_name(CLATTN_KV_COMBINED), "combined");
    assert_string_equal(clattn_kv_layout_name(CLATTN_KV_NHD), "nhd");
    assert_string_equal(clattn_kv_layout_name(CLATTN_KV_HND), "hnd");
    assert_string_equal(clattn_kv_layout_name(CLATTN_KV_HEADS_FIRST), "heads_first");
    assert_string_equal(clattn_kv_layout_name(CLATTN_NUM_KV_LAYOUTS), "invalid");
    assert_string_equal(clattn_kv_layout_name((clattn_kv_layout)-1), "invalid");
}

static void tensor_takes_the_shape_and_is_contiguous(void **state)
{
    const int64_t shape[CLATTN_MAX_RANK] = {7, 5, 3, 93};
    const cl_mem buffer = (cl_mem)state; /* any address; a tensor does not look behind it */
    for (int32_t rank = 1; rank <= CLATTN_MAX_RANK; rank++) {
        const clattn_tensor tensor = clattn_tensor_make(buffer, CLATTN_BFLOAT16, rank, shape);
        assert_ptr_equal(tensor.buffer, buffer);
        assert_int_equal(tensor.offset_bytes, 0);
        assert_int_equal(tensor.dtype, CLATTN_BFLOAT16);
        assert_int_equal(tensor.rank, rank);
        for (int32_t dimension = 0; dimension < CLATTN_MAX_RANK; dimension++) {
            assert_int_equal(tensor.shape[dimension], dimension < rank ? shape[dimension] : 0);
            assert_int_equal(tensor.strides[dimension], 0);
        }
    }
}

static void tensor_of_a_wrong_rank_has_rank_zero(void **state)
{
    (void)state;
    const int64_t shape[CLATTN_MAX_RANK] = {1, 1, 1, 1};
    const int32_t wrong[] = {0, -1, CLATTN_MAX_RANK + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(clattn_tensor_make(NULL, CLATTN_FLOAT32, wrong[i], shape).rank, 0);
    assert_int_equal(clattn_tensor_make(NULL, CLATTN_FLOAT32, 1, NULL).rank, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_type_has_its_name),
        cmocka_unit_test(dtype_name_and_size_agree),
        cmocka_unit_test(dtype_out_of_range_is_invalid),
        cmocka_unit_test(dtype_name_gives_the_dtype_back),
        cmocka_unit_test(family_name_gives_the_family_back),
        cmocka_unit_test(layout_has_its_name),
        cmocka_unit_test(tensor_takes_the_shape_and_is_contiguous),
        cmocka_unit_test(tensor_of_a_wrong_rank_has_rank_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
