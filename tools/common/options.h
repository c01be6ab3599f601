/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of long options, described by a table: reading, checking and the help text. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include "common/names.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TOOL_MAX_OPTIONS 63 /* rows of a table, headings included */
#define TOOL_MAX_CHOICES 16
#define TOOL_MAX_TEXTS 64

typedef struct tool_option tool_option;

/* Checks a value and stores it; false after saying what it should be. `text` is NULL for an option without one. */
typedef bool (*tool_reader)(const tool_option *option, const char *text, void *field);

/* A row of the table. The last one is all zero. */
struct tool_option {
    const char *name;         /* without its dashes; NULL = `help` is a heading */
    const char *value;        /* what the help calls its value; NULL = it takes none */
    tool_reader read;         /* NULL = asks for the help */
    size_t offset;            /* of the field in the program's options */
    int32_t minimum, maximum; /* of numbers */
    tool_name_at names;       /* that the value may be */
    unsigned modes;           /* the program's modes that have the option, one bit each; 0 = all */
    bool takes_rest;          /* words that are no options are further values of it, if it is there */
    const char *help;         /* one line or several */
};

/* A list of names, as their numbers in order; a name may stand there more than once. */
typedef struct tool_choice {
    int count;
    int indices[TOOL_MAX_CHOICES];
} tool_choice;

/* Values of an option that may be there more than once. */
typedef struct tool_texts {
    int count;
    const char *at[TOOL_MAX_TEXTS];
} tool_texts;

typedef enum tool_options_result {
    TOOL_OPTIONS_READ,
    TOOL_OPTIONS_HELP, /* the help was asked for */
    TOOL_OPTIONS_BAD   /* a sentence went to stderr */
} tool_options_result;

/* Reads a command line into `options`; sets a bit of *given for each row of the table that was there. */
tool_options_result tool_options_read(const tool_option *table, int argc, char **argv, void *options, uint64_t *given);

/* Whether an option of the table was on the command line. */
bool tool_option_is_given(const tool_option *table, uint64_t given, const char *name);

/* Refuses what was given without having the mode, with "--NAME" and a reason. */
bool tool_options_check_mode(const tool_option *table, uint64_t given, unsigned mode, const char *reason);

/* Every row with its help. */
void tool_options_print(const tool_option *table, FILE *file);

/*
 * Readers of a bool, a const char *, tool_texts, an int32_t, an int that is a number in `names`, and a tool_choice
 * ("all" = all).
 */
bool tool_read_flag(const tool_option *option, const char *text, void *field);
bool tool_read_text(const tool_option *option, const char *text, void *field);
bool tool_read_texts(const tool_option *option, const char *text, void *field);
bool tool_read_int(const tool_option *option, const char *text, void *field);
bool tool_read_name(const tool_option *option, const char *text, void *field);
bool tool_read_names(const tool_option *option, const char *text, void *field);

/* A whole decimal number in [minimum, maximum] up to the next comma or the end; *rest is what follows. */
bool tool_parse_int(const char *text, int32_t minimum, int32_t maximum, const char **rest, int32_t *value);

#endif
