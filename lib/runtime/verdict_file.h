/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on kernel variants in the disk cache, beside the programs that they speak of: files of the same format,
 * whose key is the program's with a line before it. Without OpenCL.
 */
#ifndef CLATTN_RUNTIME_VERDICT_FILE_H
#define CLATTN_RUNTIME_VERDICT_FILE_H

#include <clattn/verdict.h>
#include <stdbool.h>
#include <stddef.h>

/* What the key of every verdict begins with, of this version or another; no program's does. */
#define CLATTN_VERDICT_KEY_START "verdict "

/* The key of the verdict on a program; malloc'ed, NULL without memory. */
char *clattn_verdict_key(const char *program_key);

/* The program's key within that of a verdict; NULL if it is the key of something else. */
char *clattn_verdict_key_program(char *key);

/* The verdict that a file holds; false if it is none. */
bool clattn_verdict_decode(const void *data, size_t num_bytes, clattn_verdict *verdict);

/* The verdict that is kept under a key. A file that cannot be used counts as none, and is removed. */
bool clattn_verdict_load(const char *directory, const char *key, clattn_verdict *verdict);

/* Keeps a verdict, atomically replacing what is there. False if that did not work. */
bool clattn_verdict_save(const char *directory, const char *key, const clattn_verdict *verdict);

#endif
