/* SPDX-License-Identifier: Apache-2.0 */
/* One row of a tuning file, from JSON to plain data. Without OpenCL. */
#ifndef CLATTN_TUNING_FILE_ROW_H
#define CLATTN_TUNING_FILE_ROW_H

#include "runtime/error.h"

#include <cjson/cJSON.h>
#include <clattn/tuning_file.h>

/* The most parameters of a row: a tile has fewer. */
#define CLATTN_MAX_TUNING_PARAMETERS 16

/* A row and what it points to; its texts are the JSON's. */
typedef struct clattn_parsed_row {
    clattn_tuning_row row;
    clattn_tuning_parameter parameters[CLATTN_MAX_TUNING_PARAMETERS];
} clattn_parsed_row;

/* Fills in *parsed; INVALID_ARGUMENT and a sentence if a field is missing, twice, unknown or wrong. */
clattn_status clattn_tuning_row_parse(const cJSON *object, clattn_parsed_row *parsed, clattn_error *error);

/* Says what a JSON value is, for a sentence: a number or text itself, cut; NULL = "nothing". */
#define CLATTN_JSON_TEXT_BYTES 48
void clattn_tuning_describe_json(const cJSON *value, char text[CLATTN_JSON_TEXT_BYTES]);

#endif
