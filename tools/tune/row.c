/* SPDX-License-Identifier: Apache-2.0 */
/* From the library's rows to JSON. */
#include "tune/row.h"

#include "common/message.h"

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return cJSON_AddStringToObject(object, key, text);
}

static bool add_number(cJSON *object, const char *key, double value)
{
    return cJSON_AddNumberToObject(object, key, value);
}

static bool add_device(cJSON *object, const clattn_tuning_row *row)
{
    return add_text(object, "device", row->device) && add_text(object, "vendor", row->vendor) &&
           add_text(object, "driver", row->driver) && add_text(object, "architecture", row->architecture) &&
           add_text(object, "type", clattn_device_type_name(row->type)) && add_text(object, "version", row->version);
}

bool tune_row_add_problem(cJSON *object, const clattn_tuning_row *row)
{
    return add_text(object, "op", row->dense ? "dense" : "paged") &&
           add_text(object, "phase", clattn_phase_name(row->phase)) &&
           add_text(object, "family", clattn_family_name(row->family)) &&
           add_text(object, "kv_dtype", clattn_dtype_name(row->kv_dtype)) &&
           add_number(object, "head_dim", row->head_dim) && add_number(object, "head_dim_v", row->head_dim_v) &&
           add_number(object, "group_size", row->group_size) && add_number(object, "num_kv_heads", row->num_kv_heads) &&
           add_text(object, "kv_layout", clattn_kv_layout_name(row->kv_layout));
}

static bool add_parameters(cJSON *object, const clattn_tuning_row *row)
{
    cJSON *parameters = cJSON_AddObjectToObject(object, "parameters");
    bool good = parameters != NULL;
    for (int32_t i = 0; good && i < row->num_parameters; i++)
        good = add_number(parameters, row->parameters[i].name, row->parameters[i].value);
    return good;
}

/* What a row may have and need not. */
static bool add_measurement(cJSON *object, const clattn_tuning_row *row)
{
    const struct {
        const char *key;
        double value;
    } figures[] = {{"time_us", row->time_us},
                   {"default_time_us", row->default_time_us},
                   {"gain", row->gain},
                   {"noise", row->noise}};
    bool good = true;
    for (size_t i = 0; good && i < sizeof figures / sizeof *figures; i++)
        good = figures[i].value == 0.0 || add_number(object, figures[i].key, figures[i].value);
    return good && (row->date[0] == '\0' || add_text(object, "date", row->date));
}

cJSON *tune_row_write(const clattn_tuning_row *row)
{
    cJSON *object = cJSON_CreateObject();
    if (object && add_device(object, row) && tune_row_add_problem(object, row) &&
        add_number(object, "page_size", row->page_size) &&
        add_text(object, "batch", clattn_batch_class_name(row->batch)) && add_parameters(object, row) &&
        add_measurement(object, row))
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* What a visitor is told. */
typedef struct reading {
    const char *path;
    cJSON *rows;
    int num_refused;
    bool is_readable;
    bool has_memory;
} reading;

/* A clattn_tuning_visitor over a reading. */
static void take_row(void *user, const clattn_tuning_file_row *visited)
{
    reading *taken = user;
    if (visited->row) {
        taken->has_memory = taken->has_memory && cJSON_AddItemToArray(taken->rows, tune_row_write(visited->row));
        return;
    }
    if (visited->index < 0) {
        taken->is_readable = tool_error("%s: %s", taken->path, visited->refusal);
        return;
    }
    (void)tool_error("%s: row %d: %s", taken->path, (int)visited->index + 1, visited->refusal);
    taken->num_refused++;
}

bool tune_row_read_all(const char *path, cJSON *rows, int *num_refused)
{
    reading taken = {.path = path, .rows = rows, .is_readable = true, .has_memory = true};
    const clattn_status status = clattn_tuning_visit_file(path, take_row, &taken);
    *num_refused = taken.num_refused;
    if (!taken.is_readable)
        return false;
    return (taken.has_memory || tool_error("out of memory")) && tool_check(NULL, status, "clattn_tuning_visit_file");
}
