/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of tuning files says of good rows, of wrong ones and of files that are none. */
#include "support/directory.h"
#include "support/tuning_rows.h"

#include <clattn/clattn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { MAX_ROWS = 64 };

/* What a visit met. */
typedef struct visit_record {
    int num_visits;
    int num_good;
    char refusals[MAX_ROWS][4096]; /* by row; "" = good */
    char whole_refusal[4096];      /* of the file, "" = none */
} visit_record;

static void record(void *user, const clattn_tuning_file_row *row)
{
    visit_record *met = user;
    assert_true(row->index == -1 || row->index == met->num_visits);
    assert_true((row->row == NULL) == (row->refusal[0] != '\0'));
    met->num_visits++;
    met->num_good += row->row != NULL;
    if (row->index < 0)
        snprintf(met->whole_refusal, sizeof met->whole_refusal, "%s", row->refusal);
    else
        snprintf(met->refusals[row->index], sizeof met->refusals[row->index], "%s", row->refusal);
}

static visit_record *visit(const char *path, clattn_status expected)
{
    static visit_record met;
    memset(&met, 0, sizeof met);
    assert_int_equal(clattn_tuning_visit_file(path, record, &met), expected);
    return &met;
}

static void check_good_row(void *user, const clattn_tuning_file_row *file_row)
{
    int *num_rows = user;
    const clattn_tuning_row *row = file_row->row;
    assert_non_null(row);
    assert_string_equal(row->device, "device of a test");
    assert_string_equal(row->vendor, "its vendor");
    assert_string_equal(row->driver, "1.5");
    assert_string_equal(row->architecture, "sm_99");
    assert_int_equal(row->type, CLATTN_DEVICE_GPU);
    assert_string_equal(row->version, "0.1.0");
    assert_int_equal(row->dense, file_row->index == 1);
    assert_int_equal(row->phase, CLATTN_PHASE_DECODE);
    assert_int_equal(row->family, CLATTN_FAMILY_SIMT);
    assert_int_equal(row->kv_dtype, CLATTN_FLOAT16);
    assert_int_equal(row->head_dim, 128);
    assert_int_equal(row->head_dim_v, file_row->index == 1 ? 8 : 128);
    assert_int_equal(row->group_size, 4);
    assert_int_equal(row->num_kv_heads, 8);
    assert_int_equal(row->kv_layout, CLATTN_KV_NHD);
    assert_int_equal(row->page_size, 16);
    assert_int_equal(row->batch, file_row->index == 1 ? CLATTN_BATCH_LARGE : CLATTN_BATCH_SMALL);
    assert_int_equal(row->num_parameters, file_row->index == 1 ? 0 : 2);
    if (file_row->index == 0) {
        assert_string_equal(row->parameters[0].name, "block_q");
        assert_int_equal(row->parameters[0].value, 4);
        assert_string_equal(row->parameters[1].name, "block_kv");
        assert_int_equal(row->parameters[1].value, 64);
    }
    assert_true(row->time_us == (file_row->index == 1 ? 0.0 : 12.5));
    assert_true(row->default_time_us == 25.0 && row->gain == 2.0 && row->noise == 0.01);
    assert_string_equal(row->date, file_row->index == 1 ? "" : "2026-01-31");
    ++*num_rows;
}

static void rows_say_what_the_file_says(void **state)
{
    static const support_tuning_field changes[] = {
        {"op", "\"dense\""},  {"head_dim_v", "8"}, {"batch", "\"large\""},
        {"parameters", "{}"}, {"time_us", NULL},   {"date", NULL},
    };
    char path[SUPPORT_PATH_BYTES];
    support_tuning_text file = {.text = NULL};
    int num_rows = 0;
    support_path_join(path, *state, "rows.json");
    support_tuning_add_row(&file, 0, NULL);
    support_tuning_add_row(&file, COUNT(changes), changes);
    support_tuning_write(&file, path);
    assert_int_equal(clattn_tuning_visit_file(path, check_good_row, &num_rows), CLATTN_OK);
    assert_int_equal(num_rows, 2);
}

static void file_without_rows_is_legal(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_tuning_text file = {.text = NULL};
    support_path_join(path, *state, "rows.json");
    support_tuning_write(&file, path);
    assert_int_equal(visit(path, CLATTN_OK)->num_visits, 0);
}

/* A field that is wrong, and what is said of it. */
typedef struct wrong_field {
    support_tuning_field change;
    const char *sentence;
} wrong_field;

static const wrong_field wrong_fields[] = {
    {{"device", NULL}, "device is missing"},
    {{"device", "7"}, "device: expected a text of less than 128 bytes, got 7"},
    {{"vendor", "null"}, "vendor: expected a text of less than 128 bytes, got null"},
    {{"driver", "[]"}, "driver: expected a text of less than 128 bytes, got an array"},
    {{"architecture", "{}"}, "architecture: expected a text of less than 128 bytes, got an object"},
    {{"type", "\"tpu\""}, "type: expected other, cpu, gpu or accelerator, got \"tpu\""},
    {{"version", "true"}, "version: expected a text of less than 128 bytes, got true"},
    {{"op", "\"page\""}, "op: expected paged or dense, got \"page\""},
    {{"phase", "\"invalid\""}, "phase: expected decode or prefill, got \"invalid\""},
    {{"family", "\"default\""}, "family: expected vector, simt or plain, got \"default\""},
    {{"kv_dtype", "\"int8\""}, "kv_dtype: expected float32, float16 or bfloat16, got \"int8\""},
    {{"head_dim", "100"}, "head_dim: expected a multiple of 8 in 8..512, got 100"},
    {{"head_dim", "520"}, "head_dim: expected a multiple of 8 in 8..512, got 520"},
    {{"head_dim", "0"}, "head_dim: expected a multiple of 8 in 8..512, got 0"},
    {{"head_dim", "\"128\""}, "head_dim: expected a multiple of 8 in 8..512, got \"128\""},
    {{"head_dim_v", "64.5"}, "head_dim_v: expected a multiple of 8 in 8..512, got 64.5"},
    {{"group_size", "0"}, "group_size: expected a whole number in 1..2147483647, got 0"},
    {{"group_size", "1e300"}, "group_size: expected a whole number in 1..2147483647, got 1e+300"},
    {{"num_kv_heads", "-1"}, "num_kv_heads: expected a whole number in 1..2147483647, got -1"},
    {{"kv_layout", "\"NHD\""}, "kv_layout: expected combined, nhd, hnd or heads_first, got \"NHD\""},
    {{"page_size", "2147483648"}, "page_size: expected a whole number in 1..2147483647, got 2147483648"},
    {{"batch", "2"}, "batch: expected single, small or large, got 2"},
    {{"parameters", "[4]"}, "parameters: expected an object, got an array"},
    {{"parameters", "{\"lanes\": 4}"}, "parameters: \"lanes\" is no tunable of simt decode"},
    {{"parameters", "{\"block_q\": 4, \"block_q\": 4}"}, "parameters: block_q is given twice"},
    {{"parameters", "{\"block_kv\": -16}"}, "block_kv: expected a whole number, 0 or more, got -16"},
    {{"parameters", "{\"block_kv\": \"16\"}"}, "block_kv: expected a whole number, 0 or more, got \"16\""},
    {{"time_us", "-0.5"}, "time_us: expected a number, 0 or more, got -0.5"},
    {{"default_time_us", "1e999"}, "default_time_us: expected a number, 0 or more, got inf"},
    {{"gain", "false"}, "gain: expected a number, 0 or more, got false"},
    {{"noise", "\"\""}, "noise: expected a number, 0 or more, got \"\""},
    {{"date", "20260131"}, "date: expected a text of less than 128 bytes, got 20260131"},
    {{"speed", "1"}, "a row has no field \"speed\""},
    {{"", "1"}, "a row has no field \"\""},
    {{"a\\nb", "1"}, "a row has no field \"a b\""},
    {{"parameters", "{\"a\\rb\": 1}"}, "parameters: \"a b\" is no tunable of simt decode"},
};

/* Every wrong row, and a good one behind each of them. */
static void wrong_row_is_refused_alone_and_told(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_tuning_text file = {.text = NULL};
    support_path_join(path, *state, "rows.json");
    assert_true(COUNT(wrong_fields) <= MAX_ROWS);
    for (int i = 0; i < COUNT(wrong_fields); i++)
        support_tuning_add_row(&file, 1, &wrong_fields[i].change);
    support_tuning_add_row(&file, 0, NULL);
    support_tuning_write(&file, path);
    const visit_record *met = visit(path, CLATTN_OK);
    assert_int_equal(met->num_visits, COUNT(wrong_fields) + 1);
    assert_int_equal(met->num_good, 1);
    assert_string_equal(met->refusals[COUNT(wrong_fields)], "");
    for (int i = 0; i < COUNT(wrong_fields); i++)
        assert_string_equal(met->refusals[i], wrong_fields[i].sentence);
}

static void every_field_but_the_measured_ones_must_be_there(void **state)
{
    static const char *const required[] = {"device",    "vendor",     "driver",     "architecture", "type",
                                           "version",   "op",         "phase",      "family",       "kv_dtype",
                                           "head_dim",  "head_dim_v", "group_size", "num_kv_heads", "kv_layout",
                                           "page_size", "batch",      "parameters"};
    static const char *const optional[] = {"time_us", "default_time_us", "gain", "noise", "date"};
    char path[SUPPORT_PATH_BYTES];
    support_tuning_text file = {.text = NULL};
    support_path_join(path, *state, "rows.json");
    for (int i = 0; i < COUNT(required); i++)
        support_tuning_add_row(&file, 1, &(support_tuning_field){required[i], NULL});
    for (int i = 0; i < COUNT(optional); i++)
        support_tuning_add_row(&file, 1, &(support_tuning_field){optional[i], NULL});
    support_tuning_write(&file, path);
    const visit_record *met = visit(path, CLATTN_OK);
    assert_int_equal(met->num_good, COUNT(optional));
    for (int i = 0; i < COUNT(required); i++) {
        char sentence[64];
        snprintf(sentence, sizeof sentence, "%s is missing", required[i]);
        assert_string_equal(met->refusals[i], sentence);
    }
}

static void text_as_long_as_a_device_can_be_called_is_the_longest(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_tuning_text file = {.text = NULL};
    support_path_join(path, *state, "rows.json");
    for (int length = CLATTN_NAME_BYTES - 1; length <= CLATTN_NAME_BYTES; length++) {
        char name[CLATTN_NAME_BYTES + 3] = "\"";
        memset(name + 1, 'x', (size_t)length);
        strcat(name, "\"");
        support_tuning_add_row(&file, 1, &(support_tuning_field){"device", name});
    }
    support_tuning_write(&file, path);
    const visit_record *met = visit(path, CLATTN_OK);
    assert_string_equal(met->refusals[0], "");
    assert_string_equal(met->refusals[1], "device: expected a text of less than 128 bytes, got "
                                          "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"");
}

static void rows_that_are_no_objects_and_doubled_fields_are_refused(void **state)
{
    static const char text[] =
        "{\"schema\": 1, \"rows\": [7, null, [], \"row\", {}, {\"device\": \"\", \"device\": \"\"},"
        " {\"device\": \"a\\nb\", \"op\": \"a\\nb\"}]}";
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "rows.json");
    support_file_write(path, text, sizeof text - 1);
    const visit_record *met = visit(path, CLATTN_OK);
    assert_int_equal(met->num_visits, 7);
    for (int i = 0; i < 4; i++)
        assert_string_equal(met->refusals[i], "a row is an object");
    assert_string_equal(met->refusals[4], "device is missing");
    assert_string_equal(met->refusals[5], "device is given twice");
    assert_string_equal(met->refusals[6], "op: expected paged or dense, got \"a b\"");
}

static const struct {
    const char *text;
    const char *refusal;
} whole_files[] = {
    {"", "is not JSON: line 1, column 1"},
    {"\n{\"schema\": 1,\n  \"rows\": [}", "is not JSON: line 3, column 12"},
    {"{\"schema\": 1, \"rows\": []} {}", "is not JSON: line 1, column 27"},
    {"[]", "expected an object, got an array"},
    {"7", "expected an object, got 7"},
    {"{}", "\"schema\" is missing"},
    {"{\"rows\": []}", "\"schema\" is missing"},
    {"{\"schema\": 2, \"lines\": []}", "schema: expected 1, got 2"},
    {"{\"schema\": \"1\", \"rows\": []}", "schema: expected 1, got \"1\""},
    {"{\"schema\": 1, \"schema\": 1, \"rows\": []}", "\"schema\" is given twice"},
    {"{\"schema\": 1}", "\"rows\" is missing"},
    {"{\"schema\": 1, \"rows\": {}}", "rows: expected an array, got an object"},
    {"{\"schema\": 1, \"rows\": [], \"rows\": []}", "\"rows\" is given twice"},
    {"{\"schema\": 1, \"rows\": [], \"lines\": []}", "a tuning file has no field \"lines\""},
    {"{\"schema\": \"\\n1\", \"rows\": []}", "schema: expected 1, got \" 1\""},
    {"{\"schema\": 1, \"rows\": [], \"a\\nb\": []}", "a tuning file has no field \"a b\""},
    {"{\"Schema\": 1, \"rows\": []}", "\"schema\" is missing"},
};

static void assert_whole_refusal(const char *path, const char *expected)
{
    const visit_record *met = visit(path, CLATTN_INVALID_ARGUMENT);
    assert_int_equal(met->num_visits, 1);
    assert_string_equal(met->whole_refusal, expected);
}

static void file_that_is_none_is_refused_as_a_whole(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "rows.json");
    for (int i = 0; i < COUNT(whole_files); i++) {
        support_file_write(path, whole_files[i].text, strlen(whole_files[i].text));
        assert_whole_refusal(path, whole_files[i].refusal);
    }
    support_file_write(path, "{\"schema\": 1, \"rows\": []}\0", 27);
    assert_whole_refusal(path, "is not JSON: it has a byte 0");
}

static void nesting_without_end_is_no_json(void **state)
{
    enum { DEPTH = 1 << 20 };
    char path[SUPPORT_PATH_BYTES];
    char *text = malloc(DEPTH);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    support_path_join(path, *state, "rows.json");
    support_file_write(path, text, DEPTH);
    free(text);
    assert_non_null(strstr(visit(path, CLATTN_INVALID_ARGUMENT)->whole_refusal, "is not JSON"));
}

static void file_that_cannot_be_read_is_told(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "absent.json");
    assert_whole_refusal(path, "cannot be read: No such file or directory");
    assert_whole_refusal(*state, "cannot be read: it is no file");
    support_path_join(path, *state, "pipe.json");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_whole_refusal(path, "cannot be read: it is no file");
}

static void largest_file_is_read_and_a_larger_one_refused(void **state)
{
    static const char text[] = "{\"schema\": 1, \"rows\": []}";
    char path[SUPPORT_PATH_BYTES];
    char *blanks = malloc(CLATTN_TUNING_FILE_BYTES + 1);
    assert_non_null(blanks);
    memset(blanks, ' ', CLATTN_TUNING_FILE_BYTES + 1);
    memcpy(blanks, text, sizeof text - 1);
    support_path_join(path, *state, "rows.json");
    support_file_write(path, blanks, CLATTN_TUNING_FILE_BYTES);
    assert_int_equal(visit(path, CLATTN_OK)->num_visits, 0);
    support_file_write(path, blanks, CLATTN_TUNING_FILE_BYTES + 1);
    assert_whole_refusal(path, "has 16777217 bytes, expected at most 16777216");
    free(blanks);
}

static void every_truncation_is_refused_as_a_whole(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    support_tuning_text file = {.text = NULL};
    support_path_join(path, *state, "rows.json");
    support_tuning_add_row(&file, 0, NULL);
    support_tuning_write(&file, path);
    char *whole = support_file_read(path, &num_bytes);
    for (size_t kept = 0; kept + 1 < num_bytes; kept++) { /* the last byte is a line end */
        support_file_write(path, whole, kept);
        assert_int_equal(visit(path, CLATTN_INVALID_ARGUMENT)->num_good, 0);
    }
    free(whole);
}

static void missing_arguments_are_refused(void **state)
{
    visit_record met = {.num_visits = 0};
    assert_int_equal(clattn_tuning_visit_file(NULL, record, &met), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_tuning_visit_file(*state, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(met.num_visits, 0);
}

static void batches_fall_into_three_classes(void **state)
{
    (void)state;
    assert_int_equal(clattn_batch_class_of(1), CLATTN_BATCH_SINGLE);
    assert_int_equal(clattn_batch_class_of(0), CLATTN_BATCH_SINGLE);
    assert_int_equal(clattn_batch_class_of(INT32_MIN), CLATTN_BATCH_SINGLE);
    assert_int_equal(clattn_batch_class_of(2), CLATTN_BATCH_SMALL);
    assert_int_equal(clattn_batch_class_of(15), CLATTN_BATCH_SMALL);
    assert_int_equal(clattn_batch_class_of(16), CLATTN_BATCH_LARGE);
    assert_int_equal(clattn_batch_class_of(INT32_MAX), CLATTN_BATCH_LARGE);
    assert_string_equal(clattn_batch_class_name(CLATTN_BATCH_SINGLE), "single");
    assert_string_equal(clattn_batch_class_name(CLATTN_BATCH_SMALL), "small");
    assert_string_equal(clattn_batch_class_name(CLATTN_BATCH_LARGE), "large");
    assert_string_equal(clattn_batch_class_name(CLATTN_NUM_BATCH_CLASSES), "invalid");
    assert_string_equal(clattn_batch_class_name((clattn_batch_class)-1), "invalid");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(rows_say_what_the_file_says),
        IN_DIRECTORY(file_without_rows_is_legal),
        IN_DIRECTORY(wrong_row_is_refused_alone_and_told),
        IN_DIRECTORY(every_field_but_the_measured_ones_must_be_there),
        IN_DIRECTORY(text_as_long_as_a_device_can_be_called_is_the_longest),
        IN_DIRECTORY(rows_that_are_no_objects_and_doubled_fields_are_refused),
        IN_DIRECTORY(file_that_is_none_is_refused_as_a_whole),
        IN_DIRECTORY(nesting_without_end_is_no_json),
        IN_DIRECTORY(file_that_cannot_be_read_is_told),
        IN_DIRECTORY(largest_file_is_read_and_a_larger_one_refused),
        IN_DIRECTORY(every_truncation_is_refused_as_a_whole),
        IN_DIRECTORY(missing_arguments_are_refused),
        cmocka_unit_test(batches_fall_into_three_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
