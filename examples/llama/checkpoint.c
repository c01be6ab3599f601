/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint.h"

#include "file.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NUM_HEADER_FIELDS = 7, NUM_WEIGHT_ARRAYS = 14 };

/* Upper limits of the header fields. They are far above any model and keep every product of sizes below 2^63. */
enum {
    MAX_DIM = 1 << 16,
    MAX_HIDDEN_DIM = 1 << 20,
    MAX_NUM_LAYERS = 1 << 10,
    MAX_VOCAB_SIZE = 1 << 24,
    MAX_SEQ_LEN = 1 << 24
};

typedef struct header_field {
    const char *name;
    int32_t largest;
    int32_t *value;
} header_field;

/* One array of the file, in file order. */
typedef struct weight_array {
    const float **start; /* NULL: the generator has no use for it */
    uint64_t num_floats;
} weight_array;

static bool check_header(llama_config *config, const int32_t header[NUM_HEADER_FIELDS], const char *path)
{
    const header_field fields[NUM_HEADER_FIELDS] = {
        {"dim", MAX_DIM, &config->dim},
        {"hidden_dim", MAX_HIDDEN_DIM, &config->hidden_dim},
        {"n_layers", MAX_NUM_LAYERS, &config->num_layers},
        {"n_heads", MAX_DIM, &config->num_q_heads},
        {"n_kv_heads", MAX_DIM, &config->num_kv_heads},
        {"vocab_size", MAX_VOCAB_SIZE, &config->vocab_size},
        {"seq_len", MAX_SEQ_LEN, &config->seq_len},
    };
    for (int32_t i = 0; i < NUM_HEADER_FIELDS; i++) {
        if (header[i] < 1 || header[i] > fields[i].largest)
            return llama_fail("'%s' is no llama2.c checkpoint: its header says %s = %" PRId32
                              ", which is not in 1..%" PRId32,
                              path, fields[i].name, header[i], fields[i].largest);
        *fields[i].value = header[i];
    }
    if (config->dim % config->num_q_heads != 0 || config->num_q_heads % config->num_kv_heads != 0)
        return llama_fail("'%s' is no llama2.c checkpoint: %" PRId32 " heads and %" PRId32
                          " kv heads do not divide a width of %" PRId32,
                          path, config->num_q_heads, config->num_kv_heads, config->dim);
    config->head_dim = config->dim / config->num_q_heads;
    config->kv_dim = config->num_kv_heads * config->head_dim;
    if (config->head_dim % 2 != 0)
        return llama_fail("'%s' has heads of %" PRId32 " elements: rotary positions need an even number", path,
                          config->head_dim);
    return true;
}

static bool read_header(llama_file *file, llama_config *config, bool *shared_classifier)
{
    int32_t header[NUM_HEADER_FIELDS];
    if (!llama_file_take(file, header, sizeof header))
        return llama_fail("the checkpoint '%s' is cut off: %" PRIu64 " bytes do not hold its header", file->path,
                          file->size_bytes);

    /* A negative vocabulary size announces a classifier of its own at the end of the file. */
    *shared_classifier = header[5] > 0;
    if (header[5] < 0 && header[5] >= -MAX_VOCAB_SIZE)
        header[5] = -header[5];
    return check_header(config, header, file->path);
}

static uint64_t list_arrays(const llama_config *config, bool shared_classifier, llama_weights *weights,
                            weight_array arrays[NUM_WEIGHT_ARRAYS])
{
    const uint64_t dim = (uint64_t)config->dim;
    const uint64_t layers = (uint64_t)config->num_layers;
    const uint64_t query_matrices = layers * dim * dim;
    const uint64_t kv_matrices = layers * (uint64_t)config->kv_dim * dim;
    const uint64_t ffn_matrices = layers * (uint64_t)config->hidden_dim * dim;
    const uint64_t vocabulary = (uint64_t)config->vocab_size * dim;
    const uint64_t rotations = (uint64_t)config->seq_len * (uint64_t)(config->head_dim / 2);
    const weight_array file_order[NUM_WEIGHT_ARRAYS] = {
        {&weights->token_embedding, vocabulary},
        {&weights->rms_attention, layers * dim},
        {&weights->wq, query_matrices},
        {&weights->wk, kv_matrices},
        {&weights->wv, kv_matrices},
        {&weights->wo, query_matrices},
        {&weights->rms_ffn, layers * dim},
        {&weights->w1, ffn_matrices},
        {&weights->w2, ffn_matrices},
        {&weights->w3, ffn_matrices},
        {&weights->rms_final, dim},
        {NULL, rotations}, /* cosines; the model computes its own */
        {NULL, rotations}, /* sines */
        {&weights->classifier, shared_classifier ? 0 : vocabulary},
    };
    uint64_t num_floats = 0;
    for (int32_t i = 0; i < NUM_WEIGHT_ARRAYS; i++) {
        arrays[i] = file_order[i];
        num_floats += arrays[i].num_floats;
    }
    return num_floats;
}

static bool check_size(const llama_file *file, uint64_t num_floats)
{
    const uint64_t expected_bytes = NUM_HEADER_FIELDS * sizeof(int32_t) + num_floats * sizeof(float);
    if (file->size_bytes < expected_bytes)
        return llama_fail("the checkpoint '%s' is cut off: it has %" PRIu64 " bytes, its header asks for %" PRIu64,
                          file->path, file->size_bytes, expected_bytes);
    if (file->size_bytes > expected_bytes)
        return llama_fail("'%s' is no llama2.c checkpoint: it has %" PRIu64 " bytes, its header asks for only %" PRIu64,
                          file->path, file->size_bytes, expected_bytes);
    if (expected_bytes > SIZE_MAX)
        return llama_fail_memory("the weights");
    return true;
}

static bool load_weights(llama_checkpoint *checkpoint, llama_file *file, bool shared_classifier)
{
    weight_array arrays[NUM_WEIGHT_ARRAYS];
    const uint64_t num_floats = list_arrays(&checkpoint->config, shared_classifier, &checkpoint->weights, arrays);
    if (!check_size(file, num_floats))
        return false;

    const size_t weight_bytes = (size_t)num_floats * sizeof(float);
    checkpoint->storage = malloc(weight_bytes);
    if (checkpoint->storage == NULL)
        return llama_fail_memory("the weights");
    if (!llama_file_take(file, checkpoint->storage, weight_bytes))
        return llama_fail("the weights in '%s' cannot be read", file->path);

    const float *next = checkpoint->storage;
    for (int32_t i = 0; i < NUM_WEIGHT_ARRAYS; i++) {
        if (arrays[i].start != NULL)
            *arrays[i].start = next;
        next += arrays[i].num_floats;
    }
    if (shared_classifier)
        checkpoint->weights.classifier = checkpoint->weights.token_embedding;
    return true;
}

bool llama_checkpoint_load(llama_checkpoint *checkpoint, const char *path)
{
    *checkpoint = (llama_checkpoint){0};
    llama_file file;
    bool shared_classifier = false;
    const bool loaded = llama_file_open(&file, path, "checkpoint") &&
                        read_header(&file, &checkpoint->config, &shared_classifier) &&
                        load_weights(checkpoint, &file, shared_classifier);
    llama_file_close(&file);
    if (!loaded)
        llama_checkpoint_free(checkpoint);
    return loaded;
}

void llama_checkpoint_free(llama_checkpoint *checkpoint)
{
    free(checkpoint->storage);
    *checkpoint = (llama_checkpoint){0};
}
