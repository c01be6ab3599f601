/* SPDX-License-Identifier: Apache-2.0 */
/* Which files go when a cache directory is too large, which never do, and what processes see of each other's evictions.
 */
#include "runtime/cache_evict.h"
#include "runtime/cache_walk.h"
#include "runtime/program_cache.h"
#include "runtime/trial_note.h"
#include "runtime/verdict_file.h"
#include "support/directory.h"

#include <errno.h>
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

enum { DATA_BYTES = 1000, KEY_BYTES = 64 };

static const clattn_verdict verified = {.kind = CLATTN_VERDICT_VERIFIED, .worst_error = 0.5};
static const clattn_verdict crashed = {.kind = CLATTN_VERDICT_CRASHED, .reason = "died"};

/* The key of a program by its number, or of the verdict on it. */
static const char *key_of(int number)
{
    static char key[KEY_BYTES];
    snprintf(key, sizeof key, "program %d", number);
    return key;
}

static const char *verdict_key_of(int number)
{
    static char key[KEY_BYTES];
    snprintf(key, sizeof key, CLATTN_VERDICT_KEY_START "1\nprogram %d", number);
    return key;
}

static void path_of(const char *directory, const char *key, char path[SUPPORT_PATH_BYTES])
{
    char name[CLATTN_CACHE_NAME_BYTES];
    clattn_program_cache_name(key, name);
    support_path_join(path, directory, name);
}

static void set_age_of_key(const char *directory, const char *key, int seconds)
{
    char path[SUPPORT_PATH_BYTES];
    path_of(directory, key, path);
    support_file_set_age(path, seconds);
}

/* A file of the same size for each number below 10. */
static void save(const char *directory, int number, int age)
{
    static const char data[DATA_BYTES];
    assert_true(clattn_program_cache_save(directory, key_of(number), data, sizeof data));
    set_age_of_key(directory, key_of(number), age);
}

static void save_verdict(const char *directory, int number, const clattn_verdict *verdict, int age)
{
    assert_true(clattn_verdict_save(directory, verdict_key_of(number), verdict));
    set_age_of_key(directory, verdict_key_of(number), age);
}

static uint64_t bytes_of(const char *directory, const char *key)
{
    char path[SUPPORT_PATH_BYTES];
    struct stat facts;
    path_of(directory, key, path);
    assert_int_equal(stat(path, &facts), 0);
    return (uint64_t)facts.st_size;
}

static bool exists(const char *directory, const char *key)
{
    char path[SUPPORT_PATH_BYTES];
    path_of(directory, key, path);
    return access(path, F_OK) == 0;
}

/* Which of the programs 0 to 9 are there, a letter for each: "..2." */
static const char *programs_in(const char *directory)
{
    static char letters[11];
    for (int i = 0; i < 10; i++)
        letters[i] = exists(directory, key_of(i)) ? (char)('0' + i) : '.';
    return letters;
}

static clattn_cache_eviction evict(const char *directory, uint64_t max_bytes, const char *kept_key)
{
    clattn_cache_eviction eviction = {.num_bytes = UINT64_MAX};
    assert_true(clattn_cache_evict(directory, max_bytes, kept_key, &eviction));
    return eviction;
}

static void assert_evicted(clattn_cache_eviction eviction, uint64_t num_evicted, uint64_t num_bytes)
{
    assert_int_equal(eviction.num_evicted, num_evicted);
    assert_int_equal(eviction.num_bytes, num_bytes);
}

/* At the limit nothing goes, one byte below it the oldest does. */
static void least_recently_used_files_go_until_the_rest_fits(void **state)
{
    static const int ages[] = {30, 50, 10, 40, 20};
    for (int i = 0; i < 5; i++)
        save(*state, i, ages[i]);
    const uint64_t each = bytes_of(*state, key_of(0));
    assert_evicted(evict(*state, UINT64_MAX, "none"), 0, 5 * each);
    assert_evicted(evict(*state, 5 * each, "none"), 0, 5 * each);
    assert_string_equal(programs_in(*state), "01234.....");
    assert_evicted(evict(*state, 5 * each - 1, "none"), 1, 4 * each);
    assert_string_equal(programs_in(*state), "0.234.....");
    assert_evicted(evict(*state, 2 * each, "none"), 2, 2 * each);
    assert_string_equal(programs_in(*state), "..2.4.....");
    assert_evicted(evict(*state, 0, "none"), 2, 0);
    assert_string_equal(programs_in(*state), "..........");
}

static void loaded_file_is_as_new(void **state)
{
    void *data;
    size_t num_bytes;
    for (int i = 0; i < 3; i++)
        save(*state, i, 1000 - i);
    assert_int_equal(clattn_program_cache_load(*state, key_of(0), &data, &num_bytes), CLATTN_CACHE_HIT);
    free(data);
    assert_int_equal(evict(*state, bytes_of(*state, key_of(0)), "none").num_evicted, 2);
    assert_string_equal(programs_in(*state), "0.........");
}

/* One that is no hit says nothing of the file's use. */
static void rejected_file_stays_as_old_as_it_is(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    void *data;
    size_t num_bytes;
    save(*state, 0, 10);
    path_of(*state, key_of(0), path);
    support_file_write(path, "damage", 6);
    support_file_set_age(path, 1000);
    assert_int_equal(clattn_program_cache_load(*state, key_of(0), &data, &num_bytes), CLATTN_CACHE_REJECTED);
    save(*state, 1, 900);
    assert_int_equal(evict(*state, bytes_of(*state, key_of(1)), "none").num_evicted, 1);
    assert_string_equal(programs_in(*state), ".1........");
}

static void written_file_stays_whatever_the_limit(void **state)
{
    for (int i = 0; i < 3; i++)
        save(*state, i, 100 * i);
    const uint64_t each = bytes_of(*state, key_of(2));
    assert_evicted(evict(*state, 1, key_of(2)), 2, each);
    assert_string_equal(programs_in(*state), "..2.......");
}

static void verdicts_go_after_the_last_program(void **state)
{
    save_verdict(*state, 0, &verified, 5000);
    save_verdict(*state, 1, &verified, 4000);
    save(*state, 0, 20);
    save(*state, 1, 10);
    const uint64_t verdict_bytes = bytes_of(*state, verdict_key_of(0));
    assert_evicted(evict(*state, 2 * verdict_bytes, "none"), 2, 2 * verdict_bytes);
    assert_string_equal(programs_in(*state), "..........");
    assert_evicted(evict(*state, 2 * verdict_bytes - 1, "none"), 1, verdict_bytes);
    assert_false(exists(*state, verdict_key_of(0)));
    assert_true(exists(*state, verdict_key_of(1)));
}

static void crash_is_never_forgotten(void **state)
{
    save_verdict(*state, 0, &crashed, 1000000);
    save_verdict(*state, 1, &verified, 10);
    save(*state, 2, 5);
    const uint64_t kept_bytes = bytes_of(*state, verdict_key_of(0));
    assert_evicted(evict(*state, 0, "none"), 2, kept_bytes);
    assert_true(exists(*state, verdict_key_of(0)));
    assert_evicted(evict(*state, 0, "none"), 0, kept_bytes);
}

/* What is no whole verdict forgets nothing when it goes. */
static void damaged_verdict_goes_as_any_other(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    save_verdict(*state, 0, &crashed, 100);
    path_of(*state, verdict_key_of(0), path);
    char *contents = support_file_read(path, &num_bytes);
    contents[num_bytes - 1] = (char)(contents[num_bytes - 1] ^ 1);
    support_file_write(path, contents, num_bytes);
    free(contents);
    assert_evicted(evict(*state, 0, "none"), 1, 0);
    assert_false(exists(*state, verdict_key_of(0)));
}

/* Set while no file can be opened or read; a link-time wrapper has no other way to know. */
static int open_error;
static int read_error;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __real_read(int file, void *bytes, size_t num_bytes);
ssize_t __wrap_read(int file, void *bytes, size_t num_bytes);

int __wrap_open64(const char *path, int flags, ...)
{
    errno = open_error;
    return open_error != 0 ? -1 : __real_open64(path, flags, 0600);
}

ssize_t __wrap_read(int file, void *bytes, size_t num_bytes)
{
    errno = read_error;
    return read_error != 0 ? -1 : __real_read(file, bytes, num_bytes);
}

/* It might be a crash. */
static void what_cannot_be_read_stays(void **state)
{
    save(*state, 0, 10);
    save_verdict(*state, 0, &verified, 20);
    save_verdict(*state, 1, &crashed, 30);
    const uint64_t num_bytes =
        bytes_of(*state, key_of(0)) + bytes_of(*state, verdict_key_of(0)) + bytes_of(*state, verdict_key_of(1));
    open_error = EMFILE;
    assert_evicted(evict(*state, 0, "none"), 0, num_bytes);
    open_error = 0;
    read_error = EIO;
    assert_evicted(evict(*state, 0, "none"), 0, num_bytes);
    read_error = 0;
    assert_evicted(evict(*state, 0, "none"), 2, bytes_of(*state, verdict_key_of(1)));
}

static void put(const char *directory, const char *name, size_t num_bytes, int age)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, directory, name);
    support_file_write(path, "0123456789", num_bytes);
    support_file_set_age(path, age);
}

static bool is_there(const char *directory, const char *name)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, directory, name);
    return access(path, F_OK) == 0;
}

#define HASH "0123456789abcdef0123456789abcdef"

static void temporary_files_go_once_they_are_left_behind(void **state)
{
    static const int old = CLATTN_CACHE_STALE_SECONDS + 60;
    static const int young = CLATTN_CACHE_STALE_SECONDS - 60;
    put(*state, CLATTN_CACHE_TEMPORARY_PREFIX "aB3xyz", 10, old);
    put(*state, CLATTN_CACHE_TEMPORARY_PREFIX "young0", 10, young);
    put(*state, CLATTN_CACHE_TEMPORARY_PREFIX HASH, 0, old);
    assert_evicted(evict(*state, UINT64_MAX, "none"), 0, 0);
    assert_false(is_there(*state, CLATTN_CACHE_TEMPORARY_PREFIX "aB3xyz"));
    assert_true(is_there(*state, CLATTN_CACHE_TEMPORARY_PREFIX "young0"));
    assert_false(is_there(*state, CLATTN_CACHE_TEMPORARY_PREFIX HASH));
}

/* It is all that is left of a process, and becomes a verdict when somebody next needs the kernel. */
static void note_of_a_dead_process_stays(void **state)
{
    clattn_trial_note note;
    assert_int_equal(clattn_trial_note_take(*state, "a key", &note), CLATTN_NOTE_TAKEN);
    support_file_set_age(note.path, 1000 * CLATTN_CACHE_STALE_SECONDS);
    close(note.file); /* as when the process ends */
    free(note.path);
    (void)evict(*state, 0, "none");
    assert_int_equal(clattn_trial_note_take(*state, "a key", &note), CLATTN_NOTE_ABANDONED);
    clattn_trial_note_release(&note);
}

static void files_that_are_not_the_caches_stay(void **state)
{
    static const char *const names[] = {
        "README",
        "notes.clattn",
        "0123456789ABCDEF0123456789ABCDEF.clattn",
        HASH,
        HASH ".clattn.bak",
        HASH "0.clattn",
        ".clattn-abc",
        ".clattn-abcdefg",
        ".clattn-abc-ef",
        "." HASH ".clattn",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(*state, names[i], 10, 1000 * CLATTN_CACHE_STALE_SECONDS);
    put(*state, HASH ".clattn", 10, 10); /* the control */
    assert_evicted(evict(*state, 0, "none"), 1, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(is_there(*state, names[i]));
}

static void what_cannot_be_removed_stays_and_counts(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char below[SUPPORT_PATH_BYTES];
    struct stat facts;
    support_path_join(path, *state, HASH ".clattn");
    assert_int_equal(mkdir(path, 0700), 0);
    support_path_join(below, path, "occupied");
    support_file_write(below, "x", 1);
    assert_int_equal(stat(path, &facts), 0);
    assert_evicted(evict(*state, 0, "none"), 0, (uint64_t)facts.st_size);
    assert_true(is_there(*state, HASH ".clattn"));
}

static void directory_that_cannot_be_listed_is_left_alone(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    clattn_cache_eviction eviction;
    support_path_join(path, *state, "absent");
    assert_evicted(evict(path, 0, "none"), 0, 0);
    support_path_join(path, *state, "file");
    support_file_write(path, "x", 1);
    assert_false(clattn_cache_evict(path, 0, "none", &eviction));
    assert_int_equal(eviction.num_evicted, 0);
}

enum { NUM_WRITERS = 4, NUM_ROUNDS = 100, NUM_SHARED = 6 };

/* The data of a program says which one it is, all over. */
static bool is_whole(const char *data, size_t num_bytes, int number)
{
    bool whole = num_bytes == DATA_BYTES;
    for (size_t i = 0; whole && i < num_bytes; i++)
        whole = data[i] == (char)('a' + number);
    return whole;
}

/* Loads and saves programs in a directory that holds two of them; the exit status tells whether all was well. */
static void write_and_evict(const char *directory, int writer)
{
    char data[DATA_BYTES];
    bool good = true;
    for (int round = 0; good && round < NUM_ROUNDS; round++) {
        const int number = (round * (writer + 1)) % NUM_SHARED;
        void *loaded = NULL;
        size_t num_bytes = 0;
        const clattn_cache_result found = clattn_program_cache_load(directory, key_of(number), &loaded, &num_bytes);
        good = found == CLATTN_CACHE_MISS || (found == CLATTN_CACHE_HIT && is_whole(loaded, num_bytes, number));
        free(loaded);
        if (found == CLATTN_CACHE_HIT)
            continue;
        clattn_cache_eviction eviction;
        memset(data, 'a' + number, sizeof data);
        good = good && clattn_program_cache_save(directory, key_of(number), data, sizeof data) &&
               clattn_cache_evict(directory, 2 * clattn_cache_file_bytes(key_of(number), sizeof data), key_of(number),
                                  &eviction);
    }
    _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void processes_see_whole_files_or_none(void **state)
{
    pid_t writers[NUM_WRITERS];
    for (int i = 0; i < NUM_WRITERS; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0)
            write_and_evict(*state, i);
    }
    for (int i = 0; i < NUM_WRITERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_int_equal(status, 0);
    }
    char path[SUPPORT_PATH_BYTES];
    assert_in_range(support_directory_list(*state, path), 1, 2);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(least_recently_used_files_go_until_the_rest_fits),
        IN_DIRECTORY(loaded_file_is_as_new),
        IN_DIRECTORY(rejected_file_stays_as_old_as_it_is),
        IN_DIRECTORY(written_file_stays_whatever_the_limit),
        IN_DIRECTORY(verdicts_go_after_the_last_program),
        IN_DIRECTORY(crash_is_never_forgotten),
        IN_DIRECTORY(damaged_verdict_goes_as_any_other),
        IN_DIRECTORY(what_cannot_be_read_stays),
        IN_DIRECTORY(temporary_files_go_once_they_are_left_behind),
        IN_DIRECTORY(note_of_a_dead_process_stays),
        IN_DIRECTORY(files_that_are_not_the_caches_stay),
        IN_DIRECTORY(what_cannot_be_removed_stays_and_counts),
        IN_DIRECTORY(directory_that_cannot_be_listed_is_left_alone),
        IN_DIRECTORY(processes_see_whole_files_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
