/* SPDX-License-Identifier: Apache-2.0 */
/* Which program a problem runs with, and the values of its defines: all that a device compiler gets. Without OpenCL. */
#ifndef CLATTN_ATTENTION_VARIANT_H
#define CLATTN_ATTENTION_VARIANT_H

#include "attention/problem.h"
#include "runtime/program.h"
#include "tuning/space.h"

/* The kernel of one phase. */
clattn_variant clattn_variant_of_phase(const clattn_problem *problem, const clattn_row *row, clattn_phase phase);

/* What the merge kernel is to know of the states that it joins. */
typedef struct clattn_merge_kind {
    clattn_dtype dtype; /* of the numerators */
    bool by_lse;        /* each state comes with its log-sum-exp, else with a maximum and a sum */
    bool planned;       /* they are a plan's partial states, else the caller's */
} clattn_merge_kind;

/* The kernel that joins states into the problem's results, in work-groups of that size. */
clattn_variant clattn_variant_of_merge(const clattn_problem *problem, const clattn_merge_kind *kind,
                                       uint32_t work_group_size);

#endif
