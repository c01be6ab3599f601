/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes in the cache directory that a variant is being built or tried. Who takes a note holds a lock on it until he
 * releases it; a note without its lock is all that is left of a process that did not survive. Without OpenCL.
 */
#ifndef CLATTN_RUNTIME_TRIAL_NOTE_H
#define CLATTN_RUNTIME_TRIAL_NOTE_H

typedef enum clattn_note_result {
    CLATTN_NOTE_TAKEN,     /* to be released */
    CLATTN_NOTE_ABANDONED, /* taken as well: somebody died with it */
    CLATTN_NOTE_NONE,      /* somebody else holds it right now, or it cannot be written */
} clattn_note_result;

typedef struct clattn_trial_note {
    int file;
    char *path;
} clattn_trial_note;

/* Takes the note of a variant by the key of its verdict; creates the directory. Waits for nobody. */
clattn_note_result clattn_trial_note_take(const char *directory, const char *key, clattn_trial_note *note);

/* Removes a note that was taken. */
void clattn_trial_note_release(clattn_trial_note *note);

#endif
