/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts on disk: what comes back, and what is no verdict; and the notes of trials, whose holders may die. */
#include "runtime/program_cache.h"
#include "runtime/trial_note.h"
#include "runtime/verdict_file.h"
#include "support/directory.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char key[] = "verdict 1\ndevice 1\nsource a";

static void assert_no_verdict(const char *directory)
{
    clattn_verdict verdict;
    memset(&verdict, 0x5a, sizeof verdict);
    const clattn_verdict untouched = verdict;
    assert_false(clattn_verdict_load(directory, key, &verdict));
    assert_memory_equal(&verdict, &untouched, sizeof verdict);
}

static void saved_verdicts_come_back(void **state)
{
    clattn_verdict verdicts[] = {
        {.kind = CLATTN_VERDICT_VERIFIED, .worst_error = 0.125},
        {.kind = CLATTN_VERDICT_REJECTED, .worst_error = HUGE_VAL, .reason = "out[3] is NaN"},
        {.kind = CLATTN_VERDICT_CRASHED, .reason = ""},
    };
    memset(verdicts[2].reason, 'x', CLATTN_REASON_BYTES - 1);
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        clattn_verdict loaded;
        assert_true(clattn_verdict_save(*state, key, &verdicts[i]));
        assert_true(clattn_verdict_load(*state, key, &loaded));
        assert_int_equal(loaded.kind, verdicts[i].kind);
        assert_true(loaded.worst_error == verdicts[i].worst_error);
        assert_string_equal(loaded.reason, verdicts[i].reason);
    }
    char path[SUPPORT_PATH_BYTES];
    assert_int_equal(support_directory_list(*state, path), 1);
}

static void no_file_is_no_verdict(void **state)
{
    char absent[SUPPORT_PATH_BYTES];
    support_path_join(absent, *state, "absent");
    assert_no_verdict(*state);
    assert_no_verdict(absent);
}

/* Every byte of a file counts; one that is of no use is gone afterwards. */
static void damaged_files_are_removed(void **state)
{
    const clattn_verdict verdict = {.kind = CLATTN_VERDICT_VERIFIED, .worst_error = 0.5};
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    assert_true(clattn_verdict_save(*state, key, &verdict));
    assert_int_equal(support_directory_list(*state, path), 1);
    char *contents = support_file_read(path, &num_bytes);
    for (size_t i = 0; i < 2 * num_bytes; i++) {
        const size_t byte = i / 2;
        char *damaged = memcpy(malloc(num_bytes), contents, num_bytes);
        damaged[byte] = (char)(damaged[byte] ^ 1);
        support_file_write(path, i % 2 == 0 ? damaged : contents, i % 2 == 0 ? num_bytes : byte);
        free(damaged);
        assert_no_verdict(*state);
        char left[SUPPORT_PATH_BYTES];
        assert_int_equal(support_directory_list(*state, left), 0);
    }
    support_file_write(path, contents, num_bytes);
    clattn_verdict loaded;
    assert_true(clattn_verdict_load(*state, key, &loaded));
    free(contents);
}

/* Whole files under the verdict's own key, as a later version of clattn or another program may write them. */
static void foreign_records_are_no_verdicts(void **state)
{
    const clattn_verdict verdict = {.kind = CLATTN_VERDICT_REJECTED, .worst_error = 2.0, .reason = "r"};
    assert_true(clattn_verdict_save(*state, key, &verdict));
    void *data = NULL;
    size_t num_bytes = 0;
    assert_int_equal(clattn_program_cache_load(*state, key, &data, &num_bytes), CLATTN_CACHE_HIT);
    char *record = malloc(num_bytes + 1);
    clattn_verdict decoded;
    memcpy(record, data, num_bytes);
    record[num_bytes] = '\0';
    assert_true(clattn_verdict_decode(record, num_bytes, &decoded));
    assert_false(clattn_verdict_decode(record, num_bytes - 1, &decoded));
    assert_false(clattn_verdict_decode(record, num_bytes + 1, &decoded));
    const int32_t kinds[] = {-1, CLATTN_NUM_VERDICT_KINDS};
    for (int i = 0; i < 2; i++) {
        memcpy(record + sizeof(double), &kinds[i], sizeof kinds[i]);
        assert_false(clattn_verdict_decode(record, num_bytes, &decoded));
    }
    memcpy(record, data, num_bytes);
    const double nan = (double)NAN;
    memcpy(record, &nan, sizeof nan);
    assert_false(clattn_verdict_decode(record, num_bytes, &decoded));
    memcpy(record, data, num_bytes);
    memset(record + sizeof(double) + sizeof(int32_t), 'x', CLATTN_REASON_BYTES); /* without an end */
    assert_false(clattn_verdict_decode(record, num_bytes, &decoded));
    assert_true(clattn_program_cache_save(*state, key, record, num_bytes));
    assert_no_verdict(*state);
    free(record);
    free(data);
}

static void keys_of_verdicts_hold_those_of_programs(void **state)
{
    (void)state;
    char *of_verdict = clattn_verdict_key("device 1\nsource a");
    assert_string_equal(of_verdict, key);
    assert_string_equal(clattn_verdict_key_program(of_verdict), "device 1\nsource a");
    assert_null(clattn_verdict_key_program(of_verdict + 1));
    free(of_verdict);
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(clattn_verdict_kind_name(CLATTN_VERDICT_VERIFIED), "verified");
    assert_string_equal(clattn_verdict_kind_name(CLATTN_VERDICT_REJECTED), "rejected");
    assert_string_equal(clattn_verdict_kind_name(CLATTN_VERDICT_CRASHED), "crashed");
    assert_string_equal(clattn_verdict_kind_name(CLATTN_NUM_VERDICT_KINDS), "invalid");
}

static void released_notes_leave_nothing(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    char directory[SUPPORT_PATH_BYTES];
    clattn_trial_note note;
    support_path_join(directory, *state, "made/too");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clattn_trial_note_take(directory, key, &note), CLATTN_NOTE_TAKEN);
        assert_int_equal(support_directory_list(directory, path), 1);
        clattn_trial_note_release(&note);
        assert_int_equal(support_directory_list(directory, path), 0);
    }
}

/* Also within a process: two contexts may be tried in two threads. */
static void notes_have_one_holder(void **state)
{
    clattn_trial_note first;
    clattn_trial_note second;
    clattn_trial_note other;
    assert_int_equal(clattn_trial_note_take(*state, key, &first), CLATTN_NOTE_TAKEN);
    assert_int_equal(clattn_trial_note_take(*state, key, &second), CLATTN_NOTE_NONE);
    assert_int_equal(clattn_trial_note_take(*state, "another key", &other), CLATTN_NOTE_TAKEN);
    clattn_trial_note_release(&first);
    assert_int_equal(clattn_trial_note_take(*state, key, &second), CLATTN_NOTE_TAKEN);
    clattn_trial_note_release(&second);
    clattn_trial_note_release(&other);
}

/* Takes the note in a child, which says so through the pipe and then waits to be killed. */
static pid_t hold_in_child(const char *directory)
{
    int ends[2];
    char said = '\0';
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        clattn_trial_note note;
        said = clattn_trial_note_take(directory, key, &note) == CLATTN_NOTE_TAKEN ? 't' : 'n';
        if (write(ends[1], &said, 1) == 1)
            pause();
        _exit(EXIT_FAILURE);
    }
    assert_true(child > 0);
    assert_int_equal(read(ends[0], &said, 1), 1);
    assert_int_equal(said, 't');
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void notes_outlive_a_holder_that_dies(void **state)
{
    clattn_trial_note note;
    const pid_t child = hold_in_child(*state);
    assert_int_equal(clattn_trial_note_take(*state, key, &note), CLATTN_NOTE_NONE); /* it lives */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(clattn_trial_note_take(*state, key, &note), CLATTN_NOTE_ABANDONED);
    clattn_trial_note_release(&note);
    assert_int_equal(clattn_trial_note_take(*state, key, &note), CLATTN_NOTE_TAKEN);
    clattn_trial_note_release(&note);
}

static void notes_need_a_directory(void **state)
{
    char file[SUPPORT_PATH_BYTES];
    char directory[SUPPORT_PATH_BYTES];
    clattn_trial_note note;
    support_path_join(file, *state, "file");
    support_path_join(directory, file, "cache");
    support_file_write(file, "kept", 4);
    assert_int_equal(clattn_trial_note_take(directory, key, &note), CLATTN_NOTE_NONE);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(saved_verdicts_come_back),
        IN_DIRECTORY(no_file_is_no_verdict),
        IN_DIRECTORY(damaged_files_are_removed),
        IN_DIRECTORY(foreign_records_are_no_verdicts),
        cmocka_unit_test(keys_of_verdicts_hold_those_of_programs),
        cmocka_unit_test(kinds_have_names),
        IN_DIRECTORY(released_notes_leave_nothing),
        IN_DIRECTORY(notes_have_one_holder),
        IN_DIRECTORY(notes_outlive_a_holder_that_dies),
        IN_DIRECTORY(notes_need_a_directory),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
