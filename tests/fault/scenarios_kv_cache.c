/* SPDX-License-Identifier: Apache-2.0 */
/* The KV cache: made and destroyed, sequences forked and extended, rows appended; first uses of the append kernel. */
#include "scenario.h"

#include "kv_cache/cache.h"
#include "runtime/verdict_file.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUM_PAGES = 12, PAGE_SIZE = 4, NUM_TOKENS = 7 };

static clattn_kv_cache_params params_of(clattn_kv_layout layout)
{
    return (clattn_kv_cache_params){
        .num_layers = 2,
        .num_pages = NUM_PAGES,
        .page_size = PAGE_SIZE,
        .num_kv_heads = 2,
        .head_dim = 8,
        .layout = layout,
        .max_seqs = FAULT_NUM_SEQUENCES,
    };
}

static clattn_status call_create(fault_world *world)
{
    const clattn_kv_cache_params params = params_of(CLATTN_KV_HND);
    return clattn_kv_cache_create(world->device.ctx, &params, &world->cache);
}

static void check_empty(fault_world *world)
{
    assert_non_null(world->cache);
    assert_int_equal(clattn_kv_cache_num_free_pages(world->cache), NUM_PAGES);
}

static void destroy_cache(fault_world *world)
{
    clattn_kv_cache_destroy(&world->cache);
}

/* Every byte of a layer's buffer tells which it is. */
static void fill(const fault_world *world, cl_mem buffer)
{
    size_t num_bytes = 0;
    support_require_cl(clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof num_bytes, &num_bytes, NULL),
                       "clGetMemObjectInfo");
    uint8_t *bytes = malloc(num_bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < num_bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 251);
    support_require_cl(clEnqueueWriteBuffer(world->device.queue, buffer, CL_TRUE, 0, num_bytes, bytes, 0, NULL, NULL),
                       "clEnqueueWriteBuffer");
    free(bytes);
}

/* Two sequences that share three pages, the last of them partly filled. */
static void make_shared_pages(fault_world *world, clattn_kv_layout layout)
{
    const clattn_kv_cache_params params = params_of(layout);
    clattn_kv_cache_destroy(&world->cache);
    memset(world->sequences, 0, sizeof world->sequences);
    fault_require_ok(world, clattn_kv_cache_create(world->device.ctx, &params, &world->cache));
    for (int32_t layer = 0; layer < params.num_layers; layer++) {
        fill(world, world->cache->key_pages[layer]);
        if (world->cache->value_pages[layer] != NULL)
            fill(world, world->cache->value_pages[layer]);
    }
    fault_require_ok(world, clattn_sequence_create(world->cache, &world->sequences[0]));
    fault_require_ok(world, clattn_kv_cache_extend(world->cache, 1, world->sequences, &(int32_t){10}, &world->batch));
    fault_require_ok(world, clattn_sequence_fork(world->cache, world->sequences[0], &world->sequences[1]));
}

static void share_combined(fault_world *world)
{
    make_shared_pages(world, CLATTN_KV_COMBINED);
}

static void share_heads_first(fault_world *world)
{
    make_shared_pages(world, CLATTN_KV_HEADS_FIRST);
}

static clattn_status call_fork(fault_world *world)
{
    return clattn_sequence_fork(world->cache, world->sequences[0], &world->sequences[2]);
}

static void check_fork(fault_world *world)
{
    assert_int_equal(clattn_sequence_length(world->cache, world->sequences[2]), 10);
    assert_int_equal(clattn_kv_cache_num_free_pages(world->cache), NUM_PAGES - 3);
}

/* Both write into the page that they share: one of them gets a copy, and both take one more. */
static clattn_status call_extend(fault_world *world)
{
    static const int32_t num_new_tokens[] = {3, 4};
    clattn_kv_batch batch;
    const clattn_status status = clattn_kv_cache_extend(world->cache, 2, world->sequences, num_new_tokens, &batch);
    if (status == CLATTN_OK)
        world->batch = batch;
    else
        assert_null(batch.block_tables);
    return status;
}

/* One page of one kv head of K in the first layer. */
static void read_page(const fault_world *world, int32_t page, int32_t head, void *bytes, size_t num_bytes)
{
    const clattn_pages_address *address = &world->cache->key_address;
    const size_t element = (size_t)page * address->page_stride + (size_t)head * address->head_stride;
    support_require_cl(clEnqueueReadBuffer(world->device.queue, world->cache->key_pages[0], CL_TRUE,
                                           element * sizeof(uint16_t), num_bytes, bytes, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
}

static void check_extend(fault_world *world)
{
    const clattn_kv_batch *batch = &world->batch;
    assert_int_equal(clattn_sequence_length(world->cache, world->sequences[0]), 13);
    assert_int_equal(clattn_sequence_length(world->cache, world->sequences[1]), 14);
    assert_int_equal(clattn_kv_cache_num_free_pages(world->cache), NUM_PAGES - 6);
    const int32_t *rows[] = {batch->block_tables, batch->block_tables + batch->pages_per_seq};
    assert_int_equal(rows[0][1], rows[1][1]);
    assert_int_not_equal(rows[0][2], rows[1][2]);
    for (int32_t head = 0; head < world->cache->params.num_kv_heads; head++) {
        uint8_t pages[2][8 * sizeof(uint16_t)]; /* the first row of the page */
        for (int i = 0; i < 2; i++)
            read_page(world, rows[i][2], head, pages[i], sizeof pages[i]);
        assert_memory_equal(pages[0], pages[1], sizeof pages[0]);
    }
}

static void empty_append(fault_world *world)
{
    if (world->append.cache != NULL)
        append_teardown(&world->append);
    world->append = (append_fixture){0};
}

/* A cache full of NaN, and rows for it; nothing has been appended. */
static void prepare_rows(fault_world *world)
{
    static const append_case made = {
        .layout = CLATTN_KV_NHD,
        .k_dtype = CLATTN_FLOAT32,
        .v_dtype = CLATTN_FLOAT32,
        .dtype = CLATTN_FLOAT32,
        .num_kv_heads = 2,
        .head_dim = 8,
        .head_dim_v = 5,
        .page_size = PAGE_SIZE,
        .num_pages = 4,
        .total_tokens = NUM_TOKENS,
    };
    support_random random = support_random_seeded(3);
    empty_append(world);
    append_setup(&world->append, &world->device, &made, &random);
}

/* With the kernel built. */
static void open_used(fault_world *world)
{
    fault_world_open(world);
    prepare_rows(world);
    append_rows(&world->append, 0);
}

static clattn_status call_append(fault_world *world)
{
    clattn_kv_append_params params = append_params_of(&world->append, 1);
    params.plan = world->plan;
    if (world->plan != NULL)
        params.slot_mapping = NULL;
    return clattn_kv_cache_append(world->append.cache, &params, 0, NULL, &world->event);
}

static void check_append(fault_world *world)
{
    assert_non_null(world->event);
    append_expect(&world->append, 1, world->append.slots);
    append_check_layers(&world->append, "layers after a successful call");
}

static void release_event(fault_world *world)
{
    clReleaseEvent(world->event);
    world->event = NULL;
}

/* A plan that has the slots of the rows. */
static void prepare_planned_rows(fault_world *world)
{
    static const int32_t query_start_loc[] = {0, NUM_TOKENS};
    static const int32_t context_lens[] = {NUM_TOKENS};
    static const int32_t block_tables[] = {0, 1};
    prepare_rows(world);
    const clattn_plan_params params = {
        .num_seqs = 1,
        .total_tokens = NUM_TOKENS,
        .query_start_loc = query_start_loc,
        .context_lens = context_lens,
        .block_tables = block_tables,
        .pages_per_seq = 2,
        .slot_mapping = world->append.slots,
        .num_q_heads = 2,
        .num_kv_heads = 2,
        .head_dim = 8,
        .page_size = PAGE_SIZE,
        .num_pages = 4,
        .kv_layout = CLATTN_KV_NHD,
    };
    clattn_plan_destroy(&world->plan);
    fault_require_ok(world, clattn_plan_create(world->device.ctx, &params, &world->plan));
}

static clattn_status call_append_no_tokens(fault_world *world)
{
    clattn_kv_append_params params = append_params_of(&world->append, 1);
    params.keys.shape[0] = 0;
    params.values.shape[0] = 0;
    return clattn_kv_cache_append(world->append.cache, &params, 0, NULL, &world->event);
}

static void check_event(fault_world *world)
{
    assert_non_null(world->event);
    support_require_cl(clWaitForEvents(1, &world->event), "clWaitForEvents");
}

static void forget_kernels(fault_world *world, const char *cache_dir)
{
    empty_append(world);
    fault_world_renew_context(world, cache_dir);
    prepare_rows(world);
}

static void forget_kernels_without_disk(fault_world *world)
{
    forget_kernels(world, "");
}

/* The path of a directory that is yet to be made. */
static void new_directory(const fault_world *world, char directory[SUPPORT_PATH_BYTES])
{
    static int number;
    char name[32];
    snprintf(name, sizeof name, "cache-%d", number++);
    support_path_join(directory, world->directory, name);
}

static void forget_kernels_and_files(fault_world *world)
{
    char directory[SUPPORT_PATH_BYTES];
    new_directory(world, directory);
    forget_kernels(world, directory);
}

enum { CACHE_BYTES = 1 << 20 };

static const char crash_key[] = CLATTN_VERDICT_KEY_START "1\nan old program";

static void open_limited(fault_world *world)
{
    open_used(world);
    world->cache_max_bytes = CACHE_BYTES;
}

/* A directory that another program fills, but for the verdict on a third one. */
static void forget_kernels_in_full_directory(fault_world *world)
{
    static const char data[CACHE_BYTES - 200];
    const clattn_verdict crash = {.kind = CLATTN_VERDICT_CRASHED};
    char directory[SUPPORT_PATH_BYTES];
    new_directory(world, directory);
    assert_true(clattn_program_cache_save(directory, "a program", data, sizeof data));
    assert_true(clattn_verdict_save(directory, crash_key, &crash));
    forget_kernels(world, directory);
}

static void open_verifying(fault_world *world)
{
    open_used(world);
    world->verify_kernels = true;
}

/* Whatever failed, the next process does not take the kernel for one that somebody died with. */
static void check_verified(fault_world *world)
{
    check_append(world);
    release_event(world);
    char directory[SUPPORT_PATH_BYTES];
    snprintf(directory, sizeof directory, "%s", clattn_context_cache_dir(world->device.ctx));
    forget_kernels(world, directory);
    fault_require_ok(world, call_append(world));
    check_append(world);
}

static void forget_kernels_but_no_file(fault_world *world)
{
    forget_kernels(world, world->directory);
}

static void open_with_file(fault_world *world)
{
    fault_world_open(world);
    forget_kernels(world, world->directory);
    append_rows(&world->append, 0);
}

static void check_loaded(fault_world *world)
{
    clattn_cache_stats stats;
    clattn_context_cache_stats(world->device.ctx, &stats);
    assert_int_equal(stats.num_programs, 1);
    assert_int_equal(stats.num_built + stats.num_disk_hits, 1);
    check_append(world);
}

static void check_crash_remembered(fault_world *world)
{
    clattn_verdict verdict;
    check_loaded(world);
    assert_true(clattn_verdict_load(clattn_context_cache_dir(world->device.ctx), crash_key, &verdict));
    assert_int_equal(verdict.kind, CLATTN_VERDICT_CRASHED);
}

static void prepare_destroy(fault_world *world)
{
    prepare_rows(world);
    append_rows(&world->append, 0);
}

static clattn_status call_destroy(fault_world *world)
{
    clattn_kv_cache_destroy(&world->append.cache);
    return CLATTN_OK;
}

static void check_destroyed(fault_world *world)
{
    assert_null(world->append.cache);
}

static void forget_rows(fault_world *world)
{
    append_teardown(&world->append);
    world->append = (append_fixture){0};
}

static const fault_scenario scenarios[] = {
    {.function = "clattn_kv_cache_create",
     .variant = "hnd",
     .open = fault_world_open,
     .call = call_create,
     .check = check_empty,
     .undo = destroy_cache},
    {.function = "clattn_kv_cache_destroy",
     .variant = "used",
     .tolerated = "clWaitForEvents",
     .only_once = true,
     .open = open_used,
     .prepare = prepare_destroy,
     .call = call_destroy,
     .check = check_destroyed,
     .undo = forget_rows},
    {.function = "clattn_sequence_fork",
     .variant = "combined",
     .open = fault_world_open,
     .prepare = share_combined,
     .call = call_fork,
     .check = check_fork},
    {.function = "clattn_kv_cache_extend",
     .variant = "combined",
     .open = fault_world_open,
     .prepare = share_combined,
     .call = call_extend,
     .check = check_extend},
    {.function = "clattn_kv_cache_extend",
     .variant = "heads first",
     .open = fault_world_open,
     .prepare = share_heads_first,
     .call = call_extend,
     .check = check_extend},
    {.function = "clattn_kv_cache_append",
     .variant = "slots",
     .open = open_used,
     .prepare = prepare_rows,
     .call = call_append,
     .check = check_append,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "planned",
     .open = open_used,
     .prepare = prepare_planned_rows,
     .call = call_append,
     .check = check_append,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "no tokens",
     .open = open_used,
     .call = call_append_no_tokens,
     .check = check_event,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "first use, no disk cache",
     .open = open_used,
     .prepare = forget_kernels_without_disk,
     .call = call_append,
     .check = check_loaded,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "first use, empty disk cache",
     .tolerated = "malloc calloc realloc strdup open opendir readdir unlink clGetProgramInfo",
     .open = open_used,
     .prepare = forget_kernels_and_files,
     .call = call_append,
     .check = check_loaded,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "first use, full disk cache",
     .tolerated = "malloc calloc realloc strdup open opendir readdir unlink clGetProgramInfo",
     .open = open_limited,
     .prepare = forget_kernels_in_full_directory,
     .call = call_append,
     .check = check_crash_remembered,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "first use, verified",
     .tolerated = "malloc calloc realloc strdup open opendir readdir unlink clGetProgramInfo",
     .distrusts = true,
     .only_once = true,
     .open = open_verifying,
     .prepare = forget_kernels_and_files,
     .call = call_append,
     .check = check_verified,
     .undo = release_event},
    {.function = "clattn_kv_cache_append",
     .variant = "first use, from disk",
     .tolerated =
         "malloc calloc strdup open unlink clGetProgramInfo clCreateProgramWithBinary clBuildProgram clCreateKernel",
     .open = open_with_file,
     .prepare = forget_kernels_but_no_file,
     .call = call_append,
     .check = check_loaded,
     .undo = release_event},
};

fault_scenario_list fault_kv_cache_scenarios(void)
{
    return FAULT_SCENARIO_LIST(scenarios);
}
