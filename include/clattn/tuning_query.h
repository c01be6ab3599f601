/* SPDX-License-Identifier: Apache-2.0 */
/* Which tuning row answers for a problem on a device, and where it comes from. Needs no device. */
#ifndef CLATTN_TUNING_QUERY_H
#define CLATTN_TUNING_QUERY_H

#include <clattn/device.h>
#include <clattn/layout.h>
#include <clattn/tuning.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where the sizes of a tile come from. */
typedef enum clattn_tuning_level {
    CLATTN_TUNING_NONE = 0,     /* no row answers */
    CLATTN_TUNING_OVERRIDE = 1, /* the call's override, over a row */
    CLATTN_TUNING_DEFAULT = 2,  /* the family's default row */
    CLATTN_NUM_TUNING_LEVELS = 3
} clattn_tuning_level;

/** "none", "override", "default"; "invalid" otherwise. */
CLATTN_API const char *clattn_tuning_level_name(clattn_tuning_level level);

/** What a row is asked for: the fields of clattn_plan_params that it depends on. Zero-initialise, then fill in. */
typedef struct clattn_tuning_query_params {
    int32_t num_q_heads;         /* a multiple of num_kv_heads */
    int32_t num_kv_heads;        /* >= 1 */
    int32_t head_dim;            /* 8..512, a multiple of 8 */
    int32_t head_dim_v;          /* likewise; 0 = head_dim */
    int32_t page_size;           /* KV tokens per page, >= 1; dense: seq_len */
    clattn_kv_layout kv_layout;  /* dense: CLATTN_KV_NHD */
    clattn_family family;        /* as in clattn_context_params, 0 = chosen from the device's facts */
    const clattn_tuning *tuning; /* override, read during the call; NULL = none */
} clattn_tuning_query_params;

/** How the kernel of one phase is cut. */
typedef struct clattn_tuning_tile {
    clattn_tuning_level level;
    clattn_tile tile;
    uint64_t local_memory_bytes; /* that a work-group uses */
} clattn_tuning_tile;

#define CLATTN_SENTENCE_BYTES 256

/** The row, or why there is none; texts are cut to fit. */
typedef struct clattn_tuning_answer {
    clattn_family family;                      /* 0 = the question itself is refused */
    char family_reason[CLATTN_SENTENCE_BYTES]; /* why this family, "" without one */
    char refusal[CLATTN_SENTENCE_BYTES];       /* "" = there is a row; all behind it is 0 otherwise */
    clattn_tuning_tile decode;
    clattn_tuning_tile prefill;
    int32_t decode_max_rows;  /* a sequence with more packed query rows per kv head is prefilled */
    int32_t target_groups;    /* keys are split until about as many work-groups are busy */
    int32_t min_split_tokens; /* a share of the keys below it is not worth a split */
} clattn_tuning_answer;

/**
 * The row that a plan or call runs with on a device of these facts: found by the code that plans ask, without a device.
 * Thread-safe.
 *
 * Edge      verdicts are not asked: with clattn_context_params.verify_kernels a kernel that does not prove itself is
 *           replaced by the plain family's, which takes the same work items
 * Errors    those of clattn_plan_create() for the same fields; the sentence is answer->refusal
 *           INVALID_ARGUMENT  facts, params or answer is NULL; family out of range
 *           INVALID_TUNING    an override that the device cannot run, or a device on which no tile fits
 * Since     0.1
 */
CLATTN_API clattn_status clattn_tuning_query(const clattn_device_facts *facts, const clattn_tuning_query_params *params,
                                             clattn_tuning_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
