/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks the command line of cl-bench: first every option by itself, then what they mean together. */
#include "bench/options.h"

#include "bench/message.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATION "ragged_page_attention"
#define DEFAULT_SHAPE "llama-3-8b"
#define MAX_SEQS 65536
#define MAX_RUNS 10000

enum option_code {
    OPTION_OP = 1,
    OPTION_MODEL_SHAPE,
    OPTION_NUM_Q_HEADS,
    OPTION_NUM_KV_HEADS,
    OPTION_HEAD_DIM,
    OPTION_DTYPE,
    OPTION_KV_DTYPE,
    OPTION_PAGE_SIZE,
    OPTION_LAYOUT,
    OPTION_SEQS,
    OPTION_Q_LEN,
    OPTION_CONTEXT,
    OPTION_WINDOW,
    OPTION_SOFT_CAP,
    OPTION_NUM_SPLITS,
    OPTION_FAMILY,
    OPTION_DEVICE,
    OPTION_RUNS,
    OPTION_JSON,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"op", required_argument, NULL, OPTION_OP},
    {"model-shape", required_argument, NULL, OPTION_MODEL_SHAPE},
    {"num-q-heads", required_argument, NULL, OPTION_NUM_Q_HEADS},
    {"num-kv-heads", required_argument, NULL, OPTION_NUM_KV_HEADS},
    {"head-dim", required_argument, NULL, OPTION_HEAD_DIM},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"kv-dtype", required_argument, NULL, OPTION_KV_DTYPE},
    {"page-size", required_argument, NULL, OPTION_PAGE_SIZE},
    {"layout", required_argument, NULL, OPTION_LAYOUT},
    {"seqs", required_argument, NULL, OPTION_SEQS},
    {"q-len", required_argument, NULL, OPTION_Q_LEN},
    {"context", required_argument, NULL, OPTION_CONTEXT},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"soft-cap", required_argument, NULL, OPTION_SOFT_CAP},
    {"num-splits", required_argument, NULL, OPTION_NUM_SPLITS},
    {"family", required_argument, NULL, OPTION_FAMILY},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"runs", required_argument, NULL, OPTION_RUNS},
    {"json", required_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char help_text[] =
    "usage: cl-bench [OPTION]...\n"
    "\n"
    "Times one attention operation on an OpenCL device and holds it against what the same device does in the same\n"
    "run: its rate of float32 multiply-adds and its read bandwidth.\n"
    "\n"
    "what to run\n"
    "  --op NAME            ragged_page_attention (the default, and the only one so far)\n"
    "  --model-shape NAME   heads, window, soft cap and sinks of a model (default " DEFAULT_SHAPE "):\n"
    "%s"
    "  --num-q-heads N --num-kv-heads N --head-dim N   the same by number, all three\n"
    "  --window N           keys that a query sees, its own included; 0 = all (replaces the model's)\n"
    "  --soft-cap X         cap*tanh(logit/cap); 0 = off (replaces the model's)\n"
    "  --dtype NAME         storage of queries and out: float32, float16 (default), bfloat16\n"
    "  --kv-dtype NAME      storage of K and V (default: as --dtype)\n"
    "  --page-size N        KV tokens per page (default 16)\n"
    "  --layout NAME        combined (default), nhd, hnd, heads_first\n"
    "  --seqs N             sequences (default 1, or as many as the longer list below)\n"
    "  --q-len N[,N...]     new tokens per sequence: one number for all, or one for each (default 1)\n"
    "  --context N[,N...]   KV tokens per sequence, the new ones included (default 1024)\n"
    "how to run it\n"
    "  --num-splits N       KV partitions of every row; 0 = automatic (default)\n"
    "  --family NAME        default, vector, simt\n"
    "  --device NAME|INDEX  part of \"platform / device\", or a number (default: the best device)\n"
    "  --runs N             rounds of probe, probe, operation (default 11)\n"
    "what to write\n"
    "  --json FILE|-        also write the result as JSON; with - the table goes to stderr\n"
    "  --help               this text\n"
    "\n"
    "Every figure is the median of the rounds. Its spread is the interquartile range divided by the median; over\n"
    "10 %% the table says so. A round repeats a short operation until 20 ms are full, each time on the K and V of\n"
    "the next layer; there are as many layers as it takes to reach 64 MiB (64 at most), as in a model whose layers\n"
    "are done in turn. flops: 4 * head_dim per visible (query, key) pair and query head. bytes: K and V rows that\n"
    "some query sees, once per sequence, and queries and out. roofline_fraction: the larger of flops / FMA rate and\n"
    "bytes / read bandwidth, divided by the measured time.\n"
    "\n"
    "exit status: 0 measured, 1 something failed, 2 wrong usage\n";

static void print_help(void)
{
    char names[512] = "";
    size_t used = 0;
    for (int i = 0; bench_shape_at(i) && used < sizeof names; i++) {
        const int written =
            snprintf(names + used, sizeof names - used, "                         %s\n", bench_shape_at(i)->name);
        used += written > 0 ? (size_t)written : 0;
    }
    printf(help_text, names);
}

/* Options as they were written; -1 = not given. Lists keep their text until the number of sequences is known. */
typedef struct raw_options {
    const char *model_shape;
    int32_t num_q_heads, num_kv_heads, head_dim;
    int32_t window;
    double soft_cap;
    int32_t num_seqs;
    const char *q_lens, *context_lens;
} raw_options;

/* A whole decimal number in [minimum, maximum] that ends at `end`. */
static bool read_number(const char *text, char end, long minimum, long maximum, const char **rest, int32_t *value)
{
    char *stop = NULL;
    errno = 0;
    const long number = strtol(text, &stop, 10);
    if (stop == text || (*stop != end && *stop != '\0') || errno != 0 || number < minimum || number > maximum)
        return false;
    *value = (int32_t)number;
    *rest = *stop == '\0' ? stop : stop + 1;
    return true;
}

static bool parse_int(const char *option, const char *text, long minimum, long maximum, int32_t *value)
{
    const char *rest = NULL;
    if (read_number(text, '\0', minimum, maximum, &rest, value))
        return true;
    return bench_error("%s wants a whole number from %ld to %ld, not '%s'", option, minimum, maximum, text);
}

static bool parse_soft_cap(const char *text, double *value)
{
    char *stop = NULL;
    *value = strtod(text, &stop);
    /* A positive number that is 0 as float32 would switch the cap off. */
    const bool fits = isfinite((float)*value) && (*value > 0.0) == ((float)*value > 0.0f);
    if (stop != text && *stop == '\0' && fits && *value >= 0.0)
        return true;
    return bench_error("--soft-cap wants 0 or a positive float32, not '%s'", text);
}

static bool parse_dtype(const char *option, const char *text, clattn_dtype *dtype)
{
    *dtype = clattn_dtype_from_name(text);
    if (*dtype != CLATTN_DTYPE_DEFAULT)
        return true;
    return bench_error("%s is float32, float16 or bfloat16, not '%s'", option, text);
}

static bool parse_layout(const char *text, clattn_kv_layout *layout)
{
    for (int i = 0; i < CLATTN_NUM_KV_LAYOUTS; i++) {
        *layout = (clattn_kv_layout)i;
        if (strcmp(text, clattn_kv_layout_name(*layout)) == 0)
            return true;
    }
    return bench_error("--layout is combined, nhd, hnd or heads_first, not '%s'", text);
}

static bool parse_family(const char *text, clattn_family *family)
{
    *family = clattn_family_from_name(text);
    if (*family != CLATTN_FAMILY_DEFAULT || strcmp(text, clattn_family_name(CLATTN_FAMILY_DEFAULT)) == 0)
        return true;
    return bench_error("--family is default, vector or simt, not '%s'", text);
}

static bool parse_operation(const char *text)
{
    if (strcmp(text, OPERATION) == 0)
        return true;
    return bench_error("--op '%s' cannot be measured; there is: " OPERATION, text);
}

static bool parse_problem_option(bench_options *options, raw_options *raw, int code, const char *text)
{
    switch (code) {
    case OPTION_OP:
        return parse_operation(text);
    case OPTION_MODEL_SHAPE:
        raw->model_shape = text;
        return true;
    case OPTION_NUM_Q_HEADS:
        return parse_int("--num-q-heads", text, 1, 65536, &raw->num_q_heads);
    case OPTION_NUM_KV_HEADS:
        return parse_int("--num-kv-heads", text, 1, 65536, &raw->num_kv_heads);
    case OPTION_HEAD_DIM:
        return parse_int("--head-dim", text, 8, 256, &raw->head_dim);
    case OPTION_DTYPE:
        return parse_dtype("--dtype", text, &options->dtype);
    case OPTION_KV_DTYPE:
        return parse_dtype("--kv-dtype", text, &options->kv_dtype);
    case OPTION_PAGE_SIZE:
        return parse_int("--page-size", text, 1, INT32_MAX, &options->page_size);
    case OPTION_LAYOUT:
        return parse_layout(text, &options->layout);
    case OPTION_WINDOW:
        return parse_int("--window", text, 0, INT32_MAX, &raw->window);
    case OPTION_SOFT_CAP:
        return parse_soft_cap(text, &raw->soft_cap);
    case OPTION_SEQS:
        return parse_int("--seqs", text, 1, MAX_SEQS, &raw->num_seqs);
    case OPTION_Q_LEN:
        raw->q_lens = text;
        return true;
    case OPTION_CONTEXT:
        raw->context_lens = text;
        return true;
    default: /* getopt_long has named the unknown option */
        return false;
    }
}

static bool parse_option(bench_options *options, raw_options *raw, int code, const char *text)
{
    switch (code) {
    case OPTION_NUM_SPLITS:
        return parse_int("--num-splits", text, 0, INT32_MAX, &options->num_splits);
    case OPTION_FAMILY:
        return parse_family(text, &options->family);
    case OPTION_DEVICE:
        options->device = text;
        return true;
    case OPTION_RUNS:
        return parse_int("--runs", text, 1, MAX_RUNS, &options->runs);
    case OPTION_JSON:
        options->json_path = text;
        return true;
    default:
        return parse_problem_option(options, raw, code, text);
    }
}

static bool choose_model(const raw_options *raw, bench_shape *shape)
{
    const char *name = raw->model_shape ? raw->model_shape : DEFAULT_SHAPE;
    const bench_shape *found = bench_shape_find(name);
    if (!found)
        return bench_error("--model-shape '%s' is unknown; --help lists the models", name);
    *shape = *found;
    return true;
}

static bool choose_shape(const raw_options *raw, bench_shape *shape)
{
    const int num_given = (raw->num_q_heads >= 0) + (raw->num_kv_heads >= 0) + (raw->head_dim >= 0);
    if (num_given > 0 && raw->model_shape)
        return bench_error("--model-shape and the heads by number exclude each other");
    if (num_given > 0 && num_given < 3)
        return bench_error("--num-q-heads, --num-kv-heads and --head-dim are given together");
    if (num_given == 0) {
        if (!choose_model(raw, shape))
            return false;
    } else {
        *shape = (bench_shape){
            .num_q_heads = raw->num_q_heads, .num_kv_heads = raw->num_kv_heads, .head_dim = raw->head_dim};
    }
    if (shape->num_q_heads % shape->num_kv_heads != 0)
        return bench_error("--num-q-heads %d is not a multiple of --num-kv-heads %d", (int)shape->num_q_heads,
                           (int)shape->num_kv_heads);
    if (shape->head_dim % 8 != 0)
        return bench_error("--head-dim %d is not a multiple of 8", (int)shape->head_dim);
    if (raw->window >= 0)
        shape->sliding_window = raw->window;
    if (raw->soft_cap >= 0.0)
        shape->logits_soft_cap = (float)raw->soft_cap;
    return true;
}

static int32_t count_items(const char *list)
{
    int32_t count = 1;
    for (const char *at = list; *at; at++)
        count += *at == ',';
    return count;
}

/* Fills values [num_seqs] from a list of one number or of num_seqs numbers. */
static bool parse_list(const char *option, const char *list, int32_t num_seqs, int32_t *values)
{
    const int32_t count = count_items(list);
    if (count != 1 && count != num_seqs)
        return bench_error("%s has %d numbers for %d sequences", option, (int)count, (int)num_seqs);
    const char *rest = list;
    for (int32_t i = 0; i < count; i++) {
        if (!read_number(rest, ',', 1, INT32_MAX, &rest, &values[i]))
            return bench_error("%s wants whole numbers from 1 to %d separated by commas, not '%s'", option, INT32_MAX,
                               list);
    }
    for (int32_t i = count; i < num_seqs; i++)
        values[i] = values[0];
    return true;
}

static bool choose_batch(const raw_options *raw, bench_options *options)
{
    const char *q_list = raw->q_lens ? raw->q_lens : "1";
    const char *context_list = raw->context_lens ? raw->context_lens : "1024";
    const int32_t num_listed =
        count_items(q_list) > count_items(context_list) ? count_items(q_list) : count_items(context_list);
    const int32_t num_seqs = raw->num_seqs >= 0 ? raw->num_seqs : num_listed;
    if (num_seqs > MAX_SEQS)
        return bench_error("%d sequences are more than %d", (int)num_seqs, MAX_SEQS);
    options->num_seqs = num_seqs;
    options->q_lens = calloc((size_t)num_seqs, sizeof *options->q_lens);
    options->context_lens = calloc((size_t)num_seqs, sizeof *options->context_lens);
    if (!options->q_lens || !options->context_lens)
        return bench_error("out of memory");
    if (!parse_list("--q-len", q_list, num_seqs, options->q_lens) ||
        !parse_list("--context", context_list, num_seqs, options->context_lens))
        return false;
    int64_t total_tokens = 0;
    for (int32_t seq = 0; seq < num_seqs; seq++) {
        total_tokens += options->q_lens[seq];
        if (options->q_lens[seq] > options->context_lens[seq])
            return bench_error("--q-len %d is longer than --context %d, which includes the new tokens",
                               (int)options->q_lens[seq], (int)options->context_lens[seq]);
    }
    if (total_tokens > INT32_MAX)
        return bench_error("--q-len gives more than %d new tokens in all", INT32_MAX);
    return true;
}

bench_options_result bench_options_parse(bench_options *options, int argc, char **argv)
{
    *options = (bench_options){.operation = OPERATION, .dtype = CLATTN_FLOAT16, .page_size = 16, .runs = 11};
    raw_options raw = {
        .num_q_heads = -1, .num_kv_heads = -1, .head_dim = -1, .window = -1, .soft_cap = -1.0, .num_seqs = -1};
    int code = 0;
    while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (code == OPTION_HELP) {
            print_help();
            return BENCH_OPTIONS_HELP;
        }
        if (!parse_option(options, &raw, code, optarg))
            return BENCH_OPTIONS_BAD;
    }
    if (optind < argc) {
        (void)bench_error("'%s' is no option; --help lists them", argv[optind]);
        return BENCH_OPTIONS_BAD;
    }
    if (options->kv_dtype == CLATTN_DTYPE_DEFAULT)
        options->kv_dtype = options->dtype;
    if (choose_shape(&raw, &options->shape) && choose_batch(&raw, options))
        return BENCH_OPTIONS_RUN;
    bench_options_finish(options);
    return BENCH_OPTIONS_BAD;
}

void bench_options_finish(bench_options *options)
{
    free(options->q_lens);
    free(options->context_lens);
    options->q_lens = NULL;
    options->context_lens = NULL;
}
