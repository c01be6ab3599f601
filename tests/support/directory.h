/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and small files for tests. Whatever goes wrong here fails the test. */
#ifndef SUPPORT_DIRECTORY_H
#define SUPPORT_DIRECTORY_H

#include <stddef.h>

#define SUPPORT_PATH_BYTES 1024

/* cmocka fixture of a test: *state is the path of an empty directory of its own, removed with all that is in it. */
int support_directory_setup(void **state);
int support_directory_teardown(void **state);

void support_path_join(char path[SUPPORT_PATH_BYTES], const char *directory, const char *name);

/* Number of entries in a directory; the last one's path goes to `path`. */
int support_directory_list(const char *directory, char path[SUPPORT_PATH_BYTES]);

/* The contents of a file, malloc'ed with one spare byte. */
char *support_file_read(const char *path, size_t *num_bytes);
void support_file_write(const char *path, const char *contents, size_t num_bytes);

/* As if a file had been written so many seconds ago. */
void support_file_set_age(const char *path, int seconds);

#endif
