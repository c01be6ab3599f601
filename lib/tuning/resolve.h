/* SPDX-License-Identifier: Apache-2.0 */
/* Which row a call runs with: the default one, the call's override, and the checks on both. Without OpenCL. */
#ifndef CLATTN_TUNING_RESOLVE_H
#define CLATTN_TUNING_RESOLVE_H

#include "tuning/space.h"

/*
 * The row for a request: the default one with the override's fields in place. Refuses an override that contradicts
 * itself or that the device cannot run, and a device on which not even the default fits.
 */
clattn_status clattn_tuning_resolve(const clattn_device_facts *facts, const clattn_tile_request *request,
                                    int32_t page_size, const clattn_tuning *tuning, clattn_row *row,
                                    clattn_error *error);

#endif
