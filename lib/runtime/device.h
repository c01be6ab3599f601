/* SPDX-License-Identifier: Apache-2.0 */
/* Finds OpenCL devices and reads their facts. */
#ifndef CLATTN_RUNTIME_DEVICE_H
#define CLATTN_RUNTIME_DEVICE_H

#include "runtime/error.h"

#include <clattn/context.h>

/* Reads the facts of one device. */
clattn_status clattn_device_read_facts(cl_device_id device, clattn_device_facts *facts, clattn_error *error);

/*
 * The device of a request as clattn_context_params.device words it (NULL = best: GPU, then accelerator, then CPU;
 * among equals the one with the most compute units, then the first).
 */
clattn_status clattn_device_find(const char *request, cl_device_id *device, clattn_error *error);

#endif
