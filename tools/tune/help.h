/* SPDX-License-Identifier: Apache-2.0 */
/* The help text of cl-tune. */
#ifndef TUNE_HELP_H
#define TUNE_HELP_H

#include "common/options.h"

/* To standard output: how to call, the options of the table, the method and examples. */
void tune_help_print(const tool_option *table);

#endif
