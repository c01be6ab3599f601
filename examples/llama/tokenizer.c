/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer.h"

#include "file.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Tokens 0 to 2 are unknown, begin and end of text; the 256 byte tokens follow. */
enum { FIRST_BYTE_TOKEN = 3, MAX_PIECE_BYTES = 4096, NO_TOKEN = -1 };

/* ---- loading ---- */

static bool read_piece(llama_tokenizer *tokenizer, llama_file *file, int32_t token, char *bytes)
{
    llama_piece *piece = &tokenizer->pieces[token];
    if (!llama_file_take(file, &piece->score, sizeof piece->score) ||
        !llama_file_take(file, &piece->num_bytes, sizeof piece->num_bytes))
        return llama_fail("the tokenizer '%s' is cut off in token %" PRId32 " of %" PRId32, file->path, token,
                          tokenizer->vocab_size);
    if (piece->num_bytes < 0 || piece->num_bytes > tokenizer->max_piece_bytes)
        return llama_fail("'%s' is no llama2.c tokenizer: token %" PRId32 " has %" PRId32
                          " bytes, the longest should have %" PRId32,
                          file->path, token, piece->num_bytes, tokenizer->max_piece_bytes);
    if (!llama_file_take(file, bytes, (size_t)piece->num_bytes))
        return llama_fail("the tokenizer '%s' is cut off in token %" PRId32 " of %" PRId32, file->path, token,
                          tokenizer->vocab_size);
    piece->bytes = bytes;
    return true;
}

static bool read_pieces(llama_tokenizer *tokenizer, llama_file *file)
{
    char *bytes = tokenizer->storage;
    for (int32_t token = 0; token < tokenizer->vocab_size; token++) {
        if (file->left_bytes == 0)
            return llama_fail("the tokenizer '%s' has %" PRId32 " tokens, the model's vocabulary %" PRId32, file->path,
                              token, tokenizer->vocab_size);
        if (!read_piece(tokenizer, file, token, bytes))
            return false;
        bytes += tokenizer->pieces[token].num_bytes;
    }
    if (file->left_bytes != 0)
        return llama_fail("the tokenizer '%s' has more tokens than the model's vocabulary of %" PRId32, file->path,
                          tokenizer->vocab_size);
    return true;
}

static int compare_bytes(const char *left, int32_t left_bytes, const char *right, int32_t right_bytes)
{
    const int order = memcmp(left, right, (size_t)(left_bytes < right_bytes ? left_bytes : right_bytes));
    return order != 0 ? order : (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

/* What the sort sees: qsort() hands no context to its comparison, so an entry carries its piece. */
typedef struct sort_entry {
    const llama_piece *piece;
    int32_t token;
} sort_entry;

static int compare_entries(const void *left, const void *right)
{
    const sort_entry *a = left;
    const sort_entry *b = right;
    const int order = compare_bytes(a->piece->bytes, a->piece->num_bytes, b->piece->bytes, b->piece->num_bytes);
    return order != 0 ? order : (a->token > b->token) - (a->token < b->token);
}

static bool sort_pieces(llama_tokenizer *tokenizer)
{
    sort_entry *entries = calloc((size_t)tokenizer->vocab_size, sizeof *entries);
    if (entries == NULL)
        return llama_fail_memory("the vocabulary");
    for (int32_t token = 0; token < tokenizer->vocab_size; token++)
        entries[token] = (sort_entry){&tokenizer->pieces[token], token};
    qsort(entries, (size_t)tokenizer->vocab_size, sizeof *entries, compare_entries);
    for (int32_t i = 0; i < tokenizer->vocab_size; i++)
        tokenizer->sorted_tokens[i] = entries[i].token;
    free(entries);
    return true;
}

static bool load(llama_tokenizer *tokenizer, llama_file *file)
{
    if (!llama_file_take(file, &tokenizer->max_piece_bytes, sizeof tokenizer->max_piece_bytes))
        return llama_fail("the tokenizer '%s' is cut off: %" PRIu64 " bytes do not hold its header", file->path,
                          file->size_bytes);
    if (tokenizer->max_piece_bytes < 1 || tokenizer->max_piece_bytes > MAX_PIECE_BYTES)
        return llama_fail("'%s' is no llama2.c tokenizer: a longest token of %" PRId32 " bytes is not in 1..%d",
                          file->path, tokenizer->max_piece_bytes, MAX_PIECE_BYTES);
    if (file->left_bytes > SIZE_MAX)
        return llama_fail_memory("the vocabulary");

    /* The pieces are shorter than the file; one byte more keeps the request from being empty. */
    tokenizer->storage = malloc((size_t)file->left_bytes + 1);
    tokenizer->pieces = calloc((size_t)tokenizer->vocab_size, sizeof *tokenizer->pieces);
    tokenizer->sorted_tokens = calloc((size_t)tokenizer->vocab_size, sizeof *tokenizer->sorted_tokens);
    if (tokenizer->storage == NULL || tokenizer->pieces == NULL || tokenizer->sorted_tokens == NULL)
        return llama_fail_memory("the vocabulary");
    return read_pieces(tokenizer, file) && sort_pieces(tokenizer);
}

bool llama_tokenizer_load(llama_tokenizer *tokenizer, const char *path, int32_t vocab_size)
{
    *tokenizer = (llama_tokenizer){.vocab_size = vocab_size};
    for (int32_t byte = 0; byte < 256; byte++)
        tokenizer->byte_values[byte] = (char)byte;
    llama_file file;
    const bool loaded = llama_file_open(&file, path, "tokenizer") && load(tokenizer, &file);
    llama_file_close(&file);
    if (!loaded)
        llama_tokenizer_free(tokenizer);
    return loaded;
}

void llama_tokenizer_free(llama_tokenizer *tokenizer)
{
    free(tokenizer->pieces);
    free(tokenizer->sorted_tokens);
    free(tokenizer->storage);
    *tokenizer = (llama_tokenizer){0};
}

/* ---- bytes of tokens ---- */

static int32_t hexadecimal_digit(char character)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *digit = character == '\0' ? NULL : strchr(digits, character);
    return digit == NULL ? -1 : (int32_t)(digit - digits);
}

/* The value of a byte token, whose piece is spelled "<0x0A>"; -1 for any other piece. */
static int32_t byte_of_piece(const llama_piece *piece)
{
    if (piece->num_bytes != 6 || memcmp(piece->bytes, "<0x", 3) != 0 || piece->bytes[5] != '>')
        return -1;
    const int32_t high = hexadecimal_digit(piece->bytes[3]);
    const int32_t low = hexadecimal_digit(piece->bytes[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

static bool is_visible(char byte)
{
    return (byte >= ' ' && byte <= '~') || (byte >= '\t' && byte <= '\r');
}

size_t llama_tokenizer_decode(const llama_tokenizer *tokenizer, int32_t previous, int32_t token, const char **bytes)
{
    const llama_piece *piece = &tokenizer->pieces[token];
    const int32_t byte = byte_of_piece(piece);
    if (byte >= 0) {
        *bytes = &tokenizer->byte_values[byte];
        return is_visible(**bytes) ? 1 : 0;
    }
    const bool skip_space = previous == LLAMA_TOKEN_BOS && piece->num_bytes > 0 && piece->bytes[0] == ' ';
    *bytes = piece->bytes + (skip_space ? 1 : 0);
    const size_t num_bytes = (size_t)piece->num_bytes - (skip_space ? 1 : 0);
    return num_bytes == 1 && !is_visible(**bytes) ? 0 : num_bytes;
}

/* ---- encoding ---- */

static int32_t find_token(const llama_tokenizer *tokenizer, const char *bytes, int32_t num_bytes)
{
    int32_t first = 0;
    int32_t last = tokenizer->vocab_size;
    while (first < last) {
        const int32_t middle = first + (last - first) / 2;
        const llama_piece *piece = &tokenizer->pieces[tokenizer->sorted_tokens[middle]];
        if (compare_bytes(piece->bytes, piece->num_bytes, bytes, num_bytes) < 0)
            first = middle + 1;
        else
            last = middle;
    }
    if (first == tokenizer->vocab_size)
        return NO_TOKEN;
    const int32_t token = tokenizer->sorted_tokens[first];
    const llama_piece *piece = &tokenizer->pieces[token];
    return compare_bytes(piece->bytes, piece->num_bytes, bytes, num_bytes) == 0 ? token : NO_TOKEN;
}

/* A list of tokens, each with the token that it and its right neighbour merge to. */
typedef struct token_list {
    const llama_tokenizer *tokenizer;
    int32_t *tokens;
    int32_t *merged;    /* NO_TOKEN: no such piece */
    char *joined_bytes; /* room for two pieces */
    int32_t num_tokens;
} token_list;

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0U) == 0x80U;
}

/* Appends a code point where the vocabulary has it, else its bytes. */
static bool append_code_point(token_list *list, const char *bytes, int32_t num_bytes)
{
    const llama_tokenizer *tokenizer = list->tokenizer;
    const int32_t token = find_token(tokenizer, bytes, num_bytes);
    if (token != NO_TOKEN) {
        list->tokens[list->num_tokens++] = token;
        return true;
    }
    for (int32_t i = 0; i < num_bytes; i++) {
        const int32_t value = (unsigned char)bytes[i];
        const int32_t byte_token = FIRST_BYTE_TOKEN + value;
        if (byte_token >= tokenizer->vocab_size || byte_of_piece(&tokenizer->pieces[byte_token]) != value)
            return llama_fail("the tokenizer has no token for the byte 0x%02X of the prompt", (unsigned)value);
        list->tokens[list->num_tokens++] = byte_token;
    }
    return true;
}

static bool append_text(token_list *list, const char *text)
{
    for (const char *start = text; *start != '\0';) {
        int32_t num_bytes = 1;
        while (num_bytes < 4 && is_continuation(start[num_bytes]))
            num_bytes++;
        if (!append_code_point(list, start, num_bytes))
            return false;
        start += num_bytes;
    }
    return true;
}

static void find_merge(token_list *list, int32_t index)
{
    if (index < 0 || index + 1 >= list->num_tokens)
        return;
    const llama_tokenizer *tokenizer = list->tokenizer;
    const llama_piece *left = &tokenizer->pieces[list->tokens[index]];
    const llama_piece *right = &tokenizer->pieces[list->tokens[index + 1]];
    memcpy(list->joined_bytes, left->bytes, (size_t)left->num_bytes);
    memcpy(list->joined_bytes + left->num_bytes, right->bytes, (size_t)right->num_bytes);
    list->merged[index] = find_token(tokenizer, list->joined_bytes, left->num_bytes + right->num_bytes);
}

/* The pair whose piece has the best score, the leftmost of equals; -1 if nothing merges any more. */
static int32_t best_merge(const token_list *list)
{
    int32_t best = -1;
    for (int32_t i = 0; i + 1 < list->num_tokens; i++) {
        if (list->merged[i] == NO_TOKEN)
            continue;
        const llama_piece *pieces = list->tokenizer->pieces;
        if (best < 0 || pieces[list->merged[i]].score > pieces[list->merged[best]].score)
            best = i;
    }
    return best;
}

/* Byte-pair encoding: the best pair becomes one token until no pair is in the vocabulary. */
static void merge_pairs(token_list *list)
{
    for (int32_t i = 0; i + 1 < list->num_tokens; i++)
        find_merge(list, i);
    for (int32_t best = best_merge(list); best >= 0; best = best_merge(list)) {
        list->tokens[best] = list->merged[best];
        list->num_tokens--;
        const size_t num_behind = (size_t)(list->num_tokens - best - 1);
        memmove(&list->tokens[best + 1], &list->tokens[best + 2], num_behind * sizeof *list->tokens);
        memmove(&list->merged[best + 1], &list->merged[best + 2], num_behind * sizeof *list->merged);
        find_merge(list, best - 1);
        find_merge(list, best);
    }
}

static bool encode(token_list *list, const char *text, int32_t max_tokens)
{
    list->tokens[list->num_tokens++] = LLAMA_TOKEN_BOS;
    /* Sentencepiece puts a space in front of a text, so that its first word is spelled like the others. */
    if (text[0] != '\0' && (!append_text(list, " ") || !append_text(list, text)))
        return false;
    merge_pairs(list);
    if (list->num_tokens > max_tokens)
        return llama_fail("a prompt of %" PRId32 " tokens is longer than the %" PRId32 " positions of the model",
                          list->num_tokens, max_tokens);
    return true;
}

bool llama_tokenizer_encode(const llama_tokenizer *tokenizer, const char *text, int32_t max_tokens, int32_t **tokens,
                            int32_t *num_tokens)
{
    /* No token is longer than the longest piece: this refuses absurd prompts before the merging, which is quadratic. */
    const size_t num_bytes = strlen(text);
    if (num_bytes / (size_t)tokenizer->max_piece_bytes > (size_t)max_tokens)
        return llama_fail("a prompt of %zu bytes is longer than the %" PRId32 " positions of the model", num_bytes,
                          max_tokens);

    /* At most a token per byte, after BOS and the space. */
    token_list list = {.tokenizer = tokenizer};
    list.tokens = calloc(num_bytes + 2, sizeof *list.tokens);
    list.merged = calloc(num_bytes + 2, sizeof *list.merged);
    list.joined_bytes = malloc(2 * (size_t)tokenizer->max_piece_bytes);
    bool encoded;
    if (list.tokens == NULL || list.merged == NULL || list.joined_bytes == NULL)
        encoded = llama_fail_memory("a prompt");
    else
        encoded = encode(&list, text, max_tokens);
    free(list.merged);
    free(list.joined_bytes);
    if (!encoded)
        free(list.tokens);
    *tokens = encoded ? list.tokens : NULL;
    *num_tokens = encoded ? list.num_tokens : 0;
    return encoded;
}
