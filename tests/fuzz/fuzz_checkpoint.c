/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of examples/generate: checkpoints and tokenizers. Files come as the input's bytes, or with a header whose
 * fields are small and a length that agrees with them, more or less. What is loaded must be usable: every weight of
 * every array, every piece, and the tokens of a text that is encoded and decoded.
 */
#include "fuzz.h"

#include "checkpoint.h"
#include "report.h"
#include "tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 18, NUM_FIELDS = 7 };

static struct {
    int64_t num_checkpoints, num_checkpoints_loaded;
    int64_t num_tokenizers, num_tokenizers_loaded;
    int64_t num_texts_encoded;
    int64_t num_reasons;
} statistics;

const char *fuzz_summary(void)
{
    static char text[192];
    snprintf(text, sizeof text,
             "%" PRId64 " of %" PRId64 " checkpoints loaded, %" PRId64 " of %" PRId64 " tokenizers, %" PRId64 " texts",
             statistics.num_checkpoints_loaded, statistics.num_checkpoints, statistics.num_tokenizers_loaded,
             statistics.num_tokenizers, statistics.num_texts_encoded);
    return text;
}

/* In place of report.c, which prints: a refusal has a reason. */
bool llama_fail(const char *format, ...)
{
    FUZZ_REQUIRE(strlen(format) > 8, "a refusal without a reason");
    statistics.num_reasons++;
    return false;
}

bool llama_fail_memory(const char *what)
{
    return llama_fail("not enough memory for %s", what);
}

/* A file in memory, and the path that leads to it. */
static int make_file(const void *data, size_t num_bytes, char path[64])
{
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(file >= 0 && write(file, data, num_bytes) == (ssize_t)num_bytes, "no file of %zu bytes", num_bytes);
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

/* ---- checkpoints ---- */

/* Reads the ends of an array; with a checked memory, behind them is seen. */
static float touch(const float *array, int64_t num_floats)
{
    FUZZ_REQUIRE(array != NULL && num_floats > 0, "an array of %" PRId64 " weights", num_floats);
    return array[0] + array[num_floats - 1];
}

static void use_checkpoint(const llama_checkpoint *checkpoint, uint64_t num_bytes)
{
    const llama_config *config = &checkpoint->config;
    const llama_weights *weights = &checkpoint->weights;
    const int64_t dim = config->dim, layers = config->num_layers;
    FUZZ_REQUIRE(config->dim > 0 && config->hidden_dim > 0 && config->vocab_size > 0 && config->seq_len > 0 &&
                     config->num_kv_heads > 0 && config->num_q_heads % config->num_kv_heads == 0 &&
                     config->dim == config->num_q_heads * config->head_dim && config->head_dim % 2 == 0 &&
                     config->kv_dim == config->num_kv_heads * config->head_dim,
                 "a model of width %d, %d heads", (int)config->dim, (int)config->num_q_heads);
    const struct {
        const float *array;
        int64_t num_floats;
    } arrays[] = {
        {weights->token_embedding, config->vocab_size * dim},
        {weights->rms_attention, layers * dim},
        {weights->wq, layers * dim * dim},
        {weights->wk, layers * config->kv_dim * dim},
        {weights->wv, layers * config->kv_dim * dim},
        {weights->wo, layers * dim * dim},
        {weights->rms_ffn, layers * dim},
        {weights->w1, layers * config->hidden_dim * dim},
        {weights->w2, layers * config->hidden_dim * dim},
        {weights->w3, layers * config->hidden_dim * dim},
        {weights->rms_final, dim},
        {weights->classifier, config->vocab_size * dim},
    };
    const float *end = checkpoint->storage + (num_bytes - NUM_FIELDS * sizeof(int32_t)) / sizeof(float);
    const bool shared = weights->classifier == weights->token_embedding;
    int64_t num_bytes_left = (int64_t)(num_bytes - NUM_FIELDS * sizeof(int32_t)) -
                             4 * ((int64_t)config->seq_len * (config->head_dim / 2) * 2);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        FUZZ_REQUIRE(arrays[i].array >= checkpoint->storage && arrays[i].num_floats <= end - arrays[i].array,
                     "array %zu ends behind the file", i);
        (void)touch(arrays[i].array, arrays[i].num_floats);
        if (!shared || arrays[i].array != weights->classifier || i == 0)
            num_bytes_left -= 4 * arrays[i].num_floats;
    }
    FUZZ_REQUIRE(num_bytes_left == 0, "a file with %" PRId64 " bytes that no weight needs is loaded", num_bytes_left);
}

static void read_checkpoint(const void *data, size_t num_bytes)
{
    char path[64];
    const int file = make_file(data, num_bytes, path);
    llama_checkpoint checkpoint;
    const int64_t num_reasons = statistics.num_reasons;
    statistics.num_checkpoints++;
    if (llama_checkpoint_load(&checkpoint, path)) {
        statistics.num_checkpoints_loaded++;
        use_checkpoint(&checkpoint, num_bytes);
        llama_checkpoint_free(&checkpoint);
    } else {
        FUZZ_REQUIRE(statistics.num_reasons == num_reasons + 1 && checkpoint.storage == NULL,
                     "a checkpoint is refused %" PRId64 " times", statistics.num_reasons - num_reasons);
    }
    close(file);
}

/* Floats of a file by its header, whose heads need not divide its width. */
static int64_t num_floats_of(const int32_t header[NUM_FIELDS])
{
    const int64_t dim = header[0], hidden = header[1], layers = header[2];
    const int64_t head_dim = dim / header[3], kv_dim = header[4] * head_dim;
    const int64_t vocabularies = header[5] > 0 ? header[5] : -2 * (int64_t)header[5];
    return vocabularies * dim + layers * (2 * dim + 2 * dim * dim + 2 * kv_dim * dim + 3 * hidden * dim) + dim +
           2 * header[6] * (head_dim / 2);
}

/* A file that is as long as a small header says, or nearly so. */
static void make_checkpoint(fuzz_bytes *bytes)
{
    static unsigned char data[MAX_FILE_BYTES];
    const bool divides = !fuzz_one_in(bytes, 4);
    const int32_t kv_heads = fuzz_between(bytes, 1, 3);
    const int32_t heads = divides ? kv_heads * fuzz_between(bytes, 1, 3) : fuzz_between(bytes, 1, 9);
    const int32_t vocabulary = fuzz_between(bytes, 1, 40);
    int32_t header[NUM_FIELDS] = {
        divides ? 2 * heads * fuzz_between(bytes, 1, 3) : fuzz_between(bytes, 1, 40),
        fuzz_between(bytes, 1, 9),
        fuzz_between(bytes, 1, 3),
        heads,
        kv_heads,
        fuzz_one_in(bytes, 2) ? -vocabulary : vocabulary,
        fuzz_between(bytes, 1, 20),
    };
    int64_t num_bytes = (int64_t)sizeof header + 4 * num_floats_of(header);
    if (fuzz_one_in(bytes, 4))
        header[fuzz_between(bytes, 0, NUM_FIELDS - 1)] = fuzz_extreme_int32(bytes);
    memcpy(data, header, sizeof header);
    if (fuzz_one_in(bytes, 4))
        num_bytes += fuzz_between(bytes, -30, 30);
    FUZZ_REQUIRE(num_bytes <= MAX_FILE_BYTES, "a checkpoint of %" PRId64 " bytes", num_bytes);
    read_checkpoint(data, num_bytes > 0 ? (size_t)num_bytes : 0);
}

/* ---- tokenizers ---- */

static void decode_all(const llama_tokenizer *tokenizer, const int32_t *tokens, int32_t num_tokens)
{
    for (int32_t i = 0; i < num_tokens; i++) {
        FUZZ_REQUIRE(tokens[i] >= 0 && tokens[i] < tokenizer->vocab_size, "token %d", (int)tokens[i]);
        const char *text = NULL;
        const size_t num_bytes = llama_tokenizer_decode(tokenizer, i > 0 ? tokens[i - 1] : 0, tokens[i], &text);
        FUZZ_REQUIRE(num_bytes <= (size_t)tokenizer->max_piece_bytes, "a token of %zu bytes", num_bytes);
        if (num_bytes > 0)
            (void)memchr(text, '\n', num_bytes);
    }
}

static void use_tokenizer(const llama_tokenizer *tokenizer, fuzz_bytes *bytes)
{
    int32_t *all = malloc((size_t)tokenizer->vocab_size * sizeof *all);
    FUZZ_REQUIRE(all != NULL, "no memory for a vocabulary");
    for (int32_t token = 0; token < tokenizer->vocab_size; token++)
        all[token] = token;
    decode_all(tokenizer, all, tokenizer->vocab_size);
    free(all);

    const size_t num_bytes = bytes->num_left < 200 ? bytes->num_left : 200;
    char *text = malloc(num_bytes + 1); /* as long as it is, for reads behind it to be seen */
    FUZZ_REQUIRE(text != NULL, "no memory for a text");
    memcpy(text, bytes->next, num_bytes);
    text[num_bytes] = '\0';
    int32_t *tokens = NULL;
    int32_t num_tokens = 0;
    const int32_t max_tokens = 100;
    if (tokenizer->vocab_size > LLAMA_TOKEN_BOS &&
        llama_tokenizer_encode(tokenizer, text, max_tokens, &tokens, &num_tokens)) {
        statistics.num_texts_encoded++;
        FUZZ_REQUIRE(num_tokens >= 1 && num_tokens <= max_tokens && tokens[0] == LLAMA_TOKEN_BOS, "%d tokens",
                     (int)num_tokens);
        decode_all(tokenizer, tokens, num_tokens);
    }
    free(tokens);
    free(text);
}

static void read_tokenizer(const void *data, size_t num_bytes, int32_t vocab_size, fuzz_bytes *bytes)
{
    char path[64];
    const int file = make_file(data, num_bytes, path);
    llama_tokenizer tokenizer;
    const int64_t num_reasons = statistics.num_reasons;
    statistics.num_tokenizers++;
    if (llama_tokenizer_load(&tokenizer, path, vocab_size)) {
        statistics.num_tokenizers_loaded++;
        use_tokenizer(&tokenizer, bytes);
        llama_tokenizer_free(&tokenizer);
    } else {
        FUZZ_REQUIRE(statistics.num_reasons == num_reasons + 1 && tokenizer.storage == NULL,
                     "a tokenizer is refused %" PRId64 " times", statistics.num_reasons - num_reasons);
    }
    close(file);
}

typedef struct tokenizer_file {
    unsigned char data[MAX_FILE_BYTES];
    size_t num_bytes;
} tokenizer_file;

static void append(tokenizer_file *file, const void *data, size_t num_bytes)
{
    FUZZ_REQUIRE(num_bytes <= sizeof file->data - file->num_bytes, "a tokenizer of too many bytes");
    memcpy(file->data + file->num_bytes, data, num_bytes);
    file->num_bytes += num_bytes;
}

static void append_piece(tokenizer_file *file, float score, const char *text, int32_t num_bytes)
{
    append(file, &score, sizeof score);
    append(file, &num_bytes, sizeof num_bytes);
    append(file, text, (size_t)num_bytes);
}

/* A vocabulary of unknown, begin, end and byte tokens, and short pieces of the input; or nearly so. */
static void make_tokenizer(fuzz_bytes *bytes)
{
    static tokenizer_file file;
    file.num_bytes = 0;
    const int32_t max_piece_bytes = fuzz_one_in(bytes, 8) ? fuzz_extreme_int32(bytes) : fuzz_between(bytes, 6, 12);
    const int32_t num_pieces = fuzz_between(bytes, 0, 30);
    append(&file, &max_piece_bytes, sizeof max_piece_bytes);
    append_piece(&file, 0.0f, "<unk>", 5);
    append_piece(&file, 0.0f, "\n<s>\n", 5);
    append_piece(&file, 0.0f, "\n</s>", 5);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        append_piece(&file, 0.0f, text, snprintf(text, sizeof text, "<0x%02X>", byte));
    }
    for (int32_t i = 0; i < num_pieces; i++) {
        char text[8] = {0};
        const int32_t num_bytes = fuzz_between(bytes, 0, 7);
        for (int32_t k = 0; k < num_bytes; k++)
            text[k] = (char)(' ' + fuzz_between(bytes, 0, 4));
        append_piece(&file, fuzz_float(bytes), text, num_bytes);
    }
    if (fuzz_one_in(bytes, 4))
        file.data[fuzz_take(bytes, 2) % file.num_bytes] ^= (unsigned char)fuzz_take(bytes, 1);
    if (fuzz_one_in(bytes, 8))
        file.num_bytes -= (size_t)fuzz_between(bytes, 0, 20);
    const int32_t vocab_size = 259 + num_pieces + (fuzz_one_in(bytes, 8) ? fuzz_between(bytes, -3, 3) : 0);
    read_tokenizer(file.data, file.num_bytes, vocab_size, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t num_bytes)
{
    fuzz_bytes bytes = {data, num_bytes};
    switch (fuzz_between(&bytes, 0, 3)) {
    case 0:
        make_checkpoint(&bytes);
        break;
    case 1:
        make_tokenizer(&bytes);
        break;
    case 2:
        read_checkpoint(bytes.next, bytes.num_left);
        break;
    default: {
        const int32_t vocab_size = fuzz_between(&bytes, 1, 300);
        const fuzz_bytes file = bytes;
        read_tokenizer(file.next, file.num_left, vocab_size, &bytes);
        break;
    }
    }
    return 0;
}
