/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-tune: a table of what each option may be, and what all of them together come to. */
#include "tune/options.h"

#include "common/message.h"
#include "tune/help.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIN_HEAD_DIM 8
#define MAX_HEAD_DIM 512
#define MAX_HEADS 65536
#define MAX_RUNS 10000
#define MIN_RUNS 3 /* fewer have no quartiles */
#define MAX_SECONDS (30.0 * 24 * 3600)

/* What is done; options that only some of it has are refused with the rest. */
enum tune_mode {
    MODE_SEARCH = 1,
    MODE_DRY_RUN = 2,
    MODE_LIST_DEVICES = 4,
    MODE_LIST_SPACES = 8,
    MODE_VERSION = 16,
    MODE_PROBLEM = MODE_SEARCH | MODE_DRY_RUN,
};

/* Options as they were written; numbers are 0 and names have no count where they were not. */
typedef struct raw_options {
    tune_options out; /* what needs no second look */
    int operation, model, dtype, kv_dtype, layout, family;
    int32_t num_q_heads, num_kv_heads, head_dim, head_dim_v, page_size;
    uint64_t given;
} raw_options;

static const char *phase_name_at(int index)
{
    return index >= 0 && index < CLATTN_NUM_PHASES ? clattn_phase_name((clattn_phase)index) : NULL;
}

static const char *batch_name_at(int index)
{
    return index >= 0 && index < CLATTN_NUM_BATCH_CLASSES ? clattn_batch_class_name((clattn_batch_class)index) : NULL;
}

/* Seconds: a number with s, m or h behind it, or nothing for s. */
static bool read_duration(const tool_option *option, const char *text, void *field)
{
    char *stop = NULL;
    errno = 0;
    const double number = strtod(text, &stop);
    const bool has_unit = *stop != '\0' && stop[1] == '\0' && strchr("smh", *stop);
    const double unit = *stop == 'm' ? 60.0 : *stop == 'h' ? 3600.0 : 1.0;
    const double seconds = number * unit;
    if (stop == text || errno != 0 || (*stop != '\0' && !has_unit) || !(seconds > 0.0) || seconds > MAX_SECONDS)
        return tool_error("--%s should be a time such as 90s, 10m or 2h, of at most 720h, not '%s'", option->name,
                          text);
    *(double *)field = seconds;
    return true;
}

/* clang-format off: one row is one option */
#define FIELD(name) .offset = offsetof(raw_options, name)
static const tool_option table[] = {
    {.help = "what to tune"},
    {"device", "NAME|INDEX", tool_read_text, FIELD(out.device), .modes = MODE_PROBLEM,
     .help = "part of \"platform / device\", or a number (default: the best device)"},
    {"family", "NAME", tool_read_name, FIELD(family), .names = tool_family_name_at, .modes = MODE_PROBLEM,
     .help = "the kernels: default, vector, simt, plain"},
    {"op", "NAME", tool_read_name, FIELD(operation), .names = bench_operation_name_at, .modes = MODE_PROBLEM,
     .help = "the operation that is called: ragged_page_attention (default), page_attention,\n"
             "ragged_decode_attention, ragged_attention; rows tell pages from a dense cache"},
    {"model", "NAME", tool_read_name, FIELD(model), .names = tool_shape_name_at, .modes = MODE_PROBLEM,
     .help = "heads, soft cap and sinks of a model (default llama-3-8b)"},
    {"num-q-heads", "N", tool_read_int, FIELD(num_q_heads), 1, MAX_HEADS, .modes = MODE_PROBLEM,
     .help = "heads by number instead of --model: this and the next two"},
    {"num-kv-heads", "N", tool_read_int, FIELD(num_kv_heads), 1, MAX_HEADS, .modes = MODE_PROBLEM,
     .help = "a divisor of --num-q-heads"},
    {"head-dim", "N", tool_read_int, FIELD(head_dim), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = MODE_PROBLEM,
     .help = "a multiple of 8"},
    {"head-dim-v", "N", tool_read_int, FIELD(head_dim_v), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = MODE_PROBLEM,
     .help = "width of V and out, not with combined pages (default: head_dim)"},
    {"dtype", "NAME", tool_read_name, FIELD(dtype), .names = tool_dtype_name_at, .modes = MODE_PROBLEM,
     .help = "of queries and out: float32, float16 (default), bfloat16"},
    {"kv-dtype", "NAME", tool_read_name, FIELD(kv_dtype), .names = tool_dtype_name_at, .modes = MODE_PROBLEM,
     .help = "of K and V (default: as --dtype)"},
    {"layout", "NAME", tool_read_name, FIELD(layout), .names = tool_layout_name_at, .modes = MODE_PROBLEM,
     .help = "of the pages: combined, nhd, hnd, heads_first (default combined; nhd for\n"
             "page_attention or if V has a width of its own)"},
    {"page-size", "N", tool_read_int, FIELD(page_size), 1, 1 << 20, .modes = MODE_PROBLEM,
     .help = "KV tokens per page, of the operations that read pages (default 16)"},
    {"phase", "NAME[,NAME...]", tool_read_names, FIELD(out.phases), .names = phase_name_at, .modes = MODE_PROBLEM,
     .help = "decode, prefill, all (default: all that the operation has)"},
    {"batch", "NAME[,NAME...]", tool_read_names, FIELD(out.batches), .names = batch_name_at, .modes = MODE_PROBLEM,
     .help = "rows are for batches of one sequence (single), up to 15 (small) and more (large);\n"
             "all (default)"},
    {.help = "how to search"},
    {"strategy", "NAME", tool_read_name, FIELD(out.strategy), .names = tune_strategy_name_at, .modes = MODE_PROBLEM,
     .help = "descent (default), random, exhaustive"},
    {"budget", "TIME", read_duration, FIELD(out.budget_s), .modes = MODE_PROBLEM,
     .help = "such as 60s, 10m (default), 2h: all of it, shared among phases and batches"},
    {"max-candidates", "N", tool_read_int, FIELD(out.max_candidates), 1, INT32_MAX, .modes = MODE_PROBLEM,
     .help = "tiles to try for each phase and batch (default: as many as there is time for)"},
    {"runs", "N", tool_read_int, FIELD(out.runs), MIN_RUNS, MAX_RUNS, .modes = MODE_PROBLEM,
     .help = "rounds of tile and default, in turn (default 11); three times as many in the\n"
             "final match"},
    {"seed", "N", tool_read_int, FIELD(out.seed), 0, INT32_MAX, .modes = MODE_PROBLEM,
     .help = "of the order of tiles and of the data (default 1)"},
    {"build-limit", "TIME", read_duration, FIELD(out.build_limit_s), .modes = MODE_PROBLEM,
     .help = "for building a tile's kernels and checking their results (default 60s)"},
    {"run-limit", "TIME", read_duration, FIELD(out.run_limit_s), .modes = MODE_PROBLEM,
     .help = "for timing a tile (default 60s)"},
    {"cache-dir", "DIR", tool_read_text, FIELD(out.cache_dir), .modes = MODE_SEARCH,
     .help = "keep the programs of all tiles there (default: in a folder that vanishes)"},
    {"dry-run", NULL, tool_read_flag, FIELD(out.dry_run), .modes = MODE_DRY_RUN,
     .help = "say what would be tried and what is left out, and why; build nothing"},
    {.help = "what to write"},
    {"output", "FILE", tool_read_text, FIELD(out.output), .modes = MODE_PROBLEM,
     .help = "the tuning file that gets the rows (default: the one that contexts read); beside\n"
             "it lie FILE.journal and FILE.crashes"},
    {"resume", NULL, tool_read_flag, FIELD(out.resume), .modes = MODE_SEARCH,
     .help = "continue the search of FILE.journal"},
    {"json", NULL, tool_read_flag, FIELD(out.json), .modes = MODE_PROBLEM | MODE_LIST_SPACES,
     .help = "write JSON instead of text"},
    {.help = "what there is"},
    {"list-devices", NULL, tool_read_flag, FIELD(out.list_devices), .modes = MODE_LIST_DEVICES,
     .help = "OpenCL devices"},
    {"list-spaces", NULL, tool_read_flag, FIELD(out.list_spaces), .modes = MODE_LIST_SPACES,
     .help = "tunables of each kernel, and the values that are tried"},
    {"version", NULL, tool_read_flag, FIELD(out.version), .modes = MODE_VERSION, .help = "of clattn"},
    {"help", NULL, NULL, .help = "this text"},
    {0},
};
/* clang-format on */

static bool is_given(const raw_options *raw, const char *name)
{
    return tool_option_is_given(table, raw->given, name);
}

/* Refuses options that what is done does not have. */
static bool check_mode(const raw_options *raw)
{
    if (raw->out.version)
        return tool_options_check_mode(table, raw->given, MODE_VERSION, "and --version exclude each other");
    if (raw->out.list_devices)
        return tool_options_check_mode(table, raw->given, MODE_LIST_DEVICES, "and --list-devices exclude each other");
    if (raw->out.list_spaces)
        return tool_options_check_mode(table, raw->given, MODE_LIST_SPACES, "and --list-spaces exclude each other");
    if (raw->out.dry_run)
        return tool_options_check_mode(table, raw->given, MODE_DRY_RUN, "and --dry-run exclude each other");
    return true;
}

static bool choose_shape(const raw_options *raw, tool_shape *shape)
{
    const int num_given = (raw->num_q_heads > 0) + (raw->num_kv_heads > 0) + (raw->head_dim > 0);
    if (num_given > 0 && is_given(raw, "model"))
        return tool_error("--model and the heads by number exclude each other");
    if (num_given > 0 && num_given < 3)
        return tool_error("--num-q-heads, --num-kv-heads and --head-dim are given together");
    *shape = *tool_shape_at(raw->model);
    if (num_given > 0)
        *shape = (tool_shape){.num_q_heads = raw->num_q_heads,
                              .num_kv_heads = raw->num_kv_heads,
                              .head_dim = raw->head_dim,
                              .head_dim_v = raw->head_dim};
    if (raw->head_dim_v > 0)
        shape->head_dim_v = raw->head_dim_v;
    shape->sliding_window = 0; /* a row serves all layers of a model */
    shape->alternate_window = 0;
    if (shape->num_q_heads % shape->num_kv_heads != 0)
        return tool_error("--num-q-heads %d is not a multiple of --num-kv-heads %d", (int)shape->num_q_heads,
                          (int)shape->num_kv_heads);
    if (shape->head_dim % 8 != 0)
        return tool_error("--head-dim %d is not a multiple of 8", (int)shape->head_dim);
    return shape->head_dim_v % 8 == 0 || tool_error("--head-dim-v %d is not a multiple of 8", (int)shape->head_dim_v);
}

static bool choose_storage(const raw_options *raw, tune_options *options)
{
    const bench_operation *operation = options->operation;
    const tool_shape *shape = &options->problem.shape;
    if (operation->dense && (is_given(raw, "layout") || is_given(raw, "page-size")))
        return tool_error("--%s: %s reads a dense cache, which has no pages",
                          is_given(raw, "layout") ? "layout" : "page-size", operation->name);
    const bool separate = operation->dense || !operation->combined || shape->head_dim_v != shape->head_dim;
    options->problem.layout = is_given(raw, "layout") ? (clattn_kv_layout)raw->layout
                              : separate              ? CLATTN_KV_NHD
                                                      : CLATTN_KV_COMBINED;
    options->problem.dtype = (clattn_dtype)(raw->dtype + 1);
    options->problem.kv_dtype = (clattn_dtype)((is_given(raw, "kv-dtype") ? raw->kv_dtype : raw->dtype) + 1);
    options->problem.page_size = raw->page_size;
    return true;
}

/* All phases that the operation has, unless some were asked for. */
static bool choose_phases(const raw_options *raw, tune_options *options)
{
    if (!is_given(raw, "phase"))
        options->phases = (tool_choice){.count = options->operation->decode_only ? 1 : CLATTN_NUM_PHASES,
                                        .indices = {CLATTN_PHASE_DECODE, CLATTN_PHASE_PREFILL}};
    for (int i = 0; options->operation->decode_only && i < options->phases.count; i++) {
        if (options->phases.indices[i] == CLATTN_PHASE_PREFILL)
            return tool_error("--phase prefill: %s takes one new token for each sequence", options->operation->name);
    }
    if (!is_given(raw, "batch"))
        options->batches = (tool_choice){
            .count = CLATTN_NUM_BATCH_CLASSES,
            .indices = {CLATTN_BATCH_SINGLE, CLATTN_BATCH_SMALL, CLATTN_BATCH_LARGE},
        };
    return true;
}

static bool choose(const raw_options *raw, tune_options *options)
{
    *options = raw->out;
    options->operation = bench_operation_at(raw->operation);
    options->problem.layer = "all";
    options->family = (clattn_family)raw->family;
    static const bench_workload no_sequences; /* every task has lengths of its own */
    options->problem.workload = &no_sequences;
    const bench_operations operations = {.count = 1, .at = {options->operation}};
    return check_mode(raw) && choose_shape(raw, &options->problem.shape) && choose_storage(raw, options) &&
           choose_phases(raw, options) && bench_problem_check(&options->problem, &operations);
}

tool_options_result tune_options_parse(tune_options *options, int argc, char **argv)
{
    raw_options raw = {
        .out = {.budget_s = 600.0, .runs = 11, .seed = 1, .build_limit_s = 60.0, .run_limit_s = 60.0},
        .dtype = CLATTN_FLOAT16 - 1,
        .page_size = 16,
    };
    tool_options_result result = tool_options_read(table, argc, argv, &raw, &raw.given);
    if (result == TOOL_OPTIONS_HELP)
        tune_help_print(table);
    if (result == TOOL_OPTIONS_READ && !choose(&raw, options))
        result = TOOL_OPTIONS_BAD;
    return result;
}
