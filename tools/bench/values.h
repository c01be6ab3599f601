/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the value of one option of the command line. Every function says on stderr what it wants if it returns false.
 */
#ifndef BENCH_VALUES_H
#define BENCH_VALUES_H

#include "bench/operation.h"

#include <clattn/clattn.h>

/* A whole decimal number in [minimum, maximum]. */
bool bench_value_int(const char *option, const char *text, long minimum, long maximum, int32_t *value);

/* 0, or a number that is positive as float32. */
bool bench_value_soft_cap(const char *text, double *value);

bool bench_value_dtype(const char *option, const char *text, clattn_dtype *dtype);
bool bench_value_layout(const char *text, clattn_kv_layout *layout);
bool bench_value_family(const char *text, clattn_family *family);

/* One to max_operations names separated by commas; a name may stand there more than once. */
bool bench_value_operations(const char *text, int max_operations, const bench_operation **operations, int *count);

/* Numbers in a list that is separated by commas. */
int32_t bench_value_count(const char *list);

/* Fills values [num_seqs] from a list of one number or of num_seqs numbers, all >= 1. */
bool bench_value_list(const char *option, const char *list, int32_t num_seqs, int32_t *values);

#endif
