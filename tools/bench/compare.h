/* SPDX-License-Identifier: Apache-2.0 */
/* Results held against those of an earlier run. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Finds for every result of `record` the one of `old` that measured the same, and adds to it old_time, ratio_to_old,
 * old_noise and verdict, all null if there is none. The time is median_ms, or call_us of an overhead; the noise is the
 * root of the sum of the squares of both spreads; the verdict is "faster" or "slower" where the ratio differs from 1 by
 * more than the noise, else "same". What an old record does not say counts as the same. False for want of memory.
 */
bool bench_compare(cJSON *record, const cJSON *old);

/* The comparison as a table; old_name says where the old results come from. */
void bench_compare_print(const cJSON *record, const char *old_name, FILE *file);

#endif
