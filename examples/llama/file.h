/* SPDX-License-Identifier: Apache-2.0 */
/* Reading binary files of a known size. Numbers are little-endian in both formats, as on every supported host. */
#ifndef LLAMA_FILE_H
#define LLAMA_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct llama_file {
    FILE *stream;
    const char *path;    /* the caller's string, for messages */
    uint64_t size_bytes; /* of the whole file */
    uint64_t left_bytes; /* not read yet */
} llama_file;

/** Opens a regular file; `what` names its purpose in the message that a failure prints. */
bool llama_file_open(llama_file *file, const char *path, const char *what);

/** Reads exactly size_bytes. Fails without a message if fewer are left, so that the caller can say what is missing. */
bool llama_file_take(llama_file *file, void *data, size_t size_bytes);

/** Accepts a file that was never opened. */
void llama_file_close(llama_file *file);

#endif
