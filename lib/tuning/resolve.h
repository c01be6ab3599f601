/* SPDX-License-Identifier: Apache-2.0 */
/* Which row a call runs with: the database's or the default, the call's override over it, and the checks on both. */
#ifndef CLATTN_TUNING_RESOLVE_H
#define CLATTN_TUNING_RESOLVE_H

#include "tuning/database.h"

/*
 * The row for a request: the database's, or the default one, with the override's fields in place. A row of the database
 * is passed over if the device cannot run it with that override. Refuses an override that contradicts itself or that
 * the device cannot run over the default, and a device on which not even the default fits. `found`: the database's row
 * of each phase, of level NONE where there is none; NULL = not asked for.
 */
clattn_status clattn_tuning_resolve(const clattn_tuning_database *database, const clattn_tile_request *request,
                                    const clattn_tuning *tuning, clattn_row *row,
                                    clattn_tuning_entry found[CLATTN_NUM_PHASES], clattn_error *error);

/* An override that outlives the call which it was given to. It is not to be moved. */
typedef struct clattn_kept_tuning {
    bool is_given;
    clattn_tuning tuning;
    clattn_tile tiles[CLATTN_NUM_PHASES];
} clattn_kept_tuning;

/* Keeps an override, or that there is none (NULL). */
void clattn_tuning_keep(const clattn_tuning *tuning, clattn_kept_tuning *kept);

#endif
