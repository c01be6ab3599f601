/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Constants of the architecture as llama2.c trains it. */
static const float norm_epsilon = 1e-5F;
static const float rotation_base = 10000.0F;

struct llama_model {
    const llama_config *config;
    const llama_weights *weights;
    float *cosines; /* [seq_len, head_dim / 2] */
    float *sines;
    float *stream;     /* [max_step_tokens, dim], the residual stream */
    float *normalised; /* [max_step_tokens, dim] */
    float *branch;     /* [max_step_tokens, dim], what a block adds to the stream */
    float *queries;    /* [max_step_tokens, dim] */
    float *keys;       /* [max_step_tokens, kv_dim] */
    float *values;     /* [max_step_tokens, kv_dim] */
    float *attended;   /* [max_step_tokens, dim] */
    float *gate;       /* [max_step_tokens, hidden_dim] */
    float *up;         /* [max_step_tokens, hidden_dim] */
};

static float *new_rows(int32_t num_rows, int32_t width)
{
    return calloc((size_t)num_rows, (size_t)width * sizeof(float));
}

/* Pair i of a head turns by position * base^(-2i / head_dim). */
static void fill_rotations(llama_model *model)
{
    const int32_t num_pairs = model->config->head_dim / 2;
    for (int32_t pair = 0; pair < num_pairs; pair++) {
        const float frequency = 1.0F / powf(rotation_base, (float)(2 * pair) / (float)model->config->head_dim);
        for (int32_t position = 0; position < model->config->seq_len; position++) {
            const size_t index = (size_t)position * (size_t)num_pairs + (size_t)pair;
            model->cosines[index] = cosf((float)position * frequency);
            model->sines[index] = sinf((float)position * frequency);
        }
    }
}

bool llama_model_create(const llama_checkpoint *checkpoint, int32_t max_step_tokens, llama_model **model)
{
    const llama_config *config = &checkpoint->config;
    llama_model *made = calloc(1, sizeof *made);
    *model = made;
    if (made == NULL)
        return llama_fail_memory("the model");
    made->config = config;
    made->weights = &checkpoint->weights;
    made->cosines = new_rows(config->seq_len, config->head_dim / 2);
    made->sines = new_rows(config->seq_len, config->head_dim / 2);
    made->stream = new_rows(max_step_tokens, config->dim);
    made->normalised = new_rows(max_step_tokens, config->dim);
    made->branch = new_rows(max_step_tokens, config->dim);
    made->queries = new_rows(max_step_tokens, config->dim);
    made->keys = new_rows(max_step_tokens, config->kv_dim);
    made->values = new_rows(max_step_tokens, config->kv_dim);
    made->attended = new_rows(max_step_tokens, config->dim);
    made->gate = new_rows(max_step_tokens, config->hidden_dim);
    made->up = new_rows(max_step_tokens, config->hidden_dim);
    if (made->cosines == NULL || made->sines == NULL || made->stream == NULL || made->normalised == NULL ||
        made->branch == NULL || made->queries == NULL || made->keys == NULL || made->values == NULL ||
        made->attended == NULL || made->gate == NULL || made->up == NULL) {
        llama_model_destroy(model);
        return llama_fail_memory("the model");
    }
    fill_rotations(made);
    return true;
}

void llama_model_destroy(llama_model **model)
{
    if (*model == NULL)
        return;
    float *const arrays[] = {(*model)->cosines,  (*model)->sines,   (*model)->stream, (*model)->normalised,
                             (*model)->branch,   (*model)->queries, (*model)->keys,   (*model)->values,
                             (*model)->attended, (*model)->gate,    (*model)->up};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        free(arrays[i]);
    free(*model);
    *model = NULL;
}

/* Sixteen sums side by side, which a compiler turns into vector instructions without reordering anything. */
static float dot(const float *left, const float *right, int32_t size)
{
    enum { NUM_SUMS = 16 };
    float sums[NUM_SUMS] = {0.0F};
    int32_t i = 0;
    for (; i + NUM_SUMS <= size; i += NUM_SUMS) {
        for (int32_t lane = 0; lane < NUM_SUMS; lane++)
            sums[lane] += left[i + lane] * right[i + lane];
    }
    float sum = 0.0F;
    for (; i < size; i++)
        sum += left[i] * right[i];
    for (int32_t lane = 0; lane < NUM_SUMS; lane++)
        sum += sums[lane];
    return sum;
}

/* out[t] = matrix in[t]; a row of the matrix is read once for all tokens. in [num_tokens, columns], out [.., rows]. */
static void multiply(float *out, const float *matrix, const float *in, int32_t rows, int32_t columns,
                     int32_t num_tokens)
{
    for (int32_t row = 0; row < rows; row++) {
        const float *matrix_row = matrix + (size_t)row * (size_t)columns;
        for (int32_t token = 0; token < num_tokens; token++)
            out[(size_t)token * (size_t)rows + (size_t)row] =
                dot(matrix_row, in + (size_t)token * (size_t)columns, columns);
    }
}

static void normalise(float *out, const float *in, const float *weight, int32_t size)
{
    const float scale = 1.0F / sqrtf(dot(in, in, size) / (float)size + norm_epsilon);
    for (int32_t i = 0; i < size; i++)
        out[i] = weight[i] * (scale * in[i]);
}

static void normalise_rows(const llama_model *model, const float *weight, int32_t num_tokens)
{
    const size_t dim = (size_t)model->config->dim;
    for (size_t token = 0; token < (size_t)num_tokens; token++)
        normalise(model->normalised + token * dim, model->stream + token * dim, weight, model->config->dim);
}

/* Rotates neighbouring pairs of every head of a row. */
static void rotate(const llama_model *model, float *row, int32_t width, int32_t position)
{
    const int32_t num_pairs = model->config->head_dim / 2;
    const float *cosines = model->cosines + (size_t)position * (size_t)num_pairs;
    const float *sines = model->sines + (size_t)position * (size_t)num_pairs;
    for (int32_t i = 0; i < width; i += 2) {
        const int32_t pair = i / 2 % num_pairs;
        const float real = row[i];
        const float imaginary = row[i + 1];
        row[i] = real * cosines[pair] - imaginary * sines[pair];
        row[i + 1] = real * sines[pair] + imaginary * cosines[pair];
    }
}

static void add_branch(const llama_model *model, int32_t num_tokens)
{
    const size_t size = (size_t)num_tokens * (size_t)model->config->dim;
    for (size_t i = 0; i < size; i++)
        model->stream[i] += model->branch[i];
}

static bool attention_block(llama_model *model, llama_attention *attention, int32_t layer, const llama_step *step)
{
    const int32_t dim = model->config->dim;
    const int32_t kv_dim = model->config->kv_dim;
    const size_t query_matrix = (size_t)dim * (size_t)dim * (size_t)layer;
    const size_t kv_matrix = (size_t)dim * (size_t)kv_dim * (size_t)layer;
    const llama_weights *weights = model->weights;

    normalise_rows(model, weights->rms_attention + (size_t)layer * (size_t)dim, step->num_tokens);
    multiply(model->queries, weights->wq + query_matrix, model->normalised, dim, dim, step->num_tokens);
    multiply(model->keys, weights->wk + kv_matrix, model->normalised, kv_dim, dim, step->num_tokens);
    multiply(model->values, weights->wv + kv_matrix, model->normalised, kv_dim, dim, step->num_tokens);
    for (int32_t token = 0; token < step->num_tokens; token++) {
        rotate(model, model->queries + (size_t)token * (size_t)dim, dim, step->positions[token]);
        rotate(model, model->keys + (size_t)token * (size_t)kv_dim, kv_dim, step->positions[token]);
    }
    if (!llama_attention_run_layer(attention, layer, model->queries, model->keys, model->values, model->attended))
        return false;
    multiply(model->branch, weights->wo + query_matrix, model->attended, dim, dim, step->num_tokens);
    add_branch(model, step->num_tokens);
    return true;
}

/* SwiGLU: down(silu(gate(x)) * up(x)). */
static void feed_forward_block(llama_model *model, int32_t layer, int32_t num_tokens)
{
    const int32_t dim = model->config->dim;
    const int32_t hidden_dim = model->config->hidden_dim;
    const size_t matrix = (size_t)dim * (size_t)hidden_dim * (size_t)layer;
    const llama_weights *weights = model->weights;

    normalise_rows(model, weights->rms_ffn + (size_t)layer * (size_t)dim, num_tokens);
    multiply(model->gate, weights->w1 + matrix, model->normalised, hidden_dim, dim, num_tokens);
    multiply(model->up, weights->w3 + matrix, model->normalised, hidden_dim, dim, num_tokens);
    const size_t size = (size_t)num_tokens * (size_t)hidden_dim;
    for (size_t i = 0; i < size; i++)
        model->gate[i] = model->gate[i] / (1.0F + expf(-model->gate[i])) * model->up[i];
    multiply(model->branch, weights->w2 + matrix, model->gate, dim, hidden_dim, num_tokens);
    add_branch(model, num_tokens);
}

bool llama_model_forward(llama_model *model, llama_attention *attention, const llama_step *step, float *logits)
{
    const llama_config *config = model->config;
    const size_t dim = (size_t)config->dim;
    for (size_t token = 0; token < (size_t)step->num_tokens; token++)
        memcpy(model->stream + token * dim, model->weights->token_embedding + (size_t)step->tokens[token] * dim,
               dim * sizeof(float));

    for (int32_t layer = 0; layer < config->num_layers; layer++) {
        if (!attention_block(model, attention, layer, step))
            return false;
        feed_forward_block(model, layer, step->num_tokens);
    }

    /* Only the rows that were asked for meet the classifier, the largest matrix of a small model. */
    for (size_t output = 0; output < (size_t)step->num_outputs; output++)
        normalise(model->normalised + output * dim, model->stream + (size_t)step->output_rows[output] * dim,
                  model->weights->rms_final, config->dim);
    multiply(logits, model->weights->classifier, model->normalised, config->vocab_size, config->dim, step->num_outputs);
    return true;
}
