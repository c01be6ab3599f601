/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes with a time limit; see child.h. */
#include "tune/child.h"

#include "bench/clock.h"
#include "common/message.h"
#include "tune/interrupt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#define STAGE_BYTES 32
#define TAIL_BYTES 4096          /* of what a child says */
#define POLL_MILLISECONDS 100    /* the longest time in which a signal goes unnoticed */
#define KILL_SECONDS 10.0        /* for a killed process to end */
#define LONGEST_STEP_SECONDS 1.0 /* from one look to the next; in what goes beyond it this process was held still */

struct tune_child {
    int answers;
};

/* What a child sends: small enough for a pipe to take it at once. */
typedef struct message {
    bool is_answer;
    tune_outcome outcome;
    double limit_s;
    char stage[STAGE_BYTES];
    unsigned char answer[TUNE_ANSWER_BYTES];
} message;

/* The parent's view of a child. */
typedef struct watch {
    const tune_child_params *params;
    pid_t pid;
    int answers, said;
    char stage[STAGE_BYTES];
    double stage_limit_s;
    double stage_left_s;
    char tail[TAIL_BYTES]; /* the last that it said, as a string */
    bool answered;
    tune_outcome outcome; /* of the answer */
} watch;

static const char *const outcome_names[TUNE_NUM_OUTCOMES] = {
    [TUNE_OK] = "ok",           [TUNE_WRONG] = "wrong",
    [TUNE_FAILED] = "failed",   [TUNE_OUT_OF_MEMORY] = "out_of_memory",
    [TUNE_CRASHED] = "crashed", [TUNE_HUNG] = "hung",
    [TUNE_STOPPED] = "stopped",
};

const char *tune_outcome_name_at(int outcome)
{
    return outcome >= 0 && outcome < TUNE_NUM_OUTCOMES ? outcome_names[outcome] : NULL;
}

static void send_message(const tune_child *child, const message *sent)
{
    /* Without a parent there is nobody to work for. */
    if (write(child->answers, sent, sizeof *sent) != (ssize_t)sizeof *sent)
        _exit(EXIT_FAILURE);
}

void tune_child_enter(const tune_child *child, const char *stage, double limit_s)
{
    message sent = {.limit_s = limit_s};
    snprintf(sent.stage, sizeof sent.stage, "%s", stage);
    send_message(child, &sent);
}

/* The child's life. It ends without the driver's help, which may hang in that as well. */
static void live(const tune_child_params *params, pid_t parent, int answers, int said)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a parent that is killed leaves no one behind */
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
#else
    (void)parent; /* without it a write fails */
#endif
    setpgid(0, 0); /* with the compilers that a driver starts, to be killed together */
    tune_interrupt_release();
    setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* a search may crash a hundred times */
    dup2(said, STDOUT_FILENO);                   /* what a driver prints is no result */
    dup2(said, STDERR_FILENO);
    const tune_child child = {answers};
    message sent = {.is_answer = true};
    sent.outcome = params->function(params->user, &child, sent.answer);
    if (sent.outcome == TUNE_FAILED && tool_failed_for_memory())
        sent.outcome = TUNE_OUT_OF_MEMORY;
    fflush(stderr);
    send_message(&child, &sent);
    _exit(EXIT_SUCCESS);
}

static void describe(tune_child_result *result, tune_outcome outcome, const char *format, ...) TOOL_PRINTF(3, 4);

static void describe(tune_child_result *result, tune_outcome outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    result->outcome = outcome;
    vsnprintf(result->reason, sizeof result->reason, format, arguments);
    va_end(arguments);
}

/* Appends what the child said to the tail, which forgets its beginning. */
static void hear(watch *child)
{
    char heard[TAIL_BYTES / 2];
    for (;;) {
        const ssize_t count = read(child->said, heard, sizeof heard);
        if (count <= 0)
            return;
        size_t length = strlen(child->tail);
        const size_t room = sizeof child->tail - 1;
        if (length + (size_t)count > room) {
            const size_t forgotten = length + (size_t)count - room;
            memmove(child->tail, child->tail + forgotten, length - forgotten + 1);
            length -= forgotten;
        }
        for (ssize_t i = 0; i < count; i++)
            child->tail[length++] = heard[i] != '\0' ? heard[i] : ' ';
        child->tail[length] = '\0';
    }
}

/* The last line, one of an error before others, without its line end; "" if there is none. */
static const char *last_line(char *text)
{
    static const char prefix[] = "error: ";
    const char *last = "";
    const char *last_error = NULL;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, prefix, sizeof prefix - 1) == 0)
            last_error = line + sizeof prefix - 1;
        last = line;
    }
    return last_error ? last_error : last;
}

/* Takes in messages; false at their end. */
static bool receive(watch *child)
{
    message received;
    const ssize_t count = read(child->answers, &received, sizeof received);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (count != (ssize_t)sizeof received)
        return false;
    if (received.is_answer) {
        child->answered = true;
        child->outcome = received.outcome;
        if (received.outcome == TUNE_OK && child->params->answer_bytes > 0)
            memcpy(child->params->answer, received.answer, child->params->answer_bytes);
        return false;
    }
    memcpy(child->stage, received.stage, sizeof child->stage);
    child->stage_limit_s = received.limit_s;
    child->stage_left_s = received.limit_s;
    return true;
}

/* Watches until the child has answered, ended or used up its time, or the search ends. */
static void follow(watch *child, tune_child_result *result)
{
    double last = bench_now();
    for (;;) {
        struct pollfd ends[] = {{.fd = child->answers, .events = POLLIN}, {.fd = child->said, .events = POLLIN}};
        const int num_ready = poll(ends, 2, POLL_MILLISECONDS);
        const double now = bench_now();
        child->stage_left_s -= fmin(now - last, LONGEST_STEP_SECONDS);
        last = now;
        hear(child);
        if (child->params->wait)
            child->params->wait(child->params->wait_user);
        if (num_ready > 0 && ends[0].revents != 0 && !receive(child))
            return;
        if (tune_interrupt_signal() != 0) {
            describe(result, TUNE_STOPPED, "interrupted while %s", child->stage);
            return;
        }
        if (now >= child->params->deadline) {
            describe(result, TUNE_STOPPED, "the time ended while %s", child->stage);
            return;
        }
        if (child->stage_left_s <= 0.0) {
            result->limit_s = child->stage_limit_s;
            describe(result, TUNE_HUNG, "%s took more than %g s", child->stage, child->stage_limit_s);
            return;
        }
    }
}

/* Kills the child and what it has started. False if that does not end it: a driver may hold a process for ever. */
static bool bury(pid_t pid, int *status)
{
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL); /* before it has a group of its own */
    const double end = bench_now() + KILL_SECONDS;
    const struct timespec pause = {.tv_nsec = 1000000};
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (bench_now() >= end)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* How a child ended that has not answered. */
static void explain_death(watch *child, int status, tune_child_result *result)
{
    const char *said = last_line(child->tail);
    const char *link = *said ? ", having said: " : "";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        describe(result, TUNE_OUT_OF_MEMORY, "killed from outside while %s, as the system does for want of memory%s%s",
                 child->stage, link, said);
    else if (WIFSIGNALED(status))
        describe(result, TUNE_CRASHED, "signal %d (%s) while %s%s%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 child->stage, link, said);
    else
        describe(result, TUNE_CRASHED, "the process ended with exit code %d while %s%s%s", WEXITSTATUS(status),
                 child->stage, link, said);
}

/* Waits a moment for a process that has closed its line: its own end tells more than being killed. */
static bool ends_by_itself(pid_t pid, int *status)
{
    const double end = bench_now() + 1.0;
    const struct timespec pause = {.tv_nsec = 1000000};
    do {
        if (waitpid(pid, status, WNOHANG) == pid)
            return true;
        nanosleep(&pause, NULL);
    } while (bench_now() < end);
    return false;
}

static void attend(watch *child, tune_child_result *result)
{
    *result = (tune_child_result){.outcome = TUNE_NUM_OUTCOMES};
    follow(child, result);
    int status = 0;
    const bool ended = result->outcome == TUNE_NUM_OUTCOMES && !child->answered && ends_by_itself(child->pid, &status);
    if (ended)
        (void)kill(-child->pid, SIGKILL); /* compilers that it has left */
    else
        result->lost = !bury(child->pid, &status);
    hear(child);
    if (result->outcome != TUNE_NUM_OUTCOMES)
        return;
    if (child->answered)
        describe(result, child->outcome, "%s", child->outcome == TUNE_OK ? "" : last_line(child->tail));
    else
        explain_death(child, status, result);
}

/* Two pipes whose ends no program inherits that a driver starts; the parent's ends never block. */
static bool make_pipes(int answers[2], int said[2])
{
    if (pipe(answers) != 0)
        return false;
    if (pipe(said) != 0) {
        close(answers[0]);
        close(answers[1]);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(answers[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(said[i], F_SETFD, FD_CLOEXEC);
    }
    (void)fcntl(answers[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(said[0], F_SETFL, O_NONBLOCK);
    return true;
}

tune_child_result tune_child_run(const tune_child_params *params)
{
    assert(params->answer_bytes <= TUNE_ANSWER_BYTES);
    tune_child_result result = {.outcome = TUNE_FAILED};
    int answers[2];
    int said[2];
    if (!make_pipes(answers, said)) {
        describe(&result, TUNE_FAILED, "cannot make a pipe: %s", strerror(errno));
        return result;
    }
    fflush(NULL); /* nothing is to be written twice */
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        close(answers[0]);
        close(said[0]);
        live(params, parent, answers[1], said[1]);
    }
    const int fork_error = errno;
    close(answers[1]);
    close(said[1]);
    if (pid < 0) {
        describe(&result, TUNE_FAILED, "cannot start a process: %s", strerror(fork_error));
    } else {
        (void)setpgid(pid, pid);
        watch child = {.params = params,
                       .pid = pid,
                       .answers = answers[0],
                       .said = said[0],
                       .stage = "starting",
                       .stage_limit_s = params->start_limit_s,
                       .stage_left_s = params->start_limit_s};
        attend(&child, &result);
    }
    close(answers[0]);
    close(said[0]);
    return result;
}
