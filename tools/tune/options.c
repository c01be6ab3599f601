/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cl-tune: a table of what each option may be, and what all of them together come to. */
#include "tune/options.h"

#include "common/message.h"
#include "tune/help.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_HEAD_DIM 8
#define MAX_HEAD_DIM 512
#define MAX_HEADS 65536
#define MAX_RUNS 10000
#define MIN_RUNS 3 /* fewer have no quartiles */
#define MAX_SECONDS (30.0 * 24 * 3600)
#define DEFAULT_BUDGET_S 600.0

/* Sets of modes. */
enum {
    PROBLEM = TUNE_MODE_SEARCH | TUNE_MODE_DRY_RUN,
    CALL = TUNE_MODE_EXPLAIN | TUNE_MODE_WARM,
    KERNELS = CALL | TUNE_MODE_CHECK,
};

/* Options as they were written; numbers are 0 and names have no count where they were not. */
typedef struct raw_options {
    tune_options out; /* what needs no second look */
    bool dry_run, explain, check, warm, list_devices, list_spaces, version;
    int operation, model, dtype, layout, family;
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
    {"device", "NAME|INDEX", tool_read_text, FIELD(out.device), .modes = PROBLEM | KERNELS,
     .help = "part of \"platform / device\", or a number (default: the best device)"},
    {"family", "NAME", tool_read_name, FIELD(family), .names = tool_family_name_at, .modes = PROBLEM | KERNELS,
     .help = "the kernels: default, vector, simt, plain"},
    {"op", "NAME", tool_read_name, FIELD(operation), .names = bench_operation_name_at, .modes = PROBLEM | CALL,
     .help = "the operation that is called: ragged_page_attention (default), page_attention,\n"
             "ragged_decode_attention, ragged_attention; rows tell pages from a dense cache"},
    {"model", "NAME", tool_read_name, FIELD(model), .names = tool_shape_name_at, .modes = PROBLEM | KERNELS,
     .help = "heads, soft cap and sinks of a model (default llama-3-8b)"},
    {"num-q-heads", "N", tool_read_int, FIELD(num_q_heads), 1, MAX_HEADS, .modes = PROBLEM | KERNELS,
     .help = "heads by number instead of --model: this and the next two"},
    {"num-kv-heads", "N", tool_read_int, FIELD(num_kv_heads), 1, MAX_HEADS, .modes = PROBLEM | KERNELS,
     .help = "a divisor of --num-q-heads"},
    {"head-dim", "N", tool_read_int, FIELD(head_dim), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = PROBLEM | KERNELS,
     .help = "a multiple of 8"},
    {"head-dim-v", "N", tool_read_int, FIELD(head_dim_v), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = PROBLEM | KERNELS,
     .help = "width of V and out, not with combined pages (default: head_dim)"},
    {"dtype", "NAME", tool_read_name, FIELD(dtype), .names = tool_dtype_name_at, .modes = PROBLEM | KERNELS,
     .help = "of queries and out: float32, float16 (default), bfloat16"},
    {"kv-dtype", "NAME[,NAME...]", tool_read_names, FIELD(out.kv_dtypes), .names = tool_dtype_name_at,
     .modes = PROBLEM | KERNELS,
     .help = "of K and V (default: as --dtype); a search is of one, --check of all by default"},
    {"layout", "NAME", tool_read_name, FIELD(layout), .names = tool_layout_name_at, .modes = PROBLEM | CALL,
     .help = "of the pages: combined, nhd, hnd, heads_first (default combined; nhd for\n"
             "page_attention or if V has a width of its own)"},
    {"page-size", "N", tool_read_int, FIELD(page_size), 1, 1 << 20, .modes = PROBLEM | CALL,
     .help = "KV tokens per page, of the operations that read pages (default 16)"},
    {"phase", "NAME[,NAME...]", tool_read_names, FIELD(out.phases), .names = phase_name_at, .modes = PROBLEM | KERNELS,
     .help = "decode, prefill, all (default: all that the operation has)"},
    {"batch", "NAME[,NAME...]", tool_read_names, FIELD(out.batches), .names = batch_name_at, .modes = PROBLEM | CALL,
     .help = "rows are for batches of one sequence (single), up to 15 (small) and more (large);\n"
             "all (default)"},
    {.help = "how to search"},
    {"strategy", "NAME", tool_read_name, FIELD(out.strategy), .names = tune_strategy_name_at, .modes = PROBLEM,
     .help = "descent (default), random, exhaustive"},
    {"budget", "TIME", read_duration, FIELD(out.budget_s), .modes = PROBLEM | TUNE_MODE_CHECK | TUNE_MODE_WARM,
     .help = "such as 60s, 10m (default), 2h: all of it, shared among phases and batches;\n"
             "--check and --warm have no limit by default"},
    {"max-candidates", "N", tool_read_int, FIELD(out.max_candidates), 1, INT32_MAX, .modes = PROBLEM,
     .help = "tiles to try for each phase and batch (default: as many as there is time for)"},
    {"runs", "N", tool_read_int, FIELD(out.runs), MIN_RUNS, MAX_RUNS, .modes = PROBLEM | TUNE_MODE_EXPLAIN,
     .help = "rounds of tile and default, in turn (default 11); three times as many in the\n"
             "final match; also rounds of --explain"},
    {"seed", "N", tool_read_int, FIELD(out.seed), 0, INT32_MAX, .modes = PROBLEM | TUNE_MODE_CHECK,
     .help = "of the order of tiles and of the data (default 1)"},
    {"build-limit", "TIME", read_duration, FIELD(out.build_limit_s),
     .modes = PROBLEM | TUNE_MODE_CHECK | TUNE_MODE_WARM,
     .help = "for building a tile's kernels and checking their results (default 60s)"},
    {"run-limit", "TIME", read_duration, FIELD(out.run_limit_s), .modes = PROBLEM,
     .help = "for timing a tile (default 60s)"},
    {"cache-dir", "DIR", tool_read_text, FIELD(out.cache_dir), .modes = TUNE_MODE_SEARCH | KERNELS,
     .help = "keep programs there (default: those of a search in a folder that vanishes, others\n"
             "where contexts keep them)"},
    {"dry-run", NULL, tool_read_flag, FIELD(dry_run), .modes = TUNE_MODE_DRY_RUN,
     .help = "say what would be tried and what is left out, and why; build nothing"},
    {.help = "what to write"},
    {"output", "FILE", tool_read_text, FIELD(out.output), .modes = PROBLEM | TUNE_MODE_MERGE | TUNE_MODE_EXPORT,
     .help = "the tuning file that gets the rows (default: the one that contexts read); beside\n"
             "it lie FILE.journal and FILE.crashes"},
    {"resume", NULL, tool_read_flag, FIELD(out.resume), .modes = TUNE_MODE_SEARCH,
     .help = "continue the search of FILE.journal"},
    {"report", "FILE.html", tool_read_text, FIELD(out.report), .modes = TUNE_MODE_SEARCH | TUNE_MODE_REPORT,
     .help = "a page of the search when it ends, with pictures by gnuplot"},
    {"journal", "FILE", tool_read_text, FIELD(out.journal), .modes = TUNE_MODE_REPORT,
     .help = "make the --report of this journal, and search nothing"},
    {"json", NULL, tool_read_flag, FIELD(out.json), .modes = PROBLEM | KERNELS | TUNE_MODE_LIST_SPACES,
     .help = "write JSON instead of text"},
    {.help = "what else can be done"},
    {"explain", NULL, tool_read_flag, FIELD(explain), .modes = TUNE_MODE_EXPLAIN,
     .help = "which row answers for the problem and where it comes from, what the compiled\n"
             "kernels need, and how fast they are by what the device can do"},
    {"check", NULL, tool_read_flag, FIELD(check), .modes = TUNE_MODE_CHECK,
     .help = "compare the results of every kernel with float64; with heads or a model only those\n"
             "that it needs"},
    {"warm", NULL, tool_read_flag, FIELD(warm), .modes = TUNE_MODE_WARM,
     .help = "build the programs of the problem, for all phases and batches, into the cache"},
    {"tuning", "FILE|none", tool_read_text, FIELD(out.tuning), .modes = KERNELS,
     .help = "the tuning file that these three read (default: the user's)"},
    {"merge", "FILE...", tool_read_texts, FIELD(out.merge), .modes = TUNE_MODE_MERGE, .takes_rest = true,
     .help = "put the rows of files into the tuning file (--output)"},
    {"export-rows", "FILE|-", tool_read_text, FIELD(out.export_path), .modes = TUNE_MODE_EXPORT,
     .help = "write the rows of the tuning file (--output), sorted and one a line"},
    {"list-devices", NULL, tool_read_flag, FIELD(list_devices), .modes = TUNE_MODE_LIST_DEVICES,
     .help = "OpenCL devices"},
    {"list-spaces", NULL, tool_read_flag, FIELD(list_spaces), .modes = TUNE_MODE_LIST_SPACES,
     .help = "tunables of each kernel, and the values that are tried"},
    {"version", NULL, tool_read_flag, FIELD(version), .modes = TUNE_MODE_VERSION, .help = "of clattn"},
    {"help", NULL, NULL, .help = "this text"},
    {0},
};
/* clang-format on */

static bool is_given(const raw_options *raw, const char *name)
{
    return tool_option_is_given(table, raw->given, name);
}

/* Without any of these, a search. */
static const struct {
    const char *name;
    tune_mode mode;
} mode_options[] = {
    {"version", TUNE_MODE_VERSION},
    {"list-devices", TUNE_MODE_LIST_DEVICES},
    {"list-spaces", TUNE_MODE_LIST_SPACES},
    {"dry-run", TUNE_MODE_DRY_RUN},
    {"explain", TUNE_MODE_EXPLAIN},
    {"check", TUNE_MODE_CHECK},
    {"warm", TUNE_MODE_WARM},
    {"merge", TUNE_MODE_MERGE},
    {"export-rows", TUNE_MODE_EXPORT},
    {"journal", TUNE_MODE_REPORT},
};

/* Refuses options that what is done does not have. */
static bool choose_mode(const raw_options *raw, tune_options *options)
{
    options->mode = TUNE_MODE_SEARCH;
    for (size_t i = 0; i < sizeof mode_options / sizeof *mode_options; i++) {
        char reason[64];
        if (!is_given(raw, mode_options[i].name))
            continue;
        options->mode = mode_options[i].mode;
        snprintf(reason, sizeof reason, "and --%s exclude each other", mode_options[i].name);
        return tool_options_check_mode(table, raw->given, options->mode, reason) &&
               (options->mode != TUNE_MODE_REPORT || options->report ||
                tool_error("--journal goes with --report, which names the page"));
    }
    return tool_options_check_mode(table, raw->given, TUNE_MODE_SEARCH, "goes with --explain, --check and --warm only");
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

static bool choose_kv_dtypes(const raw_options *raw, tune_options *options)
{
    tool_choice *chosen = &options->kv_dtypes;
    for (int i = 0; chosen->count == 0 && options->mode == TUNE_MODE_CHECK && tool_dtype_name_at(i); i++)
        chosen->indices[i] = i;
    if (chosen->count == 0 && options->mode == TUNE_MODE_CHECK)
        chosen->count = CLATTN_NUM_DTYPES - 1;
    else if (chosen->count == 0)
        *chosen = (tool_choice){.count = 1, .indices = {raw->dtype}};
    options->problem.kv_dtype = (clattn_dtype)(chosen->indices[0] + 1);
    return chosen->count == 1 || (options->mode & PROBLEM) == 0 ||
           tool_error("--kv-dtype: a search is of one type, since a row is");
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
    options->problem.page_size = raw->page_size;
    return choose_kv_dtypes(raw, options);
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
    options->has_shape = is_given(raw, "model") || raw->num_q_heads > 0 || raw->head_dim_v > 0;
    options->has_dtype = is_given(raw, "dtype");
    if (options->tuning && strcmp(options->tuning, "none") == 0)
        options->tuning = "";
    const bench_operations operations = {.count = 1, .at = {options->operation}};
    if (!choose_mode(raw, options))
        return false;
    if (!is_given(raw, "budget"))
        options->budget_s = (options->mode & PROBLEM) != 0 ? DEFAULT_BUDGET_S : HUGE_VAL;
    return choose_shape(raw, &options->problem.shape) && choose_storage(raw, options) && choose_phases(raw, options) &&
           bench_problem_check(&options->problem, &operations);
}

tool_options_result tune_options_parse(tune_options *options, int argc, char **argv)
{
    raw_options raw = {
        .out = {.runs = 11, .seed = 1, .build_limit_s = 60.0, .run_limit_s = 60.0},
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
