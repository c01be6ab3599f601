/* SPDX-License-Identifier: Apache-2.0 */
/* From the user's tuning file to the rows of a context; see load.h. */
#include "tuning/load.h"

#include "runtime/user_path.h"
#include "tuning/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A file that is being read. */
typedef struct tuning_load {
    clattn_tuning_database *database;
    const char *path;
    const clattn_log *log;
    clattn_error *error;
    clattn_status status;
    int num_rows;
} tuning_load;

static void load_row(void *user, const clattn_tuning_file_row *row)
{
    tuning_load *load = user;
    load->num_rows++;
    if (row->row == NULL && row->index < 0)
        clattn_log_write(load->log, CLATTN_LOG_WARNING, "tuning file %s: %s", load->path, row->refusal);
    else if (row->row == NULL)
        clattn_log_write(load->log, CLATTN_LOG_WARNING, "tuning file %s: row %d: %s", load->path, (int)row->index,
                         row->refusal);
    else if (load->status == CLATTN_OK)
        load->status = clattn_tuning_database_add(load->database, row->row, load->error);
}

static clattn_status load_open_file(clattn_tuning_database *database, const char *path, int file, const clattn_log *log,
                                    clattn_error *error)
{
    tuning_load load = {.database = database, .path = path, .log = log, .error = error};
    clattn_error refusal;
    const clattn_status status = clattn_tuning_file_visit(file, load_row, &load, &refusal);
    CLATTN_REQUIRE(error, status != CLATTN_OUT_OF_MEMORY, status, "%s", refusal.text);
    CLATTN_TRY(load.status);
    clattn_log_write(log, CLATTN_LOG_DEBUG, "tuning file %s: %zu of %d rows are for this device", path,
                     database->num_entries, load.num_rows);
    return CLATTN_OK;
}

/* A file that nobody asked for need not be there. */
static clattn_status load_file(clattn_tuning_database *database, const char *path, bool may_be_absent,
                               const clattn_log *log, clattn_error *error)
{
    const int file = clattn_tuning_file_open(path);
    if (file < 0 && errno == ENOENT && may_be_absent)
        return CLATTN_OK;
    if (file < 0) {
        clattn_error refusal;
        (void)clattn_tuning_file_refuse(errno, &refusal);
        clattn_log_write(log, CLATTN_LOG_WARNING, "tuning file %s: %s", path, refusal.text);
        return CLATTN_OK;
    }
    const clattn_status status = load_open_file(database, path, file, log, error);
    close(file);
    return status;
}

static clattn_status load_default_file(clattn_tuning_database *database, const clattn_log *log, clattn_error *error)
{
    char *path = clattn_user_path("XDG_CONFIG_HOME", "clattn/tuning.json", ".config/clattn/tuning.json");
    const clattn_status status = path != NULL ? load_file(database, path, true, log, error) : CLATTN_OK;
    free(path);
    return status;
}

clattn_status clattn_tuning_load(clattn_tuning_database *database, const char *requested, const clattn_log *log,
                                 clattn_error *error)
{
    if (requested == NULL)
        CLATTN_TRY(load_default_file(database, log, error));
    else if (requested[0] != '\0')
        CLATTN_TRY(load_file(database, requested, false, log, error));
    CLATTN_TRY(clattn_tuning_database_add_builtin(database, error));
    clattn_tuning_database_sort(database);
    return CLATTN_OK;
}
