/* SPDX-License-Identifier: Apache-2.0 */
/* The help text of cl-bench. */
#ifndef BENCH_HELP_H
#define BENCH_HELP_H

#include "common/options.h"

/* To standard output: how to call, the options of the table, the method and examples. */
void bench_help_print(const tool_option *table);

#endif
