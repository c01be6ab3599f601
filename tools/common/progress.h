/* SPDX-License-Identifier: Apache-2.0 */
/* How far a tool has come, on stderr: a bar that is redrawn on a terminal, lines elsewhere. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>

#if defined(__GNUC__)
#define TOOL_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define TOOL_PRINTF(format_index, first_index)
#endif

/* Says what happens next: a line, or within a part of something long the text behind its bar. */
void tool_progress(const char *format, ...) TOOL_PRINTF(1, 2);

/* Says how much of something is done: a bar with a text, or a line. Within a part it fills that part of its bar. */
void tool_progress_bar(int done, int total, const char *format, ...) TOOL_PRINTF(3, 4);

/*
 * Begins a part of something long, from `begin` to `end` of it, 0 to 1, and says which and how much time is left, by
 * how long the parts before it took. Off a terminal that is a line, and what is said within the part is left out. The
 * first part begins at 0; the last one is ended by tool_progress_end().
 */
void tool_progress_part(double begin, double end, const char *format, ...) TOOL_PRINTF(3, 4);

/* Ends the last part: what follows is said as if there had been none. */
void tool_progress_end(void);

/* Whether a bar is redrawn in its place, so that it costs no line to draw it again. */
bool tool_progress_is_live(void);

/* Ends the line of a bar, so that something else can be written. */
void tool_progress_break(void);

#endif
