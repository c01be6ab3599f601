/* SPDX-License-Identifier: Apache-2.0 */
/* A record is always the same keys in the same order, so one scanf format is the whole grammar. */
#include "golden/cases.h"

#include <inttypes.h>
#include <stdio.h>

#define NUM_KEYS 12

/* Reads one record and moves behind it and behind the empty line. */
static bool read_record(const char **text, golden_case *described)
{
    int length = -1;
    const int num_read = sscanf(
        *text,
        "case=%63s operation=%63s kv_layout=%63s num_seqs=%" SCNd32 " softmax_scale=%f logits_soft_cap=%f "
        "sliding_window=%" SCNd32 " window_left=%" SCNd32 " window_right=%" SCNd32 " softmax_aux_rank=%" SCNd32
        " append=%" SCNd32 " unused_value=%f %n",
        described->name, described->operation, described->kv_layout, &described->num_seqs, &described->softmax_scale,
        &described->logits_soft_cap, &described->sliding_window, &described->window.left, &described->window.right,
        &described->softmax_aux_rank, &described->append, &described->unused_value, &length);

    if (num_read != NUM_KEYS || length < 0)
        return false;
    *text += length;
    return true;
}

const char *golden_cases_parse(const char *text, golden_case cases[GOLDEN_MAX_CASES], int32_t *num_cases)
{
    for (*num_cases = 0; *text != '\0'; ++*num_cases) {
        if (*num_cases == GOLDEN_MAX_CASES)
            return "too many cases";
        if (!read_record(&text, &cases[*num_cases]))
            return "a record has not the twelve keys in their order";
    }
    return *num_cases > 0 ? NULL : "no case";
}
