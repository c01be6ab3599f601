/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constraints on the tiles of each family and phase, as predicates on plain device facts. Leaves what there is to
 * choose from to tunables.c, the default values to rows.c, and what a call runs with to resolve.c. Without OpenCL.
 */
#ifndef CLATTN_LIB_TUNING_SPACE_H
#define CLATTN_LIB_TUNING_SPACE_H

#include "runtime/error.h"

#include <clattn/device.h>
#include <clattn/dtype.h>
#include <clattn/tuning.h>
#include <clattn/tuning_query.h>
#include <clattn/tuning_space.h>
#include <stdbool.h>
#include <stddef.h>

/* The most rows or keys of a tile. */
#define CLATTN_LARGEST_TILE_SIDE (1 << 14)

/* Keys of a block of the plain family, which has no tiles of keys: where splits are cut. */
#define CLATTN_PLAIN_BLOCK_KV 16

/* What a tile is chosen for. */
typedef struct clattn_tile_request {
    clattn_family family;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t group_size;
    int32_t num_kv_heads;
    bool token_major;      /* all kv heads of a token lie together */
    bool dense;            /* from here on: what chooses among rows, and decides nothing else; pages otherwise */
    clattn_dtype kv_dtype; /* 0 = not known */
    int32_t page_size;     /* KV tokens; the unit of an override in pages; 0 = not known */
    int32_t num_seqs;      /* 0 = not known, or no reason for another row */
} clattn_tile_request;

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
    /* What a device that ends long loops allows (loops.h), 0 = any number. */
    int32_t max_item_keys[CLATTN_NUM_PHASES]; /* keys of a work item, whole blocks */
    int32_t max_splits;                       /* parts of a row's keys that one work-item can merge */
    int32_t max_merge_rows;                   /* rows of a merge item, */
    int32_t max_clear_rows;                   /* and of one that clears rows */
    int32_t max_sinks;                        /* of a row */
} clattn_row;

/* The family that a device's facts speak for. */
clattn_family clattn_family_of(const clattn_device_facts *facts);

/* Why that one. */
void clattn_family_explain(const clattn_device_facts *facts, char reason[CLATTN_SENTENCE_BYTES]);

/* Keys that fill whole vectors of scores in the vector decode kernel: a block is a multiple of them. */
int32_t clattn_tile_decode_keys(const clattn_tile *tile);

/* Local memory that a tile's kernel uses, in bytes. */
int64_t clattn_tile_local_bytes(const clattn_tile_request *request, clattn_phase phase, const clattn_tile *tile);

/* Whether the device can run a tile; if not, the reason. */
clattn_status clattn_tile_check(const clattn_device_facts *facts, const clattn_tile_request *request,
                                clattn_phase phase, const clattn_tile *tile, int64_t local_memory_limit_bytes,
                                clattn_error *error);

/*
 * Whether a tile that the device can run is worth trying: no more lanes than its vectors have, no more sums for a
 * work-item than its registers hold, unless the default tile has as many.
 */
clattn_status clattn_tile_check_worth(const clattn_device_facts *facts, const clattn_tile_request *request,
                                      clattn_phase phase, const clattn_tile *tile, const clattn_tile *default_tile,
                                      clattn_error *error);

/*
 * GPUs that let a kernel choose the size of its sub-groups, down to 8 or 16 work-items, share the registers of a
 * hardware thread among them: at the narrowest size each has 128, half of what other GPUs give.
 */
bool clattn_has_few_registers(const clattn_device_facts *facts);

#endif
