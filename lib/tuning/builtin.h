/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that are compiled into the library: lib/tuning/builtin.json, made into C by embed_rows.py. */
#ifndef CLATTN_TUNING_BUILTIN_H
#define CLATTN_TUNING_BUILTIN_H

#include <clattn/tuning_file.h>

extern const clattn_tuning_row clattn_builtin_rows[];
extern const int32_t clattn_num_builtin_rows;

#endif
