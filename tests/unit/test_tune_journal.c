/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that end anywhere, and files that do not fit; the memory of crashes. */
#include "tune/crashes.h"
#include "tune/journal.h"
#include "tune/lines.h"

#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUM_TRIALS 4

static cJSON *make_header(const char *driver)
{
    cJSON *header = cJSON_CreateObject();
    assert_non_null(cJSON_AddStringToObject(header, "device", "a \"device\"\n with a line end"));
    assert_non_null(cJSON_AddStringToObject(header, "driver", driver));
    return header;
}

static bool open_journal(tune_journal *journal, const char *path, const char *driver, bool resume)
{
    cJSON *header = make_header(driver);
    const bool opened = tune_journal_open(journal, path, header, resume);
    cJSON_Delete(header);
    return opened;
}

static int count_trials(const tune_journal *journal)
{
    int count = 0;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, journal->events) count += tune_event_is(event, "trial", "decode/small");
    return count;
}

static void write_trials(const char *path, bool end)
{
    tune_journal journal;
    assert_true(open_journal(&journal, path, "1.0", false));
    for (int i = 0; i < NUM_TRIALS; i++)
        assert_true(tune_journal_append(&journal, tune_event_new("trial", "decode/small")));
    if (end)
        assert_true(tune_journal_end(&journal));
    tune_journal_close(&journal);
}

static void journal_cut_at_any_byte_is_continued_behind_its_last_whole_line(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    size_t num_bytes = 0;
    write_trials(path, false);
    char *text = support_file_read(path, &num_bytes);
    for (size_t cut = 0; cut <= num_bytes; cut++) {
        int num_lines = 0;
        for (size_t i = 0; i < cut; i++)
            num_lines += text[i] == '\n';
        support_file_write(path, text, cut);
        tune_journal journal;
        assert_true(open_journal(&journal, path, "1.0", true));
        assert_int_equal(count_trials(&journal), num_lines > 0 ? num_lines - 1 : 0);
        assert_true(tune_journal_append(&journal, tune_event_new("trial", "decode/small")));
        tune_journal_close(&journal);
        assert_true(open_journal(&journal, path, "1.0", true)); /* what was appended is a line of its own */
        assert_int_equal(count_trials(&journal), num_lines > 0 ? num_lines : 1);
        tune_journal_close(&journal);
    }
    free(text);
}

static void journal_of_another_driver_is_refused_and_left_alone(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    size_t before_bytes = 0;
    size_t after_bytes = 0;
    tune_journal journal;
    write_trials(path, false);
    char *before = support_file_read(path, &before_bytes);
    assert_false(open_journal(&journal, path, "1.1", true));
    char *after = support_file_read(path, &after_bytes);
    assert_int_equal(after_bytes, before_bytes);
    assert_memory_equal(after, before, before_bytes);
    free(before);
    free(after);
}

static void unfinished_journal_is_replaced_only_on_request(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    tune_journal journal;
    write_trials(path, false);
    assert_false(open_journal(&journal, path, "1.0", false));
    assert_true(open_journal(&journal, path, "1.0", true));
    assert_int_equal(count_trials(&journal), NUM_TRIALS);
    assert_true(tune_journal_end(&journal));
    tune_journal_close(&journal);
    assert_true(open_journal(&journal, path, "1.0", false)); /* it has ended */
    assert_null(journal.events);
    tune_journal_close(&journal);
    assert_true(open_journal(&journal, path, "2.0", false)); /* it holds nothing */
    tune_journal_close(&journal);
}

static void journal_of_a_search_that_came_to_the_default_alone_is_replaced(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    tune_journal journal;
    assert_true(open_journal(&journal, path, "1.0", false));
    assert_true(tune_journal_append(&journal, tune_event_new("trial", "decode/small")));
    tune_journal_close(&journal);
    assert_true(open_journal(&journal, path, "1.0", false));
    assert_true(tune_journal_append(&journal, tune_event_new("trial", "decode/small")));
    assert_true(tune_journal_append(&journal, tune_event_new("trial", "decode/small")));
    tune_journal_close(&journal);
    assert_false(open_journal(&journal, path, "1.0", false));
}

static void damaged_line_in_the_middle_is_refused(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    size_t num_bytes = 0;
    tune_journal journal;
    write_trials(path, false);
    char *text = support_file_read(path, &num_bytes);
    *(strchr(text, '\n') + 1) = '?';
    support_file_write(path, text, num_bytes);
    assert_false(open_journal(&journal, path, "1.0", true));
    assert_false(open_journal(&journal, path, "1.0", false));
    free(text);
}

/* Locks are between processes. */
static void journal_belongs_to_one_process(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    tune_journal journal;
    assert_true(open_journal(&journal, path, "1.0", false));
    const pid_t child = fork();
    if (child == 0) {
        tune_journal other;
        _exit(open_journal(&other, path, "1.0", true) ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    tune_journal_close(&journal);
}

static cJSON *make_parameters(int block_kv)
{
    cJSON *parameters = cJSON_CreateObject();
    assert_non_null(cJSON_AddNumberToObject(parameters, "block_kv", block_kv));
    return parameters;
}

static void crash_is_remembered_for_its_driver_and_parameters(void **state)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, *state, "journal");
    cJSON *kernel = make_header("1.0");
    cJSON *other_kernel = make_header("1.1");
    cJSON *crashed = make_parameters(16);
    cJSON *hung = make_parameters(32);
    cJSON *good = make_parameters(48);
    tune_crashes crashes;
    assert_true(tune_crashes_init(&crashes, path, kernel));
    assert_null(tune_crashes_find(&crashes, crashed, 60.0));
    assert_true(tune_crashes_add(&crashes, crashed, "signal 11", 0.0));
    assert_true(tune_crashes_add(&crashes, hung, "60 s", 60.0));
    for (int again = 0; again < 2; again++) {
        assert_string_equal(tune_crashes_find(&crashes, crashed, 1000.0), "signal 11");
        assert_string_equal(tune_crashes_find(&crashes, hung, 60.0), "60 s");
        assert_null(tune_crashes_find(&crashes, hung, 61.0)); /* that much time it did not have */
        assert_null(tune_crashes_find(&crashes, good, 1.0));
        tune_crashes_finish(&crashes);
        assert_true(tune_crashes_init(&crashes, path, kernel));
    }
    tune_crashes_finish(&crashes);
    assert_true(tune_crashes_init(&crashes, path, other_kernel));
    assert_null(tune_crashes_find(&crashes, crashed, 60.0));
    tune_crashes_finish(&crashes);
    cJSON_Delete(kernel);
    cJSON_Delete(other_kernel);
    cJSON_Delete(crashed);
    cJSON_Delete(hung);
    cJSON_Delete(good);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, support_directory_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(journal_cut_at_any_byte_is_continued_behind_its_last_whole_line),
        WITH_DIRECTORY(journal_of_another_driver_is_refused_and_left_alone),
        WITH_DIRECTORY(unfinished_journal_is_replaced_only_on_request),
        WITH_DIRECTORY(journal_of_a_search_that_came_to_the_default_alone_is_replaced),
        WITH_DIRECTORY(damaged_line_in_the_middle_is_refused),
        WITH_DIRECTORY(journal_belongs_to_one_process),
        WITH_DIRECTORY(crash_is_remembered_for_its_driver_and_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
