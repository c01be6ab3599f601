/* SPDX-License-Identifier: Apache-2.0 */
/* A survey as text for people and as JSON for programs. */
#ifndef INFO_REPORT_H
#define INFO_REPORT_H

#include "info/survey.h"

/* The device of the survey that a group of files was made for; NULL if it is none of them. */
const info_device *info_find_device(const info_survey *survey, const info_file *file);

/* To standard output. */
void info_report_print(const info_survey *survey);

/* The same to standard output; says on stderr what is wrong if it returns false. */
bool info_report_write_json(const info_survey *survey);

#endif
