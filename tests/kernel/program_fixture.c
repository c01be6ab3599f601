/* SPDX-License-Identifier: Apache-2.0 */
#include "program_fixture.h"

#include "support/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void record_line(void *user, clattn_log_level level, const char *message)
{
    program_log *log = user;
    log->num_lines[level]++;
    assert_null(strchr(message, '\n'));
    /* Oclgrind goes its own way with #line. */
    if (strstr(message, "cl/append.cl:") != NULL || strstr(message, "input.cl:") != NULL)
        log->names_source_line = true;
}

clattn_context *program_create_context(const char *cache_dir, uint64_t cache_max_bytes, program_log *log)
{
    const clattn_context_params params = {
        .device = getenv("CLATTN_TEST_DEVICE"),
        .cache_dir = cache_dir,
        .cache_max_bytes = cache_max_bytes,
        .log = log != NULL ? record_line : NULL,
        .log_user = log,
    };
    clattn_context *ctx = NULL;
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    return ctx;
}

clattn_variant program_append_variant(int32_t work_group_size)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_APPEND};
    clattn_variant_define(&variant, "SRC_K_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "SRC_V_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "DST_DTYPE", CLATTN_FLOAT32);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", work_group_size);
    return variant;
}

clattn_status program_find_kernel(clattn_context *ctx, const clattn_variant *variant, cl_kernel *kernel)
{
    return clattn_program_store_kernel(ctx->programs, variant, kernel, &ctx->error);
}

cl_kernel program_require_kernel(clattn_context *ctx, int32_t work_group_size)
{
    const clattn_variant variant = program_append_variant(work_group_size);
    cl_kernel kernel = NULL;
    if (program_find_kernel(ctx, &variant, &kernel) != CLATTN_OK)
        fail_msg("work_group_size=%d error=\"%s\"", work_group_size, clattn_context_last_error(ctx));
    assert_non_null(kernel);
    return kernel;
}

void program_assert_stats(const clattn_context *ctx, int num_programs, int num_built, int num_hits, int num_rejected)
{
    clattn_cache_stats stats;
    clattn_context_cache_stats(ctx, &stats);
    assert_int_equal(stats.num_programs, num_programs);
    assert_int_equal(stats.num_built, num_built);
    assert_int_equal(stats.num_disk_hits, num_hits);
    assert_int_equal(stats.num_disk_rejected, num_rejected);
}

void program_assert_fresh_context(const char *cache_dir, int num_built, int num_hits, int num_rejected)
{
    clattn_context *ctx = program_create_context(cache_dir, 0, NULL);
    (void)program_require_kernel(ctx, 4);
    program_assert_stats(ctx, 1, num_built, num_hits, num_rejected);
    clattn_context_destroy(&ctx);
}

void program_assert_append_copies(clattn_context *ctx)
{
    enum { head_dim = 93 };
    const float keys[head_dim] = {1.5f, -2.0f, [92] = 93.0f};
    const float values[head_dim] = {7.0f, 0.25f, [92] = -93.0f};
    float read[2 * head_dim];
    const clattn_kv_cache_params cache_params = {.num_layers = 1,
                                                 .num_pages = 1,
                                                 .page_size = 1,
                                                 .num_kv_heads = 1,
                                                 .head_dim = head_dim,
                                                 .dtype = CLATTN_FLOAT32};
    clattn_kv_cache *cache = NULL;
    clattn_tensor pages;
    clattn_tensor unused;
    assert_int_equal(clattn_kv_cache_create(ctx, &cache_params, &cache), CLATTN_OK);
    assert_int_equal(clattn_kv_cache_layer(cache, 0, &pages, &unused), CLATTN_OK);
    const support_device device = {.ctx = ctx, .cl = ctx->cl, .queue = ctx->queue};
    const int64_t shape[3] = {1, 1, head_dim};
    const int64_t slot = 0;
    cl_mem key_buffer = support_buffer_create(&device, keys, sizeof keys);
    cl_mem value_buffer = support_buffer_create(&device, values, sizeof values);
    const clattn_kv_append_params append = {
        .keys = clattn_tensor_make(key_buffer, CLATTN_FLOAT32, 3, shape),
        .values = clattn_tensor_make(value_buffer, CLATTN_FLOAT32, 3, shape),
        .slot_mapping = &slot,
    };
    assert_int_equal(clattn_kv_cache_append(cache, &append, 0, NULL, NULL), CLATTN_OK);
    support_require_cl(clEnqueueReadBuffer(ctx->queue, pages.buffer, CL_TRUE, 0, sizeof read, read, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    assert_memory_equal(read, keys, sizeof keys);
    assert_memory_equal(read + head_dim, values, sizeof values);
    clReleaseMemObject(key_buffer);
    clReleaseMemObject(value_buffer);
    clattn_kv_cache_destroy(&cache);
}
