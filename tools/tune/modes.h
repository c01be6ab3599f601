/* SPDX-License-Identifier: Apache-2.0 */
/* All that cl-tune does besides searching. */
#ifndef TUNE_MODES_H
#define TUNE_MODES_H

#include "tune/device.h"
#include "tune/options.h"

/* Exit codes. */
#define TUNE_EXIT_GOOD 0
#define TUNE_EXIT_FAILED 1
#define TUNE_EXIT_USAGE 2
#define TUNE_EXIT_NO_DEVICE 77
#define TUNE_EXIT_SIGNAL 128 /* and the signal's number */

/* Does what the options ask for, which is no search, and gives the exit code. */
int tune_modes_run(const tune_options *options);

/* The device, asked for in a child. False after saying what is wrong; *code is the exit code then. */
bool tune_modes_find_device(const tune_options *options, tune_device *device, int *code);

#endif
