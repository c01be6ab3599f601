/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a context on each device, which tells whether the device can be used and where its programs are cached, and
 * asks for the rows of the models.
 */
#include "info/survey.h"

#include "common/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which rows of a tuning file are near depends on it; so little that one stands for the usual ones. */
#define PAGE_SIZE 16

/* Keeps the sentence of a failure in a device's error: a clattn_log_callback. */
static void keep_error(void *user, clattn_log_level level, const char *message)
{
    char *error = user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(error, INFO_SENTENCE_BYTES, "%s", message);
    else
        tool_log(NULL, level, message);
}

static bool ask_rows(info_device *device, clattn_context *ctx, const info_options *options)
{
    const int num_rows = options->models.count;
    device->rows = calloc((size_t)num_rows, sizeof *device->rows);
    if (!device->rows)
        return tool_error("out of memory");
    device->num_rows = num_rows;
    for (int i = 0; i < num_rows; i++) {
        info_row *row = &device->rows[i];
        row->shape = tool_shape_at(options->models.indices[i]);
        const clattn_tuning_query_params params = {
            .num_q_heads = row->shape->num_q_heads,
            .num_kv_heads = row->shape->num_kv_heads,
            .head_dim = row->shape->head_dim,
            .head_dim_v = row->shape->head_dim_v,
            .page_size = PAGE_SIZE,
            .kv_layout = (clattn_kv_layout)options->layout,
            .family = (clattn_family)options->family,
        };
        row->status = clattn_context_tuning_query(ctx, &params, &row->answer);
    }
    return true;
}

/* What an open context says; the first one also reads the cache. */
static bool survey_context(info_survey *survey, info_device *device, clattn_context *ctx)
{
    device->facts = *clattn_context_device(ctx);
    device->family = clattn_context_family(ctx);
    if (!ask_rows(device, ctx, survey->options))
        return false;
    if (survey->has_cache)
        return true;
    survey->has_cache = info_cache_init(&survey->cache, ctx, survey->options->cache_clear);
    return survey->has_cache;
}

/* Opens a device as `request` words it; a device of that index is listed also if it cannot be used. */
static bool survey_device(info_survey *survey, const char *request, int32_t index)
{
    const info_options *options = survey->options;
    info_device *device = &survey->devices[survey->num_devices];
    const clattn_context_params params = {.device = request,
                                          .family = (clattn_family)options->family,
                                          .cache_dir = options->cache_dir,
                                          .tuning_file = options->tuning_file,
                                          .log = keep_error,
                                          .log_user = device->error};
    clattn_context *ctx = NULL;
    device->index = index;
    const clattn_status status = clattn_context_create(&params, &ctx);
    if (status != CLATTN_OK) {
        survey->status = status;
        memcpy(survey->error, device->error, sizeof survey->error);
        if (index >= 0 && clattn_device_query(index, &device->facts) == CLATTN_OK)
            survey->num_devices++;
        return true;
    }
    survey->num_devices++;
    const bool good = survey_context(survey, device, ctx);
    clattn_context_destroy(&ctx);
    return good;
}

/* The index that a request names; -1 if it is no number, or that of no device. */
static int32_t index_of_request(const char *request, int32_t num_devices)
{
    const size_t num_digits = strspn(request, "0123456789");
    if (num_digits == 0 || num_digits > 9 || request[num_digits] != '\0')
        return -1;
    const int32_t index = (int32_t)strtol(request, NULL, 10);
    return index < num_devices ? index : -1;
}

static bool same_device(const clattn_device_facts *a, const clattn_device_facts *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->platform, b->platform) == 0 &&
           strcmp(a->vendor, b->vendor) == 0 && strcmp(a->driver, b->driver) == 0;
}

/* Requests by name get the first device that fits: the first one that is called the same. */
static void find_index(info_device *device, int32_t num_devices)
{
    clattn_device_facts facts;
    for (int32_t i = 0; device->index < 0 && i < num_devices; i++) {
        if (clattn_device_query(i, &facts) == CLATTN_OK && same_device(&facts, &device->facts))
            device->index = i;
    }
}

static bool survey_devices(info_survey *survey, int32_t num_devices)
{
    const char *request = survey->options->device;
    if (request || num_devices == 0) {
        const bool good = survey_device(survey, request, request ? index_of_request(request, num_devices) : -1);
        if (survey->num_devices > 0)
            find_index(&survey->devices[0], num_devices);
        return good;
    }
    bool good = true;
    for (int32_t i = 0; good && i < num_devices; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", (int)i);
        good = survey_device(survey, number, i);
    }
    return good;
}

bool info_survey_init(info_survey *survey, const info_options *options)
{
    *survey = (info_survey){.options = options};
    const int32_t num_devices = clattn_device_count();
    survey->devices = calloc((size_t)num_devices + 1, sizeof *survey->devices);
    if (!survey->devices)
        return tool_error("out of memory");
    if (!survey_devices(survey, num_devices))
        return false;
    if (survey->has_cache) {
        survey->status = CLATTN_OK;
        survey->error[0] = '\0';
    }
    return true;
}

void info_survey_finish(info_survey *survey)
{
    for (int i = 0; i < survey->num_devices; i++)
        free(survey->devices[i].rows);
    free(survey->devices);
    info_cache_finish(&survey->cache);
    *survey = (info_survey){.num_devices = 0};
}
