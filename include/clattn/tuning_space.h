/* SPDX-License-Identifier: Apache-2.0 */
/* What can be chosen of a tile, and whether a device could run the choice. Needs no device. */
#ifndef CLATTN_TUNING_SPACE_H
#define CLATTN_TUNING_SPACE_H

#include <clattn/tuning_query.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A field of clattn_tile that a kernel can be cut by, and the values worth trying. */
typedef struct clattn_tunable {
    const char *name;      /* of the field */
    const char *define;    /* of the kernel, "" = the host's alone */
    const int32_t *values; /* [num_values], ascending */
    int32_t num_values;    /* >= 1 */
    size_t offset;         /* of the field in clattn_tile, bytes */
} clattn_tunable;

/**
 * The tunables of a kernel; fields that are not among them have one value only, the default row's. Thread-safe.
 *
 * Shapes    *tunables [*num_tunables], static storage
 * Errors    INVALID_ARGUMENT  a family or phase out of range, CLATTN_FAMILY_DEFAULT, a NULL pointer; *num_tunables is
 *                             0 then
 * Since     0.1
 */
CLATTN_API clattn_status clattn_tuning_space(clattn_family family, clattn_phase phase, const clattn_tunable **tunables,
                                             int32_t *num_tunables);

/** The value of a tunable in a tile. */
CLATTN_API int32_t clattn_tile_get(const clattn_tile *tile, const clattn_tunable *tunable);

/** Sets a tunable of a tile; any value is taken, clattn_tuning_check() judges it. */
CLATTN_API void clattn_tile_set(clattn_tile *tile, const clattn_tunable *tunable, int32_t value);

/**
 * Whether a device of these facts could run a tile for a problem, and run it as fast as another: what does not fit is
 * told without compiling anything. Thread-safe.
 *
 * Edge      params->tuning is not asked. Stricter than a call, which also takes what is merely pointless: more lanes
 *           than the device's vectors have, more accumulators for a work-item than any device has registers
 * Errors    as clattn_tuning_query(), and
 *           INVALID_ARGUMENT  facts, params, tile or reason is NULL; phase out of range
 *           INVALID_TUNING    the tile does not fit; `reason` says why, "" if it does
 * Since     0.1
 */
CLATTN_API clattn_status clattn_tuning_check(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                             clattn_phase phase, const clattn_tile *tile,
                                             char reason[CLATTN_SENTENCE_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
