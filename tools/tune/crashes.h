/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles that took a driver down, beside the tuning file: no later search with the same driver and version of clattn
 * tries them again. A new driver or version begins anew, and so does whoever removes the file.
 */
#ifndef TUNE_CRASHES_H
#define TUNE_CRASHES_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* All zero = nothing to finish. */
typedef struct tune_crashes {
    char *path;
    const cJSON *kernel; /* borrowed: the device, driver, version and kernel that this search is about */
    cJSON *lines;        /* of the file, an array */
} tune_crashes;

/* Reads a file, which need not exist; false after saying what is wrong with it. */
bool tune_crashes_init(tune_crashes *crashes, const char *path, const cJSON *kernel);

void tune_crashes_finish(tune_crashes *crashes);

/* What a tile of these parameters did; NULL = nothing is known. One that hung may have more time than it had: limit_s.
 */
const char *tune_crashes_find(const tune_crashes *crashes, const cJSON *parameters, double limit_s);

/* Remembers what a tile did, within limit_s if it hung, else 0; false after saying why it is not on the disk. */
bool tune_crashes_add(tune_crashes *crashes, const cJSON *parameters, const char *reason, double limit_s);

#endif
