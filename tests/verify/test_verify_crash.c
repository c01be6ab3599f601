/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that dies: a child process builds or tries a kernel and does not survive it, and whoever comes next leaves
 * that kernel alone. The children are forked before this process has touched OpenCL, whose threads do not survive that.
 */
#include "sabotage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Directories that a child died in, in its build and in its trial. */
typedef struct crash_state {
    void *directories[2];
} crash_state;

/* What the child does until it dies; 77 = there is nothing to run it on. */
static void live(const char *directory, bool in_build)
{
    const support_attention_case problem = verify_batch(0);
    if (!verify_has_device())
        _exit(SUPPORT_EXIT_NO_DEVICE);
    verify_fixture *fixture = verify_open(directory, true);
    sabotage_now.parts[0] = sabotage_part_of(fixture->device.family);
    sabotage_now.dies_in_build = in_build;
    sabotage_now.dies_in_kernel = !in_build;
    support_attention *attention = support_attention_create(&fixture->device, &problem);
    (void)support_attention_call(attention, &fixture->device, NULL, 0, NULL, NULL);
    _exit(EXIT_SUCCESS);
}

static int die_in_children(void **state)
{
    crash_state *made = calloc(1, sizeof *made);
    assert_non_null(made);
    *state = made;
    for (int i = 0; i < 2; i++) {
        int status = 0;
        if (support_directory_setup(&made->directories[i]) != 0)
            return -1;
        const pid_t child = fork();
        if (child == 0)
            live(made->directories[i], i == 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == SUPPORT_EXIT_NO_DEVICE)
            exit(SUPPORT_EXIT_NO_DEVICE);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    return 0;
}

static int remove_directories(void **state)
{
    crash_state *made = *state;
    for (int i = 0; i < 2; i++)
        if (support_directory_teardown(&made->directories[i]) != 0)
            return -1;
    free(made);
    return 0;
}

/* The kernel is not touched: it would be right now, but nobody asks it. */
static void assert_left_alone(const char *directory)
{
    verify_fixture *fixture = verify_open(directory, true);
    const support_attention_case problem = verify_batch(0);
    support_attention *attention = support_attention_create(&fixture->device, &problem);
    const clattn_status status = support_attention_call(attention, &fixture->device, NULL, 0, NULL, NULL);
    const bool plain = fixture->device.family == CLATTN_FAMILY_PLAIN;
    assert_int_equal(status, plain ? CLATTN_KERNEL_REJECTED : CLATTN_OK);
    if (plain)
        assert_non_null(strstr(clattn_context_last_error(fixture->device.ctx), "is crashed on this device"));
    else
        support_attention_verify(&fixture->device, &problem);
    assert_int_equal(fixture->log.num_warnings, 1);
    assert_non_null(strstr(fixture->log.warning, "did not survive"));
    const verify_files files = verify_list(fixture);
    assert_int_equal(files.num_verdicts[CLATTN_VERDICT_CRASHED], 1);
    assert_int_equal(files.num_verdicts[CLATTN_VERDICT_VERIFIED], plain ? 0 : 1);
    assert_int_equal(files.num_others, 0); /* the note is gone */
    support_attention_destroy(&attention);
    verify_close(&fixture);
}

static void a_build_that_killed_its_process_is_remembered(void **state)
{
    crash_state *made = *state;
    assert_left_alone(made->directories[0]);
    assert_left_alone(made->directories[0]);
}

static void a_trial_that_killed_its_process_is_remembered(void **state)
{
    crash_state *made = *state;
    assert_left_alone(made->directories[1]);
    assert_left_alone(made->directories[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_that_killed_its_process_is_remembered),
        cmocka_unit_test(a_trial_that_killed_its_process_is_remembered),
    };
    support_select_family(argc, argv);
    return cmocka_run_group_tests_name("verify_crash", tests, die_in_children, remove_directories);
}
