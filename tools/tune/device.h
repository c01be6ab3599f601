/* SPDX-License-Identifier: Apache-2.0 */
/* The device to tune for, as plain data: a child asks for it, since the process that starts others calls no OpenCL. */
#ifndef TUNE_DEVICE_H
#define TUNE_DEVICE_H

#include "tune/child.h"

#include <clattn/clattn.h>

typedef struct tune_device {
    clattn_status status;
    char error[CLATTN_SENTENCE_BYTES]; /* "" for CLATTN_OK */
    clattn_device_facts facts;
    clattn_family family; /* never the default one */
} tune_device;

/* Opens a context as clattn_context_create() does, and tells its facts. False after saying how the driver failed. */
bool tune_device_find(const char *device, clattn_family family, tune_device *found);

#endif
