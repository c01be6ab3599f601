/* SPDX-License-Identifier: Apache-2.0 */
/* See ledger.h. */
#include "tune/ledger.h"

#include "common/json.h"
#include "common/message.h"
#include "tune/journal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tune_ledger_finish(tune_ledger *ledger)
{
    free(ledger->entries);
    *ledger = (tune_ledger){.entries = NULL};
}

/* The entry of a point, a new one if need be; NULL for want of memory. */
static tune_entry *entry_of(tune_ledger *ledger, int64_t point)
{
    for (int i = 0; i < ledger->num_entries; i++) {
        if (ledger->entries[i].point == point)
            return &ledger->entries[i];
    }
    if (ledger->num_entries == ledger->capacity) {
        const int capacity = ledger->capacity > 0 ? 2 * ledger->capacity : 64;
        tune_entry *larger = realloc(ledger->entries, (size_t)capacity * sizeof *larger);
        if (!larger)
            return NULL;
        ledger->entries = larger;
        ledger->capacity = capacity;
    }
    tune_entry *entry = &ledger->entries[ledger->num_entries++];
    *entry = (tune_entry){.point = point, .outcome = TUNE_NUM_OUTCOMES};
    return entry;
}

tune_figures tune_ledger_get_figures(const cJSON *object)
{
    return (tune_figures){.time_s = tool_json_number(object, "time_us") * 1e-6,
                          .default_s = tool_json_number(object, "default_time_us") * 1e-6,
                          .gain = tool_json_number(object, "gain"),
                          .noise = tool_json_number(object, "noise")};
}

/* Adds a number with as many digits as a measurement has. */
static bool add_number(cJSON *object, const char *key, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.5g", isfinite(value) ? value : 0.0);
    return cJSON_AddRawToObject(object, key, text);
}

bool tune_ledger_add_figures(cJSON *object, const tune_figures *figures)
{
    return add_number(object, "time_us", figures->time_s * 1e6) &&
           add_number(object, "default_time_us", figures->default_s * 1e6) &&
           add_number(object, "gain", figures->gain) && add_number(object, "noise", figures->noise);
}

bool tune_ledger_set(tune_ledger *ledger, int64_t point, tune_outcome outcome, const tune_figures *figures)
{
    tune_entry *entry = entry_of(ledger, point);
    if (!entry)
        return tool_error("out of memory");
    entry->outcome = outcome;
    entry->figures = *figures;
    entry->num_starts = 0;
    return true;
}

static bool read_event(tune_ledger *ledger, const tune_task *task, const cJSON *event)
{
    const int64_t point = tune_task_point(task, cJSON_GetObjectItemCaseSensitive(event, "parameters"));
    if (point < 0 || !task->usable[point])
        return true;
    if (!tune_event_is(event, TUNE_EVENT_TRIAL, NULL)) {
        tune_entry *entry = entry_of(ledger, point);
        if (!entry)
            return tool_error("out of memory");
        entry->num_starts = tune_event_is(event, TUNE_EVENT_START, NULL) ? entry->num_starts + 1 : 0;
        return true;
    }
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "outcome"));
    const int outcome = name ? tool_name_find(tune_outcome_name_at, name, strlen(name)) : -1;
    const tune_figures figures = tune_ledger_get_figures(event);
    return outcome < 0 || tune_ledger_set(ledger, point, (tune_outcome)outcome, &figures);
}

bool tune_ledger_read(tune_ledger *ledger, const tune_task *task, const cJSON *events)
{
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, events)
    {
        const bool counts = tune_event_is(event, TUNE_EVENT_START, task->name) ||
                            tune_event_is(event, TUNE_EVENT_TRIAL, task->name) ||
                            tune_event_is(event, TUNE_EVENT_STOP, task->name);
        if (counts && !read_event(ledger, task, event))
            return false;
    }
    for (int i = 0; i < ledger->num_entries; i++) {
        if (ledger->entries[i].num_starts >= TUNE_FATAL_STARTS)
            ledger->entries[i].outcome = TUNE_CRASHED;
    }
    return true;
}

const tune_entry *tune_ledger_find(const tune_ledger *ledger, int64_t point)
{
    for (int i = 0; i < ledger->num_entries; i++) {
        if (ledger->entries[i].point == point && ledger->entries[i].outcome != TUNE_NUM_OUTCOMES)
            return &ledger->entries[i];
    }
    return NULL;
}

int tune_ledger_count(const tune_ledger *ledger, tune_outcome outcome)
{
    int count = 0;
    for (int i = 0; i < ledger->num_entries; i++)
        count += ledger->entries[i].outcome == outcome;
    return count;
}

int tune_ledger_best(const tune_ledger *ledger, int count, const tune_entry *best[])
{
    int found = 0;
    for (int i = 0; i < ledger->num_entries; i++) {
        const tune_entry *entry = &ledger->entries[i];
        if (entry->outcome != TUNE_OK || entry->figures.gain <= 1.0)
            continue;
        int place = found < count ? found++ : count;
        for (; place > 0 && best[place - 1]->figures.gain < entry->figures.gain; place--) {
            if (place < count)
                best[place] = best[place - 1];
        }
        if (place < count)
            best[place] = entry;
    }
    return found;
}

cJSON *tune_ledger_event(const tune_task *task, const char *kind, const clattn_tile *tile,
                         const tune_child_result *result, const tune_figures *figures)
{
    cJSON *event = tune_event_new(kind, task->name);
    cJSON *parameters = tune_task_parameters(task, tile);
    bool good = event && parameters && cJSON_AddItemToObject(event, "parameters", parameters);
    if (good)
        parameters = NULL;
    if (good && result) {
        good = cJSON_AddStringToObject(event, "outcome", tune_outcome_name_at((int)result->outcome)) &&
               cJSON_AddStringToObject(event, "reason", result->reason);
        if (good && result->outcome == TUNE_OK)
            good = tune_ledger_add_figures(event, figures);
    }
    if (good)
        return event;
    cJSON_Delete(parameters);
    cJSON_Delete(event);
    return NULL;
}
