/* SPDX-License-Identifier: Apache-2.0 */
/* The results as comma-separated values. */
#ifndef BENCH_CSV_H
#define BENCH_CSV_H

#include <cjson/cJSON.h>

/*
 * A heading and a line for each result of a record, as bench_record_make() gives it, without a last line end; lists of
 * numbers are separated by blanks. To be freed; NULL after saying why not.
 */
char *bench_csv_make(const cJSON *record);

#endif
