/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of cases.txt: the options of every golden case. README.md says what the keys mean. */
#ifndef GOLDEN_CASES_H
#define GOLDEN_CASES_H

#include <clattn/attention.h>

#define GOLDEN_MAX_CASES 64
#define GOLDEN_NAME_BYTES 64

typedef struct golden_case {
    char name[GOLDEN_NAME_BYTES]; /* of the case and of its folder */
    char operation[GOLDEN_NAME_BYTES];
    char kv_layout[GOLDEN_NAME_BYTES];
    int32_t num_seqs;
    float softmax_scale;
    float logits_soft_cap;
    int32_t sliding_window;
    clattn_window window;
    int32_t softmax_aux_rank;
    int32_t append;
    float unused_value;
} golden_case;

/*
 * Reads all records of a text that ends with a NUL. Returns NULL; or the reason why the text cannot be read, and
 * *num_cases is the number of records in front of the bad place.
 */
const char *golden_cases_parse(const char *text, golden_case cases[GOLDEN_MAX_CASES], int32_t *num_cases);

#endif
