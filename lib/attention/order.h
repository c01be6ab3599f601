/* SPDX-License-Identifier: Apache-2.0 */
/* In which order the work items of a phase go to the device. */
#ifndef CLATTN_ATTENTION_ORDER_H
#define CLATTN_ATTENTION_ORDER_H

#include "attention/schedule.h"

/*
 * Heavy items first, by their keys, for a device that takes one work-group after another (run_threads 0). For one whose
 * threads take runs of work-groups, the first of them an even part of all: shares of equal length and weight, within
 * one item, follow each other, several for each thread, each of them heavy first. `scratch` has room for all items.
 */
void clattn_order_items(clattn_work_item *items, int64_t num_items, int32_t run_threads, clattn_work_item *scratch);

#endif
