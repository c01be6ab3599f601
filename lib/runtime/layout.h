/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of page layouts. Without OpenCL. */
#ifndef CLATTN_RUNTIME_LAYOUT_H
#define CLATTN_RUNTIME_LAYOUT_H

#include <clattn/layout.h>
#include <stdbool.h>

/* Whether a layout keeps all kv heads of a token together. */
static inline bool clattn_layout_is_token_major(clattn_kv_layout layout)
{
    return layout == CLATTN_KV_COMBINED || layout == CLATTN_KV_NHD;
}

#endif
