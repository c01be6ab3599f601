/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are locked while a trial lasts; see trial_note.h. */
#include "runtime/trial_note.h"

#include "runtime/program_cache.h"
#include "runtime/user_path.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beside the file of the key, under a name that no load looks for. */
static char *path_of(const char *directory, const char *key)
{
    char name[CLATTN_CACHE_NAME_BYTES];
    clattn_program_cache_name(key, name);
    name[strlen(name) - strlen(CLATTN_CACHE_SUFFIX)] = '\0';
    char note_name[sizeof CLATTN_CACHE_TEMPORARY_PREFIX + sizeof name];
    snprintf(note_name, sizeof note_name, CLATTN_CACHE_TEMPORARY_PREFIX "%s", name);
    return clattn_path_join(directory, note_name);
}

/* Whether the path still leads to the open file: its last holder may have removed it before we had the lock. */
static bool is_current(int file, const char *path, struct stat *facts)
{
    struct stat found;
    return fstat(file, facts) == 0 && stat(path, &found) == 0 && facts->st_ino == found.st_ino &&
           facts->st_dev == found.st_dev && S_ISREG(facts->st_mode);
}

/* Opens and locks the note; below 0 if somebody else has it, or it cannot be made. */
static int open_locked(const char *path, struct stat *facts)
{
    const int attempts = 4; /* each lost to a holder that came and went meanwhile */
    for (int i = 0; i < attempts; i++) {
        const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);
        if (file < 0)
            return file;
        if (flock(file, LOCK_EX | LOCK_NB) != 0) {
            close(file);
            return -1;
        }
        if (is_current(file, path, facts))
            return file;
        close(file);
    }
    return -1;
}

clattn_note_result clattn_trial_note_take(const char *directory, const char *key, clattn_trial_note *note)
{
    static const char mark = '\n';
    *note = (clattn_trial_note){.file = -1, .path = path_of(directory, key)};
    struct stat facts;
    if (note->path != NULL && clattn_program_cache_make_directory(directory))
        note->file = open_locked(note->path, &facts);
    if (note->file >= 0 && facts.st_size > 0)
        return CLATTN_NOTE_ABANDONED;
    /* Only now does the file say anything: an empty one is left by who died before the trial began. */
    if (note->file >= 0 && write(note->file, &mark, 1) == 1)
        return CLATTN_NOTE_TAKEN;
    if (note->file >= 0)
        close(note->file);
    free(note->path);
    *note = (clattn_trial_note){.file = -1};
    return CLATTN_NOTE_NONE;
}

void clattn_trial_note_release(clattn_trial_note *note)
{
    (void)unlink(note->path);
    close(note->file);
    free(note->path);
    *note = (clattn_trial_note){.file = -1};
}
