/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts as cache files; see verdict_file.h. */
#include "runtime/verdict_file.h"

#include "runtime/program_cache.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Raise the number when the record changes, or when trials ask for more than they did. */
#define KEY_LINE CLATTN_VERDICT_KEY_START "1\n"

/* What a file holds: no padding, and no type whose size a compiler may choose. */
typedef struct verdict_record {
    double worst_error;
    int32_t kind;
    char reason[CLATTN_REASON_BYTES];
    int32_t unused; /* 0 */
} verdict_record;

_Static_assert(sizeof(verdict_record) == 8 + 4 + CLATTN_REASON_BYTES + 4, "records have no padding");

const char *clattn_verdict_kind_name(clattn_verdict_kind kind)
{
    switch (kind) {
    case CLATTN_VERDICT_VERIFIED:
        return "verified";
    case CLATTN_VERDICT_REJECTED:
        return "rejected";
    case CLATTN_VERDICT_CRASHED:
        return "crashed";
    case CLATTN_NUM_VERDICT_KINDS:
        break;
    }
    return "invalid";
}

char *clattn_verdict_key(const char *program_key)
{
    const size_t num_bytes = strlen(program_key) + sizeof KEY_LINE;
    char *key = malloc(num_bytes);
    if (key == NULL)
        return NULL;
    memcpy(key, KEY_LINE, sizeof KEY_LINE - 1);
    memcpy(key + sizeof KEY_LINE - 1, program_key, strlen(program_key) + 1);
    return key;
}

char *clattn_verdict_key_program(char *key)
{
    const size_t line_bytes = sizeof KEY_LINE - 1;
    return strncmp(key, KEY_LINE, line_bytes) == 0 ? key + line_bytes : NULL;
}

bool clattn_verdict_decode(const void *data, size_t num_bytes, clattn_verdict *verdict)
{
    verdict_record record;
    if (num_bytes != sizeof record)
        return false;
    memcpy(&record, data, sizeof record);
    if (record.kind < 0 || record.kind >= CLATTN_NUM_VERDICT_KINDS || isnan(record.worst_error) ||
        memchr(record.reason, '\0', sizeof record.reason) == NULL)
        return false;
    *verdict = (clattn_verdict){.kind = (clattn_verdict_kind)record.kind, .worst_error = record.worst_error};
    memcpy(verdict->reason, record.reason, sizeof record.reason);
    return true;
}

bool clattn_verdict_load(const char *directory, const char *key, clattn_verdict *verdict)
{
    void *data = NULL;
    size_t num_bytes = 0;
    const clattn_cache_result found = clattn_program_cache_load(directory, key, &data, &num_bytes);
    const bool usable = found == CLATTN_CACHE_HIT && clattn_verdict_decode(data, num_bytes, verdict);
    free(data);
    if (!usable && found != CLATTN_CACHE_MISS)
        clattn_program_cache_remove(directory, key);
    return usable;
}

bool clattn_verdict_save(const char *directory, const char *key, const clattn_verdict *verdict)
{
    verdict_record record = {.worst_error = verdict->worst_error, .kind = (int32_t)verdict->kind};
    memcpy(record.reason, verdict->reason, sizeof record.reason);
    return clattn_program_cache_save(directory, key, &record, sizeof record);
}
