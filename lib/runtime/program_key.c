/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the texts of variants, options and keys, and reads keys; see program_key.h. */
#include "runtime/program_key.h"

#include "runtime/sources.h"

#include <clattn/version.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raise it when keys look otherwise, or when the meaning of a cached binary changes otherwise than by its sources. */
#define KEY_FORMAT "format 2"

/* Closes a memory stream and gives its text; NULL if it ran out of memory. */
static char *stream_text(FILE *stream, char **text)
{
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) == 0 && !failed)
        return *text;
    free(*text);
    return NULL;
}

char *clattn_variant_options(const clattn_variant *variant)
{
    char *text = NULL;
    size_t num_bytes = 0;
    FILE *stream = open_memstream(&text, &num_bytes);
    if (stream == NULL)
        return NULL;
    fputs("-cl-std=CL1.2", stream);
    for (int32_t i = 0; i < variant->num_defines; i++)
        fprintf(stream, " -D%s=%" PRId32, variant->defines[i].name, variant->defines[i].value);
    return stream_text(stream, &text);
}

char *clattn_program_key_text(const clattn_device_facts *facts, const clattn_variant *variant, const char *options)
{
    const clattn_program_source *source = &clattn_program_sources[variant->program];
    char *text = NULL;
    size_t num_bytes = 0;
    FILE *stream = open_memstream(&text, &num_bytes);
    if (stream == NULL)
        return NULL;
    fprintf(stream, KEY_FORMAT "\nclattn %s\nplatform %s\ndevice %s\nvendor %s\ndriver %s\n", CLATTN_VERSION_STRING,
            facts->platform, facts->name, facts->vendor, facts->driver);
    fprintf(stream, "program %s\noptions %s\n", source->name, options);
    for (int i = 0; i < source->num_parts; i++)
        fputs(source->parts[i], stream);
    return stream_text(stream, &text);
}

/* Takes "<name> <value>\n" from the front of *text; NULL if something else stands there. */
static const char *take_line(char **text, const char *name)
{
    const size_t name_bytes = strlen(name);
    char *line = *text;
    char *end = strchr(line, '\n');
    if (end == NULL || strncmp(line, name, name_bytes) != 0 || line[name_bytes] != ' ')
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line + name_bytes + 1;
}

bool clattn_program_key_parse(char *text, clattn_program_key *key)
{
    const size_t format_bytes = strlen(KEY_FORMAT "\n");
    if (strncmp(text, KEY_FORMAT "\n", format_bytes) != 0)
        return false;
    char *rest = text + format_bytes;
    const struct {
        const char *name;
        const char **value;
    } lines[] = {
        {"clattn", &key->version}, {"platform", &key->platform}, {"device", &key->device},   {"vendor", &key->vendor},
        {"driver", &key->driver},  {"program", &key->program},   {"options", &key->options},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        *lines[i].value = take_line(&rest, lines[i].name);
        if (*lines[i].value == NULL)
            return false;
    }
    return true;
}
