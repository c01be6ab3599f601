/* SPDX-License-Identifier: Apache-2.0 */
/* See reasons.h. */
#include "tune/reasons.h"

#include <stdio.h>
#include <string.h>

/* A sentence with N for each number. */
static void generalise(const char *sentence, char kind[CLATTN_SENTENCE_BYTES])
{
    size_t length = 0;
    for (const char *at = sentence; *at; at++) {
        const bool digit = *at >= '0' && *at <= '9';
        const bool again = digit && length > 0 && kind[length - 1] == 'N';
        if (!again)
            kind[length++] = digit ? 'N' : *at;
    }
    kind[length] = '\0';
}

static void add_reason(tune_reasons *found, const char *sentence)
{
    char kind[CLATTN_SENTENCE_BYTES];
    generalise(sentence, kind);
    int i = 0;
    while (i < found->count && strcmp(found->kinds[i], kind) != 0)
        i++;
    if (i == TUNE_MAX_REASONS) /* more are not told apart */
        i = TUNE_MAX_REASONS - 1;
    if (i == found->count) {
        memcpy(found->kinds[i], kind, sizeof kind);
        snprintf(found->examples[i], sizeof found->examples[i], "%s", sentence);
        found->count++;
    }
    found->num_points[i]++;
}

void tune_reasons_find(tune_reasons *found, const tune_task *task)
{
    *found = (tune_reasons){.count = 0};
    for (int64_t point = 0; point < task->space.num_points; point++) {
        char sentence[CLATTN_SENTENCE_BYTES];
        if (!tune_space_allows(&task->space, point, sentence))
            add_reason(found, sentence);
    }
}

bool tune_reasons_add(const tune_reasons *found, cJSON *object)
{
    cJSON *list = cJSON_AddArrayToObject(object, "left_out");
    bool good = list != NULL;
    for (int i = 0; good && i < found->count; i++) {
        cJSON *reason = cJSON_CreateObject();
        good = reason && cJSON_AddItemToArray(list, reason) &&
               cJSON_AddNumberToObject(reason, "num_tiles", (double)found->num_points[i]) &&
               cJSON_AddStringToObject(reason, "example", found->examples[i]);
    }
    return good;
}
