/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include "model.h"
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct batch_sequence {
    clattn_sequence cached; /* 0 while it waits and after it has left */
    int32_t *prompt;        /* [prompt_tokens] */
    int32_t prompt_tokens;
    int32_t num_done;   /* positions computed */
    int32_t last_token; /* the end of the text so far */
    llama_text text;
    size_t text_capacity;
} batch_sequence;

struct llama_batch {
    const llama_tokenizer *tokenizer;
    int32_t vocab_size;
    int32_t num_positions;
    int32_t max_running;
    llama_model *model;
    llama_attention *attention;
    batch_sequence *sequences; /* [num_sequences], in the order of their prompts */
    int32_t num_sequences;
    int32_t num_joined; /* the first num_joined run or have left, the others wait */
    llama_batch_figures figures;

    /* The step, rebuilt every time. */
    int32_t *running; /* [max_running], indices of sequences, in the order in which they joined */
    int32_t num_running;
    clattn_sequence *cached; /* [max_running] */
    int32_t *num_new_tokens; /* [max_running] */
    int32_t *output_rows;    /* [max_running] */
    int32_t *tokens;         /* [max_step_tokens] */
    int32_t *positions;      /* [max_step_tokens] */
    float *logits;           /* [max_running, vocab_size] */
};

/* ---- making ---- */

static bool encode_prompts(llama_batch *batch, const llama_batch_params *params, int32_t *longest)
{
    *longest = 0;
    batch->sequences = calloc((size_t)params->num_prompts, sizeof *batch->sequences);
    if (batch->sequences == NULL)
        return llama_fail_memory("the prompts");
    batch->num_sequences = params->num_prompts;
    for (int32_t i = 0; i < params->num_prompts; i++) {
        batch_sequence *sequence = &batch->sequences[i];
        if (!llama_tokenizer_encode(params->tokenizer, params->prompts[i], params->checkpoint->config.seq_len,
                                    &sequence->prompt, &sequence->prompt_tokens))
            return false;
        sequence->last_token = LLAMA_TOKEN_BOS;
        if (sequence->prompt_tokens > *longest)
            *longest = sequence->prompt_tokens;
    }
    return true;
}

static bool allocate_step(llama_batch *batch, int32_t max_step_tokens)
{
    const size_t max_running = (size_t)batch->max_running;
    batch->running = calloc(max_running, sizeof *batch->running);
    batch->cached = calloc(max_running, sizeof *batch->cached);
    batch->num_new_tokens = calloc(max_running, sizeof *batch->num_new_tokens);
    batch->output_rows = calloc(max_running, sizeof *batch->output_rows);
    batch->tokens = calloc((size_t)max_step_tokens, sizeof *batch->tokens);
    batch->positions = calloc((size_t)max_step_tokens, sizeof *batch->positions);
    batch->logits = calloc(max_running, (size_t)batch->vocab_size * sizeof *batch->logits);
    if (batch->running == NULL || batch->cached == NULL || batch->num_new_tokens == NULL ||
        batch->output_rows == NULL || batch->tokens == NULL || batch->positions == NULL || batch->logits == NULL)
        return llama_fail_memory("the batch");
    return true;
}

static bool init(llama_batch *batch, const llama_batch_params *params)
{
    batch->tokenizer = params->tokenizer;
    batch->vocab_size = params->checkpoint->config.vocab_size;
    batch->num_positions = params->num_positions;
    batch->max_running = params->max_running < params->num_prompts ? params->max_running : params->num_prompts;

    int32_t longest_prompt;
    if (!encode_prompts(batch, params, &longest_prompt))
        return false;
    const int32_t longest_prefill = longest_prompt < params->num_positions ? longest_prompt : params->num_positions;
    if (batch->max_running > INT32_MAX - longest_prefill)
        return llama_fail("%" PRId32 " sequences at once are too many", batch->max_running);

    /* One sequence joins per step, so a step has at most one prefill; the others bring one token each. */
    llama_attention_params attention = params->attention;
    attention.max_seqs = batch->max_running;
    attention.max_seq_tokens = params->num_positions;
    attention.max_step_tokens = longest_prefill + batch->max_running - 1;
    return allocate_step(batch, attention.max_step_tokens) &&
           llama_model_create(params->checkpoint, attention.max_step_tokens, &batch->model) &&
           llama_attention_create(&params->checkpoint->config, &attention, &batch->attention);
}

bool llama_batch_create(const llama_batch_params *params, llama_batch **batch)
{
    *batch = calloc(1, sizeof **batch);
    if (*batch == NULL)
        return llama_fail_memory("the batch");
    if (init(*batch, params))
        return true;
    llama_batch_destroy(batch);
    return false;
}

void llama_batch_destroy(llama_batch **batch)
{
    if (*batch == NULL)
        return;
    llama_attention_destroy(&(*batch)->attention);
    llama_model_destroy(&(*batch)->model);
    for (int32_t i = 0; i < (*batch)->num_sequences; i++) {
        free((*batch)->sequences[i].prompt);
        free((*batch)->sequences[i].text.bytes);
    }
    free((*batch)->sequences);
    free((*batch)->running);
    free((*batch)->cached);
    free((*batch)->num_new_tokens);
    free((*batch)->output_rows);
    free((*batch)->tokens);
    free((*batch)->positions);
    free((*batch)->logits);
    free(*batch);
    *batch = NULL;
}

/* ---- text ---- */

static bool append_bytes(batch_sequence *sequence, const char *bytes, size_t num_bytes)
{
    llama_text *text = &sequence->text;
    if (num_bytes > sequence->text_capacity - text->num_bytes) {
        const size_t capacity = 2 * sequence->text_capacity + num_bytes + 64;
        char *grown = realloc(text->bytes, capacity);
        if (grown == NULL)
            return llama_fail_memory("the text");
        text->bytes = grown;
        sequence->text_capacity = capacity;
    }
    if (num_bytes > 0)
        memcpy(text->bytes + text->num_bytes, bytes, num_bytes);
    text->num_bytes += num_bytes;
    return true;
}

/* Puts a token behind the text; the one that begins texts ends this one. */
static bool append_token(const llama_batch *batch, batch_sequence *sequence, int32_t token)
{
    if (token == LLAMA_TOKEN_BOS) {
        sequence->text.finished = true;
        return true;
    }
    const char *bytes;
    const size_t num_bytes = llama_tokenizer_decode(batch->tokenizer, sequence->last_token, token, &bytes);
    sequence->last_token = token;
    return append_bytes(sequence, bytes, num_bytes);
}

/* ---- the step ---- */

static bool join_next(llama_batch *batch)
{
    if (batch->num_joined == batch->num_sequences || batch->num_running == batch->max_running)
        return true;
    if (!llama_attention_join(batch->attention, &batch->sequences[batch->num_joined].cached))
        return false;
    batch->running[batch->num_running++] = batch->num_joined++;
    if (batch->num_running > batch->figures.most_running)
        batch->figures.most_running = batch->num_running;
    return true;
}

/* The tokens that a sequence brings to the step: its prompt when it has just joined, later its last token. */
static int32_t gather_tokens(llama_batch *batch, const batch_sequence *sequence, int32_t first_row)
{
    if (sequence->num_done > 0) {
        batch->tokens[first_row] = sequence->last_token;
        batch->positions[first_row] = sequence->num_done;
        return 1;
    }
    const int32_t num_tokens =
        sequence->prompt_tokens < batch->num_positions ? sequence->prompt_tokens : batch->num_positions;
    for (int32_t i = 0; i < num_tokens; i++) {
        batch->tokens[first_row + i] = sequence->prompt[i];
        batch->positions[first_row + i] = i;
    }
    return num_tokens;
}

static llama_step gather_step(llama_batch *batch)
{
    int32_t num_tokens = 0;
    int32_t num_prefills = 0;
    for (int32_t i = 0; i < batch->num_running; i++) {
        const batch_sequence *sequence = &batch->sequences[batch->running[i]];
        batch->cached[i] = sequence->cached;
        batch->num_new_tokens[i] = gather_tokens(batch, sequence, num_tokens);
        num_tokens += batch->num_new_tokens[i];
        batch->output_rows[i] = num_tokens - 1;
        num_prefills += sequence->num_done == 0 ? 1 : 0;
    }
    batch->figures.num_positions += num_tokens;
    batch->figures.num_steps++;
    if (num_prefills > 0 && num_prefills < batch->num_running)
        batch->figures.num_mixed_steps++;
    return (llama_step){
        .num_tokens = num_tokens,
        .tokens = batch->tokens,
        .positions = batch->positions,
        .num_outputs = batch->num_running,
        .output_rows = batch->output_rows,
    };
}

static bool choose_token(const float *logits, int32_t vocab_size, int32_t *token)
{
    *token = 0;
    for (int32_t i = 0; i < vocab_size; i++) {
        if (!isfinite(logits[i]))
            return llama_fail("the model gives a logit that is not finite; are its weights damaged?");
        if (logits[i] > logits[*token])
            *token = i;
    }
    return true;
}

/* Takes the step's result into a sequence: prompt tokens are known, the one behind them is the model's choice. */
static bool advance(const llama_batch *batch, batch_sequence *sequence, int32_t num_new_tokens, const float *logits)
{
    const int32_t first_position = sequence->num_done;
    sequence->num_done += num_new_tokens;
    for (int32_t position = first_position; position < sequence->num_done && !sequence->text.finished; position++) {
        int32_t token;
        if (position + 1 < sequence->prompt_tokens)
            token = sequence->prompt[position + 1];
        else if (!choose_token(logits, batch->vocab_size, &token))
            return false;
        if (!append_token(batch, sequence, token))
            return false;
    }
    if (sequence->num_done == batch->num_positions)
        sequence->text.finished = true;
    return true;
}

/* Finished sequences leave; the others close ranks. */
static bool leave_finished(llama_batch *batch)
{
    int32_t num_staying = 0;
    for (int32_t i = 0; i < batch->num_running; i++) {
        batch_sequence *sequence = &batch->sequences[batch->running[i]];
        if (!sequence->text.finished)
            batch->running[num_staying++] = batch->running[i];
        else if (!llama_attention_leave(batch->attention, &sequence->cached))
            return false;
    }
    batch->num_running = num_staying;
    return true;
}

bool llama_batch_step(llama_batch *batch)
{
    if (!join_next(batch))
        return false;
    const llama_step step = gather_step(batch);
    if (!llama_attention_begin_step(batch->attention, batch->num_running, batch->cached, batch->num_new_tokens) ||
        !llama_model_forward(batch->model, batch->attention, &step, batch->logits))
        return false;
    for (int32_t i = 0; i < batch->num_running; i++) {
        const float *logits = batch->logits + (size_t)i * (size_t)batch->vocab_size;
        if (!advance(batch, &batch->sequences[batch->running[i]], batch->num_new_tokens[i], logits))
            return false;
    }
    return leave_finished(batch);
}

bool llama_batch_is_finished(const llama_batch *batch)
{
    return batch->num_joined == batch->num_sequences && batch->num_running == 0;
}

const llama_text *llama_batch_text(const llama_batch *batch, int32_t prompt)
{
    return &batch->sequences[prompt].text;
}

llama_batch_figures llama_batch_get_figures(const llama_batch *batch)
{
    llama_batch_figures figures = batch->figures;
    figures.attention = llama_attention_get_usage(batch->attention);
    return figures;
}
