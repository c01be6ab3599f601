/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a question about tuning from a database. Without OpenCL. */
#ifndef CLATTN_ATTENTION_TUNING_QUERY_H
#define CLATTN_ATTENTION_TUNING_QUERY_H

#include "tuning/database.h"

/* As clattn_tuning_query() says; facts of the database and params may be NULL, which is refused. */
clattn_status clattn_tuning_answer_query(const clattn_tuning_database *database,
                                         const clattn_tuning_query_params *params, clattn_tuning_answer *answer,
                                         clattn_error *error);

#endif
