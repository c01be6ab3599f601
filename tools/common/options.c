/* SPDX-License-Identifier: Apache-2.0 */
/* A table of options for getopt_long, and the readers of common kinds of values. */
#include "common/options.h"

#include "common/message.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 23
#define SENTENCE_BYTES 512

static bool is_last(const tool_option *row)
{
    return !row->name && !row->help;
}

/* The option on the command line that takes words which are none; NULL if there is none. */
static const tool_option *find_taker(const tool_option *table, uint64_t given)
{
    for (int row = 0; !is_last(&table[row]); row++) {
        if (table[row].takes_rest && (given >> row & 1u) != 0)
            return &table[row];
    }
    return NULL;
}

tool_options_result tool_options_read(const tool_option *table, int argc, char **argv, void *options, uint64_t *given)
{
    struct option long_options[TOOL_MAX_OPTIONS + 1] = {{0}};
    int num_options = 0;
    for (int row = 0; !is_last(&table[row]); row++) {
        assert(row < TOOL_MAX_OPTIONS);
        if (table[row].name)
            long_options[num_options++] =
                (struct option){table[row].name, table[row].value ? required_argument : no_argument, NULL, row + 1};
    }
    *given = 0;
    for (int code = 0; (code = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (code == '?') /* getopt_long has named the unknown option */
            return TOOL_OPTIONS_BAD;
        const tool_option *option = &table[code - 1];
        if (!option->read)
            return TOOL_OPTIONS_HELP;
        if (!option->read(option, optarg, (char *)options + option->offset))
            return TOOL_OPTIONS_BAD;
        *given |= UINT64_C(1) << (code - 1);
    }
    const tool_option *taker = find_taker(table, *given);
    for (; taker && optind < argc; optind++) {
        if (!taker->read(taker, argv[optind], (char *)options + taker->offset))
            return TOOL_OPTIONS_BAD;
    }
    if (optind == argc)
        return TOOL_OPTIONS_READ;
    (void)tool_error("'%s' is no option; --help lists them", argv[optind]);
    return TOOL_OPTIONS_BAD;
}

bool tool_option_is_given(const tool_option *table, uint64_t given, const char *name)
{
    for (int row = 0; !is_last(&table[row]); row++) {
        if (table[row].name && strcmp(table[row].name, name) == 0)
            return (given >> row & 1u) != 0;
    }
    return false;
}

bool tool_options_check_mode(const tool_option *table, uint64_t given, unsigned mode, const char *reason)
{
    for (int row = 0; !is_last(&table[row]); row++) {
        if ((given >> row & 1u) != 0 && table[row].modes != 0 && (table[row].modes & mode) == 0)
            return tool_error("--%s %s", table[row].name, reason);
    }
    return true;
}

void tool_options_print(const tool_option *table, FILE *file)
{
    for (const tool_option *row = table; !is_last(row); row++) {
        if (!row->name) {
            fprintf(file, "%s\n", row->help);
            continue;
        }
        const int width = fprintf(file, "  --%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
        if (width > HELP_COLUMN - 2)
            fprintf(file, "\n%*s", HELP_COLUMN, "");
        else
            fprintf(file, "%*s", HELP_COLUMN - width, "");
        for (const char *at = row->help; *at; at++) {
            fputc(*at, file);
            if (*at == '\n')
                fprintf(file, "%*s", HELP_COLUMN, "");
        }
        fputc('\n', file);
    }
}

/* Names separated by commas in `sentence`, the last one behind "or"; what does not fit is left out. */
static void write_names(tool_name_at names, char *sentence)
{
    size_t length = 0;
    sentence[0] = '\0';
    for (int i = 0; names(i) && length < SENTENCE_BYTES; i++) {
        const char *separator = i == 0 ? "" : names(i + 1) ? ", " : " or ";
        const int added = snprintf(sentence + length, SENTENCE_BYTES - length, "%s%s", separator, names(i));
        length += added > 0 ? (size_t)added : 0;
    }
}

static bool refuse_name(const tool_option *option, const char *text, size_t length)
{
    char sentence[SENTENCE_BYTES];
    write_names(option->names, sentence);
    return tool_error("--%s should be %s, not '%.*s'", option->name, sentence, (int)length, text);
}

bool tool_read_flag(const tool_option *option, const char *text, void *field)
{
    (void)option;
    (void)text;
    *(bool *)field = true;
    return true;
}

bool tool_read_text(const tool_option *option, const char *text, void *field)
{
    if (*text == '\0')
        return tool_error("--%s should be %s, not empty", option->name, option->value);
    *(const char **)field = text;
    return true;
}

bool tool_read_texts(const tool_option *option, const char *text, void *field)
{
    tool_texts *texts = field;
    if (texts->count == TOOL_MAX_TEXTS)
        return tool_error("--%s should be at most %d of %s", option->name, TOOL_MAX_TEXTS, option->value);
    return tool_read_text(option, text, &texts->at[texts->count++]);
}

bool tool_parse_int(const char *text, int32_t minimum, int32_t maximum, const char **rest, int32_t *value)
{
    char *stop = NULL;
    errno = 0;
    const long number = strtol(text, &stop, 10);
    if (stop == text || (*stop != ',' && *stop != '\0') || errno != 0 || number < minimum || number > maximum)
        return false;
    *value = (int32_t)number;
    *rest = stop;
    return true;
}

bool tool_read_int(const tool_option *option, const char *text, void *field)
{
    const char *rest = NULL;
    if (tool_parse_int(text, option->minimum, option->maximum, &rest, field) && *rest == '\0')
        return true;
    return tool_error("--%s should be a whole number from %d to %d, not '%s'", option->name, (int)option->minimum,
                      (int)option->maximum, text);
}

bool tool_read_name(const tool_option *option, const char *text, void *field)
{
    const int index = tool_name_find(option->names, text, strlen(text));
    if (index < 0)
        return refuse_name(option, text, strlen(text));
    *(int *)field = index;
    return true;
}

static bool choose(const tool_option *option, int index, tool_choice *choice)
{
    if (choice->count == TOOL_MAX_CHOICES)
        return tool_error("--%s should be at most %d names", option->name, TOOL_MAX_CHOICES);
    choice->indices[choice->count++] = index;
    return true;
}

bool tool_read_names(const tool_option *option, const char *text, void *field)
{
    tool_choice *choice = field;
    choice->count = 0;
    if (strcmp(text, "all") == 0) {
        for (int i = 0; option->names(i); i++) {
            if (!choose(option, i, choice))
                return false;
        }
        return true;
    }
    for (const char *name = text;; name++) {
        const size_t length = strcspn(name, ",");
        const int index = tool_name_find(option->names, name, length);
        if (index < 0)
            return refuse_name(option, name, length);
        if (!choose(option, index, choice))
            return false;
        name += length;
        if (*name == '\0')
            return true;
    }
}
