/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operands of an attention call: what the operations give under different names is checked here once, in the
 * order of their fields, and becomes a problem and its buffers.
 */
#ifndef CLATTN_ATTENTION_OPERANDS_H
#define CLATTN_ATTENTION_OPERANDS_H

#include "attention/bind.h"
#include "attention/kernel.h"

/* A tensor of the caller's under its field's name; NULL = the operation has no such field. */
typedef struct clattn_operand {
    const char *name;
    const clattn_tensor *tensor;
} clattn_operand;

/* Results: `lse` may be absent; `max` and `denominator` are absent together. */
typedef struct clattn_result_operands {
    clattn_operand out;
    clattn_operand lse;
    clattn_operand max;
    clattn_operand denominator;
    bool require_state; /* max and denominator must be there, and out is float32 as they are */
    bool numerator;
    float mask_value;
} clattn_result_operands;

typedef struct clattn_operands {
    clattn_operand query; /* [tokens, Hq, D] */
    clattn_operand key;   /* of combined pages: both */
    clattn_operand value;
    clattn_kv_layout layout;
    bool dense;     /* page b is row b of the queries */
    bool one_query; /* each sequence has one query token */
    clattn_result_operands results;
    clattn_operand softmax_aux;
    bool shared_sinks; /* [num_sinks] or [Hkv, num_sinks] instead of [Hq] */
    float softmax_scale;
    float logits_soft_cap;
    int32_t sliding_window; /* keys, the query's own included, 0 = all */
    clattn_dtype compute_dtype;
} clattn_operands;

clattn_status clattn_operands_bind(clattn_context *ctx, const clattn_operands *operands, clattn_problem *problem,
                                   clattn_attention_buffers *buffers);

/* The most tensors that an operation has results for. */
#define CLATTN_MAX_RESULTS 3

/*
 * Binds results of problem->total_tokens rows, problem->num_q_heads heads and problem->head_dim_v columns, lists them
 * in `bound` from *num_bound on, their views in `views`.
 */
clattn_status clattn_operands_bind_results(clattn_context *ctx, const clattn_result_operands *operands,
                                           clattn_problem *problem, clattn_attention_buffers *buffers,
                                           clattn_view views[CLATTN_MAX_RESULTS],
                                           clattn_bound bound[CLATTN_MAX_RESULTS], size_t *num_bound);

/* Work-items write their results while others still read: none may share bytes with another tensor. */
clattn_status clattn_operands_check_apart(clattn_context *ctx, const clattn_bound *results, size_t num_results,
                                          const clattn_bound *others, size_t num_others);

/* Which state is given or asked for: lse, max and denominator, or none of them. */
clattn_status clattn_operands_choose_state(clattn_context *ctx, const clattn_operand *lse, const clattn_operand *max,
                                           const clattn_operand *denominator, clattn_state_kind *kind);

#endif
