/* SPDX-License-Identifier: Apache-2.0 */
/* Rows put into tuning files: merged, sorted, at once by many, and not at all where that would lose something. */
#include "tune/database.h"

#include "support/directory.h"

#include <clattn/clattn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUM_WRITERS 6
#define ROWS_PER_WRITER 8

static cJSON *make_row(const char *device, int page_size, int block_kv)
{
    cJSON *row = cJSON_CreateObject();
    const char *const texts[][2] = {
        {"device", device}, {"vendor", "v"},         {"driver", "1.0"},    {"architecture", ""},
        {"type", "gpu"},    {"version", "0.1.0"},    {"op", "paged"},      {"phase", "decode"},
        {"family", "simt"}, {"kv_dtype", "float16"}, {"kv_layout", "nhd"}, {"batch", "small"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_non_null(cJSON_AddStringToObject(row, texts[i][0], texts[i][1]));
    const char *const numbers[] = {"head_dim", "head_dim_v", "group_size", "num_kv_heads"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_non_null(cJSON_AddNumberToObject(row, numbers[i], 64));
    assert_non_null(cJSON_AddNumberToObject(row, "page_size", page_size));
    cJSON *parameters = cJSON_AddObjectToObject(row, "parameters");
    assert_non_null(cJSON_AddNumberToObject(parameters, "block_kv", block_kv));
    return row;
}

/* Puts one row into a file; true if that went well. */
static bool merge_row(const char *path, const char *device, int page_size, int block_kv)
{
    cJSON *rows = cJSON_CreateArray();
    cJSON_AddItemToArray(rows, make_row(device, page_size, block_kv));
    const bool good = tune_database_merge(path, rows);
    cJSON_Delete(rows);
    return good;
}

typedef struct visit {
    int num_rows;
    int num_refused;
    int32_t last_page_size;
    int32_t last_value;
} visit;

static void take_row(void *user, const clattn_tuning_file_row *found)
{
    visit *seen = user;
    if (!found->row) {
        print_error("row %d: %s\n", (int)found->index, found->refusal);
        seen->num_refused++;
        return;
    }
    seen->num_rows++;
    seen->last_page_size = found->row->page_size;
    seen->last_value = found->row->parameters[0].value;
}

/* What the library reads. */
static visit read_rows(const char *path)
{
    visit seen = {0};
    assert_int_equal(clattn_tuning_visit_file(path, take_row, &seen), CLATTN_OK);
    assert_int_equal(seen.num_refused, 0);
    return seen;
}

static void join(char path[SUPPORT_PATH_BYTES], void **state)
{
    support_path_join(path, *state, "tuning.json");
}

static void merged_rows_are_what_the_library_reads_one_a_line_and_sorted(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    join(path, state);
    assert_true(merge_row(path, "b \"quoted\" \xc3\xa9\n", 16, 32));
    assert_true(merge_row(path, "a", 128, 32));
    assert_true(merge_row(path, "a", 16, 48));
    assert_int_equal(read_rows(path).num_rows, 3);
    size_t num_bytes = 0;
    char *text = support_file_read(path, &num_bytes);
    text[num_bytes] = '\0';
    int num_lines = 0;
    for (const char *at = text; *at; at++)
        num_lines += *at == '\n';
    assert_int_equal(num_lines, 3 + 2);
    const char *first = strstr(text, "\"page_size\":16,");
    const char *second = strstr(text, "\"page_size\":128,");
    const char *third = strstr(text, "quoted");
    assert_true(first && second && third && first < second && second < third); /* 16 before 128: not as texts */
    free(text);
}

static void row_for_the_same_takes_the_place_of_the_old_one(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    join(path, state);
    assert_true(merge_row(path, "a", 16, 32));
    assert_true(merge_row(path, "a", 16, 64));
    const visit seen = read_rows(path);
    assert_int_equal(seen.num_rows, 1);
    assert_int_equal(seen.last_value, 64);
}

static void writers_at_once_lose_nothing(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    join(path, state);
    for (int writer = 0; writer < NUM_WRITERS; writer++) {
        if (fork() != 0)
            continue;
        bool good = true;
        for (int i = 0; i < ROWS_PER_WRITER; i++)
            good = good && merge_row(path, "a", 1 + writer * ROWS_PER_WRITER + i, 32);
        _exit(good ? 0 : 1);
    }
    for (int writer = 0; writer < NUM_WRITERS; writer++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(read_rows(path).num_rows, NUM_WRITERS * ROWS_PER_WRITER);
}

/* Refused by both, and as it was before. */
static void refuse_file(const char *path, const char *text)
{
    support_file_write(path, text, strlen(text));
    assert_false(tune_database_check(path, false));
    assert_false(merge_row(path, "a", 16, 32));
    size_t num_bytes = 0;
    char *after = support_file_read(path, &num_bytes);
    assert_int_equal(num_bytes, strlen(text));
    assert_memory_equal(after, text, num_bytes);
    free(after);
}

static void file_that_is_none_or_of_another_schema_is_left_alone(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    join(path, state);
    refuse_file(path, "{\"schema\": 2, \"rows\": []}");
    refuse_file(path, "{\"rows\": []}");
    refuse_file(path, "{\"schema\": 1, \"rows\": {}}");
    refuse_file(path, "{\"schema\": 1, \"rows\": [");
    refuse_file(path, "");
    support_file_write(path, "{\"schema\": 1, \"rows\": []}", 25);
    assert_true(tune_database_check(path, false));
    assert_true(merge_row(path, "a", 16, 32));
}

static void check_changes_nothing_and_finds_a_folder_that_is_none(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char below[SUPPORT_PATH_BYTES];
    struct stat status;
    join(path, state);
    assert_true(tune_database_check(path, false));
    assert_int_not_equal(stat(path, &status), 0);
    support_path_join(below, *state, "missing/deeper/tuning.json");
    assert_false(tune_database_check(below, false));
    assert_true(tune_database_check(below, true));
    assert_true(merge_row(below, "a", 16, 32));
    support_path_join(below, path, "tuning.json");
    support_file_write(path, "x", 1);
    assert_false(tune_database_check(below, true));
}

static void file_behind_a_link_is_replaced_with_its_rights_and_the_link_stays(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char link[SUPPORT_PATH_BYTES];
    struct stat status;
    join(path, state);
    support_path_join(link, *state, "link.json");
    assert_true(merge_row(path, "a", 16, 32));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("tuning.json", link), 0);
    assert_true(merge_row(link, "a", 32, 32));
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(read_rows(path).num_rows, 2);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(merged_rows_are_what_the_library_reads_one_a_line_and_sorted),
        WITH_DIRECTORY(row_for_the_same_takes_the_place_of_the_old_one),
        WITH_DIRECTORY(writers_at_once_lose_nothing),
        WITH_DIRECTORY(file_that_is_none_or_of_another_schema_is_left_alone),
        WITH_DIRECTORY(check_changes_nothing_and_finds_a_folder_that_is_none),
        WITH_DIRECTORY(file_behind_a_link_is_replaced_with_its_rights_and_the_link_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
