/* SPDX-License-Identifier: Apache-2.0 */
/* --explain: what runs for a problem, phase by phase and batch by batch. */
#ifndef TUNE_EXPLAIN_H
#define TUNE_EXPLAIN_H

#include "tune/options.h"

/* To standard output. False after saying what failed; *status is that of opening the device. */
bool tune_explain_run(const tune_options *options, clattn_status *status);

#endif
