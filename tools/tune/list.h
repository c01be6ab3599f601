/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to search: tunables of kernels, and the tiles of tasks. */
#ifndef TUNE_LIST_H
#define TUNE_LIST_H

#include "tune/task.h"

/* The tunables of every kernel, to standard output. */
bool tune_list_spaces(bool json);

/* What a search of these tasks would try and what it leaves out, to standard output. */
bool tune_list_tasks(const tune_options *options, const tune_device *device, const char *output, const tune_task *tasks,
                     int num_tasks);

#endif
