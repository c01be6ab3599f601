/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiles of each family and phase, and the constraints on them as predicates on plain device facts.
 * Leaves the default values to rows.c, and what a call runs with to resolve.c. Without OpenCL.
 */
#ifndef CLATTN_TUNING_SPACE_H
#define CLATTN_TUNING_SPACE_H

#include "runtime/error.h"

#include <clattn/device.h>
#include <clattn/tuning.h>
#include <clattn/tuning_query.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum clattn_phase { CLATTN_PHASE_DECODE, CLATTN_PHASE_PREFILL, CLATTN_NUM_PHASES } clattn_phase;

/* The most rows or keys of a tile. */
#define CLATTN_LARGEST_TILE_SIDE (1 << 14)

/* What a tile is chosen for. */
typedef struct clattn_tile_request {
    clattn_family family;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t group_size;
    int32_t num_kv_heads;
    bool token_major; /* all kv heads of a token lie together */
} clattn_tile_request;

typedef struct clattn_tile {
    int32_t block_q;         /* packed query rows of a kv head */
    int32_t block_kv;        /* keys */
    int32_t work_group_size; /* work-items */
    int32_t heads;           /* kv heads that one work-group visits together */
    int32_t lanes;           /* float32 per vector (vector family), else 1 */
    int32_t sub_group_size;  /* work-items that the compiler is told to run as one (simt family), 0 = its choice */
} clattn_tile;

/* The tiles of both phases, and how a batch is cut into them. */
typedef struct clattn_row {
    clattn_family family;
    clattn_tuning_level levels[CLATTN_NUM_PHASES]; /* where a phase's tile comes from */
    clattn_tile tiles[CLATTN_NUM_PHASES];
    size_t local_argument_bytes[CLATTN_NUM_PHASES]; /* local memory that the host passes (vector family), else 0 */
    int32_t decode_max_rows;                        /* a sequence with more packed rows is prefilled */
    int32_t target_groups;                          /* work-groups that keep the device busy */
    int32_t run_threads;      /* that take runs of work-groups, 0 = the device takes single ones */
    int32_t min_split_tokens; /* a share of the keys below it is not worth a split */
} clattn_row;

/* The family that a device's facts speak for. */
clattn_family clattn_family_of(const clattn_device_facts *facts);

/* Why that one. */
void clattn_family_explain(const clattn_device_facts *facts, char reason[CLATTN_SENTENCE_BYTES]);

/* Local memory that a tile's kernel uses, in bytes. */
int64_t clattn_tile_local_bytes(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile);

/* Whether the device can run a tile; if not, the reason. */
clattn_status clattn_tile_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                clattn_phase phase, const clattn_tile *tile, int64_t local_memory_limit_bytes,
                                clattn_error *error);

#endif
