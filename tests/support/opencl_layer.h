/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an OpenCL layer of the tests is made of, besides the functions that it puts in the place of others: a shared
 * library of opencl_layer.c and one file that defines the two things below. A loader that knows layers takes it from
 * OPENCL_LAYERS.
 */
#ifndef CLATTN_TESTS_SUPPORT_OPENCL_LAYER_H
#define CLATTN_TESTS_SUPPORT_OPENCL_LAYER_H

#include <stdbool.h>

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl_layer.h>

/* The implementation's functions, or the next layer's. */
extern const struct _cl_icd_dispatch *opencl_layer_target;

/* The layer's own: its name for the loader; */
extern const char opencl_layer_name[];

/* replaces some of the functions that programs are given, at first the target's. False if it cannot. */
bool opencl_layer_start(struct _cl_icd_dispatch *functions);

#endif
