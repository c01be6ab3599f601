/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing of a cache directory says of whole, damaged, foreign and left-over files; and the keys it reads. */
#include "runtime/cache_visit.h"
#include "runtime/program_cache.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"
#include "support/directory.h"

#include <clattn/version.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef"

static const clattn_device_facts facts = {
    .name = "device of a test", .vendor = "its vendor", .driver = "1.5-rc7", .platform = "a platform OpenCL 1.2"};

static clattn_variant merge_variant(int32_t value)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    clattn_variant_define(&variant, "HEAD_DIM_V", value);
    return variant;
}

/* The key of merge_variant(), malloc'ed. */
static char *key_of(int32_t value)
{
    const clattn_variant variant = merge_variant(value);
    char *options = clattn_variant_options(&variant);
    assert_non_null(options);
    char *key = clattn_program_key_text(&facts, &variant, options);
    assert_non_null(key);
    free(options);
    return key;
}

static void save(const char *directory, int32_t value)
{
    char *key = key_of(value);
    assert_true(clattn_program_cache_save(directory, key, "binary", 6));
    free(key);
}

/* What a visit met, by state. */
typedef struct listing {
    int num_files[CLATTN_NUM_CACHE_FILE_STATES];
    uint64_t num_bytes;
} listing;

static void assert_no_texts(const clattn_cache_file *file)
{
    const char *const texts[] = {file->version, file->platform, file->device, file->vendor,
                                 file->driver,  file->program,  file->options};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(texts[i], "");
}

static void record(void *user, const clattn_cache_file *file)
{
    listing *met = user;
    assert_true(file->state >= 0 && file->state < CLATTN_NUM_CACHE_FILE_STATES);
    met->num_files[file->state]++;
    met->num_bytes += file->num_bytes;
    if (file->state != CLATTN_CACHE_FILE_VALID) {
        assert_no_texts(file);
        return;
    }
    assert_string_equal(file->version, CLATTN_VERSION_STRING);
    assert_string_equal(file->platform, facts.platform);
    assert_string_equal(file->device, facts.name);
    assert_string_equal(file->vendor, facts.vendor);
    assert_string_equal(file->driver, facts.driver);
    assert_string_equal(file->program, "merge");
    assert_true(strcmp(file->options, "-cl-std=CL1.2 -DHEAD_DIM_V=1") == 0 ||
                strcmp(file->options, "-cl-std=CL1.2 -DHEAD_DIM_V=2") == 0);
}

static listing list(const char *directory)
{
    listing met = {{0}, 0};
    clattn_error error = {.text = ""};
    assert_int_equal(clattn_cache_visit(directory, record, &met, &error), CLATTN_OK);
    assert_string_equal(error.text, "");
    return met;
}

static void assert_files(const char *directory, int num_valid, int num_damaged, int num_foreign, int num_temporary)
{
    const listing met = list(directory);
    assert_int_equal(met.num_files[CLATTN_CACHE_FILE_VALID], num_valid);
    assert_int_equal(met.num_files[CLATTN_CACHE_FILE_DAMAGED], num_damaged);
    assert_int_equal(met.num_files[CLATTN_CACHE_FILE_FOREIGN], num_foreign);
    assert_int_equal(met.num_files[CLATTN_CACHE_FILE_TEMPORARY], num_temporary);
}

static void nothing_where_nothing_was_cached(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "absent");
    assert_files(*state, 0, 0, 0, 0);
    assert_files(path, 0, 0, 0, 0);
    assert_files(NULL, 0, 0, 0, 0);
}

static void directory_that_cannot_be_read_is_refused(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    listing met = {{0}, 0};
    clattn_error error = {.text = ""};
    support_path_join(path, *state, "file");
    support_file_write(path, "x", 1);
    assert_int_equal(clattn_cache_visit(path, record, &met, &error), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, path));
}

static void saved_files_tell_what_they_are(void **state)
{
    save(*state, 1);
    save(*state, 2);
    assert_files(*state, 2, 0, 0, 0);
    char path[SUPPORT_PATH_BYTES];
    size_t total = 0;
    static const int32_t values[] = {1, 2};
    for (int i = 0; i < 2; i++) {
        char *key = key_of(values[i]);
        char name[CLATTN_CACHE_NAME_BYTES];
        clattn_program_cache_name(key, name);
        support_path_join(path, *state, name);
        size_t num_bytes;
        free(support_file_read(path, &num_bytes));
        total += num_bytes;
        free(key);
    }
    assert_int_equal(list(*state).num_bytes, total);
}

/* Of a program's file and that of the verdict on it. */
static void record_verdict(void *user, const clattn_cache_file *file)
{
    int *num_verdicts = user;
    assert_int_equal(file->state, CLATTN_CACHE_FILE_VALID);
    assert_string_equal(file->program, "merge");
    assert_string_equal(file->driver, facts.driver);
    if (file->verdict == NULL)
        return;
    assert_int_equal(file->verdict->kind, CLATTN_VERDICT_REJECTED);
    assert_true(file->verdict->worst_error == 3.5);
    assert_string_equal(file->verdict->reason, "wrong");
    ++*num_verdicts;
}

static void verdicts_are_listed_with_their_program(void **state)
{
    const clattn_verdict verdict = {.kind = CLATTN_VERDICT_REJECTED, .worst_error = 3.5, .reason = "wrong"};
    clattn_error error = {.text = ""};
    char *program_key = key_of(1);
    char *key = clattn_verdict_key(program_key);
    int num_verdicts = 0;
    save(*state, 1);
    assert_true(clattn_verdict_save(*state, key, &verdict));
    assert_files(*state, 2, 0, 0, 0);
    assert_int_equal(clattn_cache_visit(*state, record_verdict, &num_verdicts, &error), CLATTN_OK);
    assert_int_equal(num_verdicts, 1);
    assert_true(clattn_program_cache_save(*state, key, "no verdict", 10));
    assert_files(*state, 1, 0, 1, 0);
    free(key);
    free(program_key);
}

static void every_truncation_and_flipped_byte_is_damage(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    save(*state, 1);
    assert_int_equal(support_directory_list(*state, path), 1);
    char *contents = support_file_read(path, &num_bytes);
    for (size_t kept = 0; kept < num_bytes; kept += kept < 400 ? 1 : 997) {
        support_file_write(path, contents, kept);
        assert_files(*state, 0, 1, 0, 0);
    }
    for (size_t byte = 0; byte < num_bytes; byte += byte < 400 ? 1 : 997) {
        contents[byte] = (char)(contents[byte] ^ 4);
        support_file_write(path, contents, num_bytes);
        assert_files(*state, 0, 1, 0, 0);
        contents[byte] = (char)(contents[byte] ^ 4);
    }
    support_file_write(path, contents, num_bytes);
    assert_files(*state, 1, 0, 0, 0);
    free(contents);
}

/* A renamed file and one of another format are whole, but no load would take them. */
static void whole_files_that_are_never_used_are_foreign(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char renamed[SUPPORT_PATH_BYTES];
    save(*state, 1);
    assert_int_equal(support_directory_list(*state, path), 1);
    support_path_join(renamed, *state, "0123456789abcdef" CLATTN_CACHE_SUFFIX);
    assert_int_equal(rename(path, renamed), 0);
    assert_files(*state, 0, 0, 1, 0);
    assert_true(clattn_program_cache_save(*state, "clattn 1\nplatform a\n", "binary", 6));
    assert_true(clattn_program_cache_save(*state, "", "binary", 6));
    assert_files(*state, 0, 0, 3, 0);
}

static void files_that_are_not_the_caches_are_passed_over(void **state)
{
    static const char *const names[] = {"README",   "clattn",   "x.clattn.txt", ".hidden",
                                        "clattn-x", "x.clattn", ".clattn-a.c",  ".clattn-" HASH "0"};
    char path[SUPPORT_PATH_BYTES];
    save(*state, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        support_path_join(path, *state, names[i]);
        support_file_write(path, "x", 1);
    }
    assert_files(*state, 1, 0, 0, 0);
    support_path_join(path, *state, CLATTN_CACHE_TEMPORARY_PREFIX "a1b2c3");
    support_file_write(path, "xyz", 3);
    assert_files(*state, 1, 0, 0, 1);
}

/* An empty one is left by who died before the trial began. */
static void notes_of_trials_are_told_from_temporary_files(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, CLATTN_CACHE_TEMPORARY_PREFIX HASH);
    support_file_write(path, "", 0);
    assert_files(*state, 0, 0, 0, 1);
    support_file_write(path, "\n", 1);
    assert_files(*state, 0, 0, 0, 0);
    assert_int_equal(list(*state).num_files[CLATTN_CACHE_FILE_NOTE], 1);
}

static void what_is_no_file_is_damage_and_holds_nobody_up(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, HASH CLATTN_CACHE_SUFFIX);
    assert_int_equal(mkfifo(path, 0600), 0);
    support_path_join(path, *state, "ffffffffffffffffffffffffffffffff" CLATTN_CACHE_SUFFIX);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_files(*state, 0, 2, 0, 0);
}

static void keys_that_say_less_are_none(void **state)
{
    (void)state;
    char *key = key_of(1);
    clattn_program_key parsed;
    /* The end of each line that must be there. */
    const char *end = key;
    for (int line = 0; line < 8; line++) {
        char *cut = strdup(key);
        cut[end - key] = '\0';
        assert_false(clattn_program_key_parse(cut, &parsed));
        free(cut);
        end = strchr(end, '\n') + 1;
    }
    char *cut = strdup(key);
    cut[end - key] = '\0';
    assert_true(clattn_program_key_parse(cut, &parsed));
    assert_string_equal(parsed.options, "-cl-std=CL1.2 -DHEAD_DIM_V=1");
    free(cut);
    char *other = strdup(key);
    *strstr(other, "\ndriver") = ' ';
    assert_false(clattn_program_key_parse(other, &parsed));
    free(other);
    free(key);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(clattn_cache_file_state_name(CLATTN_CACHE_FILE_VALID), "valid");
    assert_string_equal(clattn_cache_file_state_name(CLATTN_CACHE_FILE_DAMAGED), "damaged");
    assert_string_equal(clattn_cache_file_state_name(CLATTN_CACHE_FILE_FOREIGN), "foreign");
    assert_string_equal(clattn_cache_file_state_name(CLATTN_CACHE_FILE_TEMPORARY), "temporary");
    assert_string_equal(clattn_cache_file_state_name(CLATTN_CACHE_FILE_NOTE), "note");
    assert_string_equal(clattn_cache_file_state_name(CLATTN_NUM_CACHE_FILE_STATES), "invalid");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(nothing_where_nothing_was_cached),
        IN_DIRECTORY(directory_that_cannot_be_read_is_refused),
        IN_DIRECTORY(saved_files_tell_what_they_are),
        IN_DIRECTORY(verdicts_are_listed_with_their_program),
        IN_DIRECTORY(every_truncation_and_flipped_byte_is_damage),
        IN_DIRECTORY(whole_files_that_are_never_used_are_foreign),
        IN_DIRECTORY(files_that_are_not_the_caches_are_passed_over),
        IN_DIRECTORY(notes_of_trials_are_told_from_temporary_files),
        IN_DIRECTORY(what_is_no_file_is_damage_and_holds_nobody_up),
        cmocka_unit_test(keys_that_say_less_are_none),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
