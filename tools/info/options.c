/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks the command line of cl-info. */
#include "info/options.h"

#include "common/shapes.h"

#include <clattn/clattn.h>

static const char *cache_part_name_at(int index)
{
    return index < CLATTN_NUM_CACHE_PARTS ? clattn_cache_part_name((clattn_cache_part)index) : NULL;
}

/* clang-format off: one row is one option */
#define FIELD(name) .offset = offsetof(info_options, name)
static const tool_option table[] = {
    {"device", "NAME|INDEX", tool_read_text, FIELD(device),
     .help = "one device only: part of \"platform / device\", or a number (default: all)"},
    {"model", "NAME[,NAME...]", tool_read_names, FIELD(models), .names = tool_shape_name_at,
     .help = "rows of these models only (default: all)"},
    {"layout", "NAME", tool_read_name, FIELD(layout), .names = tool_layout_name_at,
     .help = "of the pages: combined (default), nhd, hnd, heads_first"},
    {"family", "NAME", tool_read_name, FIELD(family), .names = tool_family_name_at,
     .help = "ask for these kernels: default, vector, simt, plain"},
    {"cache-dir", "DIR", tool_read_text, FIELD(cache_dir),
     .help = "look there (default: where contexts keep their programs by default)"},
    {"cache-clear", "WHAT", tool_read_name, FIELD(cache_clear), .names = cache_part_name_at,
     .help = "first remove from the cache: useless (what is damaged, foreign or left behind), programs (all of\n"
             "them as well), or all (verdicts and notes of trials as well)"},
    {"cache-verify", NULL, tool_read_flag, FIELD(cache_verify), .help = "fail if a file of the cache is damaged"},
    {"tuning-file", "FILE", tool_read_text, FIELD(tuning_file),
     .help = "with the rows of this file (default: those of contexts)"},
    {"files", NULL, tool_read_flag, FIELD(files), .help = "list every file of the cache"},
    {"json", NULL, tool_read_flag, FIELD(json), .help = "write JSON instead of text"},
    {"help", NULL, NULL, .help = "this text"},
    {0},
};
/* clang-format on */

static const char usage_text[] =
    "usage: cl-info [OPTION]...\n"
    "\n"
    "Tells what clattn sees and would do: the OpenCL devices and their facts, the family of kernels for each and why,\n"
    "the tiles that each model's attention runs with and which level of the tuning gave them, and what lies in the\n"
    "cache of built programs: files, bytes, damage, and verdicts on kernels. Nothing is built, and nothing is changed "
    "but\n"
    "by --cache-clear.\n"
    "\n";

static const char output_text[] =
    "\n"
    "A model's heads are those of queries, of K and V, and their width; window 0/128 is one of every other\n"
    "layer. A tile has block_q packed query rows (tokens times query heads per kv head), block_kv KV tokens,\n"
    "work-items, kv heads together, float32 lanes, work-items of a sub-group (0 = the compiler's choice) and\n"
    "local memory. A sequence with at most \"rows\" packed rows is decoded, one with more is prefilled. Keys\n"
    "are split until about \"groups\" work-groups are busy, into shares of at least \"split\" tokens. The level\n"
    "says where a tile comes from: a tuning file's row for the device and driver (user_driver) or for the device\n"
    "with another driver (user_device), a built-in row for the device, its architecture or its vendor, or the\n"
    "default. A row of these is told below.\n"
    "\n"
    "JSON: {\"version\", \"error\", \"devices\": [...], \"cache\"}. error is null, or why no device can be used; then\n"
    "cache is null. A device has the fields of clattn_device_facts, its index, and usable with error, family,\n"
    "family_reason and rows; a row has the model's geometry, status and refusal, decode and prefill with their\n"
    "level, the fields of clattn_tile, local_memory_bytes and the database's row, and decode_max_rows,\n"
    "target_groups and min_split_tokens. The cache has its\n"
    "directory, error, num_files, num_bytes, states, num_programs, program_bytes, num_verdicts, verdict_bytes,\n"
    "first_used and last_used (seconds since 1970, of valid files), default_max_bytes (that contexts keep unless\n"
    "told otherwise), verified (with --cache-verify: whether no file is damaged), cleared (with --cache-clear),\n"
    "groups (the valid files of one device, driver and version), verdicts and, with --files, files. What does\n"
    "not exist is null, and so is a worst_error without bounds.\n"
    "\n"
    "exit status: 0 told, 1 something failed, a file is damaged (--cache-verify) or no device can be used, 2 wrong\n"
    "usage, 77 no OpenCL device\n";

static void choose_all_models(tool_choice *models)
{
    models->count = 0;
    while (models->count < TOOL_MAX_CHOICES && tool_shape_at(models->count)) {
        models->indices[models->count] = models->count;
        models->count++;
    }
}

tool_options_result info_options_parse(info_options *options, int argc, char **argv)
{
    uint64_t given = 0;
    *options = (info_options){.family = CLATTN_FAMILY_DEFAULT, .layout = CLATTN_KV_COMBINED, .cache_clear = -1};
    const tool_options_result result = tool_options_read(table, argc, argv, options, &given);
    if (result == TOOL_OPTIONS_HELP) {
        fputs(usage_text, stdout);
        tool_options_print(table, stdout);
        fputs(output_text, stdout);
    }
    if (!tool_option_is_given(table, given, "model"))
        choose_all_models(&options->models);
    return result;
}
