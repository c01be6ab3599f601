/* SPDX-License-Identifier: Apache-2.0 */
/* What the binary of a variant depends on, as the text that names it in the disk cache; its first lines can be read. */
#ifndef CLATTN_RUNTIME_PROGRAM_KEY_H
#define CLATTN_RUNTIME_PROGRAM_KEY_H

#include "runtime/program.h"

#include <clattn/device.h>

/* What stands in a key before the sources. */
typedef struct clattn_program_key {
    const char *version; /* of clattn */
    const char *platform;
    const char *device;
    const char *vendor;
    const char *driver;
    const char *program;
    const char *options;
} clattn_program_key;

/* Everything that the binary of a variant depends on; malloc'ed, NULL without memory. */
char *clattn_program_key_text(const clattn_device_facts *facts, const clattn_variant *variant, const char *options);

/* Cuts a key's text up; the fields point into it. False, with a spoilt text, if it is no key of this format. */
bool clattn_program_key_parse(char *text, clattn_program_key *key);

#endif
