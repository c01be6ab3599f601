/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and checks the command line of cl-bench: first every option by itself, then what they mean together and
 * whether the operations can honour them.
 */
#include "bench/options.h"

#include "bench/help.h"
#include "bench/message.h"
#include "bench/values.h"

#include <getopt.h>
#include <stdlib.h>

#define MAX_SEQS 65536
#define MAX_RUNS 10000
#define MAX_HEAD_DIM 512
#define DEFAULT_RUNS 11
#define DEFAULT_OVERHEAD_CALLS 3000
#define OVERHEAD_HEAD_DIM 64

enum option_code {
    OPTION_OP = 1,
    OPTION_MODEL_SHAPE,
    OPTION_NUM_Q_HEADS,
    OPTION_NUM_KV_HEADS,
    OPTION_HEAD_DIM,
    OPTION_HEAD_DIM_V,
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
    OPTION_OVERHEAD,
    OPTION_JSON,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"op", required_argument, NULL, OPTION_OP},
    {"model-shape", required_argument, NULL, OPTION_MODEL_SHAPE},
    {"num-q-heads", required_argument, NULL, OPTION_NUM_Q_HEADS},
    {"num-kv-heads", required_argument, NULL, OPTION_NUM_KV_HEADS},
    {"head-dim", required_argument, NULL, OPTION_HEAD_DIM},
    {"head-dim-v", required_argument, NULL, OPTION_HEAD_DIM_V},
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
    {"overhead", no_argument, NULL, OPTION_OVERHEAD},
    {"json", required_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* Options as they were written; -1 = not given. Lists keep their text until the number of sequences is known. */
typedef struct raw_options {
    uint32_t given; /* one bit per option_code */
    const char *model_shape;
    int32_t num_q_heads, num_kv_heads, head_dim, head_dim_v;
    int32_t window;
    double soft_cap;
    int32_t num_seqs;
    const char *q_lens, *context_lens;
} raw_options;

static bool is_given(const raw_options *raw, int code)
{
    return (raw->given >> code & 1u) != 0;
}

static bool parse_problem_option(bench_options *options, raw_options *raw, int code, const char *text)
{
    switch (code) {
    case OPTION_MODEL_SHAPE:
        raw->model_shape = text;
        return true;
    case OPTION_NUM_Q_HEADS:
        return bench_value_int("--num-q-heads", text, 1, 65536, &raw->num_q_heads);
    case OPTION_NUM_KV_HEADS:
        return bench_value_int("--num-kv-heads", text, 1, 65536, &raw->num_kv_heads);
    case OPTION_HEAD_DIM:
        return bench_value_int("--head-dim", text, 8, MAX_HEAD_DIM, &raw->head_dim);
    case OPTION_HEAD_DIM_V:
        return bench_value_int("--head-dim-v", text, 8, MAX_HEAD_DIM, &raw->head_dim_v);
    case OPTION_PAGE_SIZE:
        return bench_value_int("--page-size", text, 1, INT32_MAX, &options->page_size);
    case OPTION_LAYOUT:
        return bench_value_layout(text, &options->layout);
    case OPTION_WINDOW:
        return bench_value_int("--window", text, 0, INT32_MAX, &raw->window);
    case OPTION_SOFT_CAP:
        return bench_value_soft_cap(text, &raw->soft_cap);
    case OPTION_SEQS:
        return bench_value_int("--seqs", text, 1, MAX_SEQS, &raw->num_seqs);
    case OPTION_Q_LEN:
        raw->q_lens = text;
        return true;
    case OPTION_CONTEXT:
        raw->context_lens = text;
        return true;
    case OPTION_NUM_SPLITS:
        return bench_value_int("--num-splits", text, 0, INT32_MAX, &options->num_splits);
    default: /* getopt_long has named the unknown option */
        return false;
    }
}

static bool parse_option(bench_options *options, raw_options *raw, int code, const char *text)
{
    switch (code) {
    case OPTION_OP:
        return bench_value_operations(text, BENCH_MAX_OPERATIONS, options->operations, &options->num_operations);
    case OPTION_DTYPE:
        return bench_value_dtype("--dtype", text, &options->dtype);
    case OPTION_KV_DTYPE:
        return bench_value_dtype("--kv-dtype", text, &options->kv_dtype);
    case OPTION_FAMILY:
        return bench_value_family(text, &options->family);
    case OPTION_DEVICE:
        options->device = text;
        return true;
    case OPTION_RUNS:
        return bench_value_int("--runs", text, 1, MAX_RUNS, &options->runs);
    case OPTION_OVERHEAD:
        options->overhead = true;
        return true;
    case OPTION_JSON:
        options->json_path = text;
        return true;
    default:
        return parse_problem_option(options, raw, code, text);
    }
}

static bool choose_model(const raw_options *raw, bench_shape *shape)
{
    const char *name = raw->model_shape ? raw->model_shape : BENCH_DEFAULT_SHAPE;
    const bench_shape *found = bench_shape_find(name);
    if (!found)
        return bench_error("--model-shape '%s' is unknown; --help lists the models", name);
    *shape = *found;
    return true;
}

static bool choose_heads(const raw_options *raw, bench_shape *shape)
{
    const int num_given = (raw->num_q_heads >= 0) + (raw->num_kv_heads >= 0) + (raw->head_dim >= 0);
    if (num_given > 0 && raw->model_shape)
        return bench_error("--model-shape and the heads by number exclude each other");
    if (num_given > 0 && num_given < 3)
        return bench_error("--num-q-heads, --num-kv-heads and --head-dim are given together");
    if (num_given == 0)
        return choose_model(raw, shape);
    *shape = (bench_shape){.num_q_heads = raw->num_q_heads,
                           .num_kv_heads = raw->num_kv_heads,
                           .head_dim = raw->head_dim,
                           .head_dim_v = raw->head_dim};
    return true;
}

static bool choose_shape(const raw_options *raw, bench_shape *shape)
{
    if (!choose_heads(raw, shape))
        return false;
    if (raw->head_dim_v >= 0)
        shape->head_dim_v = raw->head_dim_v;
    if (raw->window >= 0)
        shape->sliding_window = raw->window;
    if (raw->soft_cap >= 0.0)
        shape->logits_soft_cap = (float)raw->soft_cap;
    if (shape->num_q_heads % shape->num_kv_heads != 0)
        return bench_error("--num-q-heads %d is not a multiple of --num-kv-heads %d", (int)shape->num_q_heads,
                           (int)shape->num_kv_heads);
    if (shape->head_dim % 8 != 0)
        return bench_error("--head-dim %d is not a multiple of 8", (int)shape->head_dim);
    if (shape->head_dim_v % 8 != 0)
        return bench_error("--head-dim-v %d is not a multiple of 8", (int)shape->head_dim_v);
    return true;
}

static bool choose_batch(const raw_options *raw, bench_options *options)
{
    const char *q_list = raw->q_lens ? raw->q_lens : "1";
    const char *context_list = raw->context_lens ? raw->context_lens : "1024";
    const int32_t num_q_lens = bench_value_count(q_list);
    const int32_t num_context_lens = bench_value_count(context_list);
    const int32_t num_listed = num_q_lens > num_context_lens ? num_q_lens : num_context_lens;
    const int32_t num_seqs = raw->num_seqs >= 0 ? raw->num_seqs : num_listed;
    if (num_seqs > MAX_SEQS)
        return bench_error("%d sequences are more than %d", (int)num_seqs, MAX_SEQS);
    options->num_seqs = num_seqs;
    options->q_lens = calloc((size_t)num_seqs, sizeof *options->q_lens);
    options->context_lens = calloc((size_t)num_seqs, sizeof *options->context_lens);
    if (!options->q_lens || !options->context_lens)
        return bench_error("out of memory");
    if (!bench_value_list("--q-len", q_list, num_seqs, options->q_lens) ||
        !bench_value_list("--context", context_list, num_seqs, options->context_lens))
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

/* Pages of separate K and V where a combined page cannot be. */
static bool choose_layout(const raw_options *raw, bench_options *options)
{
    const bench_shape *shape = &options->shape;
    const bench_operation *separate = NULL;
    for (int i = 0; i < options->num_operations; i++) {
        if (!options->operations[i]->dense && !options->operations[i]->combined)
            separate = options->operations[i];
    }
    const bool other_width = shape->head_dim_v != shape->head_dim;
    if (!bench_options_have_pages(options) && is_given(raw, OPTION_PAGE_SIZE))
        return bench_error("--page-size: %s reads a dense cache, which has no pages", options->operations[0]->name);
    if (!bench_options_have_pages(options) && is_given(raw, OPTION_LAYOUT))
        return bench_error("--layout: %s reads a dense cache, which has one layout", options->operations[0]->name);
    if (!is_given(raw, OPTION_LAYOUT))
        options->layout = separate || other_width ? CLATTN_KV_NHD : CLATTN_KV_COMBINED;
    if (options->layout == CLATTN_KV_COMBINED && separate)
        return bench_error("--layout combined: %s reads K and V from pages of their own", separate->name);
    if (options->layout == CLATTN_KV_COMBINED && other_width && bench_options_have_pages(options))
        return bench_error("--layout combined: its pages hold K and V of one width, but --head-dim-v is not head_dim");
    return true;
}

static bool check_operation(const bench_operation *operation, const bench_options *options)
{
    const bench_shape *shape = &options->shape;
    if (!operation->window && shape->sliding_window > 0)
        return bench_error("%s has no window, but the shape has one of %d; --window 0 switches it off", operation->name,
                           (int)shape->sliding_window);
    if (!operation->soft_cap && shape->logits_soft_cap > 0.0f)
        return bench_error("%s has no soft cap, but the shape has one of %g; --soft-cap 0 switches it off",
                           operation->name, (double)shape->logits_soft_cap);
    if (!operation->sinks && shape->sinks)
        return bench_error("%s has no attention sinks, but --model-shape %s has", operation->name, shape->name);
    for (int32_t seq = 0; operation->decode_only && seq < options->num_seqs; seq++) {
        if (options->q_lens[seq] != 1)
            return bench_error("--q-len %d: %s takes one new token for each sequence", (int)options->q_lens[seq],
                               operation->name);
    }
    return true;
}

static bool choose_problem(const raw_options *raw, bench_options *options)
{
    if (!choose_shape(raw, &options->shape) || !choose_batch(raw, options) || !choose_layout(raw, options))
        return false;
    for (int i = 0; i < options->num_operations; i++) {
        if (!check_operation(options->operations[i], options))
            return false;
    }
    return true;
}

/* One key, one head: whatever time such a call takes, it is not that of the attention. */
static bool choose_overhead_problem(raw_options *raw, bench_options *options)
{
    const uint32_t accepted = 1u << OPTION_OP | 1u << OPTION_DTYPE | 1u << OPTION_KV_DTYPE | 1u << OPTION_FAMILY |
                              1u << OPTION_DEVICE | 1u << OPTION_RUNS | 1u << OPTION_OVERHEAD | 1u << OPTION_JSON;
    for (const struct option *option = long_options; option->name; option++) {
        if (is_given(raw, option->val) && (accepted >> option->val & 1u) == 0)
            return bench_error("--%s and --overhead exclude each other: the overhead is that of the smallest problem",
                               option->name);
    }
    raw->num_q_heads = 1;
    raw->num_kv_heads = 1;
    raw->head_dim = OVERHEAD_HEAD_DIM;
    raw->context_lens = "1";
    return choose_problem(raw, options);
}

static bool choose(raw_options *raw, bench_options *options)
{
    if (options->num_operations == 0) {
        options->operations[0] = bench_operation_at(BENCH_RAGGED_PAGE_ATTENTION);
        options->num_operations = 1;
    }
    if (options->kv_dtype == CLATTN_DTYPE_DEFAULT)
        options->kv_dtype = options->dtype;
    if (!is_given(raw, OPTION_RUNS))
        options->runs = options->overhead ? DEFAULT_OVERHEAD_CALLS : DEFAULT_RUNS;
    return options->overhead ? choose_overhead_problem(raw, options) : choose_problem(raw, options);
}

bench_options_result bench_options_parse(bench_options *options, int argc, char **argv)
{
    *options = (bench_options){.dtype = CLATTN_FLOAT16, .page_size = 16};
    raw_options raw = {.num_q_heads = -1,
                       .num_kv_heads = -1,
                       .head_dim = -1,
                       .head_dim_v = -1,
                       .window = -1,
                       .soft_cap = -1.0,
                       .num_seqs = -1};
    int code = 0;
    while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (code == OPTION_HELP) {
            bench_help_print();
            return BENCH_OPTIONS_HELP;
        }
        if (!parse_option(options, &raw, code, optarg))
            return BENCH_OPTIONS_BAD;
        raw.given |= 1u << code;
    }
    if (optind < argc) {
        (void)bench_error("'%s' is no option; --help lists them", argv[optind]);
        return BENCH_OPTIONS_BAD;
    }
    if (choose(&raw, options))
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

bool bench_options_have_pages(const bench_options *options)
{
    for (int i = 0; i < options->num_operations; i++) {
        if (!options->operations[i]->dense)
            return true;
    }
    return false;
}

bool bench_options_have_dense(const bench_options *options)
{
    for (int i = 0; i < options->num_operations; i++) {
        if (options->operations[i]->dense)
            return true;
    }
    return false;
}
