/* SPDX-License-Identifier: Apache-2.0 */
/* --list-spaces and --dry-run. */
#include "tune/list.h"

#include "common/json.h"
#include "common/message.h"
#include "tune/reasons.h"

#include <stdio.h>
#include <string.h>

static bool add_values(cJSON *object, const int32_t *values, int32_t num_values)
{
    cJSON *array = cJSON_AddArrayToObject(object, "values");
    bool good = array != NULL;
    for (int32_t i = 0; good && i < num_values; i++) {
        cJSON *value = cJSON_CreateNumber(values[i]);
        good = value && cJSON_AddItemToArray(array, value);
    }
    return good;
}

/* The space of one kernel, added to a list of them. */
static bool add_space(cJSON *spaces, clattn_family family, clattn_phase phase, const clattn_tunable *tunables,
                      int32_t num_tunables)
{
    cJSON *space = cJSON_CreateObject();
    bool good = space && cJSON_AddItemToArray(spaces, space) &&
                cJSON_AddStringToObject(space, "family", clattn_family_name(family)) &&
                cJSON_AddStringToObject(space, "phase", clattn_phase_name(phase));
    cJSON *list = good ? cJSON_AddArrayToObject(space, "tunables") : NULL;
    for (int32_t i = 0; list && i < num_tunables; i++) {
        cJSON *tunable = cJSON_CreateObject();
        good = good && tunable && cJSON_AddItemToArray(list, tunable) &&
               cJSON_AddStringToObject(tunable, "name", tunables[i].name) &&
               tool_json_add_name(tunable, "define", *tunables[i].define ? tunables[i].define : NULL) &&
               add_values(tunable, tunables[i].values, tunables[i].num_values);
    }
    return good && list;
}

static void print_space(clattn_family family, clattn_phase phase, const clattn_tunable *tunables, int32_t num_tunables)
{
    printf("%s %s\n", clattn_family_name(family), clattn_phase_name(phase));
    for (int32_t i = 0; i < num_tunables; i++) {
        printf("  %-17s %-17s", tunables[i].name, *tunables[i].define ? tunables[i].define : "(host alone)");
        for (int32_t value = 0; value < tunables[i].num_values; value++)
            printf(" %d", (int)tunables[i].values[value]);
        putchar('\n');
    }
}

bool tune_list_spaces(bool json)
{
    cJSON *spaces = cJSON_CreateArray();
    bool good = spaces != NULL;
    for (int family = CLATTN_FAMILY_DEFAULT + 1; good && family < CLATTN_NUM_FAMILIES; family++) {
        for (int phase = 0; good && phase < CLATTN_NUM_PHASES; phase++) {
            const clattn_tunable *tunables = NULL;
            int32_t num_tunables = 0;
            good = clattn_tuning_space((clattn_family)family, (clattn_phase)phase, &tunables, &num_tunables) ==
                       CLATTN_OK &&
                   add_space(spaces, (clattn_family)family, (clattn_phase)phase, tunables, num_tunables);
            if (good && !json)
                print_space((clattn_family)family, (clattn_phase)phase, tunables, num_tunables);
        }
    }
    good = good ? !json || tool_json_write(spaces, "-") : tool_error("out of memory");
    cJSON_Delete(spaces);
    return good;
}

static void print_task(const tune_task *task)
{
    char text[TUNE_TILE_TEXT_BYTES];
    tune_reasons found;
    tune_space_print(&task->space, &task->space.default_tile, text);
    printf("%s: %lld tiles of %lld\n  default: %s\n", task->name, (long long)task->num_usable,
           (long long)task->space.num_points, text);
    tune_reasons_find(&found, task);
    for (int i = 0; i < found.count; i++)
        printf("  %lld left out, as in: %s\n", (long long)found.num_points[i], found.examples[i]);
}

static bool add_task(cJSON *tasks, const tune_task *task)
{
    tune_reasons found;
    tune_reasons_find(&found, task);
    cJSON *object = cJSON_CreateObject();
    cJSON *parameters = tune_task_parameters(task, &task->space.default_tile);
    const bool good = object && cJSON_AddItemToArray(tasks, object) &&
                      cJSON_AddStringToObject(object, "task", task->name) && parameters &&
                      cJSON_AddNumberToObject(object, "num_tiles", (double)task->num_usable) &&
                      cJSON_AddNumberToObject(object, "num_points", (double)task->space.num_points) &&
                      cJSON_AddItemToObject(object, "default", parameters) && tune_reasons_add(&found, object);
    if (!good)
        cJSON_Delete(parameters);
    return good;
}

static bool write_tasks(const tune_device *device, const char *output, const tune_task *tasks, int num_tasks)
{
    cJSON *root = cJSON_CreateObject();
    bool good = root && cJSON_AddStringToObject(root, "device", device->facts.name) &&
                cJSON_AddStringToObject(root, "driver", device->facts.driver) &&
                cJSON_AddStringToObject(root, "family", clattn_family_name(device->family)) &&
                cJSON_AddStringToObject(root, "output", output);
    cJSON *list = good ? cJSON_AddArrayToObject(root, "tasks") : NULL;
    good = list != NULL;
    for (int i = 0; good && i < num_tasks; i++)
        good = add_task(list, &tasks[i]);
    good = good ? tool_json_write(root, "-") : tool_error("out of memory");
    cJSON_Delete(root);
    return good;
}

bool tune_list_tasks(const tune_options *options, const tune_device *device, const char *output, const tune_task *tasks,
                     int num_tasks)
{
    if (options->json)
        return write_tasks(device, output, tasks, num_tasks);
    printf("device: %s, driver %s, family %s\noutput: %s\nstrategy: %s, for %g s\n", device->facts.name,
           device->facts.driver, clattn_family_name(device->family), output, tune_strategy_name_at(options->strategy),
           options->budget_s);
    for (int i = 0; i < num_tasks; i++)
        print_task(&tasks[i]);
    return true;
}
