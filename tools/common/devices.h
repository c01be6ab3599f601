/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenCL devices as a list to choose from. */
#ifndef TOOL_DEVICES_H
#define TOOL_DEVICES_H

#include <stdint.h>
#include <stdio.h>

/* A line for each device, its number first, or one that says that there is none; returns how many there are. */
int32_t tool_devices_print(FILE *file);

#endif
