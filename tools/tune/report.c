/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and JSON of results. */
#include "tune/report.h"

#include "common/json.h"
#include "common/message.h"
#include "tune/ledger.h"

#include <stdio.h>

static void print_result(const tune_task *task, const tune_result *result)
{
    char text[TUNE_TILE_TEXT_BYTES];
    const int num_failed = result->num_tried - result->counts[TUNE_OK];
    printf("%-14s %-8s", task->name, tune_verdict_name_at((int)result->verdict));
    if (result->verdict == TUNE_UNTRIED) {
        printf(" %10s %10s %7s %6s %6d %7d\n", "-", "-", "-", "-", result->num_tried, num_failed);
        return;
    }
    tune_space_print(&task->space, &result->tile, text);
    printf(" %10.1f %10.1f %6.3fx %5.1f%% %6d %7d  %s\n", result->figures.default_s * 1e6, result->figures.time_s * 1e6,
           result->figures.gain, result->figures.noise * 100.0, result->num_tried, num_failed, text);
}

void tune_report_print(const tune_report *report)
{
    const tune_device *device = report->session->device;
    printf("%s, driver %s, family %s; rows in %s\n", device->facts.name, device->facts.driver,
           clattn_family_name(device->family), report->session->output);
    printf("%-14s %-8s %10s %10s %7s %6s %6s %7s  %s\n", "task", "verdict", "default us", "tile us", "gain", "noise",
           "tried", "failed", "tile");
    for (int i = 0; i < report->num_tasks; i++)
        print_result(&report->tasks[i], &report->results[i]);
}

static bool add_counts(cJSON *object, const tune_result *result)
{
    bool good = true;
    for (int outcome = 0; good && outcome < TUNE_STOPPED; outcome++)
        good = cJSON_AddNumberToObject(object, tune_outcome_name_at(outcome), result->counts[outcome]);
    return good;
}

static bool add_result(cJSON *list, const tune_task *task, const tune_result *result)
{
    cJSON *object = cJSON_CreateObject();
    bool good = object && cJSON_AddItemToArray(list, object) && cJSON_AddStringToObject(object, "task", task->name) &&
                cJSON_AddStringToObject(object, "verdict", tune_verdict_name_at((int)result->verdict)) &&
                cJSON_AddNumberToObject(object, "num_tiles", (double)task->num_usable) &&
                cJSON_AddNumberToObject(object, "num_tried", result->num_tried);
    cJSON *counts = good ? cJSON_AddObjectToObject(object, "outcomes") : NULL;
    good = counts && add_counts(counts, result);
    if (!good || result->verdict == TUNE_UNTRIED)
        return good;
    cJSON *parameters = tune_task_parameters(task, &result->tile);
    good = parameters && cJSON_AddItemToObject(object, "parameters", parameters);
    if (!good)
        cJSON_Delete(parameters);
    return good && tune_ledger_add_figures(object, &result->figures);
}

bool tune_report_write_json(const tune_report *report)
{
    const tune_device *device = report->session->device;
    cJSON *root = cJSON_CreateObject();
    bool good = root && cJSON_AddStringToObject(root, "version", CLATTN_VERSION_STRING) &&
                cJSON_AddStringToObject(root, "device", device->facts.name) &&
                cJSON_AddStringToObject(root, "driver", device->facts.driver) &&
                cJSON_AddStringToObject(root, "family", clattn_family_name(device->family)) &&
                cJSON_AddStringToObject(root, "output", report->session->output);
    cJSON *list = good ? cJSON_AddArrayToObject(root, "results") : NULL;
    good = list != NULL;
    for (int i = 0; good && i < report->num_tasks; i++)
        good = add_result(list, &report->tasks[i], &report->results[i]);
    good = good ? tool_json_write(root, "-") : tool_error("out of memory");
    cJSON_Delete(root);
    return good;
}
