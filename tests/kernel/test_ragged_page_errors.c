/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clattn_ragged_page_attention() refuses: each cause once, with a call at the limit that is accepted. A refused
 * call names the field, gives no event and leaves the outputs alone, and the right call after it works.
 */
#include "support/attention.h"
#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

typedef clattn_ragged_page_attention_params ragged_params;

static const int32_t q_lens[] = {1, 12};
static const int32_t context_lens[] = {9, 12};

enum { HEAD_DIM = 16, PAGE_SIZE = 4 };

static support_attention_case small_batch(clattn_kv_layout layout)
{
    return (support_attention_case){
        .seed = 1,
        .num_seqs = 2,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = HEAD_DIM,
        .page_size = PAGE_SIZE,
        .kv_layout = layout,
        .sinks = SUPPORT_SINKS_PER_HEAD,
        .lse = true,
    };
}

static support_attention *create(const support_device *device, clattn_kv_layout layout)
{
    const support_attention_case description = small_batch(layout);

    return support_attention_create(device, &description);
}

static void expect_untouched(support_attention *ragged, const support_device *device)
{
    support_require_cl(clFinish(device->queue), "clFinish");
    support_image_download(&ragged->out, device);
    assert_true(support_image_is_untouched(&ragged->out));
    support_image_download(&ragged->lse, device);
    assert_true(support_image_is_untouched(&ragged->lse));
}

/* The sentence must hold every one of the comma-separated words. */
static void expect_words(const char *sentence, const char *words)
{
    char *copy = strdup(words);
    char *rest = copy;

    assert_non_null(copy);
    for (char *word = strtok_r(rest, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (!strstr(sentence, word))
            fail_msg("word=\"%s\" is missing in error=\"%s\"", word, sentence);
    free(copy);
}

static void refuse(support_attention *ragged, const support_device *device, const ragged_params *params,
                   clattn_status expected, const char *words)
{
    cl_event event = (cl_event)(void *)ragged; /* must be overwritten */
    clattn_status status;

    support_attention_reset(ragged, device);
    status = clattn_ragged_page_attention(device->ctx, params, 0, NULL, &event);
    if (status != expected)
        fail_msg("expected=%s status=%s words=\"%s\" error=\"%s\"", clattn_status_name(expected),
                 clattn_status_name(status), words, clattn_context_last_error(device->ctx));
    expect_words(clattn_context_last_error(device->ctx), words);
    assert_null(event);
    expect_untouched(ragged, device);
    support_attention_run(ragged, device);
    support_attention_check(ragged);
}

static void accept(const support_device *device, const ragged_params *params)
{
    const clattn_status status = clattn_ragged_page_attention(device->ctx, params, 0, NULL, NULL);

    if (status != CLATTN_OK)
        fail_msg("status=%s error=\"%s\"", clattn_status_name(status), clattn_context_last_error(device->ctx));
    support_require_cl(clFinish(device->queue), "clFinish");
}

/* `change` spoils or adapts a fresh copy of the right operands, which it sees as `params`. */
#define REFUSE(status, words, change)                                                                                  \
    do {                                                                                                               \
        ragged_params params = support_attention_ragged_page_params(ragged, NULL);                                     \
        change;                                                                                                        \
        refuse(ragged, device, &params, (status), (words));                                                            \
    } while (0)

#define ACCEPT(change)                                                                                                 \
    do {                                                                                                               \
        ragged_params params = support_attention_ragged_page_params(ragged, NULL);                                     \
        change;                                                                                                        \
        accept(device, &params);                                                                                       \
    } while (0)

static void missing_arguments_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    const ragged_params right = support_attention_ragged_page_params(ragged, NULL);

    assert_int_equal(clattn_ragged_page_attention(NULL, &right, 0, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    refuse(ragged, device, NULL, CLATTN_INVALID_ARGUMENT, "params");
    REFUSE(CLATTN_INVALID_ARGUMENT, "queries", params.queries.buffer = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_pages", params.kv_pages.buffer = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "out", params.out.buffer = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "query_start_loc", params.query_start_loc = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "context_lens", params.context_lens = NULL);
    REFUSE(CLATTN_INVALID_ARGUMENT, "block_tables", params.block_tables = NULL);
    ACCEPT((params.lse = (clattn_tensor){0}, params.softmax_aux = (clattn_tensor){0}));
    support_attention_destroy(&ragged);
}

static void wrong_ranks_and_shapes_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);

    REFUSE(CLATTN_INVALID_SHAPE, "queries,rank", params.queries.rank = 2);
    REFUSE(CLATTN_INVALID_SHAPE, "kv_pages,rank", params.kv_pages.rank = 3);
    REFUSE(CLATTN_INVALID_SHAPE, "out,rank", params.out.rank = 4);
    REFUSE(CLATTN_INVALID_SHAPE, "lse,rank", params.lse.rank = 3);
    REFUSE(CLATTN_INVALID_SHAPE, "softmax_aux,rank", params.softmax_aux.rank = 2);
    REFUSE(CLATTN_INVALID_SHAPE, "queries", params.queries.shape[0] = -1);
    REFUSE(CLATTN_INVALID_SHAPE, "queries", params.queries.shape[2] = 8);
    REFUSE(CLATTN_INVALID_SHAPE, "kv_pages", params.kv_pages.shape[2] = 3); /* K and V come in pairs */
    REFUSE(CLATTN_INVALID_SHAPE, "page_size", params.kv_pages.shape[1] = 0);
    REFUSE(CLATTN_INVALID_SHAPE, "out", params.out.shape[0] -= 1);
    REFUSE(CLATTN_INVALID_SHAPE, "out", params.out.shape[1] = 2);
    REFUSE(CLATTN_INVALID_SHAPE, "out", params.out.shape[2] = 8);
    REFUSE(CLATTN_INVALID_SHAPE, "lse", params.lse.shape[1] = 2);
    REFUSE(CLATTN_INVALID_SHAPE, "softmax_aux", params.softmax_aux.shape[0] = 2);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_q_heads,num_kv_heads", params.queries.shape[1] = 3);
    support_attention_destroy(&ragged);

    ragged = create(device, CLATTN_KV_NHD);
    REFUSE(CLATTN_INVALID_SHAPE, "value_pages", params.value_pages.shape[2] = 1);
    REFUSE(CLATTN_INVALID_SHAPE, "value_pages,rank", params.value_pages.rank = 3);
    support_attention_destroy(&ragged);
}

static void wrong_dtypes_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);

    REFUSE(CLATTN_INVALID_DTYPE, "queries", params.queries.dtype = CLATTN_DTYPE_DEFAULT);
    REFUSE(CLATTN_INVALID_DTYPE, "kv_pages", params.kv_pages.dtype = CLATTN_NUM_DTYPES);
    REFUSE(CLATTN_INVALID_DTYPE, "out", params.out.dtype = (clattn_dtype)-1);
    REFUSE(CLATTN_INVALID_DTYPE, "lse,float32", params.lse.dtype = CLATTN_FLOAT16);
    REFUSE(CLATTN_INVALID_DTYPE, "softmax_aux,float32", params.softmax_aux.dtype = CLATTN_BFLOAT16);
    support_attention_destroy(&ragged);
}

/* The tensor ends with the buffer's last element; then the buffer is one element shorter. */
static void buffers_too_small_by_one_element_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    const support_image *images[] = {&ragged->queries, &ragged->keys, &ragged->out, &ragged->lse, &ragged->sinks};
    static const char *const names[] = {"queries", "kv_pages", "out", "lse", "softmax_aux"};

    for (int32_t i = 0; i < COUNT(images); i++) {
        size_t num_elements = 1;
        for (int32_t k = 0; k < images[i]->tensor.rank; k++)
            num_elements *= (size_t)images[i]->tensor.shape[k];
        const size_t num_bytes = num_elements * sizeof(float);
        cl_mem exact = support_buffer_create(device, images[i]->bytes, num_bytes);
        cl_mem small = support_buffer_create(device, images[i]->bytes, num_bytes - sizeof(float));
        ragged_params params = support_attention_ragged_page_params(ragged, NULL);
        clattn_tensor *tensors[] = {&params.queries, &params.kv_pages, &params.out, &params.lse, &params.softmax_aux};
        tensors[i]->buffer = exact;
        accept(device, &params);
        tensors[i]->offset_bytes = sizeof(float);
        refuse(ragged, device, &params, CLATTN_BUFFER_TOO_SMALL, names[i]);
        tensors[i]->offset_bytes = 0;
        tensors[i]->buffer = small;
        refuse(ragged, device, &params, CLATTN_BUFFER_TOO_SMALL, names[i]);
        clReleaseMemObject(exact);
        clReleaseMemObject(small);
    }
    support_attention_destroy(&ragged);
}

static void wrong_offsets_and_strides_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention_case description = small_batch(CLATTN_KV_HND);
    description.strided = true;
    support_attention *ragged = support_attention_create(device, &description);

    REFUSE(CLATTN_INVALID_ARGUMENT, "queries,offset_bytes", params.queries.offset_bytes += 2);
    REFUSE(CLATTN_INVALID_ARGUMENT, "key_pages,offset_bytes", params.key_pages.offset_bytes += 1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "out,offset_bytes", params.out.offset_bytes += 3);
    REFUSE(CLATTN_INVALID_SHAPE, "queries,stride", params.queries.strides[2] = 2);
    REFUSE(CLATTN_INVALID_SHAPE, "value_pages,stride", params.value_pages.strides[3] = 0);
    REFUSE(CLATTN_INVALID_SHAPE, "out,stride", params.out.strides[1] = -1);
    REFUSE(CLATTN_INVALID_SHAPE, "lse,stride", params.lse.strides[1] = 2);
    REFUSE(CLATTN_BUFFER_TOO_SMALL, "key_pages", params.key_pages.strides[0] += 1000);
    REFUSE(CLATTN_SIZE_OVERFLOW, "key_pages", params.key_pages.strides[0] = INT64_MAX);
    REFUSE(CLATTN_SIZE_OVERFLOW, "out", params.out.offset_bytes = UINT64_MAX - 3);
    support_attention_destroy(&ragged);
}

/* The control is one buffer with out directly behind queries. */
static void results_that_overlap_other_tensors_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    const clattn_tensor *queries = &ragged->queries.tensor;
    const size_t num_bytes =
        (size_t)(queries->shape[0] * queries->shape[1] * queries->shape[2]) * clattn_dtype_size(queries->dtype);
    cl_mem shared = support_buffer_create(device, NULL, 2 * num_bytes);

    ACCEPT(params.queries.buffer = params.out.buffer = shared; params.out.offset_bytes = num_bytes);
    REFUSE(CLATTN_INVALID_ARGUMENT, "out,overlap,queries", params.queries.buffer = params.out.buffer = shared;
           params.out.offset_bytes = num_bytes - sizeof(float));
    REFUSE(CLATTN_INVALID_ARGUMENT, "out,overlap,queries", params.queries.buffer = params.out.buffer = shared;
           params.queries.offset_bytes = num_bytes - sizeof(float));
    REFUSE(CLATTN_INVALID_ARGUMENT, "out,overlap,lse", params.lse.buffer = params.out.buffer);
    REFUSE(CLATTN_INVALID_ARGUMENT, "out,overlap,pages", params.out.buffer = params.kv_pages.buffer);
    REFUSE(CLATTN_INVALID_ARGUMENT, "lse,overlap,queries", params.lse.buffer = params.queries.buffer);
    REFUSE(CLATTN_INVALID_ARGUMENT, "lse,overlap,softmax_aux", params.softmax_aux.buffer = params.lse.buffer);
    clReleaseMemObject(shared);
    support_attention_destroy(&ragged);
}

static void buffers_of_another_context_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    void *other_state = NULL;
    support_device *other;
    cl_mem foreign;

    assert_int_equal(support_device_setup(&other_state), 0);
    other = other_state;
    foreign = support_buffer_create(other, NULL, 1 << 16);
    REFUSE(CLATTN_INVALID_ARGUMENT, "queries,context", params.queries.buffer = foreign);
    clReleaseMemObject(foreign);
    support_device_teardown(&other_state);
    support_attention_destroy(&ragged);
}

static void unsupported_head_dims_are_refused(void **state)
{
    const support_device *device = *state;
    static const int32_t head_dims[] = {0, 4, 12, 520};

    for (int32_t i = 0; i < COUNT(head_dims); i++) {
        support_attention_case description = small_batch(CLATTN_KV_COMBINED);
        description.head_dim = head_dims[i];
        support_attention *ragged = support_attention_create(device, &description);
        const ragged_params params = support_attention_ragged_page_params(ragged, NULL);
        const clattn_status status = clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL);
        if (status != CLATTN_UNSUPPORTED)
            fail_msg("head_dim=%d status=%s", (int)head_dims[i], clattn_status_name(status));
        expect_words(clattn_context_last_error(device->ctx), "head_dim");
        expect_untouched(ragged, device);
        support_attention_destroy(&ragged);
    }
    for (int32_t head_dim = 8; head_dim <= 512; head_dim += 504) {
        support_attention_case description = small_batch(CLATTN_KV_COMBINED);
        description.head_dim = head_dim;
        support_attention_verify(device, &description);
    }
}

static void contradictory_batches_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    static const int32_t not_from_zero[] = {1, 1, 13};
    static const int32_t decreasing[] = {0, 13, 12};
    static const int32_t too_many[] = {0, 1, 14};
    static const int32_t too_short[] = {9, 11}; /* 12 queries */
    static const int32_t exact[] = {1, 12};
    static const int32_t negative[] = {9, -1};

    REFUSE(CLATTN_INVALID_ARGUMENT, "num_seqs", params.num_seqs = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "pages_per_seq", params.pages_per_seq = -1);
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.query_start_loc = not_from_zero);
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc", params.query_start_loc = decreasing);
    REFUSE(CLATTN_INVALID_BATCH, "query_start_loc,14,13", params.query_start_loc = too_many);
    REFUSE(CLATTN_INVALID_BATCH, "sequence 1,12,11", params.context_lens = too_short);
    REFUSE(CLATTN_INVALID_BATCH, "context_lens", params.context_lens = negative);
    REFUSE(CLATTN_INVALID_BATCH, "sequence 0,pages_per_seq", params.pages_per_seq = 2);
    ACCEPT(params.context_lens = exact);
    support_attention_destroy(&ragged);
}

/* Sequence 0 uses three entries of its row, sequence 1 three; the others hold garbage already. */
static void pages_out_of_range_are_refused_only_where_used(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    int32_t tables[64];
    const int32_t row_length = ragged->pages_per_seq;
    const int32_t num_pages = ragged->num_pages;

    assert_true(2 * row_length <= COUNT(tables));
    memcpy(tables, ragged->block_tables, (size_t)(2 * row_length) * sizeof(tables[0]));
    tables[row_length + 2] = num_pages;
    REFUSE(CLATTN_INVALID_PAGE, "sequence 1,logical page 2,9", {
        assert_int_equal(num_pages, 9);
        params.block_tables = tables;
    });
    tables[row_length + 2] = num_pages - 1;
    ACCEPT(params.block_tables = tables);
    tables[1] = -7;
    REFUSE(CLATTN_INVALID_PAGE, "sequence 0,logical page 1,-7", params.block_tables = tables);
    tables[1] = 0;
    tables[3] = -7; /* behind the used ones */
    ACCEPT(params.block_tables = tables);
    support_attention_destroy(&ragged);
}

static void a_table_of_just_the_used_entries_is_enough(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    const int32_t row_length = ragged->pages_per_seq;
    int32_t tables[6];

    for (int32_t s = 0; s < 2; s++)
        memcpy(tables + 3 * s, ragged->block_tables + s * row_length, 3 * sizeof(tables[0]));
    ACCEPT((params.block_tables = tables, params.pages_per_seq = 3));
    support_attention_read(ragged, device);
    support_attention_check(ragged);
    support_attention_destroy(&ragged);
}

static void contradictory_pages_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);

    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_pages,key_pages", params.key_pages = params.kv_pages);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_pages,value_pages", params.value_pages = params.kv_pages);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = CLATTN_KV_HND);
    support_attention_destroy(&ragged);

    ragged = create(device, CLATTN_KV_HND);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = CLATTN_KV_COMBINED);
    REFUSE(CLATTN_INVALID_ARGUMENT, "kv_layout", params.kv_layout = CLATTN_NUM_KV_LAYOUTS);
    REFUSE(CLATTN_INVALID_ARGUMENT, "key_pages", params.key_pages = (clattn_tensor){0});
    REFUSE(CLATTN_INVALID_ARGUMENT, "value_pages", params.value_pages = (clattn_tensor){0});
    support_attention_destroy(&ragged);
}

static void options_out_of_range_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);

    REFUSE(CLATTN_INVALID_ARGUMENT, "mask_value", params.mask_value = NAN);
    REFUSE(CLATTN_INVALID_ARGUMENT, "mask_value", params.mask_value = -INFINITY);
    REFUSE(CLATTN_INVALID_ARGUMENT, "mask_value", params.mask_value = -1e29f);
    REFUSE(CLATTN_INVALID_ARGUMENT, "mask_value", params.mask_value = 1e31f);
    ACCEPT(params.mask_value = -1e30f);
    REFUSE(CLATTN_INVALID_ARGUMENT, "logits_soft_cap", params.logits_soft_cap = -0.5f);
    REFUSE(CLATTN_INVALID_ARGUMENT, "logits_soft_cap", params.logits_soft_cap = NAN);
    REFUSE(CLATTN_INVALID_ARGUMENT, "logits_soft_cap", params.logits_soft_cap = INFINITY);
    REFUSE(CLATTN_INVALID_ARGUMENT, "softmax_scale", params.softmax_scale = NAN);
    REFUSE(CLATTN_INVALID_ARGUMENT, "softmax_scale", params.softmax_scale = INFINITY);
    REFUSE(CLATTN_INVALID_ARGUMENT, "sliding_window", params.sliding_window = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_splits", params.num_splits = -1);
    REFUSE(CLATTN_INVALID_ARGUMENT, "num_splits,batch_invariant",
           (params.num_splits = 2, params.batch_invariant = true));
    REFUSE(CLATTN_UNSUPPORTED, "compute_dtype", params.compute_dtype = CLATTN_FLOAT16);
    REFUSE(CLATTN_UNSUPPORTED, "compute_dtype", params.compute_dtype = CLATTN_BFLOAT16);
    ACCEPT(params.compute_dtype = CLATTN_FLOAT32);
    support_attention_destroy(&ragged);
}

static void contradictory_wait_lists_are_refused(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    const ragged_params params = support_attention_ragged_page_params(ragged, NULL);
    const cl_event none = NULL;

    support_attention_reset(ragged, device);
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 1, NULL, NULL), CLATTN_INVALID_ARGUMENT);
    expect_words(clattn_context_last_error(device->ctx), "wait_events");
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 0, &none, NULL), CLATTN_INVALID_ARGUMENT);
    expect_words(clattn_context_last_error(device->ctx), "wait_events");
    assert_int_equal(clattn_ragged_page_attention(device->ctx, &params, 1, &none, NULL), CLATTN_INVALID_ARGUMENT);
    expect_words(clattn_context_last_error(device->ctx), "wait_events");
    expect_untouched(ragged, device);
    support_attention_destroy(&ragged);
}

static void tunings_that_cannot_run_are_refused(void **state)
{
    const support_device *device = *state;
    const int32_t too_large = (int32_t)(2 * clattn_context_device(device->ctx)->max_work_group_size);
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    static const struct {
        const char *words;
        clattn_tuning tuning;
    } cases[] = {
        {"block_q,num_queries_per_block", {.block_q = 64, .num_queries_per_block = 32}},
        {"block_kv,num_kv_pages_per_block", {.block_kv = 16, .num_kv_pages_per_block = 4}},
        {"work_group_size,num_warps", {.work_group_size = 64, .num_warps = 1}},
        {"num_stages", {.num_stages = 2}},
        {"num_stages", {.num_stages = -1}},
        {"block_q", {.block_q = -1}},
        {"num_queries_per_block", {.num_queries_per_block = -1}},
        {"num_warps", {.num_warps = -1}},
        {"block_q", {.block_q = INT32_MAX}},
        {"block_kv", {.block_kv = 7}},
        {"num_kv_pages_per_block", {.num_kv_pages_per_block = INT32_MAX}},
        {"local_memory_limit_bytes", {.local_memory_limit_bytes = -1}},
        {"local memory,64", {.local_memory_limit_bytes = 64}},
        {"family", {.family = CLATTN_NUM_FAMILIES}},
    };

    for (int32_t i = 0; i < COUNT(cases); i++)
        REFUSE(CLATTN_INVALID_TUNING, cases[i].words, params.tuning = &cases[i].tuning);
    const clattn_tuning large_group = {.work_group_size = too_large};
    REFUSE(CLATTN_INVALID_TUNING, "work_group_size", params.tuning = &large_group);
    const clattn_tuning odd_rows = {.block_q = 7}; /* any number of rows will do where they are not in a tile */
    if (device->family != CLATTN_FAMILY_PLAIN)
        REFUSE(CLATTN_INVALID_TUNING, "block_q", params.tuning = &odd_rows);
    support_attention_destroy(&ragged);
}

/* Finds the smallest limit that the tile fits into: one byte less is refused, and the limit itself runs. */
static void the_local_memory_limit_is_exact(void **state)
{
    const support_device *device = *state;
    support_attention *ragged = create(device, CLATTN_KV_COMBINED);
    int64_t refused = 1;
    int64_t accepted = (int64_t)clattn_context_device(device->ctx)->local_memory_bytes;
    clattn_tuning tuning = {0};

    if (device->family == CLATTN_FAMILY_PLAIN) { /* has no use for one */
        tuning.local_memory_limit_bytes = accepted;
        REFUSE(CLATTN_INVALID_TUNING, "uses no local memory", params.tuning = &tuning);
        support_attention_destroy(&ragged);
        return;
    }
    while (accepted - refused > 1) {
        clattn_plan_params params = support_attention_plan_params(ragged);
        clattn_plan *plan = NULL;
        tuning.local_memory_limit_bytes = refused + (accepted - refused) / 2;
        params.tuning = &tuning;
        if (clattn_plan_create(device->ctx, &params, &plan) == CLATTN_OK)
            accepted = tuning.local_memory_limit_bytes;
        else
            refused = tuning.local_memory_limit_bytes;
        clattn_plan_destroy(&plan);
    }
    tuning.local_memory_limit_bytes = accepted;
    ACCEPT(params.tuning = &tuning);
    support_attention_read(ragged, device);
    support_attention_check(ragged);
    tuning.local_memory_limit_bytes = accepted - 1;
    REFUSE(CLATTN_INVALID_TUNING, "local memory", params.tuning = &tuning);
    support_attention_destroy(&ragged);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_ranks_and_shapes_are_refused),
        cmocka_unit_test(wrong_dtypes_are_refused),
        cmocka_unit_test(buffers_too_small_by_one_element_are_refused),
        cmocka_unit_test(wrong_offsets_and_strides_are_refused),
        cmocka_unit_test(results_that_overlap_other_tensors_are_refused),
        cmocka_unit_test(buffers_of_another_context_are_refused),
        cmocka_unit_test(unsupported_head_dims_are_refused),
        cmocka_unit_test(contradictory_batches_are_refused),
        cmocka_unit_test(pages_out_of_range_are_refused_only_where_used),
        cmocka_unit_test(a_table_of_just_the_used_entries_is_enough),
        cmocka_unit_test(contradictory_pages_are_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(contradictory_wait_lists_are_refused),
        cmocka_unit_test(tunings_that_cannot_run_are_refused),
        cmocka_unit_test(the_local_memory_limit_is_exact),
    };

    support_select_family(argc, argv);
    return support_run_tests("ragged_page_errors", tests, sizeof(tests) / sizeof(tests[0]));
}
