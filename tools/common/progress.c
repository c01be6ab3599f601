/* SPDX-License-Identifier: Apache-2.0 */
/* A bar on the terminal or lines elsewhere, for one thing at a time or for the parts of something long. */
#include "common/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 30
#define MAX_TEXT 512
#define DEFAULT_COLUMNS 80
#define LEAST_TOLD 0.01 /* of the whole: before that nobody knows how long the rest takes */

/* What a program shows at the moment: stderr has one cursor. */
static struct {
    bool bar_is_open; /* the cursor stands behind a bar */
    bool in_part;
    double begin, end; /* of the part, in the whole */
    double done;       /* of the whole */
    double start;      /* when the whole began, in seconds */
    char part[MAX_TEXT];
} shown;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int count_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_COLUMNS;
}

/* A bar and a text on one line: a longer one would not be redrawn but repeated. */
static void draw_bar(double done, const char *text)
{
    char line[1 + BAR_WIDTH + 2 + 64 + 2 + MAX_TEXT + 2 + MAX_TEXT];
    const int filled = (int)(done * BAR_WIDTH + 1e-9);
    line[0] = '[';
    memset(line + 1, '.', BAR_WIDTH);
    memset(line + 1, '#', (size_t)filled);
    snprintf(line + 1 + BAR_WIDTH, sizeof line - 1 - BAR_WIDTH, "] %s", text);
    fprintf(stderr, "\r%.*s\033[K", count_columns() - 1, line); /* the end clears what a longer line has left */
    shown.bar_is_open = true;
}

/* "34 %, 2 min left", as far as that is known. */
static void write_time_left(char *text, size_t size)
{
    const double left = shown.done < LEAST_TOLD ? 0.0 : (now() - shown.start) * (1.0 - shown.done) / shown.done;
    const int seconds = (int)(left + 0.5);
    const int length = snprintf(text, size, "%.0f %%", shown.done * 100.0);
    if (shown.done < LEAST_TOLD || length < 0)
        return;
    text += length;
    size -= (size_t)length;
    if (seconds < 100)
        snprintf(text, size, ", %d s left", seconds);
    else if (seconds < 100 * 60)
        snprintf(text, size, ", %d min left", (seconds + 30) / 60);
    else
        snprintf(text, size, ", %d h %d min left", seconds / 3600, seconds / 60 % 60);
}

/* The bar of the whole, its part and a text from within it, or "". */
static void draw_whole(const char *detail)
{
    char left[64];
    char text[64 + 2 + MAX_TEXT + 2 + MAX_TEXT];
    write_time_left(left, sizeof left);
    snprintf(text, sizeof text, "%s: %s%s%s", left, shown.part, *detail ? ": " : "", detail);
    draw_bar(shown.done, text);
}

bool tool_progress_is_live(void)
{
    return isatty(STDERR_FILENO);
}

void tool_progress_break(void)
{
    if (shown.bar_is_open)
        fputc('\n', stderr);
    shown.bar_is_open = false;
}

void tool_progress(const char *format, ...)
{
    char text[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (shown.in_part) {
        if (tool_progress_is_live())
            draw_whole(text);
        return;
    }
    tool_progress_break();
    fprintf(stderr, "%s\n", text);
}

void tool_progress_bar(int done, int total, const char *format, ...)
{
    char text[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const bool terminal = tool_progress_is_live();
    if (shown.in_part) {
        shown.done = shown.begin + (shown.end - shown.begin) * done / total;
        if (terminal)
            draw_whole(text);
    } else if (terminal) {
        draw_bar((double)done / total, text);
        if (done == total)
            tool_progress_break();
    } else {
        fprintf(stderr, "%s\n", text);
    }
}

void tool_progress_part(double begin, double end, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(shown.part, sizeof shown.part, format, arguments);
    va_end(arguments);
    if (!shown.in_part)
        shown.start = now();
    shown.in_part = true;
    shown.begin = begin;
    shown.end = end;
    shown.done = begin;
    if (tool_progress_is_live()) {
        draw_whole("");
    } else {
        char left[64];
        write_time_left(left, sizeof left);
        fprintf(stderr, "%s (%s)\n", shown.part, left);
    }
}

void tool_progress_end(void)
{
    tool_progress_break();
    shown.in_part = false;
}
