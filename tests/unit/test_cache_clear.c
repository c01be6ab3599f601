/* SPDX-License-Identifier: Apache-2.0 */
/* What a clearing of a cache directory removes, and what it leaves alone. */
#include "runtime/cache_clear.h"
#include "runtime/cache_walk.h"
#include "runtime/program_cache.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH(digit) digit "123456789abcdef0123456789abcdef"

enum { STALE = CLATTN_CACHE_STALE_SECONDS + 60, ONE_OF_EACH_BYTES = 3 };

/* Files that a test plants; what is not the cache's is never cleared. */
typedef struct planted_file {
    const char *name;
    int age;
    bool is_cleared[CLATTN_NUM_CACHE_PARTS];
} planted_file;

static const planted_file planted[] = {
    {HASH("0") ".clattn", 0, {true, true, true}},        /* damaged */
    {HASH("1") ".clattn", STALE, {true, true, true}},    /* damaged, old */
    {".clattn-abcdef", STALE, {true, true, true}},       /* left behind */
    {".clattn-ABCDEF", 0, {false, false, true}},         /* being written */
    {".clattn-" HASH("0"), STALE, {false, false, true}}, /* the note of who died */
    {"mine.clattn", STALE, {false, false, false}},       {HASH("2"), STALE, {false, false, false}},
    {".clattn-abcdefg", STALE, {false, false, false}},   {"README", STALE, {false, false, false}},
};

enum { NUM_PLANTED = sizeof planted / sizeof *planted };

/* The key of a program that nobody has built. */
static char *program_key(void)
{
    static const clattn_device_facts facts = {.name = "a device", .driver = "1.5"};
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    clattn_variant_define(&variant, "HEAD_DIM_V", 8);
    char *options = clattn_variant_options(&variant);
    char *key = clattn_program_key_text(&facts, &variant, options);
    assert_non_null(key);
    free(options);
    return key;
}

/* Everything above; and a program, the verdict on it, and a foreign file of the same bytes. */
static void plant(const char *directory)
{
    char path[SUPPORT_PATH_BYTES];
    for (int i = 0; i < NUM_PLANTED; i++) {
        support_path_join(path, directory, planted[i].name);
        support_file_write(path, "abc", ONE_OF_EACH_BYTES);
        support_file_set_age(path, planted[i].age);
    }
    const clattn_verdict verdict = {.kind = CLATTN_VERDICT_CRASHED};
    char *key = program_key();
    char *verdict_key = clattn_verdict_key(key);
    assert_true(clattn_program_cache_save(directory, key, "binary", 6));
    assert_true(clattn_verdict_save(directory, verdict_key, &verdict));
    assert_true(clattn_program_cache_save(directory, "of another format", "binary", 6));
    free(verdict_key);
    free(key);
}

static bool is_there(const char *directory, const char *name)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, directory, name);
    return access(path, F_OK) == 0;
}

static bool key_is_there(const char *directory, const char *key)
{
    char name[CLATTN_CACHE_NAME_BYTES];
    clattn_program_cache_name(key, name);
    return is_there(directory, name);
}

static clattn_cache_cleared clear(const char *directory, clattn_cache_part part)
{
    clattn_cache_cleared cleared = {0};
    clattn_error error = {.text = ""};
    assert_int_equal(clattn_cache_clear(directory, part, &cleared, &error), CLATTN_OK);
    assert_string_equal(error.text, "");
    return cleared;
}

static void each_part_is_cleared_and_no_more(void **state)
{
    char *key = program_key();
    char *verdict_key = clattn_verdict_key(key);
    for (int part = 0; part < CLATTN_NUM_CACHE_PARTS; part++) {
        plant(*state);
        uint64_t num_files = 1; /* the foreign one */
        const clattn_cache_cleared cleared = clear(*state, (clattn_cache_part)part);
        for (int i = 0; i < NUM_PLANTED; i++) {
            if (is_there(*state, planted[i].name) == planted[i].is_cleared[part])
                fail_msg("part=%d name=%s", part, planted[i].name);
            num_files += planted[i].is_cleared[part];
        }
        assert_false(key_is_there(*state, "of another format"));
        assert_int_equal(key_is_there(*state, key), part == CLATTN_CACHE_USELESS);
        assert_int_equal(key_is_there(*state, verdict_key), part != CLATTN_CACHE_ALL);
        num_files += part != CLATTN_CACHE_USELESS;
        num_files += part == CLATTN_CACHE_ALL;
        assert_int_equal(cleared.num_files, num_files);
        assert_true(cleared.num_bytes > num_files * ONE_OF_EACH_BYTES);
        assert_int_equal(clear(*state, (clattn_cache_part)part).num_files, 0);
    }
    free(verdict_key);
    free(key);
}

static void cleared_bytes_are_those_of_the_files(void **state)
{
    const uint64_t num_bytes = clattn_cache_file_bytes("a key", 1000);
    char data[1000] = "";
    assert_true(clattn_program_cache_save(*state, "a key", data, sizeof data));
    const clattn_cache_cleared cleared = clear(*state, CLATTN_CACHE_USELESS);
    assert_int_equal(cleared.num_files, 1);
    assert_int_equal(cleared.num_bytes, num_bytes);
}

/* The others go nevertheless. */
static void what_cannot_be_removed_is_told(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    clattn_cache_cleared cleared = {0};
    clattn_error error = {.text = ""};
    support_path_join(path, *state, HASH("7") ".clattn");
    assert_int_equal(mkdir(path, 0700), 0);
    plant(*state);
    assert_int_equal(clattn_cache_clear(*state, CLATTN_CACHE_ALL, &cleared, &error), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, HASH("7") ".clattn cannot be removed: "));
    assert_int_equal(cleared.num_files, 5 + 3);
    assert_true(is_there(*state, HASH("7") ".clattn"));
    assert_false(is_there(*state, HASH("0") ".clattn"));
}

static void no_directory_needs_no_clearing(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    clattn_cache_cleared cleared;
    clattn_error error = {.text = ""};
    support_path_join(path, *state, "absent");
    assert_int_equal(clear(path, CLATTN_CACHE_ALL).num_files, 0);
    assert_int_equal(clear(NULL, CLATTN_CACHE_ALL).num_files, 0);
    support_path_join(path, *state, "file");
    support_file_write(path, "x", 1);
    assert_int_equal(clattn_cache_clear(path, CLATTN_CACHE_ALL, &cleared, &error), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, path));
    assert_true(is_there(*state, "file"));
}

static void parts_have_names(void **state)
{
    (void)state;
    assert_string_equal(clattn_cache_part_name(CLATTN_CACHE_USELESS), "useless");
    assert_string_equal(clattn_cache_part_name(CLATTN_CACHE_PROGRAMS), "programs");
    assert_string_equal(clattn_cache_part_name(CLATTN_CACHE_ALL), "all");
    assert_string_equal(clattn_cache_part_name(CLATTN_NUM_CACHE_PARTS), "invalid");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(each_part_is_cleared_and_no_more),
        IN_DIRECTORY(cleared_bytes_are_those_of_the_files),
        IN_DIRECTORY(what_cannot_be_removed_is_told),
        IN_DIRECTORY(no_directory_needs_no_clearing),
        cmocka_unit_test(parts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
