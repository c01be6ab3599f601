/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL error codes as statuses and sentences, for code that has no context at hand. */
#ifndef CLATTN_RUNTIME_CL_ERROR_H
#define CLATTN_RUNTIME_CL_ERROR_H

#include "runtime/error.h"

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

/* An OpenCL error code's name, such as "CL_OUT_OF_RESOURCES"; "an unknown error" for what OpenCL 1.2 does not name. */
const char *clattn_cl_error_name(cl_int result);

/*
 * Turns the result of the OpenCL function `call` into a status with a sentence that names both; CL_SUCCESS gives
 * CLATTN_OK and writes nothing. What an allocating function says about size or resources is OUT_OF_DEVICE_MEMORY.
 */
clattn_status clattn_cl_check(clattn_error *error, cl_int result, const char *call);

#endif
