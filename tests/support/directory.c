/* SPDX-License-Identifier: Apache-2.0 */
#include "directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static int is_itself_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int support_directory_setup(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *directory = malloc(SUPPORT_PATH_BYTES);

    if (!directory)
        return -1;
    support_path_join(directory, parent ? parent : "/tmp", "clattn-test-XXXXXX");
    *state = directory;
    return mkdtemp(directory) ? 0 : -1;
}

static void remove_tree(const char *path)
{
    DIR *entries = opendir(path);

    if (entries) {
        for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
            char below[SUPPORT_PATH_BYTES];
            if (is_itself_or_parent(entry->d_name))
                continue;
            support_path_join(below, path, entry->d_name);
            remove_tree(below);
        }
        closedir(entries);
    }
    (void)remove(path);
}

int support_directory_teardown(void **state)
{
    remove_tree(*state);
    free(*state);
    *state = NULL;
    return 0;
}

void support_path_join(char path[SUPPORT_PATH_BYTES], const char *directory, const char *name)
{
    assert_true(snprintf(path, SUPPORT_PATH_BYTES, "%s/%s", directory, name) < SUPPORT_PATH_BYTES);
}

int support_directory_list(const char *directory, char path[SUPPORT_PATH_BYTES])
{
    int num_entries = 0;
    DIR *entries = opendir(directory);

    assert_non_null(entries);
    for (struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        if (is_itself_or_parent(entry->d_name))
            continue;
        support_path_join(path, directory, entry->d_name);
        num_entries++;
    }
    closedir(entries);
    return num_entries;
}

char *support_file_read(const char *path, size_t *num_bytes)
{
    FILE *file = fopen(path, "rb");
    long length;
    char *contents;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    contents = calloc((size_t)length + 1, 1);
    assert_non_null(contents);
    assert_int_equal(fread(contents, 1, (size_t)length, file), length);
    fclose(file);
    *num_bytes = (size_t)length;
    return contents;
}

void support_file_write(const char *path, const char *contents, size_t num_bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(contents, 1, num_bytes, file), num_bytes);
    assert_int_equal(fclose(file), 0);
}

void support_file_set_age(const char *path, int seconds)
{
    struct timespec times[2];

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}
