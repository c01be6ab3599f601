/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the program cache: what comes back, what is rejected, and two processes at one key. */
#include "runtime/program_cache.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char key[] = "device 1\nsource a";
static const char data[] = "binary of a";

static void assert_load_gives(const char *directory, const char *of_key, const void *expected, size_t expected_bytes)
{
    void *loaded = NULL;
    size_t num_bytes = 0;
    assert_int_equal(clattn_program_cache_load(directory, of_key, &loaded, &num_bytes), CLATTN_CACHE_HIT);
    assert_int_equal(num_bytes, expected_bytes);
    assert_memory_equal(loaded, expected, expected_bytes);
    free(loaded);
}

static void assert_load_fails(const char *directory, const char *of_key, clattn_cache_result expected)
{
    void *loaded = (void *)(uintptr_t)1;
    size_t num_bytes = 1;
    assert_int_equal(clattn_program_cache_load(directory, of_key, &loaded, &num_bytes), expected);
    assert_null(loaded);
    assert_int_equal(num_bytes, 0);
}

/* Saves key and data; the file's path and contents come back, the latter malloc'ed. */
static char *save_one(const char *directory, char path[SUPPORT_PATH_BYTES], size_t *num_bytes)
{
    assert_true(clattn_program_cache_save(directory, key, data, sizeof data));
    assert_int_equal(support_directory_list(directory, path), 1);
    return support_file_read(path, num_bytes);
}

/* Saves key and data; the file's path comes back. */
static void save_only(const char *directory, char path[SUPPORT_PATH_BYTES])
{
    size_t num_bytes;
    free(save_one(directory, path, &num_bytes));
}

static void saved_binary_comes_back(void **state)
{
    static const size_t sizes[] = {1, 7, 4096, 100003};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *binary = malloc(sizes[i]);
        assert_non_null(binary);
        for (size_t byte = 0; byte < sizes[i]; byte++)
            binary[byte] = (char)(byte * 31 + i);
        assert_true(clattn_program_cache_save(*state, key, binary, sizes[i]));
        assert_load_gives(*state, key, binary, sizes[i]);
        free(binary);
    }
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(support_directory_list(*state, path), 1);
}

static void keys_have_files_of_their_own(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_true(clattn_program_cache_save(*state, "key 1", "one", 3));
    assert_true(clattn_program_cache_save(*state, "key 2", "second", 6));
    assert_load_gives(*state, "key 1", "one", 3);
    assert_load_gives(*state, "key 2", "second", 6);
    assert_int_equal(support_directory_list(*state, path), 2);
    assert_load_fails(*state, "key 3", CLATTN_CACHE_MISS);
}

static void missing_directory_is_a_miss(void **state)
{
    char directory[SUPPORT_PATH_BYTES];
    support_path_join(directory, *state, "absent/too");
    assert_load_fails(directory, key, CLATTN_CACHE_MISS);
    clattn_program_cache_remove(directory, key);
}

static void save_creates_private_directories(void **state)
{
    char directory[SUPPORT_PATH_BYTES];
    support_path_join(directory, *state, "a/b//c/");
    assert_true(clattn_program_cache_save(directory, key, data, sizeof data));
    assert_load_gives(directory, key, data, sizeof data);
    static const char *const created[] = {"a", "a/b", "a/b/c"};
    for (int i = 0; i < 3; i++) {
        struct stat facts;
        support_path_join(directory, *state, created[i]);
        assert_int_equal(stat(directory, &facts), 0);
        assert_int_equal(facts.st_mode & 0777, 0700);
    }
}

static void truncated_or_lengthened_file_is_rejected(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    char *contents = save_one(*state, path, &num_bytes);
    for (size_t kept = 0; kept < num_bytes; kept++) {
        support_file_write(path, contents, kept);
        assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
    }
    contents[num_bytes] = '\0';
    support_file_write(path, contents, num_bytes + 1);
    assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
    support_file_write(path, contents, num_bytes);
    assert_load_gives(*state, key, data, sizeof data);
    free(contents);
}

static void flipped_bit_is_rejected(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    char *contents = save_one(*state, path, &num_bytes);
    for (size_t bit = 0; bit < 8 * num_bytes; bit++) {
        contents[bit / 8] = (char)(contents[bit / 8] ^ (1 << bit % 8));
        support_file_write(path, contents, num_bytes);
        assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
        contents[bit / 8] = (char)(contents[bit / 8] ^ (1 << bit % 8));
    }
    support_file_write(path, contents, num_bytes);
    assert_load_gives(*state, key, data, sizeof data);
    free(contents);
}

/* As a collision of hashes would look: the right name, another key inside. */
static void file_of_another_key_is_rejected(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    char *contents = save_one(*state, path, &num_bytes);
    static const char *const others[] = {"device 1\nsource b", "device 1", "device 1\nsource ab", ""};
    for (int i = 0; i < 4; i++) {
        char other_path[SUPPORT_PATH_BYTES];
        (void)remove(path);
        assert_true(clattn_program_cache_save(*state, others[i], data, sizeof data));
        assert_int_equal(support_directory_list(*state, other_path), 1);
        support_file_write(other_path, contents, num_bytes);
        assert_load_fails(*state, others[i], CLATTN_CACHE_REJECTED);
        (void)remove(other_path);
    }
    free(contents);
}

static void save_replaces_a_damaged_file(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_only(*state, path);
    support_file_write(path, "damage", 6);
    assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
    assert_true(clattn_program_cache_save(*state, key, data, sizeof data));
    assert_load_gives(*state, key, data, sizeof data);
}

static void removed_file_is_a_miss(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_only(*state, path);
    clattn_program_cache_remove(*state, key);
    assert_load_fails(*state, key, CLATTN_CACHE_MISS);
    assert_int_equal(support_directory_list(*state, path), 0);
    clattn_program_cache_remove(*state, key);
}

/* Also for root, who may write everywhere else. */
static void save_below_a_file_fails(void **state)
{
    char file[SUPPORT_PATH_BYTES];
    char directory[SUPPORT_PATH_BYTES];
    support_path_join(file, *state, "file");
    support_file_write(file, "kept", 4);
    support_path_join(directory, file, "cache");
    assert_false(clattn_program_cache_save(directory, key, data, sizeof data));
    assert_load_fails(directory, key, CLATTN_CACHE_MISS);
    assert_false(clattn_program_cache_save(file, key, data, sizeof data));
    size_t num_bytes;
    free(support_file_read(file, &num_bytes));
    assert_int_equal(num_bytes, 4);
}

static void save_over_a_directory_leaves_no_temporary_file(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_only(*state, path);
    (void)remove(path);
    assert_int_equal(mkdir(path, 0700), 0);
    char below[SUPPORT_PATH_BYTES];
    support_path_join(below, path, "occupied");
    support_file_write(below, "x", 1);
    assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
    assert_false(clattn_program_cache_save(*state, key, data, sizeof data));
    assert_int_equal(support_directory_list(*state, path), 1);
}

static void named_pipe_is_rejected_without_waiting(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    save_only(*state, path);
    (void)remove(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_load_fails(*state, key, CLATTN_CACHE_REJECTED);
}

static void save_without_data_or_directory_fails(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    assert_false(clattn_program_cache_save(*state, key, data, 0));
    assert_false(clattn_program_cache_save("", key, data, sizeof data));
    assert_int_equal(support_directory_list(*state, path), 0);
}

#define CONTENDED_BYTES 60000
#define NUM_CONTENDED_SAVES 200

/* Saves one binary over and over; the exit status of the process tells whether every save worked. */
static void save_repeatedly(const char *directory, char fill)
{
    static char binary[CONTENDED_BYTES];
    memset(binary, fill, sizeof binary);
    bool saved = true;
    for (int i = 0; i < NUM_CONTENDED_SAVES; i++)
        saved = clattn_program_cache_save(directory, key, binary, sizeof binary) && saved;
    _exit(saved ? 0 : 1);
}

/* All bytes equal: the binary of one process, whole. */
static void assert_load_is_whole(const char *directory)
{
    void *loaded = NULL;
    size_t num_bytes = 0;
    assert_int_equal(clattn_program_cache_load(directory, key, &loaded, &num_bytes), CLATTN_CACHE_HIT);
    assert_int_equal(num_bytes, CONTENDED_BYTES);
    const char *bytes = loaded;
    assert_true(bytes[0] == 'a' || bytes[0] == 'b');
    assert_memory_equal(bytes, bytes + 1, CONTENDED_BYTES - 1);
    free(loaded);
}

static void two_processes_at_one_key_leave_a_whole_file(void **state)
{
    static char binary[CONTENDED_BYTES];
    memset(binary, 'a', sizeof binary);
    assert_true(clattn_program_cache_save(*state, key, binary, sizeof binary));
    pid_t writers[2];
    for (int i = 0; i < 2; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0)
            save_repeatedly(*state, (char)('a' + i));
    }
    for (int i = 0; i < NUM_CONTENDED_SAVES; i++)
        assert_load_is_whole(*state);
    for (int i = 0; i < 2; i++) {
        int exit_status = -1;
        assert_int_equal(waitpid(writers[i], &exit_status, 0), writers[i]);
        assert_int_equal(exit_status, 0);
    }
    char path[SUPPORT_PATH_BYTES];
    assert_load_is_whole(*state);
    assert_int_equal(support_directory_list(*state, path), 1);
}

typedef struct environment {
    const char *cache_home; /* NULL = unset */
    const char *home;
    const char *requested;
    const char *expected; /* NULL = no disk cache */
} environment;

static void set_or_unset(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void directory_follows_request_then_environment(void **state)
{
    (void)state;
    static const environment cases[] = {
        {"/cache", "/home/u", "/asked", "/asked"},
        {"/cache", "/home/u", "", NULL},
        {"/cache", "/home/u", NULL, "/cache/clattn"},
        {"relative", "/home/u", NULL, "/home/u/.cache/clattn"},
        {"", "/home/u", NULL, "/home/u/.cache/clattn"},
        {NULL, "/home/u", NULL, "/home/u/.cache/clattn"},
        {NULL, "", NULL, NULL},
        {NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_or_unset("XDG_CACHE_HOME", cases[i].cache_home);
        set_or_unset("HOME", cases[i].home);
        char *directory = clattn_program_cache_directory(cases[i].requested);
        if (cases[i].expected == NULL)
            assert_null(directory);
        else
            assert_string_equal(directory, cases[i].expected);
        free(directory);
    }
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(saved_binary_comes_back),
        IN_DIRECTORY(keys_have_files_of_their_own),
        IN_DIRECTORY(missing_directory_is_a_miss),
        IN_DIRECTORY(save_creates_private_directories),
        IN_DIRECTORY(truncated_or_lengthened_file_is_rejected),
        IN_DIRECTORY(flipped_bit_is_rejected),
        IN_DIRECTORY(file_of_another_key_is_rejected),
        IN_DIRECTORY(save_replaces_a_damaged_file),
        IN_DIRECTORY(removed_file_is_a_miss),
        IN_DIRECTORY(save_below_a_file_fails),
        IN_DIRECTORY(save_over_a_directory_leaves_no_temporary_file),
        IN_DIRECTORY(named_pipe_is_rejected_without_waiting),
        IN_DIRECTORY(save_without_data_or_directory_fails),
        IN_DIRECTORY(two_processes_at_one_key_leave_a_whole_file),
        cmocka_unit_test(directory_follows_request_then_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
