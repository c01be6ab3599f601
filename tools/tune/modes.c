/* SPDX-License-Identifier: Apache-2.0 */
/* From options to the functions behind them. */
#include "tune/modes.h"

#include "bench/clock.h"
#include "common/devices.h"
#include "common/gnuplot.h"
#include "common/message.h"
#include "tune/check.h"
#include "tune/database.h"
#include "tune/exchange.h"
#include "tune/explain.h"
#include "tune/interrupt.h"
#include "tune/list.h"
#include "tune/page.h"
#include "tune/warm.h"

#include <stdio.h>

bool tune_modes_find_device(const tune_options *options, tune_device *device, int *code)
{
    tune_interrupt_catch();
    *code = TUNE_EXIT_GOOD;
    if (!tune_device_find(options->device, options->family, device)) {
        *code = tune_interrupt_signal() != 0 ? TUNE_EXIT_SIGNAL + tune_interrupt_signal() : TUNE_EXIT_FAILED;
    } else if (device->status != CLATTN_OK) {
        (void)tool_error("%s: %s", clattn_status_name(device->status), device->error);
        *code = device->status == CLATTN_NO_DEVICE ? TUNE_EXIT_NO_DEVICE : TUNE_EXIT_FAILED;
    }
    return *code == TUNE_EXIT_GOOD;
}

/* What ended a run that may have been interrupted. */
static int code_of(bool good)
{
    if (tune_interrupt_signal() != 0)
        return TUNE_EXIT_SIGNAL + tune_interrupt_signal();
    return good ? TUNE_EXIT_GOOD : TUNE_EXIT_FAILED;
}

static int explain(const tune_options *options)
{
    clattn_status status = CLATTN_OK;
    if (tune_explain_run(options, &status))
        return TUNE_EXIT_GOOD;
    return status == CLATTN_NO_DEVICE ? TUNE_EXIT_NO_DEVICE : TUNE_EXIT_FAILED;
}

/* The last line: what all variants came to. */
static bool sum_up(const tune_check_counts *counts)
{
    int num_wrong = 0;
    for (int outcome = TUNE_OK + 1; outcome < TUNE_NUM_OUTCOMES; outcome++)
        num_wrong += counts->outcomes[outcome];
    fprintf(stderr, "%d right", counts->outcomes[TUNE_OK]);
    for (int outcome = TUNE_OK + 1; outcome < TUNE_NUM_OUTCOMES; outcome++) {
        if (counts->outcomes[outcome] > 0)
            fprintf(stderr, ", %d %s", counts->outcomes[outcome], tune_outcome_name_at(outcome));
    }
    if (counts->num_refused > 0)
        fprintf(stderr, ", %d that the device cannot run", counts->num_refused);
    if (counts->num_left > 0)
        fprintf(stderr, ", %d not looked at", counts->num_left);
    fputc('\n', stderr);
    return num_wrong == 0 && counts->num_left == 0;
}

static int check(const tune_options *options)
{
    tune_device device;
    int code = TUNE_EXIT_GOOD;
    if (!tune_modes_find_device(options, &device, &code))
        return code;
    tune_check_params params = {
        .device = options->device,
        .cache_dir = options->cache_dir,
        .tuning_file = options->tuning,
        .found = &device,
        .variants = {.family = options->family, .shape = options->has_shape ? &options->problem.shape : NULL},
        .seed = (uint64_t)options->seed,
        .limit_s = options->build_limit_s,
        .end = bench_now() + options->budget_s,
        .json = options->json,
    };
    if (options->has_dtype)
        params.variants.dtype = options->problem.dtype;
    for (int i = 0; i < options->phases.count; i++)
        params.variants.phases[options->phases.indices[i]] = true;
    for (int i = 0; i < options->kv_dtypes.count; i++)
        params.variants.kv_dtypes[options->kv_dtypes.indices[i] + 1] = true;
    tune_check_counts counts;
    const bool good = tune_check_run(&params, &counts);
    return code_of(sum_up(&counts) && good);
}

static int warm(const tune_options *options)
{
    tune_device device;
    int code = TUNE_EXIT_GOOD;
    if (!tune_modes_find_device(options, &device, &code))
        return code;
    const tune_warm_params params = {
        .device = options->device,
        .family = options->family,
        .cache_dir = options->cache_dir,
        .tuning_file = options->tuning,
        .operation = options->operation,
        .problem = options->problem,
        .kv_dtypes = options->kv_dtypes,
        .phases = options->phases,
        .batches = options->batches,
        .limit_s = options->build_limit_s,
        .end = bench_now() + options->budget_s,
        .json = options->json,
    };
    return code_of(tune_warm_run(&params));
}

static bool exchange(const tune_options *options)
{
    char default_path[TOOL_PATH_BYTES];
    if (!options->output && !tune_database_default_path(default_path))
        return false;
    const char *path = options->output ? options->output : default_path;
    if (options->mode == TUNE_MODE_EXPORT)
        return tune_exchange_export(path, options->export_path);
    return tune_database_check(path, !options->output) && tune_exchange_merge(&options->merge, path);
}

int tune_modes_run(const tune_options *options)
{
    switch (options->mode) {
    case TUNE_MODE_EXPLAIN:
        return explain(options);
    case TUNE_MODE_CHECK:
        return check(options);
    case TUNE_MODE_WARM:
        return warm(options);
    case TUNE_MODE_MERGE:
    case TUNE_MODE_EXPORT:
        return exchange(options) ? TUNE_EXIT_GOOD : TUNE_EXIT_FAILED;
    case TUNE_MODE_REPORT:
        return tool_gnuplot_check("report") && tune_page_write(options->journal, options->report) ? TUNE_EXIT_GOOD
                                                                                                  : TUNE_EXIT_FAILED;
    case TUNE_MODE_LIST_SPACES:
        return tune_list_spaces(options->json) ? TUNE_EXIT_GOOD : TUNE_EXIT_FAILED;
    case TUNE_MODE_LIST_DEVICES:
        return tool_devices_print(stdout) > 0 ? TUNE_EXIT_GOOD : TUNE_EXIT_NO_DEVICE;
    case TUNE_MODE_VERSION:
        printf("cl-tune, of clattn %s\n", CLATTN_VERSION_STRING);
        return TUNE_EXIT_GOOD;
    case TUNE_MODE_SEARCH:
    case TUNE_MODE_DRY_RUN:
        break;
    }
    return TUNE_EXIT_USAGE;
}
