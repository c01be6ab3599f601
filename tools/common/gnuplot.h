/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures that gnuplot draws: it runs as a child process and reads a script. */
#ifndef TOOL_GNUPLOT_H
#define TOOL_GNUPLOT_H

#include <stdbool.h>
#include <stdio.h>

/* Writes what is to be drawn; terminal and output have been set. */
typedef void (*tool_gnuplot_writer)(const void *user, FILE *script);

/* Whether a gnuplot can be called; false after saying that the option needs one. */
bool tool_gnuplot_check(const char *option);

/* Writes a text as gnuplot reads it, between single quotes. */
void tool_gnuplot_quote(const char *text, FILE *script);

/* Has gnuplot write a picture of a kind, "svg" and what goes with it, to a path; false after saying that it could not.
 */
bool tool_gnuplot_draw(const char *path, const char *terminal, tool_gnuplot_writer writer, const void *user);

#endif
