/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a row, their meanings and limits as a table; see file_row.h. */
#include "tuning/file_row.h"

#include "tuning/tunables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEVICE,
    VENDOR,
    DRIVER,
    ARCHITECTURE,
    TYPE,
    VERSION,
    OP,
    PHASE,
    FAMILY,
    KV_DTYPE,
    HEAD_DIM,
    HEAD_DIM_V,
    GROUP_SIZE,
    NUM_KV_HEADS,
    KV_LAYOUT,
    PAGE_SIZE,
    BATCH,
    PARAMETERS,
    TIME_US,
    DEFAULT_TIME_US,
    GAIN,
    NOISE,
    DATE,
    NUM_FIELDS
};

typedef enum field_kind { KIND_TEXT, KIND_NAME, KIND_WHOLE, KIND_REAL, KIND_OBJECT } field_kind;

typedef const char *(*name_at)(int value);

typedef struct row_field {
    const char *name;
    field_kind kind;
    bool optional;
    name_at names; /* KIND_NAME: of the values low..high */
    int32_t low;   /* KIND_NAME, KIND_WHOLE: limits, both included */
    int32_t high;
    int32_t step; /* KIND_WHOLE: divides the value */
} row_field;

/* What a field's value becomes, by its kind. */
typedef union field_value {
    const char *text;
    int32_t number; /* KIND_NAME, KIND_WHOLE */
    double real;
    const cJSON *object;
} field_value;

static const char *type_name(int value)
{
    return clattn_device_type_name((clattn_device_type)value);
}

static const char *op_name(int value)
{
    return value == 0 ? "paged" : "dense";
}

static const char *phase_name(int value)
{
    return clattn_phase_name((clattn_phase)value);
}

static const char *family_name(int value)
{
    return clattn_family_name((clattn_family)value);
}

static const char *dtype_name(int value)
{
    return clattn_dtype_name((clattn_dtype)value);
}

static const char *layout_name(int value)
{
    return clattn_kv_layout_name((clattn_kv_layout)value);
}

static const char *batch_name(int value)
{
    return clattn_batch_class_name((clattn_batch_class)value);
}

_Static_assert(sizeof(clattn_tile) <= CLATTN_MAX_TUNING_PARAMETERS * sizeof(int32_t),
               "a row has room for a whole tile");

static const row_field fields[NUM_FIELDS] = {
    [DEVICE] = {.name = "device", .kind = KIND_TEXT},
    [VENDOR] = {.name = "vendor", .kind = KIND_TEXT},
    [DRIVER] = {.name = "driver", .kind = KIND_TEXT},
    [ARCHITECTURE] = {.name = "architecture", .kind = KIND_TEXT},
    [TYPE] = {.name = "type", .kind = KIND_NAME, .names = type_name, .high = CLATTN_NUM_DEVICE_TYPES - 1},
    [VERSION] = {.name = "version", .kind = KIND_TEXT},
    [OP] = {.name = "op", .kind = KIND_NAME, .names = op_name, .high = 1},
    [PHASE] = {.name = "phase", .kind = KIND_NAME, .names = phase_name, .high = CLATTN_NUM_PHASES - 1},
    [FAMILY] = {.name = "family", .kind = KIND_NAME, .names = family_name, .low = 1, .high = CLATTN_NUM_FAMILIES - 1},
    [KV_DTYPE] = {.name = "kv_dtype", .kind = KIND_NAME, .names = dtype_name, .low = 1, .high = CLATTN_NUM_DTYPES - 1},
    [HEAD_DIM] = {.name = "head_dim", .kind = KIND_WHOLE, .low = 8, .high = 512, .step = 8},
    [HEAD_DIM_V] = {.name = "head_dim_v", .kind = KIND_WHOLE, .low = 8, .high = 512, .step = 8},
    [GROUP_SIZE] = {.name = "group_size", .kind = KIND_WHOLE, .low = 1, .high = INT32_MAX, .step = 1},
    [NUM_KV_HEADS] = {.name = "num_kv_heads", .kind = KIND_WHOLE, .low = 1, .high = INT32_MAX, .step = 1},
    [KV_LAYOUT] = {.name = "kv_layout", .kind = KIND_NAME, .names = layout_name, .high = CLATTN_NUM_KV_LAYOUTS - 1},
    [PAGE_SIZE] = {.name = "page_size", .kind = KIND_WHOLE, .low = 1, .high = INT32_MAX, .step = 1},
    [BATCH] = {.name = "batch", .kind = KIND_NAME, .names = batch_name, .high = CLATTN_NUM_BATCH_CLASSES - 1},
    [PARAMETERS] = {.name = "parameters", .kind = KIND_OBJECT},
    [TIME_US] = {.name = "time_us", .kind = KIND_REAL, .optional = true},
    [DEFAULT_TIME_US] = {.name = "default_time_us", .kind = KIND_REAL, .optional = true},
    [GAIN] = {.name = "gain", .kind = KIND_REAL, .optional = true},
    [NOISE] = {.name = "noise", .kind = KIND_REAL, .optional = true},
    [DATE] = {.name = "date", .kind = KIND_TEXT, .optional = true},
};

void clattn_tuning_describe_json(const cJSON *value, char text[CLATTN_JSON_TEXT_BYTES])
{
    if (value == NULL)
        snprintf(text, CLATTN_JSON_TEXT_BYTES, "nothing");
    else if (cJSON_IsString(value))
        snprintf(text, CLATTN_JSON_TEXT_BYTES, "\"%.*s\"", CLATTN_JSON_TEXT_BYTES - 3, value->valuestring);
    else if (cJSON_IsNumber(value))
        snprintf(text, CLATTN_JSON_TEXT_BYTES, "%.10g", value->valuedouble);
    else
        snprintf(text, CLATTN_JSON_TEXT_BYTES, "%s",
                 cJSON_IsArray(value)    ? "an array"
                 : cJSON_IsObject(value) ? "an object"
                 : cJSON_IsBool(value)   ? (cJSON_IsTrue(value) ? "true" : "false")
                                         : "null");
}

static clattn_status refuse(const char *name, const char *expected, const cJSON *value, clattn_error *error)
{
    char got[CLATTN_JSON_TEXT_BYTES];
    clattn_tuning_describe_json(value, got);
    return clattn_error_set(error, CLATTN_INVALID_ARGUMENT, "%s: expected %s, got %s", name, expected, got);
}

static bool read_whole(const cJSON *value, int32_t low, int32_t high, int32_t *number)
{
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= low && value->valuedouble <= high))
        return false;
    *number = (int32_t)value->valuedouble;
    return (double)*number == value->valuedouble;
}

static clattn_status parse_text(const row_field *field, const cJSON *value, const char **text, clattn_error *error)
{
    if (!cJSON_IsString(value) || strlen(value->valuestring) >= CLATTN_NAME_BYTES) {
        char expected[48];
        snprintf(expected, sizeof expected, "a text of less than %d bytes", CLATTN_NAME_BYTES);
        return refuse(field->name, expected, value, error);
    }
    *text = value->valuestring;
    return CLATTN_OK;
}

static clattn_status parse_name(const row_field *field, const cJSON *value, int32_t *number, clattn_error *error)
{
    char expected[128] = "";
    for (int32_t i = field->low; i <= field->high; i++) {
        if (cJSON_IsString(value) && strcmp(value->valuestring, field->names(i)) == 0) {
            *number = i;
            return CLATTN_OK;
        }
        const size_t length = strlen(expected);
        const char *before = i == field->low ? "" : i == field->high ? " or " : ", ";
        snprintf(expected + length, sizeof expected - length, "%s%s", before, field->names(i));
    }
    return refuse(field->name, expected, value, error);
}

static clattn_status parse_whole(const row_field *field, const cJSON *value, int32_t *number, clattn_error *error)
{
    if (read_whole(value, field->low, field->high, number) && *number % field->step == 0)
        return CLATTN_OK;
    char expected[64];
    if (field->step > 1)
        snprintf(expected, sizeof expected, "a multiple of %d in %d..%d", (int)field->step, (int)field->low,
                 (int)field->high);
    else
        snprintf(expected, sizeof expected, "a whole number in %d..%d", (int)field->low, (int)field->high);
    return refuse(field->name, expected, value, error);
}

static clattn_status parse_field(const row_field *field, const cJSON *value, field_value *parsed, clattn_error *error)
{
    switch (field->kind) {
    case KIND_TEXT:
        return parse_text(field, value, &parsed->text, error);
    case KIND_NAME:
        return parse_name(field, value, &parsed->number, error);
    case KIND_WHOLE:
        return parse_whole(field, value, &parsed->number, error);
    case KIND_REAL:
        if (!cJSON_IsNumber(value) || !isfinite(value->valuedouble) || value->valuedouble < 0.0)
            return refuse(field->name, "a number, 0 or more", value, error);
        parsed->real = value->valuedouble;
        return CLATTN_OK;
    case KIND_OBJECT:
        if (!cJSON_IsObject(value))
            return refuse(field->name, "an object", value, error);
        parsed->object = value;
        break;
    }
    return CLATTN_OK;
}

/* NUM_FIELDS if a row has no field of that name. */
static int find_field(const char *name)
{
    int field = 0;
    while (field < NUM_FIELDS && strcmp(fields[field].name, name) != 0)
        field++;
    return field;
}

/* All but what is within `parameters`. */
static clattn_status parse_fields(const cJSON *object, field_value values[NUM_FIELDS], clattn_error *error)
{
    bool given[NUM_FIELDS] = {false};
    const cJSON *value = NULL;
    cJSON_ArrayForEach(value, object)
    {
        const int field = find_field(value->string);
        CLATTN_REQUIRE(error, field < NUM_FIELDS, CLATTN_INVALID_ARGUMENT, "a row has no field \"%.40s\"",
                       value->string);
        CLATTN_REQUIRE(error, !given[field], CLATTN_INVALID_ARGUMENT, "%s is given twice", fields[field].name);
        given[field] = true;
        CLATTN_TRY(parse_field(&fields[field], value, &values[field], error));
    }
    for (int field = 0; field < NUM_FIELDS; field++)
        CLATTN_REQUIRE(error, given[field] || fields[field].optional, CLATTN_INVALID_ARGUMENT, "%s is missing",
                       fields[field].name);
    return CLATTN_OK;
}

static clattn_status parse_parameters(const cJSON *object, clattn_parsed_row *parsed, clattn_error *error)
{
    clattn_tuning_row *row = &parsed->row;
    row->parameters = parsed->parameters;
    const cJSON *value = NULL;
    cJSON_ArrayForEach(value, object)
    {
        CLATTN_REQUIRE(error, clattn_tunable_find(row->family, row->phase, value->string) != NULL,
                       CLATTN_INVALID_ARGUMENT, "parameters: \"%.40s\" is no tunable of %s %s", value->string,
                       clattn_family_name(row->family), clattn_phase_name(row->phase));
        for (int32_t i = 0; i < row->num_parameters; i++)
            CLATTN_REQUIRE(error, strcmp(parsed->parameters[i].name, value->string) != 0, CLATTN_INVALID_ARGUMENT,
                           "parameters: %s is given twice", value->string);
        clattn_tuning_parameter *parameter = &parsed->parameters[row->num_parameters];
        parameter->name = value->string;
        if (!read_whole(value, 0, INT32_MAX, &parameter->value))
            return refuse(value->string, "a whole number, 0 or more", value, error);
        row->num_parameters++;
    }
    return CLATTN_OK;
}

clattn_status clattn_tuning_row_parse(const cJSON *object, clattn_parsed_row *parsed, clattn_error *error)
{
    CLATTN_REQUIRE(error, cJSON_IsObject(object), CLATTN_INVALID_ARGUMENT, "a row is an object");
    field_value values[NUM_FIELDS] = {[DATE] = {.text = ""}};
    CLATTN_TRY(parse_fields(object, values, error));
    parsed->row = (clattn_tuning_row){
        .device = values[DEVICE].text,
        .vendor = values[VENDOR].text,
        .driver = values[DRIVER].text,
        .architecture = values[ARCHITECTURE].text,
        .type = (clattn_device_type)values[TYPE].number,
        .version = values[VERSION].text,
        .dense = values[OP].number != 0,
        .phase = (clattn_phase)values[PHASE].number,
        .family = (clattn_family)values[FAMILY].number,
        .kv_dtype = (clattn_dtype)values[KV_DTYPE].number,
        .head_dim = values[HEAD_DIM].number,
        .head_dim_v = values[HEAD_DIM_V].number,
        .group_size = values[GROUP_SIZE].number,
        .num_kv_heads = values[NUM_KV_HEADS].number,
        .kv_layout = (clattn_kv_layout)values[KV_LAYOUT].number,
        .page_size = values[PAGE_SIZE].number,
        .batch = (clattn_batch_class)values[BATCH].number,
        .time_us = values[TIME_US].real,
        .default_time_us = values[DEFAULT_TIME_US].real,
        .gain = values[GAIN].real,
        .noise = values[NOISE].real,
        .date = values[DATE].text,
    };
    return parse_parameters(values[PARAMETERS].object, parsed, error);
}
