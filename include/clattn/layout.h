/* SPDX-License-Identifier: Apache-2.0 */
/* The orders in which K and V may lie in their pages. */
#ifndef CLATTN_LAYOUT_H
#define CLATTN_LAYOUT_H

#include <clattn/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Order of the dimensions of K and V pages. P pages of S tokens, Hkv kv heads of width D (V: head_dim_v). */
typedef enum clattn_kv_layout {
    CLATTN_KV_COMBINED = 0,    /* one tensor [P, S, 2*Hkv, D]: head 2h is K of kv head h, head 2h+1 is V */
    CLATTN_KV_NHD = 1,         /* separate K, V [P, S, Hkv, D] */
    CLATTN_KV_HND = 2,         /* separate K, V [P, Hkv, S, D], "blocks first" */
    CLATTN_KV_HEADS_FIRST = 3, /* separate K, V [Hkv, P, S, D] */
    CLATTN_NUM_KV_LAYOUTS = 4
} clattn_kv_layout;

/** "combined", "nhd", "hnd", "heads_first"; "invalid" otherwise. */
CLATTN_API const char *clattn_kv_layout_name(clattn_kv_layout layout);

#ifdef __cplusplus
}
#endif

#endif
