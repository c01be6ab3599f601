/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that cl-info tells, gathered before any of it is written. */
#ifndef INFO_SURVEY_H
#define INFO_SURVEY_H

#include "common/shapes.h"
#include "info/cache.h"
#include "info/options.h"

#define INFO_SENTENCE_BYTES 1024

/* What a model's attention runs with on a device. */
typedef struct info_row {
    const tool_shape *shape;
    clattn_status status;
    clattn_tuning_answer answer;
} info_row;

typedef struct info_device {
    int32_t index; /* as clattn_context_params.device counts */
    clattn_device_facts facts;
    char error[INFO_SENTENCE_BYTES]; /* why no context opens on it; "" = one does */
    clattn_family family;            /* of that context */
    int num_rows;                    /* 0 without a context */
    info_row *rows;
} info_device;

typedef struct info_survey {
    const info_options *options;
    clattn_status status;            /* OK = there is a device that can be used */
    char error[INFO_SENTENCE_BYTES]; /* why there is no device that can be used; "" = there is one */
    int num_devices;
    info_device *devices;
    bool has_cache; /* a device could be opened, and with it the cache */
    info_cache cache;
} info_survey;

/* To be finished in any case; says on stderr what is wrong if it returns false. */
bool info_survey_init(info_survey *survey, const info_options *options);
void info_survey_finish(info_survey *survey);

#endif
