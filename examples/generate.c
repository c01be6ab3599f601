/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes stories with a Llama model whose attention runs through clattn: several prompts at once, prefill and decode
 * mixed, on one paged KV cache. Text goes to standard output, figures and errors to standard error.
 * This file owns the command line and the output; llama/batch.c is where the work is.
 */
#include "llama/batch.h"
#include "llama/report.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_USAGE = 2, DEFAULT_TOKENS = 256, DEFAULT_PAGE_SIZE = 16, DEFAULT_BATCH = 8 };

typedef struct generate_options {
    const char *model;
    const char *tokenizer;
    const char **prompts; /* [num_prompts], pointers into argv */
    int32_t num_prompts;
    int32_t num_tokens; /* 0 = DEFAULT_TOKENS, or what the model can do if that is less */
    int32_t page_size;
    int32_t batch;
    clattn_family family;
    clattn_dtype kv_dtype;
    const char *device;
    bool help;
} generate_options;

static const char usage[] =
    "usage: generate --model FILE --tokenizer FILE [options]\n"
    "\n"
    "Continues texts with a Llama model in llama2.c's format; attention by clattn.\n"
    "\n"
    "  --model FILE      checkpoint (llama2.c, legacy format)\n"
    "  --tokenizer FILE  its tokenizer\n"
    "  --prompt TEXT     beginning of a text; repeat it for several texts at once (default: empty)\n"
    "  --tokens N        positions of each text, its prompt included (default: 256, at most the model's)\n"
    "  --batch N         texts that run at once, the others wait for their pages (default: 8)\n"
    "  --page-size N     tokens per page of the KV cache (default: 16)\n"
    "  --kv-dtype TYPE   float32, float16 or bfloat16: storage of the KV cache (default: float32)\n"
    "  --family NAME     vector, simt or plain: kernels to use (default: the device's)\n"
    "  --device D        index or part of \"platform / device name\" (default: the best device)\n"
    "  --help            this text\n";

static bool parse_count(const char *option, const char *text, int32_t *count)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 1 || value > INT32_MAX)
        return llama_fail("--%s '%s' is not a number in 1..%" PRId32, option, text, (int32_t)INT32_MAX);
    *count = (int32_t)value;
    return true;
}

static bool parse_family(const char *text, clattn_family *family)
{
    *family = clattn_family_from_name(text);
    return *family != CLATTN_FAMILY_DEFAULT ? true
                                            : llama_fail("--family '%s' is neither vector, simt nor plain", text);
}

static bool parse_dtype(const char *text, clattn_dtype *dtype)
{
    *dtype = clattn_dtype_from_name(text);
    return *dtype != CLATTN_DTYPE_DEFAULT ? true
                                          : llama_fail("--kv-dtype '%s' is not float32, float16 or bfloat16", text);
}

static bool parse_option(int option, generate_options *options)
{
    switch (option) {
    case 'm':
        options->model = optarg;
        return true;
    case 't':
        options->tokenizer = optarg;
        return true;
    case 'p':
        options->prompts[options->num_prompts++] = optarg;
        return true;
    case 'n':
        return parse_count("tokens", optarg, &options->num_tokens);
    case 'b':
        return parse_count("batch", optarg, &options->batch);
    case 's':
        return parse_count("page-size", optarg, &options->page_size);
    case 'f':
        return parse_family(optarg, &options->family);
    case 'k':
        return parse_dtype(optarg, &options->kv_dtype);
    case 'd':
        options->device = optarg;
        return true;
    case 'h':
        options->help = true;
        return true;
    default:
        return false; /* getopt_long() has said what is wrong */
    }
}

static bool parse_options(int argc, char **argv, generate_options *options)
{
    static const struct option known[] = {
        {"model", required_argument, NULL, 'm'},
        {"tokenizer", required_argument, NULL, 't'},
        {"prompt", required_argument, NULL, 'p'},
        {"tokens", required_argument, NULL, 'n'},
        {"batch", required_argument, NULL, 'b'},
        {"page-size", required_argument, NULL, 's'},
        {"kv-dtype", required_argument, NULL, 'k'},
        {"family", required_argument, NULL, 'f'},
        {"device", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option = getopt_long(argc, argv, "", known, NULL); option != -1;
         option = getopt_long(argc, argv, "", known, NULL)) {
        if (!parse_option(option, options))
            return false;
        if (options->help)
            return true;
    }
    if (optind < argc)
        return llama_fail("'%s' is no option; a text follows --prompt", argv[optind]);
    if (options->model == NULL || options->tokenizer == NULL)
        return llama_fail("--%s is missing", options->model == NULL ? "model" : "tokenizer");
    if (options->num_prompts == 0)
        options->prompts[options->num_prompts++] = "";
    return true;
}

static bool choose_num_positions(const generate_options *options, int32_t seq_len, int32_t *num_positions)
{
    if (options->num_tokens > seq_len)
        return llama_fail("--tokens %" PRId32 " is more than the %" PRId32 " positions of the model",
                          options->num_tokens, seq_len);
    *num_positions = options->num_tokens;
    if (options->num_tokens == 0)
        *num_positions = DEFAULT_TOKENS < seq_len ? DEFAULT_TOKENS : seq_len;
    return true;
}

static bool fail_output(void)
{
    return llama_fail("cannot write the text: %s", strerror(errno));
}

/* How far the texts are on standard output: they come one after another, each as early as it is known. */
typedef struct output_state {
    int32_t text;     /* the one that is being written */
    size_t num_bytes; /* of it that have been written */
} output_state;

static bool write_texts(const llama_batch *batch, int32_t num_texts, output_state *output)
{
    while (output->text < num_texts) {
        const llama_text *text = llama_batch_text(batch, output->text);
        const size_t num_new = text->num_bytes - output->num_bytes;
        if (num_new > 0 && fwrite(text->bytes + output->num_bytes, 1, num_new, stdout) != num_new)
            return fail_output();
        output->num_bytes = text->num_bytes;
        if (!text->finished)
            break;
        if (putchar('\n') == EOF)
            return fail_output();
        output->text++;
        output->num_bytes = 0;
    }
    return fflush(stdout) == 0 ? true : fail_output();
}

static double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void print_figures(const llama_batch *batch, const generate_options *options, double seconds)
{
    const llama_batch_figures figures = llama_batch_get_figures(batch);
    fprintf(stderr, "device  %s, family %s\n", figures.attention.device, clattn_family_name(figures.attention.family));
    fprintf(stderr, "tokens  %" PRId64 " in %.2f s, %.1f tokens/s, kernel builds included\n", figures.num_positions,
            seconds, (double)figures.num_positions / seconds);
    fprintf(stderr,
            "steps   %" PRId32 ", %" PRId32 " of them with prefill and decode mixed, up to %" PRId32
            " sequences at once\n",
            figures.num_steps, figures.num_mixed_steps, figures.most_running);
    fprintf(stderr, "pages   up to %" PRId32 " of %" PRId32 " in use, %" PRId32 " tokens of %s each\n",
            figures.attention.most_pages_used, figures.attention.num_pages, options->page_size,
            clattn_dtype_name(options->kv_dtype));
}

static bool run_batch(llama_batch *batch, const generate_options *options)
{
    const double start = now_seconds();
    output_state output = {0};
    while (!llama_batch_is_finished(batch)) {
        if (!llama_batch_step(batch) || !write_texts(batch, options->num_prompts, &output))
            return false;
    }
    print_figures(batch, options, now_seconds() - start);
    return true;
}

static bool generate(const generate_options *options, const llama_checkpoint *checkpoint,
                     const llama_tokenizer *tokenizer)
{
    llama_batch_params params = {
        .checkpoint = checkpoint,
        .tokenizer = tokenizer,
        .num_prompts = options->num_prompts,
        .prompts = options->prompts,
        .max_running = options->batch,
        .attention = {.device = options->device,
                      .family = options->family,
                      .kv_dtype = options->kv_dtype,
                      .page_size = options->page_size},
    };
    if (!choose_num_positions(options, checkpoint->config.seq_len, &params.num_positions))
        return false;
    llama_batch *batch;
    const bool generated = llama_batch_create(&params, &batch) && run_batch(batch, options);
    llama_batch_destroy(&batch);
    return generated;
}

static bool run(const generate_options *options)
{
    if (options->help)
        return fputs(usage, stdout) >= 0 && fflush(stdout) == 0 ? true : fail_output();
    llama_checkpoint checkpoint = {0};
    llama_tokenizer tokenizer = {0};
    const bool generated = llama_checkpoint_load(&checkpoint, options->model) &&
                           llama_tokenizer_load(&tokenizer, options->tokenizer, checkpoint.config.vocab_size) &&
                           generate(options, &checkpoint, &tokenizer);
    llama_tokenizer_free(&tokenizer);
    llama_checkpoint_free(&checkpoint);
    return generated;
}

int main(int argc, char **argv)
{
    /* An argument is at most one prompt, and there is always room for the empty one. */
    const char **prompts = calloc((size_t)argc + 1, sizeof *prompts);
    if (prompts == NULL) {
        llama_fail_memory("the prompts");
        return EXIT_FAILURE;
    }
    generate_options options = {
        .prompts = prompts,
        .page_size = DEFAULT_PAGE_SIZE,
        .batch = DEFAULT_BATCH,
        .kv_dtype = CLATTN_FLOAT32,
    };
    int exit_code = EXIT_SUCCESS;
    if (!parse_options(argc, argv, &options)) {
        fputs("Try 'generate --help'.\n", stderr);
        exit_code = EXIT_USAGE;
    } else if (!run(&options)) {
        exit_code = EXIT_FAILURE;
    }
    free(prompts);
    return exit_code;
}
