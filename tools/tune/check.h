/* SPDX-License-Identifier: Apache-2.0 */
/* --check: whether every kernel computes what it should on a device, each in a process of its own. */
#ifndef TUNE_CHECK_H
#define TUNE_CHECK_H

#include "tune/child.h"
#include "tune/device.h"
#include "tune/variants.h"

typedef struct tune_check_params {
    const char *device;      /* as clattn_context_params */
    const char *cache_dir;   /* likewise */
    const char *tuning_file; /* likewise */
    const tune_device *found;
    tune_variant_params variants;
    uint64_t seed;
    double limit_s; /* for building and running one variant */
    double end;     /* of all, by bench_now() */
    bool json;
} tune_check_params;

/* How many variants came to what. */
typedef struct tune_check_counts {
    int outcomes[TUNE_NUM_OUTCOMES];
    int num_refused; /* that the device cannot run */
    int num_left;    /* that were not reached */
} tune_check_counts;

/* A line on standard output for each variant, or one document. False after saying what ended the whole. */
bool tune_check_run(const tune_check_params *params, tune_check_counts *counts);

#endif
