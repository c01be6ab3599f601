/* SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"

#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

struct llama_attention {
    llama_config config;
    int32_t page_size;
    clattn_context *context;
    clattn_kv_cache *cache;
    clattn_plan *plan;    /* made in the first step, updated in every other */
    int32_t total_tokens; /* of the step */
    int32_t num_pages;
    int32_t most_pages_used;
    cl_mem queries; /* [max_step_tokens, Hq, D] float32, as the three below with their heads */
    cl_mem keys;
    cl_mem values;
    cl_mem out;
};

/* The sentence of a failed call comes from check(); only where there is no context yet is the log its one way out. */
static void print_message(void *user, clattn_log_level level, const char *message)
{
    const llama_attention *attention = user;
    if (level == CLATTN_LOG_WARNING || (level == CLATTN_LOG_ERROR && attention->context == NULL))
        llama_fail("%s", message);
}

static bool check(const llama_attention *attention, clattn_status status, const char *what)
{
    if (status == CLATTN_OK)
        return true;
    return llama_fail("%s failed: %s (%s)", what, clattn_context_last_error(attention->context),
                      clattn_status_name(status));
}

static bool check_cl(cl_int error, const char *what)
{
    return error == CL_SUCCESS ? true : llama_fail("%s failed: OpenCL error %d", what, (int)error);
}

static bool open_device(llama_attention *attention, const llama_attention_params *params)
{
    const clattn_context_params context_params = {
        .device = params->device,
        .family = params->family,
        .log = print_message,
        .log_user = attention,
    };
    const clattn_status status = clattn_context_create(&context_params, &attention->context);
    if (status != CLATTN_OK)
        return llama_fail("cannot open the device (%s)", clattn_status_name(status));
    return true;
}

static bool create_cache(llama_attention *attention, const llama_attention_params *params)
{
    const int64_t pages_per_seq = ((int64_t)params->max_seq_tokens + params->page_size - 1) / params->page_size;
    if (pages_per_seq > INT32_MAX / params->max_seqs)
        return llama_fail("%" PRId32 " sequences of %" PRId64 " pages are more than a cache can number",
                          params->max_seqs, pages_per_seq);
    attention->num_pages = (int32_t)pages_per_seq * params->max_seqs;
    const clattn_kv_cache_params cache_params = {
        .num_layers = attention->config.num_layers,
        .num_pages = attention->num_pages,
        .page_size = params->page_size,
        .num_kv_heads = attention->config.num_kv_heads,
        .head_dim = attention->config.head_dim,
        .max_seqs = params->max_seqs,
        .dtype = params->kv_dtype,
        .layout = CLATTN_KV_COMBINED,
    };
    return check(attention, clattn_kv_cache_create(attention->context, &cache_params, &attention->cache),
                 "making the KV cache");
}

static bool create_buffer(llama_attention *attention, int32_t num_rows, int32_t width, cl_mem *buffer)
{
    /* Fits into a size_t: the model has host rows of this size. */
    cl_int error;
    const size_t size_bytes = (size_t)num_rows * (size_t)width * sizeof(float);
    *buffer =
        clCreateBuffer(clattn_context_cl_context(attention->context), CL_MEM_READ_WRITE, size_bytes, NULL, &error);
    return check_cl(error, "making a device buffer");
}

bool llama_attention_create(const llama_config *config, const llama_attention_params *params,
                            llama_attention **attention)
{
    *attention = calloc(1, sizeof **attention);
    if (*attention == NULL)
        return llama_fail_memory("the attention");
    (*attention)->config = *config;
    (*attention)->page_size = params->page_size;

    const int32_t max_tokens = params->max_step_tokens;
    if (open_device(*attention, params) && create_cache(*attention, params) &&
        create_buffer(*attention, max_tokens, config->dim, &(*attention)->queries) &&
        create_buffer(*attention, max_tokens, config->kv_dim, &(*attention)->keys) &&
        create_buffer(*attention, max_tokens, config->kv_dim, &(*attention)->values) &&
        create_buffer(*attention, max_tokens, config->dim, &(*attention)->out))
        return true;
    llama_attention_destroy(attention);
    return false;
}

static void release_buffer(cl_mem buffer)
{
    if (buffer != NULL)
        clReleaseMemObject(buffer);
}

void llama_attention_destroy(llama_attention **attention)
{
    if (*attention == NULL)
        return;
    release_buffer((*attention)->queries);
    release_buffer((*attention)->keys);
    release_buffer((*attention)->values);
    release_buffer((*attention)->out);
    clattn_plan_destroy(&(*attention)->plan);
    clattn_kv_cache_destroy(&(*attention)->cache);
    clattn_context_destroy(&(*attention)->context);
    free(*attention);
    *attention = NULL;
}

bool llama_attention_join(llama_attention *attention, clattn_sequence *sequence)
{
    return check(attention, clattn_sequence_create(attention->cache, sequence), "starting a sequence");
}

bool llama_attention_leave(llama_attention *attention, clattn_sequence *sequence)
{
    return check(attention, clattn_sequence_release(attention->cache, sequence), "ending a sequence");
}

bool llama_attention_begin_step(llama_attention *attention, int32_t num_seqs, const clattn_sequence *sequences,
                                const int32_t *num_new_tokens)
{
    clattn_kv_batch batch;
    if (!check(attention, clattn_kv_cache_extend(attention->cache, num_seqs, sequences, num_new_tokens, &batch),
               "extending the sequences"))
        return false;
    const int32_t num_used = attention->num_pages - clattn_kv_cache_num_free_pages(attention->cache);
    if (num_used > attention->most_pages_used)
        attention->most_pages_used = num_used;

    attention->total_tokens = batch.total_tokens;
    const clattn_plan_params plan_params = {
        .num_seqs = batch.num_seqs,
        .total_tokens = batch.total_tokens,
        .query_start_loc = batch.query_start_loc,
        .context_lens = batch.context_lens,
        .block_tables = batch.block_tables,
        .pages_per_seq = batch.pages_per_seq,
        .slot_mapping = batch.slot_mapping,
        .num_q_heads = attention->config.num_q_heads,
        .num_kv_heads = attention->config.num_kv_heads,
        .head_dim = attention->config.head_dim,
        .page_size = attention->page_size,
        .num_pages = attention->num_pages,
        .kv_layout = CLATTN_KV_COMBINED,
    };
    const clattn_status status = attention->plan == NULL
                                     ? clattn_plan_create(attention->context, &plan_params, &attention->plan)
                                     : clattn_plan_update(attention->plan, &plan_params);
    return check(attention, status, "planning a step");
}

static bool upload(const llama_attention *attention, cl_mem buffer, const float *rows, int32_t width)
{
    /* Does not wait: run_layer() returns after a blocking read on the same in-order queue. */
    const size_t size_bytes = (size_t)attention->total_tokens * (size_t)width * sizeof(float);
    return check_cl(clEnqueueWriteBuffer(clattn_context_cl_queue(attention->context), buffer, CL_FALSE, 0, size_bytes,
                                         rows, 0, NULL, NULL),
                    "sending rows to the device");
}

static clattn_tensor rows_tensor(const llama_attention *attention, cl_mem buffer, int32_t num_heads)
{
    const int64_t shape[] = {attention->total_tokens, num_heads, attention->config.head_dim};
    return clattn_tensor_make(buffer, CLATTN_FLOAT32, 3, shape);
}

static bool append(llama_attention *attention, int32_t layer)
{
    const clattn_kv_append_params params = {
        .layer = layer,
        .keys = rows_tensor(attention, attention->keys, attention->config.num_kv_heads),
        .values = rows_tensor(attention, attention->values, attention->config.num_kv_heads),
        .plan = attention->plan,
    };
    return check(attention, clattn_kv_cache_append(attention->cache, &params, 0, NULL, NULL),
                 "storing keys and values");
}

static bool attend(llama_attention *attention, int32_t layer)
{
    clattn_ragged_page_attention_params params = {
        .queries = rows_tensor(attention, attention->queries, attention->config.num_q_heads),
        .out = rows_tensor(attention, attention->out, attention->config.num_q_heads),
        .kv_layout = CLATTN_KV_COMBINED,
        .plan = attention->plan,
    };
    clattn_tensor no_value_pages;
    return check(attention, clattn_kv_cache_layer(attention->cache, layer, &params.kv_pages, &no_value_pages),
                 "finding the pages of a layer") &&
           check(attention, clattn_ragged_page_attention(attention->context, &params, 0, NULL, NULL), "attention");
}

bool llama_attention_run_layer(llama_attention *attention, int32_t layer, const float *queries, const float *keys,
                               const float *values, float *out)
{
    const llama_config *config = &attention->config;
    const bool enqueued = upload(attention, attention->queries, queries, config->dim) &&
                          upload(attention, attention->keys, keys, config->kv_dim) &&
                          upload(attention, attention->values, values, config->kv_dim) && append(attention, layer) &&
                          attend(attention, layer);
    if (!enqueued) {
        /* What was enqueued still reads the caller's rows. */
        clFinish(clattn_context_cl_queue(attention->context));
        return false;
    }
    const size_t size_bytes = (size_t)attention->total_tokens * (size_t)config->dim * sizeof(float);
    return check_cl(clEnqueueReadBuffer(clattn_context_cl_queue(attention->context), attention->out, CL_TRUE, 0,
                                        size_bytes, out, 0, NULL, NULL),
                    "reading rows from the device");
}

llama_attention_usage llama_attention_get_usage(const llama_attention *attention)
{
    return (llama_attention_usage){
        .device = clattn_context_device(attention->context)->name,
        .family = clattn_context_family(attention->context),
        .num_pages = attention->num_pages,
        .most_pages_used = attention->most_pages_used,
    };
}
