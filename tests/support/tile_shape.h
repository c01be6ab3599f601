/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of the kernel that a tile stands for, of 16-bit K and V. */
#ifndef SUPPORT_TILE_SHAPE_H
#define SUPPORT_TILE_SHAPE_H

#include "kernel_shape.h"
#include "tuning/space.h"

kernel_shape shape_of_tile(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile);

#endif
