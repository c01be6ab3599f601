/* SPDX-License-Identifier: Apache-2.0 */
/* Which tuning row answers for a problem on a device, and where it comes from. */
#ifndef CLATTN_TUNING_QUERY_H
#define CLATTN_TUNING_QUERY_H

#include <clattn/device.h>
#include <clattn/dtype.h>
#include <clattn/layout.h>
#include <clattn/tuning.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct clattn_context; /* of <clattn/context.h>, which needs OpenCL's headers */

#define CLATTN_SENTENCE_BYTES 256

/** Where a tile comes from: the first of these that has a row for the problem answers. */
typedef enum clattn_tuning_level {
    CLATTN_TUNING_NONE = 0,         /* there is no tile */
    CLATTN_TUNING_OVERRIDE = 1,     /* the call's override, over a row */
    CLATTN_TUNING_USER_DRIVER = 2,  /* a row of the user's file for this device and driver */
    CLATTN_TUNING_USER_DEVICE = 3,  /* a row of the user's file for this device with another driver */
    CLATTN_TUNING_DEVICE = 4,       /* a built-in row for this device */
    CLATTN_TUNING_ARCHITECTURE = 5, /* a built-in row for another device of its architecture */
    CLATTN_TUNING_VENDOR = 6,       /* a built-in row for another device of its vendor and type */
    CLATTN_TUNING_DEFAULT = 7,      /* the family's default row */
    CLATTN_NUM_TUNING_LEVELS = 8
} clattn_tuning_level;

/** "none", "override", "user_driver", "user_device", "device", "architecture", "vendor", "default"; "invalid"
 * otherwise. */
CLATTN_API const char *clattn_tuning_level_name(clattn_tuning_level level);

/** What a row is asked for: the fields of clattn_plan_params that it depends on. Zero-initialise, then fill in. */
typedef struct clattn_tuning_query_params {
    int32_t num_q_heads;         /* a multiple of num_kv_heads */
    int32_t num_kv_heads;        /* >= 1 */
    int32_t head_dim;            /* 8..512, a multiple of 8 */
    int32_t head_dim_v;          /* likewise; 0 = head_dim */
    int32_t page_size;           /* KV tokens per page, >= 1; dense: seq_len */
    clattn_kv_layout kv_layout;  /* dense: CLATTN_KV_NHD */
    bool dense;                  /* a dense cache instead of pages */
    clattn_dtype kv_dtype;       /* of K and V, 0 = not known; chooses among rows */
    int32_t num_seqs;            /* of the batch, 0 = not known; chooses among rows */
    clattn_family family;        /* as in clattn_context_params, 0 = chosen from the device's facts */
    const clattn_tuning *tuning; /* override, read during the call; NULL = none */
} clattn_tuning_query_params;

/** How the kernel of one phase is cut. */
typedef struct clattn_tuning_tile {
    clattn_tuning_level level;
    clattn_tile tile;
    uint64_t local_memory_bytes;     /* that a work-group uses */
    char row[CLATTN_SENTENCE_BYTES]; /* device, version, problem; "" = the default row */
} clattn_tuning_tile;

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
 * The row that a plan or call runs with on a device of these facts, if there is no tuning file: found by the code that
 * plans ask, without a device. Thread-safe.
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

/**
 * The row that a plan or call of this context runs with, the rows of its tuning file among those asked.
 *
 * Edge      params->family 0 is the context's family
 * Errors    as clattn_tuning_query()
 * Since     0.1
 */
CLATTN_API clattn_status clattn_context_tuning_query(struct clattn_context *ctx,
                                                     const clattn_tuning_query_params *params,
                                                     clattn_tuning_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
