/* SPDX-License-Identifier: Apache-2.0 */
/* Children that end in every way that a driver can end them. */
#include "tune/child.h"

#include "bench/clock.h"
#include "common/message.h"
#include "tune/interrupt.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_S 0.3
#define LONG_STOP_S 3

typedef enum fate {
    ANSWERS,
    IS_WRONG,
    FAILS,
    FAILS_FOR_MEMORY,
    IS_KILLED,
    ABORTS,
    EXITS,
    HANGS,
    WAITS,
    LEAVES_A_PROCESS,
    STOPS_ALL
} fate;

static tune_outcome live(void *user, const tune_child *child, void *answer)
{
    const fate what = *(const fate *)user;
    tune_child_enter(child, "testing",
                     what == HANGS || what == LEAVES_A_PROCESS ? LIMIT_S
                     : what == STOPS_ALL                       ? LONG_STOP_S - 0.5
                                                               : 30.0);
    printf("what a driver prints on the standard output\n");
    fflush(stdout);
    fputs("some line\n", stderr);
    switch (what) {
    case ANSWERS:
        *(int *)answer = 42;
        return TUNE_OK;
    case IS_WRONG:
        (void)tool_error("element 7 is wrong");
        fputs("a line behind it\n", stderr);
        return TUNE_WRONG;
    case FAILS:
        (void)tool_check_cl(CL_OUT_OF_RESOURCES, "clFinish");
        return TUNE_FAILED;
    case FAILS_FOR_MEMORY:
        (void)tool_check(NULL, CLATTN_OUT_OF_DEVICE_MEMORY, "clattn_plan_create");
        return TUNE_FAILED;
    case IS_KILLED:
        raise(SIGKILL);
        break;
    case ABORTS:
        fputs("assertion of a driver\n", stderr);
        abort();
    case EXITS:
        _exit(3);
    case LEAVES_A_PROCESS: /* which keeps every pipe open */
        (void)fork();
        break;
    case STOPS_ALL: /* as a machine that is held still for longer than the limit */
        kill(getppid(), SIGSTOP);
        sleep(LONG_STOP_S);
        kill(getppid(), SIGCONT);
        nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL); /* the parent looks, and there is no answer yet */
        *(int *)answer = 42;
        return TUNE_OK;
    case WAITS:
    case HANGS:
        signal(SIGTERM, SIG_IGN);
        break;
    }
    for (;;)
        pause();
}

static tune_child_result run_child(fate what, double deadline_s, int *answer)
{
    const tune_child_params params = {.function = live,
                                      .user = &what,
                                      .answer = answer,
                                      .answer_bytes = sizeof *answer,
                                      .start_limit_s = 30.0,
                                      .deadline = bench_now() + deadline_s};
    return tune_child_run(&params);
}

static void child_ends(fate what, tune_outcome outcome, const char *reason)
{
    int answer = 0;
    const tune_child_result result = run_child(what, (double)INFINITY, &answer);
    assert_string_equal(tune_outcome_name_at((int)result.outcome), tune_outcome_name_at((int)outcome));
    if (!strstr(result.reason, reason))
        fail_msg("'%s' does not say '%s'", result.reason, reason);
    assert_false(result.lost);
    assert_int_equal(answer, outcome == TUNE_OK ? 42 : 0);
}

static void answer_arrives_and_what_the_child_said_is_nothing(void **state)
{
    (void)state;
    int answer = 0;
    const tune_child_result result = run_child(ANSWERS, (double)INFINITY, &answer);
    assert_int_equal(result.outcome, TUNE_OK);
    assert_string_equal(result.reason, "");
    assert_int_equal(answer, 42);
}

static void child_without_an_answer_needs_no_place_for_one(void **state)
{
    (void)state;
    fate what = ANSWERS; /* where nobody reads it */
    const tune_child_params params = {
        .function = live, .user = &what, .start_limit_s = 30.0, .deadline = (double)INFINITY};
    assert_int_equal(tune_child_run(&params).outcome, TUNE_OK);
}

static void failure_has_the_sentence_of_its_error(void **state)
{
    (void)state;
    child_ends(IS_WRONG, TUNE_WRONG, "element 7 is wrong");
    child_ends(FAILS, TUNE_FAILED, "clFinish failed with OpenCL error -5");
    child_ends(FAILS_FOR_MEMORY, TUNE_OUT_OF_MEMORY, "CLATTN_OUT_OF_DEVICE_MEMORY");
}

static void death_is_told_with_its_stage_and_last_words(void **state)
{
    (void)state;
    child_ends(ABORTS, TUNE_CRASHED, "while testing, having said: assertion of a driver");
    child_ends(EXITS, TUNE_CRASHED, "exit code 3 while testing, having said: some line");
    child_ends(IS_KILLED, TUNE_OUT_OF_MEMORY, "killed from outside while testing");
}

static void child_that_hangs_is_killed_in_time(void **state)
{
    (void)state;
    const double start = bench_now();
    child_ends(HANGS, TUNE_HUNG, "testing took more than 0.3 s");
    assert_true(bench_now() - start < 5.0);
}

/* Whoever holds the other end of this pipe is alive. */
static int alive_ends[2];

static void what_a_child_started_does_not_outlive_it(void **state)
{
    (void)state;
    char byte;
    assert_int_equal(pipe(alive_ends), 0);
    child_ends(LEAVES_A_PROCESS, TUNE_HUNG, "testing took more than 0.3 s");
    close(alive_ends[1]);
    assert_int_equal(read(alive_ends[0], &byte, 1), 0); /* the end, for nobody could write any more */
    close(alive_ends[0]);
}

static void time_in_which_nobody_ran_is_not_the_childs(void **state)
{
    (void)state;
    child_ends(STOPS_ALL, TUNE_OK, "");
}

static void deadline_stops_a_child_and_blames_nobody(void **state)
{
    (void)state;
    int answer = 0;
    const double start = bench_now();
    assert_int_equal(run_child(WAITS, 0.2, &answer).outcome, TUNE_STOPPED);
    assert_true(bench_now() - start < 5.0);
}

/* The last test: the signal stays noted. */
static void signal_stops_a_child_and_blames_nobody(void **state)
{
    (void)state;
    int answer = 0;
    tune_interrupt_catch();
    raise(SIGINT);
    assert_int_equal(tune_interrupt_signal(), SIGINT);
    assert_int_equal(run_child(WAITS, (double)INFINITY, &answer).outcome, TUNE_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_arrives_and_what_the_child_said_is_nothing),
        cmocka_unit_test(child_without_an_answer_needs_no_place_for_one),
        cmocka_unit_test(failure_has_the_sentence_of_its_error),
        cmocka_unit_test(death_is_told_with_its_stage_and_last_words),
        cmocka_unit_test(child_that_hangs_is_killed_in_time),
        cmocka_unit_test(what_a_child_started_does_not_outlive_it),
        cmocka_unit_test(time_in_which_nobody_ran_is_not_the_childs),
        cmocka_unit_test(deadline_stops_a_child_and_blames_nobody),
        cmocka_unit_test(signal_stops_a_child_and_blames_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
