/* SPDX-License-Identifier: Apache-2.0 */
/* Removes files by what a visit says of them: nothing goes that was not read, or is not the cache's by its name. */
#include "runtime/cache_clear.h"

#include "runtime/cache_visit.h"
#include "runtime/cache_walk.h"
#include "runtime/program_cache.h"
#include "runtime/user_path.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A clearing in progress. */
typedef struct clear_state {
    const char *directory;
    clattn_cache_part part;
    clattn_cache_cleared *cleared;
    clattn_status status; /* of the first file that could not be removed */
    clattn_error *error;
} clear_state;

const char *clattn_cache_part_name(clattn_cache_part part)
{
    switch (part) {
    case CLATTN_CACHE_USELESS:
        return "useless";
    case CLATTN_CACHE_PROGRAMS:
        return "programs";
    case CLATTN_CACHE_ALL:
        return "all";
    case CLATTN_NUM_CACHE_PARTS:
        break;
    }
    return "invalid";
}

static bool belongs(const clattn_cache_file *file, clattn_cache_part part)
{
    switch (file->state) {
    case CLATTN_CACHE_FILE_VALID:
        return part == CLATTN_CACHE_ALL || (part == CLATTN_CACHE_PROGRAMS && file->verdict == NULL);
    case CLATTN_CACHE_FILE_TEMPORARY:
        return part == CLATTN_CACHE_ALL || clattn_cache_is_stale(file->used_nanoseconds);
    case CLATTN_CACHE_FILE_NOTE:
        return part == CLATTN_CACHE_ALL;
    default:
        return true;
    }
}

/* A clattn_cache_visitor. Goes on after a file that cannot be removed. */
static void clear_file(void *user, const clattn_cache_file *file)
{
    clear_state *state = user;
    if (!belongs(file, state->part))
        return;
    char *path = clattn_path_join(state->directory, file->name);
    if (path == NULL) {
        state->status = clattn_error_set(state->error, CLATTN_OUT_OF_MEMORY,
                                         "no memory for the path of the cache file %s", file->name);
    } else if (unlink(path) == 0) {
        state->cleared->num_files++;
        state->cleared->num_bytes += file->num_bytes;
    } else if (errno != ENOENT && state->status == CLATTN_OK) {
        state->status = clattn_cache_refuse(path, "removed", errno, state->error);
    }
    free(path);
}

clattn_status clattn_cache_clear(const char *directory, clattn_cache_part part, clattn_cache_cleared *cleared,
                                 clattn_error *error)
{
    clear_state state = {.directory = directory, .part = part, .cleared = cleared, .status = CLATTN_OK, .error = error};
    CLATTN_TRY(clattn_cache_visit(directory, clear_file, &state, error));
    return state.status;
}
