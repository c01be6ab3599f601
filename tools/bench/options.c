/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of cl-bench: a table of what each option may be, and what all of them together come to: the problems
 * to measure, one for each combination of model, workload, dtype of K and V and layout.
 */
#include "bench/options.h"

#include "bench/help.h"
#include "common/message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS 10000
#define MIN_HEAD_DIM 8
#define MAX_HEAD_DIM 512
#define MAX_HEADS 65536
#define MAX_REQUESTS 10000000
#define DEFAULT_RUNS 11
#define DEFAULT_REPLAYS 3
#define DEFAULT_OVERHEAD_CALLS 3000
#define OVERHEAD_HEAD_DIM 64

/* What is measured; options that only some of it has are refused with the rest. */
enum bench_mode {
    MODE_TIME = 1,
    MODE_OVERHEAD = 2,
    MODE_TRACE = 4,
    MODE_LIST = 8,
    MODE_PROBLEM = MODE_TIME | MODE_TRACE,
    MODE_CALL = MODE_TIME | MODE_OVERHEAD,
    MODE_MEASURE = MODE_TIME | MODE_OVERHEAD | MODE_TRACE,
};

/* Options as they were written; numbers are 0 and names have no count where they were not. */
typedef struct raw_options {
    bool overhead, list, against_default;
    tool_choice operations, models, workloads, kv_dtypes, layouts;
    int dtype, family; /* tool_dtype_name_at and tool_family_name_at */
    int32_t num_q_heads, num_kv_heads, head_dim, head_dim_v;
    int32_t window;
    double soft_cap;
    int32_t page_size, num_seqs, num_splits, runs;
    const char *q_lens, *context_lens;
    const char *trace_path;
    int32_t limit, step_ms, token_budget, max_seqs, kv_tokens;
    const char *device, *tuning_file, *json_path, *csv_path, *plot_path, *compare_path;
    uint64_t given;
} raw_options;

static bool read_soft_cap(const tool_option *option, const char *text, void *field)
{
    char *stop = NULL;
    const double value = strtod(text, &stop);
    /* A positive number that is 0 as float32 would switch the cap off. */
    const bool fits = isfinite((float)value) && (value > 0.0) == ((float)value > 0.0f);
    if (stop == text || *stop != '\0' || !fits || value < 0.0)
        return tool_error("--%s should be 0 or a positive float32, not '%s'", option->name, text);
    *(double *)field = value;
    return true;
}

/* clang-format off: one row is one option */
#define FIELD(name) .offset = offsetof(raw_options, name)
static const tool_option table[] = {
    {.help = "what to run"},
    {"op", "NAME[,NAME...]", tool_read_names, FIELD(operations), .names = bench_operation_name_at, .modes = MODE_CALL,
     .help = "one or several, measured in turns and compared with the first (default\n"
             "ragged_page_attention); one name twice shows the noise; --list says which there are"},
    {"model", "NAME[,NAME...]", tool_read_names, FIELD(models), .names = tool_shape_name_at, .modes = MODE_PROBLEM,
     .help = "heads, window, soft cap and sinks of a model (default: the first of --list); a model with\n"
             "two kinds of layers gives two results (one with --window); \"all\" = all models"},
    {"num-q-heads", "N", tool_read_int, FIELD(num_q_heads), 1, MAX_HEADS, .modes = MODE_PROBLEM,
     .help = "heads by number instead of --model: this and the next two"},
    {"num-kv-heads", "N", tool_read_int, FIELD(num_kv_heads), 1, MAX_HEADS, .modes = MODE_PROBLEM,
     .help = "a divisor of --num-q-heads"},
    {"head-dim", "N", tool_read_int, FIELD(head_dim), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = MODE_PROBLEM,
     .help = "a multiple of 8"},
    {"head-dim-v", "N", tool_read_int, FIELD(head_dim_v), MIN_HEAD_DIM, MAX_HEAD_DIM, .modes = MODE_PROBLEM,
     .help = "width of V and out, not with combined pages (default: head_dim)"},
    {"window", "N", tool_read_int, FIELD(window), 0, INT32_MAX, .modes = MODE_PROBLEM,
     .help = "keys that a query sees, its own included; 0 = all (replaces the model's)"},
    {"soft-cap", "X", read_soft_cap, FIELD(soft_cap), .modes = MODE_PROBLEM,
     .help = "cap*tanh(logit/cap); 0 = off (replaces the model's)"},
    {"workload", "NAME[,NAME...]", tool_read_names, FIELD(workloads), .names = bench_workload_name_at,
     .modes = MODE_TIME, .help = "lengths of a batch by name; \"all\" = all workloads"},
    {"seqs", "N", tool_read_int, FIELD(num_seqs), 1, BENCH_MAX_SEQS, .modes = MODE_TIME,
     .help = "lengths by number instead of --workload: sequences (default 1, or as many as\n"
             "the longer list below)"},
    {"q-len", "N[,N...]", tool_read_text, FIELD(q_lens), .modes = MODE_TIME,
     .help = "new tokens per sequence: one number for all, or one for each (default 1)"},
    {"context", "N[,N...]", tool_read_text, FIELD(context_lens), .modes = MODE_TIME,
     .help = "KV tokens per sequence, the new ones included (default 1024); the longest is\n"
             "the seq_len of a dense cache"},
    {"trace", "FILE", tool_read_text, FIELD(trace_path), .modes = MODE_TRACE,
     .help = "instead of a workload: replay the requests of a trace as a continuous batch, the\n"
             "attention calls of one layer (TIMESTAMP,ContextTokens,GeneratedTokens)"},
    {"limit", "N", tool_read_int, FIELD(limit), 1, MAX_REQUESTS, .modes = MODE_TRACE,
     .help = "requests of the trace (default 100)"},
    {"step-ms", "N", tool_read_int, FIELD(step_ms), 0, INT32_MAX, .modes = MODE_TRACE,
     .help = "the trace's time from one step to the next (default 50); 0 = all requests are\n"
             "there at the beginning"},
    {"token-budget", "N", tool_read_int, FIELD(token_budget), 1, INT32_MAX, .modes = MODE_TRACE,
     .help = "new tokens of a step, decodes before prompts (default 512)"},
    {"max-seqs", "N", tool_read_int, FIELD(max_seqs), 1, BENCH_MAX_SEQS, .modes = MODE_TRACE,
     .help = "requests at once (default 64)"},
    {"kv-tokens", "N", tool_read_int, FIELD(kv_tokens), 1, INT32_MAX, .modes = MODE_TRACE,
     .help = "that the KV cache holds (default 65536)"},
    {.help = "how it is stored"},
    {"dtype", "NAME", tool_read_name, FIELD(dtype), .names = tool_dtype_name_at, .modes = MODE_MEASURE,
     .help = "of queries and out: float32, float16 (default), bfloat16; ragged_attention\n"
             "writes float32 always"},
    {"kv-dtype", "NAME[,NAME...]", tool_read_names, FIELD(kv_dtypes), .names = tool_dtype_name_at,
     .modes = MODE_MEASURE, .help = "of K and V (default: as --dtype)"},
    {"layout", "NAME[,NAME...]", tool_read_names, FIELD(layouts), .names = tool_layout_name_at, .modes = MODE_PROBLEM,
     .help = "of the pages: combined, nhd, hnd, heads_first (default combined; nhd if\n"
             "page_attention is measured or V has a width of its own)"},
    {"page-size", "N", tool_read_int, FIELD(page_size), 1, INT32_MAX, .modes = MODE_PROBLEM,
     .help = "KV tokens per page, of the operations that read pages (default 16)"},
    {.help = "how to run it"},
    {"num-splits", "N", tool_read_int, FIELD(num_splits), 0, INT32_MAX, .modes = MODE_PROBLEM,
     .help = "KV partitions of every row; 0 = automatic (default)"},
    {"family", "NAME", tool_read_name, FIELD(family), .names = tool_family_name_at, .modes = MODE_MEASURE,
     .help = "the kernels: default, vector, simt, plain"},
    {"device", "NAME|INDEX", tool_read_text, FIELD(device), .modes = MODE_MEASURE,
     .help = "part of \"platform / device\", or a number (default: the best device)"},
    {"tuning-file", "FILE|none", tool_read_text, FIELD(tuning_file), .modes = MODE_MEASURE,
     .help = "rows of tiles, as cl-tune writes them (default: the file that contexts read)"},
    {"against-default", NULL, tool_read_flag, FIELD(against_default), .modes = MODE_TIME,
     .help = "also time each operation with the tiles that run without a tuning file, in the same\n"
             "rounds; gain: how many times as fast the operation is as with those"},
    {"runs", "N", tool_read_int, FIELD(runs), 1, MAX_RUNS, .modes = MODE_MEASURE,
     .help = "rounds of probe, probe, operations (default 11); with --overhead calls\n"
             "(default 3000); with --trace replays (default 3)"},
    {"overhead", NULL, tool_read_flag, FIELD(overhead), .modes = MODE_OVERHEAD,
     .help = "measure a problem of one key and one head instead: microseconds from call to\n"
             "return of the operation with a plan, and of the bare clSetKernelArg and\n"
             "clEnqueueNDRangeKernel of as many kernels, in pairs on a drained queue; the\n"
             "overhead is the median of the difference within a pair; also the update of a\n"
             "plan of 64 sequences, and the first call of a process with all caches empty\n"
             "(cold) and with those that the process before it has left (warm)"},
    {.help = "what to write"},
    {"json", "FILE|-", tool_read_text, FIELD(json_path), .modes = MODE_MEASURE,
     .help = "also write the results as JSON; with - the table goes to stderr"},
    {"csv", "FILE|-", tool_read_text, FIELD(csv_path), .modes = MODE_MEASURE,
     .help = "also write them as comma-separated values"},
    {"compare", "FILE", tool_read_text, FIELD(compare_path), .modes = MODE_MEASURE,
     .help = "the --json of an earlier run: the ratio of each time to the old one, with the\n"
             "noise of both"},
    {"plot", "FILE.svg", tool_read_text, FIELD(plot_path), .modes = MODE_PROBLEM,
     .help = "draw the results under the roofline, with gnuplot"},
    {"list", NULL, tool_read_flag, FIELD(list), .modes = MODE_LIST,
     .help = "operations, models, workloads, dtypes, layouts, families and devices; nothing is\nmeasured"},
    {"help", NULL, NULL, .help = "this text"},
    {0},
};
/* clang-format on */

static bool is_given(const raw_options *raw, const char *name)
{
    return tool_option_is_given(table, raw->given, name);
}

static bool choose_operations(raw_options *raw, bench_options *options)
{
    if (raw->operations.count == 0)
        raw->operations = (tool_choice){.count = 1, .indices = {BENCH_RAGGED_PAGE_ATTENTION}};
    for (int i = 0; i < raw->operations.count; i++)
        options->operations.at[i] = bench_operation_at(raw->operations.indices[i]);
    options->operations.count = raw->operations.count;
    const char *first = options->operations.at[0]->name;
    const bool have_pages = bench_operations_have_pages(&options->operations);
    if (!have_pages && is_given(raw, "page-size"))
        return tool_error("--page-size: %s reads a dense cache, which has no pages", first);
    if (!have_pages && is_given(raw, "layout"))
        return tool_error("--layout: %s reads a dense cache, which has one layout", first);
    return true;
}

static bool choose_trace(const raw_options *raw, bench_options *options)
{
    if (raw->token_budget < raw->max_seqs)
        return tool_error("--token-budget %d should be at least --max-seqs, %d: each of them may decode",
                          (int)raw->token_budget, (int)raw->max_seqs);
    options->replay = (bench_replay_params){
        .step_s = raw->step_ms * 1e-3,
        .token_budget = raw->token_budget,
        .max_seqs = raw->max_seqs,
        .kv_tokens = raw->kv_tokens,
    };
    return bench_trace_read(&options->replay.trace, raw->trace_path, raw->limit) &&
           bench_workload_init_trace(&options->workloads[0]);
}

static bool choose_workloads(const raw_options *raw, bench_options *options)
{
    const bool listed = raw->num_seqs > 0 || raw->q_lens || raw->context_lens;
    if (raw->workloads.count > 0 && listed)
        return tool_error("--workload and --seqs, --q-len, --context exclude each other");
    const int count = raw->workloads.count > 0 ? raw->workloads.count : 1;
    options->workloads = calloc((size_t)count, sizeof *options->workloads);
    if (!options->workloads)
        return tool_error("out of memory");
    options->num_workloads = count;
    if (raw->trace_path)
        return choose_trace(raw, options);
    if (raw->workloads.count == 0)
        return bench_workload_init_listed(&options->workloads[0], raw->num_seqs, raw->q_lens, raw->context_lens);
    for (int i = 0; i < count; i++) {
        if (!bench_workload_init_named(&options->workloads[i], raw->workloads.indices[i]))
            return false;
    }
    return true;
}

/* Heads, window and soft cap that were given replace those of a model. */
static bool refine_model(const raw_options *raw, tool_shape *shape)
{
    if (raw->head_dim_v > 0)
        shape->head_dim_v = raw->head_dim_v;
    if (is_given(raw, "window"))
        shape->sliding_window = raw->window;
    if (is_given(raw, "soft-cap"))
        shape->logits_soft_cap = (float)raw->soft_cap;
    if (shape->num_q_heads % shape->num_kv_heads != 0)
        return tool_error("--num-q-heads %d is not a multiple of --num-kv-heads %d", (int)shape->num_q_heads,
                          (int)shape->num_kv_heads);
    if (shape->head_dim % 8 != 0)
        return tool_error("--head-dim %d is not a multiple of 8", (int)shape->head_dim);
    if (shape->head_dim_v % 8 != 0)
        return tool_error("--head-dim-v %d is not a multiple of 8", (int)shape->head_dim_v);
    return true;
}

/* The layouts that were given, or the one that all operations can read. */
static tool_choice choose_layouts(const raw_options *raw, const tool_shape *shape, const bench_operations *operations)
{
    if (raw->layouts.count > 0)
        return raw->layouts;
    const bool separate = bench_operations_separate(operations) || shape->head_dim_v != shape->head_dim;
    return (tool_choice){.count = 1, .indices = {separate ? CLATTN_KV_NHD : CLATTN_KV_COMBINED}};
}

/* One problem for each workload, dtype of K and V and layout. */
static bool add_problems(const raw_options *raw, const tool_shape *shape, const char *layer, bench_options *options)
{
    bench_problem problem = {
        .shape = *shape,
        .layer = layer,
        .dtype = (clattn_dtype)(raw->dtype + 1),
        .page_size = raw->page_size,
        .num_splits = raw->num_splits,
    };
    if (!refine_model(raw, &problem.shape))
        return false;
    const tool_choice layouts = choose_layouts(raw, &problem.shape, &options->operations);
    const int num_storages = raw->kv_dtypes.count * layouts.count;
    const int combinations = options->num_workloads * num_storages;
    const size_t count = (size_t)(options->num_problems + combinations);
    bench_problem *problems = realloc(options->problems, count * sizeof *problems);
    if (!problems)
        return tool_error("out of memory");
    options->problems = problems;
    for (int i = 0; i < combinations; i++) {
        problem.workload = &options->workloads[i / num_storages];
        problem.kv_dtype = (clattn_dtype)(raw->kv_dtypes.indices[i % num_storages / layouts.count] + 1);
        problem.layout = (clattn_kv_layout)layouts.indices[i % layouts.count];
        if (!bench_problem_check(&problem, &options->operations))
            return false;
        options->problems[options->num_problems++] = problem;
    }
    return true;
}

/* Every kind of layer of a model; with a window from the command line they are all alike. */
static bool add_model(const raw_options *raw, const tool_shape *model, bench_options *options)
{
    if (model->alternate_window == 0 || is_given(raw, "window"))
        return add_problems(raw, model, "all", options);
    tool_shape sliding = *model;
    sliding.sliding_window = model->alternate_window;
    return add_problems(raw, model, "full", options) && add_problems(raw, &sliding, "sliding", options);
}

static bool choose_problems(raw_options *raw, bench_options *options)
{
    const int num_given = (raw->num_q_heads > 0) + (raw->num_kv_heads > 0) + (raw->head_dim > 0);
    if (num_given > 0 && raw->models.count > 0)
        return tool_error("--model and the heads by number exclude each other");
    if (num_given > 0 && num_given < 3)
        return tool_error("--num-q-heads, --num-kv-heads and --head-dim are given together");
    if (!choose_workloads(raw, options))
        return false;
    if (num_given > 0) {
        const tool_shape heads = {.num_q_heads = raw->num_q_heads,
                                  .num_kv_heads = raw->num_kv_heads,
                                  .head_dim = raw->head_dim,
                                  .head_dim_v = raw->head_dim};
        return add_problems(raw, &heads, "all", options);
    }
    if (raw->models.count == 0)
        raw->models = (tool_choice){.count = 1, .indices = {0}};
    for (int i = 0; i < raw->models.count; i++) {
        if (!add_model(raw, tool_shape_at(raw->models.indices[i]), options))
            return false;
    }
    return true;
}

/* One key, one head: whatever time such a call takes, it is not that of the attention. */
static void choose_smallest_problem(raw_options *raw)
{
    raw->num_q_heads = 1;
    raw->num_kv_heads = 1;
    raw->head_dim = OVERHEAD_HEAD_DIM;
    raw->context_lens = "1";
}

/* Refuses options that what is measured does not have. */
static bool check_mode(const raw_options *raw)
{
    if (raw->list)
        return tool_options_check_mode(table, raw->given, MODE_LIST, "and --list exclude each other");
    if (raw->overhead)
        return tool_options_check_mode(table, raw->given, MODE_OVERHEAD, "and --overhead exclude each other");
    if (raw->trace_path)
        return tool_options_check_mode(table, raw->given, MODE_TRACE, "and --trace exclude each other");
    return tool_options_check_mode(table, raw->given, MODE_TIME, "goes with --trace only");
}

/* What is written, and what it needs beforehand. */
static bool check_output(bench_options *options)
{
    if (options->json_path && options->csv_path && strcmp(options->json_path, "-") == 0 &&
        strcmp(options->csv_path, "-") == 0)
        return tool_error("--json - and --csv - exclude each other");
    if (options->compare_path) {
        options->old = tool_json_read(options->compare_path);
        if (!options->old)
            return false;
        if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(options->old, "results")))
            return tool_error("--compare %s: should be what --json wrote", options->compare_path);
    }
    return true;
}

static bool choose(raw_options *raw, bench_options *options)
{
    *options = (bench_options){
        .list = raw->list,
        .against_default = raw->against_default,
        .overhead = raw->overhead,
        .family = (clattn_family)raw->family,
        .device = raw->device,
        .tuning_file = raw->tuning_file && strcmp(raw->tuning_file, "none") == 0 ? "" : raw->tuning_file,
        .runs = raw->runs,
        .json_path = raw->json_path,
        .csv_path = raw->csv_path,
        .plot_path = raw->plot_path,
        .compare_path = raw->compare_path,
    };
    if (!check_mode(raw))
        return false;
    if (raw->list)
        return true;
    if (options->runs == 0)
        options->runs = raw->overhead ? DEFAULT_OVERHEAD_CALLS : raw->trace_path ? DEFAULT_REPLAYS : DEFAULT_RUNS;
    if (raw->overhead)
        choose_smallest_problem(raw);
    if (raw->kv_dtypes.count == 0)
        raw->kv_dtypes = (tool_choice){.count = 1, .indices = {raw->dtype}};
    return choose_operations(raw, options) && choose_problems(raw, options) && check_output(options);
}

tool_options_result bench_options_parse(bench_options *options, int argc, char **argv)
{
    raw_options raw = {.dtype = CLATTN_FLOAT16 - 1,
                       .page_size = 16,
                       .limit = 100,
                       .step_ms = 50,
                       .token_budget = 512,
                       .max_seqs = 64,
                       .kv_tokens = 65536};
    tool_options_result result = tool_options_read(table, argc, argv, &raw, &raw.given);
    if (result == TOOL_OPTIONS_HELP)
        bench_help_print(table);
    if (result == TOOL_OPTIONS_READ && !choose(&raw, options)) {
        bench_options_finish(options);
        result = TOOL_OPTIONS_BAD;
    }
    return result;
}

void bench_options_finish(bench_options *options)
{
    for (int i = 0; i < options->num_workloads; i++)
        bench_workload_finish(&options->workloads[i]);
    bench_trace_finish(&options->replay.trace);
    cJSON_Delete(options->old);
    free(options->workloads);
    free(options->problems);
    *options = (bench_options){0};
}
