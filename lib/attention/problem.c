/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and fills the problem description; see problem.h. */
#include "attention/problem.h"

#include "attention/schedule.h"
#include "runtime/layout.h"

#include <clattn/attention.h>
#include <math.h>

#define SMALLEST_HEAD_DIM 8
#define LARGEST_HEAD_DIM 512
#define LARGEST_MASK_VALUE (-1e30f)

clattn_status clattn_check_head_dim(const char *name, int32_t head_dim, clattn_error *error)
{
    CLATTN_REQUIRE(error, head_dim >= SMALLEST_HEAD_DIM && head_dim <= LARGEST_HEAD_DIM && head_dim % 8 == 0,
                   CLATTN_UNSUPPORTED, "%s is %d, supported are the multiples of 8 from %d to %d", name, (int)head_dim,
                   SMALLEST_HEAD_DIM, LARGEST_HEAD_DIM);
    return CLATTN_OK;
}

clattn_status clattn_check_head_dims(int32_t head_dim, int32_t head_dim_v, clattn_error *error)
{
    CLATTN_TRY(clattn_check_head_dim("head_dim", head_dim, error));
    return clattn_check_head_dim("head_dim_v", head_dim_v, error);
}

clattn_status clattn_check_heads(int32_t num_q_heads, int32_t num_kv_heads, clattn_error *error)
{
    CLATTN_REQUIRE(error, num_q_heads >= 1, CLATTN_INVALID_ARGUMENT, "num_q_heads is %d, expected 1 or more",
                   (int)num_q_heads);
    CLATTN_REQUIRE(error, num_kv_heads >= 1, CLATTN_INVALID_ARGUMENT, "num_kv_heads is %d, expected 1 or more",
                   (int)num_kv_heads);
    CLATTN_REQUIRE(error, num_q_heads % num_kv_heads == 0, CLATTN_INVALID_ARGUMENT,
                   "num_q_heads %d is no multiple of num_kv_heads %d", (int)num_q_heads, (int)num_kv_heads);
    return CLATTN_OK;
}

clattn_status clattn_problem_set_options(clattn_problem *problem, float softmax_scale, float logits_soft_cap,
                                         clattn_error *error)
{
    CLATTN_REQUIRE(error, isfinite(softmax_scale), CLATTN_INVALID_ARGUMENT,
                   "softmax_scale is %g, expected a finite number", (double)softmax_scale);
    CLATTN_REQUIRE(error, isfinite(logits_soft_cap) && logits_soft_cap >= 0.0f, CLATTN_INVALID_ARGUMENT,
                   "logits_soft_cap is %g, expected a finite number of 0 or more", (double)logits_soft_cap);
    problem->softmax_scale = softmax_scale != 0.0f ? softmax_scale : 1.0f / sqrtf((float)problem->head_dim);
    problem->logits_soft_cap = logits_soft_cap;
    return CLATTN_OK;
}

clattn_status clattn_problem_set_mask_value(clattn_problem *problem, float mask_value, clattn_error *error)
{
    CLATTN_REQUIRE(error, isfinite(mask_value) && (mask_value == 0.0f || mask_value <= LARGEST_MASK_VALUE),
                   CLATTN_INVALID_ARGUMENT, "mask_value is %g, expected 0 or a finite number <= %g", (double)mask_value,
                   (double)LARGEST_MASK_VALUE);
    problem->mask_value = mask_value != 0.0f ? mask_value : CLATTN_DEFAULT_MASK_VALUE;
    return CLATTN_OK;
}

clattn_status clattn_problem_set_causal_window(clattn_problem *problem, int32_t sliding_window, clattn_error *error)
{
    CLATTN_REQUIRE(error, sliding_window >= 0, CLATTN_INVALID_ARGUMENT, "sliding_window is %d, expected 0 or more",
                   (int)sliding_window);
    problem->window_left = sliding_window > 0 ? sliding_window - 1 : CLATTN_UNLIMITED;
    problem->window_right = 0;
    return CLATTN_OK;
}

int32_t clattn_problem_sliding_window(const clattn_problem *problem)
{
    return problem->window_left == CLATTN_UNLIMITED ? 0 : problem->window_left + 1;
}

/* Which dimension of a layout's tensor is the page, the slot and the kv head. */
typedef struct layout_axes {
    int page;
    int slot;
    int head;
} layout_axes;

static const layout_axes axes_of[CLATTN_NUM_KV_LAYOUTS] = {
    [CLATTN_KV_COMBINED] = {0, 1, 2},
    [CLATTN_KV_NHD] = {0, 1, 2},
    [CLATTN_KV_HND] = {0, 2, 1},
    [CLATTN_KV_HEADS_FIRST] = {1, 2, 0},
};

static clattn_pages_address address_of(const clattn_view *view, const layout_axes *axes)
{
    return (clattn_pages_address){
        .offset = view->offset,
        .page_stride = (uint64_t)view->strides[axes->page],
        .slot_stride = (uint64_t)view->strides[axes->slot],
        .head_stride = (uint64_t)view->strides[axes->head],
    };
}

static clattn_status check_extents(const clattn_problem *problem, const clattn_view *key, const layout_axes *axes,
                                   clattn_error *error)
{
    CLATTN_REQUIRE(error, key->shape[axes->page] <= INT32_MAX, CLATTN_SIZE_OVERFLOW, "%lld pages are more than 2^31-1",
                   (long long)key->shape[axes->page]);
    CLATTN_REQUIRE(error, key->shape[axes->slot] >= 1 && key->shape[axes->slot] <= INT32_MAX, CLATTN_INVALID_SHAPE,
                   "%s is %lld, expected 1..2^31-1", problem->dense ? "seq_len" : "page_size",
                   (long long)key->shape[axes->slot]);
    CLATTN_REQUIRE(error, key->shape[axes->head] >= 1 && key->shape[axes->head] <= INT32_MAX, CLATTN_INVALID_SHAPE,
                   "the pages hold %lld heads, expected 1..2^31-1", (long long)key->shape[axes->head]);
    CLATTN_REQUIRE(error, key->shape[3] <= INT32_MAX, CLATTN_INVALID_SHAPE, "head_dim is %lld",
                   (long long)key->shape[3]);
    return CLATTN_OK;
}

static void set_combined(clattn_problem *problem, const clattn_view *pages, const layout_axes *axes)
{
    problem->num_kv_heads = (int32_t)(pages->shape[axes->head] / 2);
    problem->head_dim_v = (int32_t)pages->shape[3];
    problem->v_dtype = pages->dtype;
    problem->k = address_of(pages, axes);
    problem->k.head_stride *= 2;
    problem->v = problem->k;
    problem->v.offset += (uint64_t)pages->strides[axes->head];
}

clattn_status clattn_problem_set_kv(clattn_problem *problem, clattn_kv_layout layout, const clattn_view *key,
                                    const clattn_view *value, clattn_error *error)
{
    const layout_axes *axes = &axes_of[layout];
    CLATTN_TRY(check_extents(problem, key, axes, error));
    problem->num_pages = (int32_t)key->shape[axes->page];
    problem->page_size = (int32_t)key->shape[axes->slot];
    problem->head_dim = (int32_t)key->shape[3];
    problem->k_dtype = key->dtype;
    problem->token_major = clattn_layout_is_token_major(layout);
    if (layout == CLATTN_KV_COMBINED) {
        CLATTN_REQUIRE(error, key->shape[axes->head] % 2 == 0, CLATTN_INVALID_SHAPE,
                       "kv_pages: dimension 2 is %lld, expected an even number (K and V of each kv head)",
                       (long long)key->shape[axes->head]);
        set_combined(problem, key, axes);
        return CLATTN_OK;
    }
    CLATTN_REQUIRE(error, value->shape[3] <= INT32_MAX, CLATTN_INVALID_SHAPE, "head_dim_v is %lld",
                   (long long)value->shape[3]);
    problem->num_kv_heads = (int32_t)key->shape[axes->head];
    problem->head_dim_v = (int32_t)value->shape[3];
    problem->v_dtype = value->dtype;
    problem->k = address_of(key, axes);
    problem->v = address_of(value, axes);
    return CLATTN_OK;
}

clattn_rows clattn_rows_of(const clattn_view *view)
{
    return (clattn_rows){
        .offset = view->offset,
        .token_stride = (uint64_t)view->strides[0],
        .head_stride = (uint64_t)view->strides[1],
    };
}
