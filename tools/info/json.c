/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a survey; cl-info --help describes it. */
#include "common/json.h"
#include "common/message.h"
#include "common/tiles.h"
#include "info/report.h"

static bool add_uint(cJSON *object, const char *key, uint64_t value)
{
    return cJSON_AddNumberToObject(object, key, (double)value);
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* A new object at the end of an array; NULL without memory. */
static cJSON *add_object(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();
    return cJSON_AddItemToArray(array, object) ? object : NULL;
}

static bool add_facts(cJSON *object, const clattn_device_facts *facts)
{
    return cJSON_AddStringToObject(object, "name", facts->name) &&
           cJSON_AddStringToObject(object, "vendor", facts->vendor) &&
           cJSON_AddStringToObject(object, "driver", facts->driver) &&
           cJSON_AddStringToObject(object, "platform", facts->platform) &&
           cJSON_AddStringToObject(object, "architecture", facts->architecture) &&
           cJSON_AddStringToObject(object, "type", clattn_device_type_name(facts->type)) &&
           add_uint(object, "num_compute_units", facts->num_compute_units) &&
           add_uint(object, "max_work_group_size", facts->max_work_group_size) &&
           add_uint(object, "preferred_multiple", facts->preferred_multiple) &&
           add_uint(object, "narrowest_sub_group", facts->narrowest_sub_group) &&
           add_uint(object, "float_vector_width", facts->float_vector_width) &&
           add_uint(object, "max_loop_iterations", facts->max_loop_iterations) &&
           add_uint(object, "local_memory_bytes", facts->local_memory_bytes) &&
           add_uint(object, "global_memory_bytes", facts->global_memory_bytes) &&
           add_uint(object, "max_allocation_bytes", facts->max_allocation_bytes);
}

/* A number of an answer; null where there is no row. */
static bool add_number(cJSON *object, const char *key, const info_row *row, int32_t value)
{
    return row->status == CLATTN_OK ? cJSON_AddNumberToObject(object, key, value) : cJSON_AddNullToObject(object, key);
}

static bool add_row(cJSON *rows, const info_row *row, const info_options *options)
{
    const clattn_tuning_answer *answer = &row->answer;
    cJSON *object = add_object(rows);
    return object && tool_json_add_shape(object, row->shape) &&
           cJSON_AddNumberToObject(object, "alternate_window", row->shape->alternate_window) &&
           cJSON_AddStringToObject(object, "layout", clattn_kv_layout_name((clattn_kv_layout)options->layout)) &&
           cJSON_AddStringToObject(object, "family", clattn_family_name(answer->family)) &&
           cJSON_AddStringToObject(object, "status", clattn_status_name(row->status)) &&
           tool_json_add_name(object, "refusal", text_or_null(answer->refusal)) &&
           tool_json_add_tile(object, "decode", &answer->decode) &&
           tool_json_add_tile(object, "prefill", &answer->prefill) &&
           add_number(object, "decode_max_rows", row, answer->decode_max_rows) &&
           add_number(object, "target_groups", row, answer->target_groups) &&
           add_number(object, "min_split_tokens", row, answer->min_split_tokens);
}

static bool add_device(cJSON *devices, const info_device *device, const info_options *options)
{
    const bool usable = device->num_rows > 0;
    cJSON *object = add_object(devices);
    bool good = object && cJSON_AddNumberToObject(object, "index", device->index) &&
                add_facts(object, &device->facts) && cJSON_AddBoolToObject(object, "usable", usable) &&
                tool_json_add_name(object, "error", text_or_null(device->error)) &&
                tool_json_add_name(object, "family", usable ? clattn_family_name(device->family) : NULL) &&
                tool_json_add_name(object, "family_reason", usable ? device->rows[0].answer.family_reason : NULL);
    cJSON *rows = good ? cJSON_AddArrayToObject(object, "rows") : NULL;
    good = rows != NULL;
    for (int i = 0; good && i < device->num_rows; i++)
        good = add_row(rows, &device->rows[i], options);
    return good;
}

/* A time of use in seconds since 1970; null if there is none. */
static bool add_time(cJSON *object, const char *key, int64_t nanoseconds)
{
    return nanoseconds != 0 ? cJSON_AddNumberToObject(object, key, (double)nanoseconds * 1e-9)
                            : cJSON_AddNullToObject(object, key);
}

static bool add_verdict_counts(cJSON *parent, const info_count *count)
{
    cJSON *object = cJSON_AddObjectToObject(parent, "num_verdicts");
    bool good = object != NULL;
    for (int kind = 0; good && kind < CLATTN_NUM_VERDICT_KINDS; kind++)
        good = cJSON_AddNumberToObject(object, clattn_verdict_kind_name((clattn_verdict_kind)kind),
                                       count->num_verdicts[kind]);
    return good;
}

/* Of a whole cache, or of a group. */
static bool add_counts(cJSON *object, const info_count *count)
{
    return cJSON_AddNumberToObject(object, "num_files", count->num_files) &&
           add_uint(object, "num_bytes", count->num_bytes) &&
           cJSON_AddNumberToObject(object, "num_programs", count->num_programs) &&
           add_uint(object, "program_bytes", count->program_bytes) && add_verdict_counts(object, count) &&
           add_uint(object, "verdict_bytes", count->verdict_bytes) &&
           add_time(object, "first_used", count->first_used) && add_time(object, "last_used", count->last_used);
}

/* Which device, driver and version of clattn a file is for. */
static bool add_origin(cJSON *object, const info_file *file)
{
    return cJSON_AddStringToObject(object, "device", file->texts[INFO_DEVICE]) &&
           cJSON_AddStringToObject(object, "vendor", file->texts[INFO_VENDOR]) &&
           cJSON_AddStringToObject(object, "platform", file->texts[INFO_PLATFORM]) &&
           cJSON_AddStringToObject(object, "driver", file->texts[INFO_DRIVER]) &&
           cJSON_AddStringToObject(object, "version", file->texts[INFO_VERSION]);
}

static bool add_program(cJSON *object, const info_file *file)
{
    return cJSON_AddStringToObject(object, "program", file->texts[INFO_PROGRAM]) &&
           cJSON_AddStringToObject(object, "options", file->texts[INFO_OPTIONS]);
}

static bool add_groups(cJSON *cache_object, const info_survey *survey)
{
    const info_cache *cache = &survey->cache;
    cJSON *groups = cJSON_AddArrayToObject(cache_object, "groups");
    bool good = groups != NULL;
    for (int first = 0, end; good && (end = info_cache_group_end(cache, first)) > first; first = end) {
        const info_count count = info_cache_count(cache, first, end);
        const info_device *device = info_find_device(survey, &cache->files[first]);
        cJSON *object = add_object(groups);
        good = object && add_origin(object, &cache->files[first]) &&
               (device ? cJSON_AddNumberToObject(object, "device_index", device->index)
                       : cJSON_AddNullToObject(object, "device_index")) &&
               add_counts(object, &count);
    }
    return good;
}

static bool add_verdicts(cJSON *cache_object, const info_cache *cache)
{
    cJSON *verdicts = cJSON_AddArrayToObject(cache_object, "verdicts");
    bool good = verdicts != NULL;
    for (int i = 0; good && i < cache->num_files; i++) {
        const info_file *file = &cache->files[i];
        if (!file->has_verdict)
            continue;
        cJSON *object = add_object(verdicts);
        good = object && cJSON_AddStringToObject(object, "kind", clattn_verdict_kind_name(file->verdict.kind)) &&
               cJSON_AddNumberToObject(object, "worst_error", file->verdict.worst_error) &&
               tool_json_add_name(object, "reason", text_or_null(file->verdict.reason)) && add_program(object, file) &&
               add_origin(object, file);
    }
    return good;
}

static bool add_files(cJSON *cache_object, const info_cache *cache)
{
    cJSON *files = cJSON_AddArrayToObject(cache_object, "files");
    bool good = files != NULL;
    for (int i = 0; good && i < cache->num_files; i++) {
        const info_file *file = &cache->files[i];
        cJSON *object = add_object(files);
        good = object && cJSON_AddStringToObject(object, "name", file->texts[INFO_NAME]) &&
               cJSON_AddStringToObject(object, "state", clattn_cache_file_state_name(file->state)) &&
               add_uint(object, "num_bytes", file->num_bytes) && add_time(object, "last_used", file->used_nanoseconds);
        if (good && file->state == CLATTN_CACHE_FILE_VALID)
            good = cJSON_AddBoolToObject(object, "verdict", file->has_verdict) && add_program(object, file) &&
                   add_origin(object, file);
    }
    return good;
}

static bool add_states(cJSON *cache_object, const info_count *count)
{
    cJSON *states = cJSON_AddObjectToObject(cache_object, "states");
    bool good = states != NULL;
    for (int state = 0; good && state < CLATTN_NUM_CACHE_FILE_STATES; state++)
        good = cJSON_AddNumberToObject(states, clattn_cache_file_state_name((clattn_cache_file_state)state),
                                       count->num_in_state[state]);
    return good;
}

/* What was done to the cache, and whether it is whole, where that was asked for. */
static bool add_maintenance(cJSON *cache_object, const info_cache *cache, const info_options *options)
{
    if (options->cache_verify && !cache->error) {
        if (!cJSON_AddBoolToObject(cache_object, "verified", info_cache_num_damaged(cache) == 0))
            return false;
    } else if (!cJSON_AddNullToObject(cache_object, "verified")) {
        return false;
    }
    if (options->cache_clear < 0)
        return cJSON_AddNullToObject(cache_object, "cleared");
    cJSON *object = cJSON_AddObjectToObject(cache_object, "cleared");
    return object &&
           cJSON_AddStringToObject(object, "what", clattn_cache_part_name((clattn_cache_part)options->cache_clear)) &&
           add_uint(object, "num_files", cache->cleared.num_files) &&
           add_uint(object, "num_bytes", cache->cleared.num_bytes);
}

static bool add_cache(cJSON *root, const info_survey *survey)
{
    const info_cache *cache = &survey->cache;
    if (!survey->has_cache)
        return cJSON_AddNullToObject(root, "cache");
    const info_count count = info_cache_count(cache, 0, cache->num_files);
    cJSON *object = cJSON_AddObjectToObject(root, "cache");
    return object && tool_json_add_name(object, "directory", cache->directory) &&
           tool_json_add_name(object, "error", cache->error) && add_counts(object, &count) &&
           add_states(object, &count) && add_uint(object, "default_max_bytes", CLATTN_CACHE_DEFAULT_MAX_BYTES) &&
           add_maintenance(object, cache, survey->options) && add_groups(object, survey) &&
           add_verdicts(object, cache) && (!survey->options->files || add_files(object, cache));
}

bool info_report_write_json(const info_survey *survey)
{
    cJSON *root = cJSON_CreateObject();
    bool good = cJSON_AddStringToObject(root, "version", clattn_version()) &&
                tool_json_add_name(root, "error", text_or_null(survey->error));
    cJSON *devices = good ? cJSON_AddArrayToObject(root, "devices") : NULL;
    good = devices != NULL;
    for (int i = 0; good && i < survey->num_devices; i++)
        good = add_device(devices, &survey->devices[i], survey->options);
    good = good && add_cache(root, survey);
    good = good ? tool_json_write(root, "-") : tool_error("out of memory");
    cJSON_Delete(root);
    return good;
}
