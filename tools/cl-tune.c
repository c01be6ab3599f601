/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cl-tune: looks for the tiles with which a device runs attention fastest. This process calls no OpenCL while it
 * searches, see tune/child.h.
 */
#include "bench/clock.h"
#include "common/folder.h"
#include "common/gnuplot.h"
#include "common/json.h"
#include "common/message.h"
#include "tune/database.h"
#include "tune/interrupt.h"
#include "tune/ledger.h"
#include "tune/list.h"
#include "tune/modes.h"
#include "tune/page.h"
#include "tune/reasons.h"
#include "tune/report.h"

#include <stdio.h>
#include <stdlib.h>

#define JOURNAL_FORMAT 1

/* The tasks of a run. */
typedef struct task_list {
    int count;
    tune_task tasks[TUNE_MAX_TASKS];
    tune_result results[TUNE_MAX_TASKS];
} task_list;

static bool has(const tool_choice *choice, int index)
{
    for (int i = 0; i < choice->count; i++) {
        if (choice->indices[i] == index)
            return true;
    }
    return false;
}

static bool make_tasks(task_list *list, const tune_options *options, const tune_device *device)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        for (int batch = 0; batch < CLATTN_NUM_BATCH_CLASSES; batch++) {
            if (!has(&options->phases, phase) || !has(&options->batches, batch))
                continue;
            if (!tune_task_init(&list->tasks[list->count], options, device, (clattn_phase)phase,
                                (clattn_batch_class)batch))
                return false;
            list->count++;
        }
    }
    return true;
}

static void finish_tasks(task_list *list)
{
    for (int i = 0; i < list->count; i++)
        tune_task_finish(&list->tasks[i]);
    free(list);
}

/* The values of every tunable: a journal of other values is of another search. */
static bool add_space(cJSON *header, const tune_task *task)
{
    cJSON *space = cJSON_AddObjectToObject(header, task->name);
    bool good = space != NULL;
    for (int i = 0; good && i < task->space.num_dimensions; i++) {
        const tune_dimension *dimension = &task->space.dimensions[i];
        cJSON *values = cJSON_CreateIntArray(dimension->values, dimension->num_values);
        good = values && cJSON_AddItemToObject(space, dimension->tunable->name, values);
        if (!good)
            cJSON_Delete(values);
    }
    return good;
}

/* What a journal has to agree with; the strategy, the seed and the budget may be others when a search is resumed. */
static cJSON *make_header(const task_list *list, const tune_options *options, const tune_device *device)
{
    const tool_shape *shape = &options->problem.shape;
    cJSON *header = cJSON_CreateObject();
    bool good = header && cJSON_AddNumberToObject(header, "format", JOURNAL_FORMAT) &&
                cJSON_AddStringToObject(header, "version", CLATTN_VERSION_STRING) &&
                cJSON_AddStringToObject(header, "device", device->facts.name) &&
                cJSON_AddStringToObject(header, "driver", device->facts.driver) &&
                cJSON_AddStringToObject(header, "family", clattn_family_name(device->family)) &&
                cJSON_AddStringToObject(header, "op", options->operation->name) && tool_json_add_shape(header, shape) &&
                cJSON_AddStringToObject(header, "dtype", clattn_dtype_name(options->problem.dtype)) &&
                cJSON_AddStringToObject(header, "kv_dtype", clattn_dtype_name(options->problem.kv_dtype)) &&
                cJSON_AddStringToObject(header, "kv_layout", clattn_kv_layout_name(options->problem.layout)) &&
                cJSON_AddNumberToObject(header, "page_size", options->problem.page_size);
    cJSON *spaces = good ? cJSON_AddObjectToObject(header, "tasks") : NULL;
    good = spaces != NULL;
    for (int i = 0; good && i < list->count; i++)
        good = add_space(spaces, &list->tasks[i]);
    if (good)
        return header;
    cJSON_Delete(header);
    (void)tool_error("out of memory");
    return NULL;
}

/* What is left out, for who reads the journal; a search that is continued has said it. */
static bool note_rejections(tune_journal *journal, const tune_task *task)
{
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, journal->events)
    {
        if (tune_event_is(event, TUNE_EVENT_REJECTED, task->name))
            return true;
    }
    tune_reasons found;
    tune_reasons_find(&found, task);
    cJSON *rejected = tune_event_new(TUNE_EVENT_REJECTED, task->name);
    if (rejected && !tune_reasons_add(&found, rejected)) {
        cJSON_Delete(rejected);
        rejected = NULL;
    }
    return tune_journal_append(journal, rejected);
}

/* The time that is left is shared among the tasks that are left. */
static bool search_all(task_list *list, const tune_session *session)
{
    for (int i = 0; i < list->count; i++) {
        const double now = bench_now();
        if (!note_rejections(session->journal, &list->tasks[i]) ||
            !tune_task_search(session, &list->tasks[i], now + (session->end - now) / (list->count - i),
                              &list->results[i]))
            return false;
    }
    return true;
}

static bool is_complete(const task_list *list)
{
    for (int i = 0; i < list->count; i++) {
        if (list->results[i].verdict == TUNE_UNTRIED)
            return false;
    }
    return true;
}

static bool report(const task_list *list, const tune_session *session)
{
    const tune_report written = {
        .session = session, .num_tasks = list->count, .tasks = list->tasks, .results = list->results};
    if (session->options->json)
        return tune_report_write_json(&written);
    tune_report_print(&written);
    return true;
}

/* With the journal open. */
static int search(task_list *list, tune_session *session)
{
    session->begin = bench_now();
    session->end = session->begin + session->options->budget_s;
    const bool whole = search_all(list, session);
    tool_progress_break();
    bool good = report(list, session);
    if (whole && is_complete(list))
        good = tune_journal_end(session->journal) && good;
    else
        good = false;
    if (!whole || !is_complete(list))
        fprintf(stderr, "%s keeps what was found; the same command with --resume continues\n", session->journal->path);
    if (tune_interrupt_signal() != 0)
        return TUNE_EXIT_SIGNAL + tune_interrupt_signal();
    return good ? TUNE_EXIT_GOOD : TUNE_EXIT_FAILED;
}

static int search_with(task_list *list, tune_session *session)
{
    const tune_options *options = session->options;
    char journal_path[TOOL_PATH_BYTES + 16];
    char cache_dir[TOOL_PATH_BYTES];
    tune_journal journal;
    cJSON *header = make_header(list, options, session->device);
    snprintf(journal_path, sizeof journal_path, "%s.journal", session->output);
    if (!header || !tune_journal_open(&journal, journal_path, header, options->resume)) {
        cJSON_Delete(header);
        return TUNE_EXIT_FAILED;
    }
    int code = TUNE_EXIT_FAILED;
    session->journal = &journal;
    session->cache_dir = options->cache_dir ? options->cache_dir : cache_dir;
    if (options->cache_dir || tool_folder_make("clattn_tune", cache_dir)) {
        code = search(list, session);
        if (!options->cache_dir)
            tool_folder_remove(cache_dir);
    }
    tune_journal_close(&journal);
    cJSON_Delete(header);
    if (options->report && !tune_page_write(journal_path, options->report) && code == TUNE_EXIT_GOOD)
        code = TUNE_EXIT_FAILED;
    return code;
}

static int run_on(const tune_options *options, const tune_device *device, const char *output)
{
    task_list *list = calloc(1, sizeof *list);
    int code = TUNE_EXIT_FAILED;
    if (!list) {
        (void)tool_error("out of memory");
        return code;
    }
    if (make_tasks(list, options, device)) {
        tune_session session = {.options = options, .device = device, .output = output};
        if (options->mode == TUNE_MODE_SEARCH)
            code = search_with(list, &session);
        else if (tune_list_tasks(options, device, output, list->tasks, list->count))
            code = TUNE_EXIT_GOOD;
    }
    finish_tasks(list);
    return code;
}

/* What can be found out before anything is searched: where rows go, and on what device. */
static int run(const tune_options *options)
{
    char output[TOOL_PATH_BYTES];
    tune_device device;
    if (!options->output && !tune_database_default_path(output))
        return TUNE_EXIT_FAILED;
    const char *path = options->output ? options->output : output;
    if (options->report && !tool_gnuplot_check("report"))
        return TUNE_EXIT_FAILED;
    if (options->mode == TUNE_MODE_SEARCH && !tune_database_check(path, !options->output))
        return TUNE_EXIT_FAILED;
    int code = TUNE_EXIT_GOOD;
    if (!tune_modes_find_device(options, &device, &code))
        return code;
    return run_on(options, &device, path);
}

int main(int argc, char **argv)
{
    tune_options options;
    switch (tune_options_parse(&options, argc, argv)) {
    case TOOL_OPTIONS_HELP:
        return TUNE_EXIT_GOOD;
    case TOOL_OPTIONS_BAD:
        return TUNE_EXIT_USAGE;
    case TOOL_OPTIONS_READ:
        break;
    }
    if (options.mode != TUNE_MODE_SEARCH && options.mode != TUNE_MODE_DRY_RUN)
        return tune_modes_run(&options);
    return run(&options);
}
