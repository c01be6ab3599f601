/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel families, the tiles that their kernels are cut by, and what a call may override of them. */
#ifndef CLATTN_TUNING_H
#define CLATTN_TUNING_H

#include <clattn/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A set of kernels for one kind of machine; every family computes the same thing. */
typedef enum clattn_family {
    CLATTN_FAMILY_DEFAULT = 0, /* chosen from the device's facts */
    CLATTN_FAMILY_VECTOR = 1,  /* CPUs: one work-item per work-group, wide explicit vectors */
    CLATTN_FAMILY_SIMT = 2,    /* GPUs: local-memory tiles and barriers, OpenCL C 1.2 */
    CLATTN_FAMILY_PLAIN = 3,   /* any device: one work-item per row, neither barriers nor local memory; slow */
    CLATTN_NUM_FAMILIES = 4
} clattn_family;

/** "vector", "simt", "plain"; "default" for 0; "invalid" otherwise. */
CLATTN_API const char *clattn_family_name(clattn_family family);

/** The family of a name as clattn_family_name() gives it; CLATTN_FAMILY_DEFAULT if there is none. */
CLATTN_API clattn_family clattn_family_from_name(const char *name);

/** Which kernel serves a sequence: its few query rows, or tiles of many. */
typedef enum clattn_phase { CLATTN_PHASE_DECODE = 0, CLATTN_PHASE_PREFILL = 1, CLATTN_NUM_PHASES = 2 } clattn_phase;

/** "decode", "prefill"; "invalid" otherwise. */
CLATTN_API const char *clattn_phase_name(clattn_phase phase);

/** How the kernel of one phase is cut; <clattn/tuning_space.h> says what can be chosen. */
typedef struct clattn_tile {
    int32_t block_q;          /* packed query rows (tokens x group_size) of a kv head */
    int32_t block_kv;         /* KV tokens */
    int32_t work_group_size;  /* work-items */
    int32_t heads;            /* kv heads that one work-group visits together */
    int32_t lanes;            /* float32 per vector (vector family), else 1 */
    int32_t sub_group_size;   /* work-items that the compiler is told to run as one (simt family), 0 = its choice */
    int32_t accumulators;     /* vectors of results kept in registers (vector decode), 0 = by the processor */
    int32_t qk_keys;          /* keys whose scores are summed at a time (vector decode); 0 = as many as suit */
    int32_t groups_per_unit;  /* decode: keys are split until a compute unit has so many work-groups; prefill: 0 */
    int32_t min_split_tokens; /* decode: a share of the keys below it is not worth a split; prefill: 0 */
} clattn_tile;

/**
 * Per-call override of what the device's tuning row says; a zero field keeps the row's value.
 * It applies to both phases, but for whole tiles, which are given for a phase. A tile that a kernel cannot run on the
 * device is refused (CLATTN_INVALID_TUNING), never rounded to another one.
 *
 * The tile may be given in kernel units (block_q, block_kv) or in the units of paged attention
 * (num_queries_per_block, num_kv_pages_per_block); both for one tile side are refused. The plain family has rows, but
 * neither tiles of keys nor local memory: it refuses what speaks of those. A whole tile excludes the sizes that are
 * given one by one.
 */
typedef struct clattn_tuning {
    clattn_family family;             /* 0 = the context's */
    int32_t block_q;                  /* packed query rows (tokens x group_size) per prefill tile, 0 = row's */
    int32_t block_kv;                 /* KV tokens per tile, 0 = row's */
    int32_t num_queries_per_block;    /* query tokens per prefill tile: block_q / group_size, 0 = not given */
    int32_t num_kv_pages_per_block;   /* KV pages per tile: block_kv / page_size, 0 = not given */
    int32_t work_group_size;          /* work-items per work-group (simt, plain), 0 = row's */
    int32_t num_warps;                /* work_group_size / the device's preferred multiple, 0 = not given */
    int32_t num_stages;               /* software-pipeline depth: 0 or 1, no kernel prefetches deeper */
    int64_t local_memory_limit_bytes; /* refuse a tile that needs more local memory, bytes, 0 = the device's limit */
    const clattn_tile *decode_tile;   /* all of the decode kernel's, read during the call; NULL = row's */
    const clattn_tile *prefill_tile;  /* all of the prefill kernel's, read during the call; NULL = row's */
} clattn_tuning;

#ifdef __cplusplus
}
#endif

#endif
