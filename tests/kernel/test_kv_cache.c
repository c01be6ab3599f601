/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KV cache on a device: what creation accepts, what its layers look like, and that forked sequences keep their own
 * contents in every layer and layout. What it does when a call fails is in tests/fault.
 */
#include "kv_layout.h"
#include "support/device.h"
#include "support/fp.h"
#include "support/random.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUM_LAYERS = 3, NUM_HEADS = 3, HEAD_DIM = 8, HEAD_DIM_V = 5, NUM_PAGES = 24, MAX_SEQS = 6, MAX_TOKENS = 128 };

static const clattn_kv_cache_params small_params = {
    .num_layers = NUM_LAYERS,
    .num_pages = NUM_PAGES,
    .page_size = 4,
    .num_kv_heads = NUM_HEADS,
    .head_dim = HEAD_DIM,
};

static clattn_kv_cache *create(const support_device *device, const clattn_kv_cache_params *params)
{
    clattn_kv_cache *cache = NULL;
    if (clattn_kv_cache_create(device->ctx, params, &cache) != CLATTN_OK)
        fail_msg("%s", clattn_context_last_error(device->ctx));
    return cache;
}

static void zero_fields_become_defaults(void **state)
{
    clattn_kv_cache *cache = create(*state, &small_params);
    const clattn_kv_cache_params *params = clattn_kv_cache_get_params(cache);
    assert_int_equal(params->num_layers, NUM_LAYERS);
    assert_int_equal(params->head_dim_v, HEAD_DIM);
    assert_int_equal(params->max_seqs, NUM_PAGES);
    assert_int_equal(params->dtype, CLATTN_FLOAT16);
    assert_int_equal(params->layout, CLATTN_KV_COMBINED);
    assert_int_equal(clattn_kv_cache_num_free_pages(cache), NUM_PAGES);
    clattn_kv_cache_destroy(&cache);
    assert_null(cache);
    clattn_kv_cache_destroy(&cache);
    clattn_kv_cache_destroy(NULL);
}

static void assert_not_created(const support_device *device, const clattn_kv_cache_params *params, clattn_status status,
                               const char *word)
{
    clattn_kv_cache *cache = (clattn_kv_cache *)(void *)&status;
    assert_int_equal(clattn_kv_cache_create(device->ctx, params, &cache), status);
    assert_null(cache);
    if (!strstr(clattn_context_last_error(device->ctx), word))
        fail_msg("\"%s\" does not say \"%s\"", clattn_context_last_error(device->ctx), word);
}

static void counts_out_of_range_are_refused_by_name(void **state)
{
    static const struct {
        const char *name;
        size_t offset;
        int32_t largest_refused;
    } cases[] = {
        {"num_layers", offsetof(clattn_kv_cache_params, num_layers), 0},
        {"num_pages", offsetof(clattn_kv_cache_params, num_pages), 0},
        {"page_size", offsetof(clattn_kv_cache_params, page_size), 0},
        {"num_kv_heads", offsetof(clattn_kv_cache_params, num_kv_heads), 0},
        {"head_dim", offsetof(clattn_kv_cache_params, head_dim), 0},
        {"head_dim_v", offsetof(clattn_kv_cache_params, head_dim_v), -1},
        {"max_seqs", offsetof(clattn_kv_cache_params, max_seqs), -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_kv_cache_params params = small_params;
        params.layout = CLATTN_KV_NHD;
        const int32_t accepted = cases[i].largest_refused + 1;
        memcpy((char *)&params + cases[i].offset, &cases[i].largest_refused, sizeof(int32_t));
        assert_not_created(*state, &params, CLATTN_INVALID_ARGUMENT, cases[i].name);
        memcpy((char *)&params + cases[i].offset, &accepted, sizeof(int32_t));
        clattn_kv_cache *cache = create(*state, &params);
        clattn_kv_cache_destroy(&cache);
    }
}

static void bad_params_are_refused(void **state)
{
    const support_device *device = *state;
    clattn_kv_cache_params params = small_params;
    clattn_kv_cache *cache = NULL;
    assert_int_equal(clattn_kv_cache_create(NULL, &params, &cache), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_kv_cache_create(device->ctx, &params, NULL), CLATTN_INVALID_ARGUMENT);
    assert_not_created(device, NULL, CLATTN_INVALID_ARGUMENT, "params is NULL");
    params.dtype = CLATTN_NUM_DTYPES;
    assert_not_created(device, &params, CLATTN_INVALID_DTYPE, "dtype is 4");
    params = small_params;
    params.layout = CLATTN_NUM_KV_LAYOUTS;
    assert_not_created(device, &params, CLATTN_INVALID_ARGUMENT, "layout is 4");
    params = small_params;
    params.head_dim_v = HEAD_DIM + 1;
    assert_not_created(device, &params, CLATTN_UNSUPPORTED, "head_dim_v is 9");
    params.layout = CLATTN_KV_NHD;
    cache = create(device, &params);
    clattn_kv_cache_destroy(&cache);
}

static void layers_that_fit_no_buffer_are_refused(void **state)
{
    const support_device *device = *state;
    const uint64_t limit = clattn_context_device(device->ctx)->max_allocation_bytes;
    clattn_kv_cache_params params = small_params;
    params.num_pages = INT32_MAX;
    params.page_size = INT32_MAX;
    params.head_dim = INT32_MAX;
    assert_not_created(device, &params, CLATTN_SIZE_OVERFLOW, "larger than any buffer");

    /* One page more than the largest buffer holds. At the limit it is up to the driver whether there is room. */
    params = small_params;
    params.page_size = 1 << 14;
    params.num_pages = (int32_t)(limit / ((uint64_t)params.page_size * 2 * NUM_HEADS * HEAD_DIM * 2)) + 1;
    assert_not_created(device, &params, CLATTN_OUT_OF_DEVICE_MEMORY, "the device's largest buffer");
    params.num_pages--;
    params.num_layers = 1;
    clattn_kv_cache *cache = NULL;
    const clattn_status status = clattn_kv_cache_create(device->ctx, &params, &cache);
    assert_true(status == CLATTN_OK || status == CLATTN_OUT_OF_DEVICE_MEMORY);
    assert_null(strstr(clattn_context_last_error(device->ctx),
                       status == CLATTN_OK ? "clCreateBuffer" : "the device's largest"));
    clattn_kv_cache_destroy(&cache);
}

static void layers_have_the_shape_of_their_layout(void **state)
{
    static const struct {
        clattn_kv_layout layout;
        int64_t key_shape[4];
        int64_t value_shape[4];
    } cases[] = {
        {CLATTN_KV_COMBINED, {24, 4, 6, 8}, {0}},
        {CLATTN_KV_NHD, {24, 4, 3, 8}, {24, 4, 3, 5}},
        {CLATTN_KV_HND, {24, 3, 4, 8}, {24, 3, 4, 5}},
        {CLATTN_KV_HEADS_FIRST, {3, 24, 4, 8}, {3, 24, 4, 5}},
    };
    const support_device *device = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_kv_cache_params params = small_params;
        clattn_tensor key;
        clattn_tensor value;
        clattn_tensor next_key;
        params.layout = cases[i].layout;
        params.dtype = CLATTN_BFLOAT16;
        params.head_dim_v = params.layout == CLATTN_KV_COMBINED ? 0 : 5;
        clattn_kv_cache *cache = create(device, &params);
        assert_int_equal(clattn_kv_cache_layer(cache, 0, &next_key, &value), CLATTN_OK);
        assert_int_equal(clattn_kv_cache_layer(cache, NUM_LAYERS - 1, &key, &value), CLATTN_OK);
        assert_ptr_not_equal(key.buffer, next_key.buffer);
        assert_int_equal(key.rank, 4);
        assert_int_equal(key.dtype, CLATTN_BFLOAT16);
        assert_memory_equal(key.shape, cases[i].key_shape, sizeof key.shape);
        assert_memory_equal(value.shape, cases[i].value_shape, sizeof value.shape);
        assert_int_equal(value.buffer != NULL, params.layout != CLATTN_KV_COMBINED);

        assert_int_equal(clattn_kv_cache_layer(cache, -1, &key, &value), CLATTN_INVALID_ARGUMENT);
        assert_int_equal(clattn_kv_cache_layer(cache, NUM_LAYERS, &key, &value), CLATTN_INVALID_ARGUMENT);
        assert_int_equal(clattn_kv_cache_layer(cache, 0, NULL, &value), CLATTN_INVALID_ARGUMENT);
        assert_int_equal(clattn_kv_cache_layer(cache, 0, &key, NULL), CLATTN_INVALID_ARGUMENT);
        assert_int_equal(clattn_kv_cache_layer(NULL, 0, &key, &value), CLATTN_INVALID_ARGUMENT);
        clattn_kv_cache_destroy(&cache);
    }
}

static void missing_pointers_are_refused(void **state)
{
    clattn_kv_cache *cache = create(*state, &small_params);
    clattn_sequence sequence = 0;
    clattn_sequence child = 7;
    clattn_kv_batch batch;
    const int32_t one = 1;
    assert_int_equal(clattn_sequence_create(NULL, &sequence), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_sequence_create(cache, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_sequence_create(cache, &sequence), CLATTN_OK);
    assert_int_not_equal(sequence, 0);
    assert_int_equal(clattn_sequence_fork(NULL, sequence, &child), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(child, 0);
    assert_int_equal(clattn_sequence_fork(cache, sequence, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_sequence_fork(cache, 0, &child), CLATTN_INVALID_SEQUENCE);
    assert_int_equal(clattn_sequence_truncate(NULL, sequence, 0), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_kv_cache_extend(NULL, 1, &sequence, &one, &batch), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_kv_cache_extend(cache, 1, &sequence, &one, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_kv_cache_extend(cache, 1, NULL, &one, &batch), CLATTN_INVALID_ARGUMENT);
    assert_null(batch.query_start_loc);
    assert_int_equal(clattn_sequence_length(NULL, sequence), -1);
    assert_int_equal(clattn_sequence_length(cache, 0), -1);
    assert_int_equal(clattn_sequence_length(cache, sequence), 0);
    assert_int_equal(clattn_sequence_release(NULL, &sequence), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_sequence_release(cache, NULL), CLATTN_INVALID_ARGUMENT);
    const clattn_sequence stale = sequence;
    assert_int_equal(clattn_sequence_release(cache, &sequence), CLATTN_OK);
    assert_int_equal(sequence, 0);
    assert_int_equal(clattn_sequence_truncate(cache, stale, 0), CLATTN_INVALID_SEQUENCE);
    assert_int_equal(clattn_sequence_release(cache, &(clattn_sequence){stale}), CLATTN_INVALID_SEQUENCE);
    clattn_kv_cache_destroy(&cache);
}

/* A sequence and the numbers of the tokens that its pages must hold. */
typedef struct known_sequence {
    clattn_sequence handle; /* 0 = none */
    int32_t length;
    int32_t tokens[MAX_TOKENS];
} known_sequence;

typedef struct story {
    const support_device *device;
    clattn_kv_cache *cache;
    int32_t next_token;
    known_sequence list[MAX_SEQS];
} story;

/* What row h of a token holds at d, in float16 without rounding; K even, V odd. */
static float row_value(int32_t token, int32_t layer, int32_t head, int32_t d, bool value)
{
    const int32_t mixed = token * 131 + layer * 37 + head * 17 + d * 5;
    return (float)(mixed % 1000 * 2 + (value ? 1 : 0));
}

/* The rows of one layer, K or V, on the device. */
static clattn_tensor make_rows(const story *told, int32_t num_tokens, int32_t first_token, int32_t layer, bool value)
{
    const clattn_kv_cache_params *params = clattn_kv_cache_get_params(told->cache);
    const int32_t width = value ? params->head_dim_v : params->head_dim;
    const int64_t shape[] = {num_tokens, NUM_HEADS, width};
    const size_t count = (size_t)num_tokens * NUM_HEADS * (size_t)width;
    float *rows = malloc(count * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < count; i++) {
        const int32_t row = (int32_t)(i / (size_t)width);
        rows[i] = row_value(first_token + row / NUM_HEADS, layer, row % NUM_HEADS, (int32_t)(i % (size_t)width), value);
    }
    cl_mem buffer = support_buffer_create(told->device, rows, count * sizeof *rows);
    free(rows);
    return clattn_tensor_make(buffer, CLATTN_FLOAT32, 3, shape);
}

static void append_tokens(story *told, const clattn_kv_batch *batch, int32_t first_token)
{
    for (int32_t layer = 0; layer < NUM_LAYERS; layer++) {
        const clattn_kv_append_params params = {
            .layer = layer,
            .keys = make_rows(told, batch->total_tokens, first_token, layer, false),
            .values = make_rows(told, batch->total_tokens, first_token, layer, true),
            .slot_mapping = batch->slot_mapping,
        };
        if (clattn_kv_cache_append(told->cache, &params, 0, NULL, NULL) != CLATTN_OK)
            fail_msg("%s", clattn_context_last_error(told->device->ctx));
        clReleaseMemObject(params.keys.buffer);
        clReleaseMemObject(params.values.buffer);
    }
}

static void extend(story *told, int32_t num_seqs, const int32_t *places, const int32_t *num_new_tokens)
{
    clattn_sequence handles[MAX_SEQS] = {0};
    clattn_kv_batch batch;
    const int32_t first_token = told->next_token;
    for (int32_t i = 0; i < num_seqs; i++)
        handles[i] = told->list[places[i]].handle;
    if (clattn_kv_cache_extend(told->cache, num_seqs, handles, num_new_tokens, &batch) != CLATTN_OK)
        fail_msg("%s", clattn_context_last_error(told->device->ctx));
    for (int32_t i = 0; i < num_seqs; i++) {
        known_sequence *sequence = &told->list[places[i]];
        for (int32_t k = 0; k < num_new_tokens[i]; k++)
            sequence->tokens[sequence->length++] = told->next_token++;
        assert_int_equal(batch.context_lens[i], sequence->length);
    }
    assert_int_equal(batch.total_tokens, told->next_token - first_token);
    if (batch.total_tokens > 0)
        append_tokens(told, &batch, first_token);
}

static void extend_one(story *told, int32_t place, int32_t num_new_tokens)
{
    extend(told, 1, &place, &num_new_tokens);
}

static void fork_into(story *told, int32_t parent, int32_t child)
{
    told->list[child] = told->list[parent];
    assert_int_equal(clattn_sequence_fork(told->cache, told->list[parent].handle, &told->list[child].handle),
                     CLATTN_OK);
}

static void truncate_to(story *told, int32_t place, int32_t num_tokens)
{
    told->list[place].length = num_tokens;
    assert_int_equal(clattn_sequence_truncate(told->cache, told->list[place].handle, num_tokens), CLATTN_OK);
}

static story begin(const support_device *device, clattn_kv_layout layout, int32_t page_size)
{
    clattn_kv_cache_params params = small_params;
    params.layout = layout;
    params.page_size = page_size;
    params.head_dim_v = layout == CLATTN_KV_COMBINED ? 0 : HEAD_DIM_V;
    story told = {.device = device, .cache = create(device, &params)};
    assert_int_equal(clattn_sequence_create(told.cache, &told.list[0].handle), CLATTN_OK);
    return told;
}

/* The bytes of a layer's K or V buffer; combined: of its one buffer for both. */
static uint8_t *read_layer(const story *told, int32_t layer, bool value)
{
    const clattn_kv_cache_params *params = clattn_kv_cache_get_params(told->cache);
    const size_t num_bytes = kv_num_elements(params, value) * clattn_dtype_size(params->dtype);
    clattn_tensor tensors[2];
    uint8_t *bytes = malloc(num_bytes);
    assert_non_null(bytes);
    assert_int_equal(clattn_kv_cache_layer(told->cache, layer, &tensors[0], &tensors[1]), CLATTN_OK);
    cl_mem buffer = value && tensors[1].buffer ? tensors[1].buffer : tensors[0].buffer;
    support_require_cl(clEnqueueReadBuffer(told->device->queue, buffer, CL_TRUE, 0, num_bytes, bytes, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    return bytes;
}

static void check_row(const story *told, const uint8_t *bytes, int32_t layer, int64_t slot, int32_t token, bool value)
{
    const clattn_kv_cache_params *params = clattn_kv_cache_get_params(told->cache);
    for (int32_t head = 0; head < NUM_HEADS; head++) {
        for (int32_t d = 0; d < (value ? params->head_dim_v : params->head_dim); d++) {
            const size_t element = kv_element(params, value, slot, head, d);
            const float found = support_load(bytes + element * clattn_dtype_size(params->dtype), params->dtype);
            const float expected = row_value(token, layer, head, d, value);
            if (found < expected || found > expected || found != found)
                fail_msg("layout=%s page_size=%d layer=%d value=%d slot=%d head=%d d=%d token=%d found=%g expected=%g",
                         clattn_kv_layout_name(params->layout), (int)params->page_size, (int)layer, value, (int)slot,
                         (int)head, (int)d, (int)token, (double)found, (double)expected);
        }
    }
}

/* Every sequence finds its own tokens in every layer. */
static void check_contents(story *told)
{
    const int32_t page_size = clattn_kv_cache_get_params(told->cache)->page_size;
    const int32_t no_tokens[MAX_SEQS] = {0};
    clattn_sequence handles[MAX_SEQS] = {0};
    int32_t places[MAX_SEQS];
    int32_t num_seqs = 0;
    clattn_kv_batch batch;
    for (int32_t i = 0; i < MAX_SEQS; i++) {
        if (!told->list[i].handle)
            continue;
        places[num_seqs] = i;
        handles[num_seqs++] = told->list[i].handle;
    }
    assert_int_equal(clattn_kv_cache_extend(told->cache, num_seqs, handles, no_tokens, &batch), CLATTN_OK);
    for (int32_t number = 0; number < 2 * NUM_LAYERS; number++) {
        uint8_t *bytes = read_layer(told, number / 2, number % 2 == 1);
        for (int32_t i = 0; i < num_seqs; i++) {
            const known_sequence *sequence = &told->list[places[i]];
            const int32_t *row = batch.block_tables + i * batch.pages_per_seq;
            for (int32_t t = 0; t < sequence->length; t++)
                check_row(told, bytes, number / 2, (int64_t)row[t / page_size] * page_size + t % page_size,
                          sequence->tokens[t], number % 2 == 1);
        }
        free(bytes);
    }
}

static void forked_sequences_diverge_in_every_layer_and_layout(void **state)
{
    for (int layout = 0; layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        story told = begin(*state, (clattn_kv_layout)layout, 4);
        extend_one(&told, 0, 10);
        fork_into(&told, 0, 1);
        fork_into(&told, 0, 2);
        assert_int_equal(clattn_kv_cache_num_free_pages(told.cache), NUM_PAGES - 3);
        check_contents(&told);
        extend(&told, 3, (const int32_t[]){1, 0, 2}, (const int32_t[]){1, 3, 1});
        assert_int_equal(clattn_kv_cache_num_free_pages(told.cache), NUM_PAGES - 6);
        check_contents(&told);
        fork_into(&told, 0, 3);
        truncate_to(&told, 3, 6); /* into a full page that four sequences share */
        extend_one(&told, 3, 1);
        check_contents(&told);
        for (int32_t i = 0; i < 4; i++)
            assert_int_equal(clattn_sequence_release(told.cache, &told.list[i].handle), CLATTN_OK);
        assert_int_equal(clattn_kv_cache_num_free_pages(told.cache), NUM_PAGES);
        clattn_kv_cache_destroy(&told.cache);
    }
}

/* Many steps without waiting for the device: copies and appends of one step must not meet those of another. */
static void random_story_keeps_every_sequence_apart(void **state)
{
    static const int32_t page_sizes[] = {1, 7, 16};
    for (int number = 0; number < 3 * CLATTN_NUM_KV_LAYOUTS; number++) {
        support_random random = support_random_seeded((uint64_t)number);
        story told = begin(*state, (clattn_kv_layout)(number / 3), page_sizes[number % 3]);
        for (int step = 0; step < 40; step++) {
            const int32_t place = support_random_between(&random, 0, MAX_SEQS - 1);
            const int32_t other = support_random_between(&random, 0, MAX_SEQS - 1);
            const int32_t places[] = {place, other};
            const int32_t num_new_tokens[] = {support_random_between(&random, 0, 2),
                                              support_random_between(&random, 1, 2)};
            if (!told.list[place].handle && told.list[other].handle)
                fork_into(&told, other, place);
            else if (told.list[place].handle && step % 5 == 4)
                truncate_to(&told, place, support_random_between(&random, 0, told.list[place].length));
            else if (told.list[place].handle && told.list[other].handle && place != other &&
                     clattn_kv_cache_num_free_pages(told.cache) >= 6)
                extend(&told, 2, places, num_new_tokens);
        }
        check_contents(&told);
        clattn_kv_cache_destroy(&told.cache);
    }
}

static void out_of_pages_changes_nothing(void **state)
{
    story told = begin(*state, CLATTN_KV_NHD, 4);
    clattn_kv_batch kept;
    clattn_kv_batch refused;
    extend_one(&told, 0, 10);
    fork_into(&told, 0, 1);
    const clattn_sequence handles[] = {told.list[0].handle, told.list[1].handle};
    const int32_t none[] = {0, 0};
    assert_int_equal(clattn_kv_cache_extend(told.cache, 2, handles, none, &kept), CLATTN_OK);
    int32_t tables[6];
    memcpy(tables, kept.block_tables, sizeof tables);

    /* 21 pages are free: one for the copy, and 20 for 80 tokens behind the partly filled pages. */
    const int32_t too_many[] = {2 + 40, 2 + 41};
    const int32_t enough[] = {2 + 40, 2 + 40};
    assert_int_equal(clattn_kv_cache_extend(told.cache, 2, handles, too_many, &refused), CLATTN_OUT_OF_PAGES);
    assert_int_equal(refused.num_seqs, 0);
    assert_null(refused.block_tables);
    assert_memory_equal(kept.block_tables, tables, sizeof tables);
    assert_int_equal(clattn_kv_cache_num_free_pages(told.cache), NUM_PAGES - 3);
    assert_int_equal(clattn_sequence_length(told.cache, handles[0]), 10);
    assert_int_equal(clattn_sequence_length(told.cache, handles[1]), 10);
    check_contents(&told);
    extend(&told, 2, (const int32_t[]){0, 1}, enough);
    assert_int_equal(clattn_kv_cache_num_free_pages(told.cache), 0);
    check_contents(&told);
    clattn_kv_cache_destroy(&told.cache);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_fields_become_defaults),
        cmocka_unit_test(counts_out_of_range_are_refused_by_name),
        cmocka_unit_test(bad_params_are_refused),
        cmocka_unit_test(layers_that_fit_no_buffer_are_refused),
        cmocka_unit_test(layers_have_the_shape_of_their_layout),
        cmocka_unit_test(missing_pointers_are_refused),
        cmocka_unit_test(forked_sequences_diverge_in_every_layer_and_layout),
        cmocka_unit_test(random_story_keeps_every_sequence_apart),
        cmocka_unit_test(out_of_pages_changes_nothing),
    };
    support_select_family(argc, argv);
    return support_run_tests("kv_cache", tests, sizeof(tests) / sizeof(tests[0]));
}
