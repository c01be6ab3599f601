/* SPDX-License-Identifier: Apache-2.0 */
/* The .npy reader on files made by hand: good ones, and one for each reason to refuse. */
#include "golden/npy.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NPY_FILE_BYTES 256
#define PREAMBLE_BYTES 10

/* The contents of a file. */
typedef struct npy_file {
    uint8_t bytes[NPY_FILE_BYTES];
    size_t num_bytes;
} npy_file;

/* -2.5, 0, 1 as float32; also three int32. */
static const uint8_t three_words[] = {0x00, 0x00, 0x20, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3f};

/* -2 and 2^32 + 3 as int64. */
static const uint8_t two_longs[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00};

/* Preamble, header text as it is, elements. */
static npy_file file_of(const char *header, const uint8_t *elements, size_t element_bytes)
{
    const size_t header_bytes = strlen(header);
    npy_file file = {.bytes = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0}};

    assert_true(PREAMBLE_BYTES + header_bytes + element_bytes <= NPY_FILE_BYTES);
    file.bytes[8] = (uint8_t)(header_bytes & 0xff);
    file.bytes[9] = (uint8_t)(header_bytes >> 8);
    memcpy(file.bytes + PREAMBLE_BYTES, header, header_bytes);
    if (element_bytes)
        memcpy(file.bytes + PREAMBLE_BYTES + header_bytes, elements, element_bytes);
    file.num_bytes = PREAMBLE_BYTES + header_bytes + element_bytes;
    return file;
}

static npy_array parse_good(const char *header, const uint8_t *elements, size_t element_bytes)
{
    const npy_file file = file_of(header, elements, element_bytes);
    npy_array array;
    const char *reason = npy_parse(file.bytes, file.num_bytes, &array);

    if (reason)
        fail_msg("%s: %s", header, reason);
    assert_non_null(array.data.bytes);
    return array;
}

static void assert_file_refused(const npy_file *file, const char *expected)
{
    npy_array array;
    /* Memory of the file's size, so that a sanitizer sees a read behind it. */
    uint8_t *contents = malloc(file->num_bytes ? file->num_bytes : 1);

    assert_non_null(contents);
    memcpy(contents, file->bytes, file->num_bytes);
    memset(&array, 0x5a, sizeof(array));
    const char *reason = npy_parse(contents, file->num_bytes, &array);
    free(contents);
    assert_non_null(reason);
    if (expected)
        assert_string_equal(reason, expected);
    assert_null(array.data.bytes);
    assert_int_equal(array.rank, 0);
    assert_int_equal(array.num_elements, 0);
}

static void assert_header_refused(const char *header, const char *expected)
{
    const npy_file file = file_of(header, three_words, sizeof(three_words));
    assert_file_refused(&file, expected);
}

static void vector_of_float32_is_read(void **state)
{
    (void)state;
    npy_array array = parse_good("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }     \n", three_words,
                                 sizeof(three_words));
    assert_int_equal(array.dtype, NPY_FLOAT32);
    assert_int_equal(array.rank, 1);
    assert_int_equal(array.shape[0], 3);
    assert_int_equal(array.num_elements, 3);
    assert_true(array.data.float32[0] == -2.5f);
    assert_true(array.data.float32[1] == 0.0f);
    assert_true(array.data.float32[2] == 1.0f);
    npy_destroy(&array);
    assert_null(array.data.bytes);
    npy_destroy(&array);
}

static void matrix_of_int32_is_read(void **state)
{
    (void)state;
    npy_array array =
        parse_good("{'descr': '<i4', 'fortran_order': False, 'shape': (3, 1), }\n", three_words, sizeof(three_words));
    assert_int_equal(array.dtype, NPY_INT32);
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.shape[0], 3);
    assert_int_equal(array.shape[1], 1);
    assert_int_equal(array.data.int32[0], (int32_t)-0x3fe00000);
    assert_int_equal(array.data.int32[2], 0x3f800000);
    npy_destroy(&array);
}

static void four_dimensions_of_int64_are_read(void **state)
{
    (void)state;
    npy_array array =
        parse_good("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2, 1, 1), }\n", two_longs, sizeof(two_longs));
    assert_int_equal(array.dtype, NPY_INT64);
    assert_int_equal(array.rank, 4);
    assert_int_equal(array.shape[1], 2);
    assert_int_equal(array.num_elements, 2);
    assert_true(array.data.int64[0] == -2);
    assert_true(array.data.int64[1] == INT64_C(0x100000003));
    npy_destroy(&array);
}

static void scalar_and_empty_array_are_read(void **state)
{
    (void)state;
    npy_array scalar =
        parse_good("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", three_words, sizeof(float));
    assert_int_equal(scalar.rank, 0);
    assert_int_equal(scalar.num_elements, 1);
    assert_true(scalar.data.float32[0] == -2.5f);
    npy_destroy(&scalar);

    npy_array empty = parse_good("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 0), }\n", NULL, 0);
    assert_int_equal(empty.rank, 2);
    assert_int_equal(empty.shape[0], 7);
    assert_int_equal(empty.num_elements, 0);
    npy_destroy(&empty);
}

static void file_is_read_from_its_path(void **state)
{
    const npy_file file =
        file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", three_words, sizeof(three_words));
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "three.npy");
    support_file_write(path, (const char *)file.bytes, file.num_bytes);
    npy_array array = npy_read(path);
    assert_int_equal(array.num_elements, 3);
    assert_true(array.data.float32[0] == -2.5f);
    npy_destroy(&array);
}

static void every_truncated_file_is_refused(void **state)
{
    (void)state;
    npy_file file =
        file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } \n", three_words, sizeof(three_words));
    const size_t header_end = file.num_bytes - sizeof(three_words);
    while (file.num_bytes-- > 0) {
        if (file.num_bytes >= header_end)
            assert_file_refused(&file, "the file ends before the last element");
        else if (file.num_bytes >= PREAMBLE_BYTES)
            assert_file_refused(&file, "the file ends in the header");
        else
            assert_file_refused(&file, "not a .npy file");
    }
}

static void bytes_behind_the_elements_are_refused(void **state)
{
    (void)state;
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
                          "the file goes on behind the last element");
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n",
                          "the file goes on behind the last element");
}

static void other_magic_and_version_are_refused(void **state)
{
    (void)state;
    const npy_file good =
        file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", three_words, sizeof(three_words));
    npy_file file = good;
    file.bytes[0] = 0x92;
    assert_file_refused(&file, "not a .npy file");
    file = good;
    file.bytes[6] = 2;
    assert_file_refused(&file, "the version is not 1.0");
    file = good;
    file.bytes[7] = 1;
    assert_file_refused(&file, "the version is not 1.0");
}

static void other_dtypes_are_refused(void **state)
{
    static const char *const dtypes[] = {"'<f8'", "'>f4'", "'<f2'", "'|i1'", "'<u4'", "'<f4", "[('x', '<f4')]"};
    (void)state;
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        char header[128];
        snprintf(header, sizeof(header), "{'descr': %s, 'fortran_order': False, 'shape': (3,), }\n", dtypes[i]);
        assert_header_refused(header, "the dtype is not <f4, <i4 or <i8");
    }
}

static void fortran_order_is_refused(void **state)
{
    (void)state;
    assert_header_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 1), }\n",
                          "the elements are in Fortran order");
}

static void bad_shapes_are_refused(void **state)
{
    static const struct {
        const char *shape;
        const char *reason;
    } cases[] = {
        {"3", "the header has no shape"},
        {"(3)", "the shape is not a tuple"},
        {"(-3,)", "a dimension is not a number"},
        {"(3, )", "a dimension is not a number"},
        {"(3, 1", "a dimension is not a number"},
        {"(3, 1,)", "the shape has no end"},
        {"(3, 1, 1, 1, 1)", "too many dimensions"},
        {"(9223372036854775808,)", "a dimension is not a number"},
        {"(9223372036854775807,)", "the shape is too large"},
        {"(4294967296, 4294967296, 3)", "the shape is too large"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char header[128];
        snprintf(header, sizeof(header), "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n", cases[i].shape);
        assert_header_refused(header, cases[i].reason);
    }
}

static void other_header_text_is_refused(void **state)
{
    (void)state;
    assert_header_refused("", "the header has no dtype");
    assert_header_refused("{'shape': (3,), 'fortran_order': False, 'descr': '<f4', }\n", "the header has no dtype");
    assert_header_refused("{'descr': '<f4', 'shape': (3,), }\n", "the header has no order or no shape");
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1, }\n",
                          "the header has more than dtype, order and shape");
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "the header has no end");
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } x\n", "the header has no end");
    assert_header_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n\n", "the header has no end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_of_float32_is_read),
        cmocka_unit_test(matrix_of_int32_is_read),
        cmocka_unit_test(four_dimensions_of_int64_are_read),
        cmocka_unit_test(scalar_and_empty_array_are_read),
        cmocka_unit_test_setup_teardown(file_is_read_from_its_path, support_directory_setup,
                                        support_directory_teardown),
        cmocka_unit_test(every_truncated_file_is_refused),
        cmocka_unit_test(bytes_behind_the_elements_are_refused),
        cmocka_unit_test(other_magic_and_version_are_refused),
        cmocka_unit_test(other_dtypes_are_refused),
        cmocka_unit_test(fortran_order_is_refused),
        cmocka_unit_test(bad_shapes_are_refused),
        cmocka_unit_test(other_header_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
