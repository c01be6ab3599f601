/* SPDX-License-Identifier: Apache-2.0 */
/* Notes signals. */
#include "tune/interrupt.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* A signal handler has no other place. */
static volatile sig_atomic_t noted;

static void note(int number)
{
    noted = number;
}

static void handle_all(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

void tune_interrupt_catch(void)
{
    handle_all(note);
}

void tune_interrupt_release(void)
{
    handle_all(SIG_DFL);
}

int tune_interrupt_signal(void)
{
    return noted;
}
