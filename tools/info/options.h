/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-info. */
#ifndef INFO_OPTIONS_H
#define INFO_OPTIONS_H

#include "common/options.h"

#include <stdbool.h>

/* What to tell; every value has been checked. Strings point into argv. */
typedef struct info_options {
    const char *device;      /* NULL = all */
    int family;              /* clattn_family */
    int layout;              /* clattn_kv_layout */
    tool_choice models;      /* tool_shape_at() */
    const char *cache_dir;   /* as in clattn_context_params */
    const char *tuning_file; /* likewise */
    int cache_clear;         /* clattn_cache_part; negative = nothing */
    bool cache_verify;       /* a damaged file is a failure */
    bool files;              /* list every file of the cache */
    bool json;               /* to standard output, instead of the text */
} info_options;

/* Prints the help if it is asked for. */
tool_options_result info_options_parse(info_options *options, int argc, char **argv);

#endif
