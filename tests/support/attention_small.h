/* SPDX-License-Identifier: Apache-2.0 */
/* What a problem costs an interpreter of kernels, and as much of it as one can run: see size.h. */
#ifndef SUPPORT_ATTENTION_SMALL_H
#define SUPPORT_ATTENTION_SMALL_H

#include "attention.h"

/* Multiply-adds, those that tiles pad included. */
int64_t support_attention_work(const support_attention_case *description);

/* A problem, and arrays of its own where it was cut. */
typedef struct support_small_case {
    support_attention_case description;
    int32_t *lengths;
    uint64_t *seeds;
} support_small_case;

/*
 * The whole problem; where kernels are interpreted, sequences of a few rows and keys, and no more of them than it can
 * afford: of those that prefill and of those that decode at least one, if there is one.
 */
void support_small_case_init(support_small_case *small, const support_attention_case *whole);
void support_small_case_finish(support_small_case *small);

#endif
