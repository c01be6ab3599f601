/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "attention/plan.h"
#include "kv_cache/cache.h"
#include "support/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void fault_world_open(fault_world *world)
{
    void *directory = NULL;
    void *device = NULL;
    assert_int_equal(support_directory_setup(&directory), 0);
    assert_int_equal(support_device_setup(&device), 0);
    *world = (fault_world){.device = *(support_device *)device, .directory = directory};
    free(device);
}

void fault_world_renew_context(fault_world *world, const char *cache_dir)
{
    const clattn_context_params params = {
        .cl_context_handle = world->device.cl,
        .cl_device = clattn_context_cl_device(world->device.ctx),
        .cl_queue = world->device.queue,
        .family = world->device.family,
        .cache_dir = cache_dir,
        .cache_max_bytes = world->cache_max_bytes,
        .verify_kernels = world->verify_kernels,
    };
    clattn_context *renewed = NULL;
    assert_int_equal(clattn_context_create(&params, &renewed), CLATTN_OK);
    clattn_context_destroy(&world->device.ctx);
    world->device.ctx = renewed; /* OpenCL's context and queue stay: the new one retains them */
}

void fault_world_close(fault_world *world)
{
    void *directory = world->directory;
    clFinish(world->device.queue);
    clattn_plan_destroy(&world->plan);
    clattn_kv_cache_destroy(&world->cache);
    if (world->append.cache != NULL)
        append_teardown(&world->append);
    if (world->merge != NULL)
        merge_problem_destroy(&world->merge);
    if (world->attention != NULL)
        support_attention_destroy(&world->attention);
    if (world->larger != NULL)
        support_attention_destroy(&world->larger);
    clattn_context_destroy(&world->made);
    clattn_context_destroy(&world->device.ctx);
    assert_int_equal(support_directory_teardown(&directory), 0);
}

void fault_require_ok(const fault_world *world, clattn_status status)
{
    if (status != CLATTN_OK)
        fail_msg("%s: %s %s", clattn_status_name(status), clattn_context_last_error(world->device.ctx), world->logged);
}

static void add(fault_picture *picture, const void *bytes, size_t num_bytes)
{
    if (picture->num_bytes + num_bytes > picture->capacity) {
        picture->capacity = 2 * (picture->num_bytes + num_bytes);
        picture->bytes = realloc(picture->bytes, picture->capacity);
        assert_non_null(picture->bytes);
    }
    if (num_bytes > 0)
        memcpy(picture->bytes + picture->num_bytes, bytes, num_bytes);
    picture->num_bytes += num_bytes;
}

#define ADD(picture, value) add((picture), &(value), sizeof(value))

static void add_buffer(fault_picture *picture, const fault_world *world, cl_mem buffer, size_t offset, size_t num_bytes)
{
    uint8_t *bytes = malloc(num_bytes);
    assert_non_null(bytes);
    support_require_cl(
        clEnqueueReadBuffer(world->device.queue, buffer, CL_TRUE, offset, num_bytes, bytes, 0, NULL, NULL),
        "clEnqueueReadBuffer");
    add(picture, bytes, num_bytes);
    free(bytes);
}

/* The pages that somebody holds: what lies in a free one is nobody's business. */
static void add_pages(fault_picture *picture, const fault_world *world, cl_mem buffer,
                      const clattn_pages_address *address)
{
    const clattn_kv_cache_params *params = &world->cache->params;
    const size_t element_bytes = clattn_dtype_size(params->dtype);
    const size_t page_bytes = (size_t)address->page_stride * element_bytes;
    const bool heads_first = params->layout == CLATTN_KV_HEADS_FIRST;
    for (int32_t page = 0; page < params->num_pages; page++) {
        if (clattn_pages_count(&world->cache->sequences.pages, page) == 0)
            continue;
        for (int32_t head = 0; head < (heads_first ? params->num_kv_heads : 1); head++) {
            const size_t head_offset = (size_t)head * (size_t)address->head_stride * element_bytes;
            add_buffer(picture, world, buffer, (size_t)page * page_bytes + head_offset, page_bytes);
        }
    }
}

static void add_sequences(fault_picture *picture, const clattn_sequences *sequences)
{
    const clattn_pages *pages = &sequences->pages;
    ADD(picture, pages->num_free);
    add(picture, pages->free_pages, (size_t)pages->num_free * sizeof *pages->free_pages);
    add(picture, pages->num_references, (size_t)pages->num_pages * sizeof *pages->num_references);
    for (int32_t i = 0; i < sequences->num_used_slots; i++) {
        const clattn_sequence_slot *slot = &sequences->slots[i];
        const int32_t num_pages = (slot->length + sequences->page_size - 1) / sequences->page_size;
        if (!slot->alive)
            continue;
        ADD(picture, i);
        ADD(picture, slot->length);
        ADD(picture, slot->generation);
        add(picture, slot->block_table, (size_t)num_pages * sizeof *slot->block_table);
    }
}

/* The arrays of the last step, which live until the next one succeeds. */
static void add_batch(fault_picture *picture, const clattn_kv_batch *batch)
{
    const size_t num_seqs = (size_t)batch->num_seqs;
    if (num_seqs == 0)
        return;
    add(picture, batch->query_start_loc, (num_seqs + 1) * sizeof(int32_t));
    add(picture, batch->context_lens, num_seqs * sizeof(int32_t));
    add(picture, batch->block_tables, num_seqs * (size_t)batch->pages_per_seq * sizeof(int32_t));
    add(picture, batch->slot_mapping, (size_t)batch->total_tokens * sizeof(int64_t));
}

static void add_cache(fault_picture *picture, const fault_world *world)
{
    const clattn_kv_cache *cache = world->cache;
    add_sequences(picture, &cache->sequences);
    add_batch(picture, &world->batch);
    for (int32_t layer = 0; layer < cache->params.num_layers; layer++) {
        add_pages(picture, world, cache->key_pages[layer], &cache->key_address);
        if (cache->value_pages[layer] != NULL)
            add_pages(picture, world, cache->value_pages[layer], &cache->value_address);
    }
}

static void add_plan(fault_picture *picture, const fault_world *world)
{
    const clattn_plan *plan = world->plan;
    ADD(picture, plan->shape);
    ADD(picture, plan->row);
    ADD(picture, plan->counts);
    ADD(picture, plan->sections);
    ADD(picture, plan->num_splits);
    ADD(picture, plan->has_slots);
    add_buffer(picture, world, plan->metadata.buffer, 0, (size_t)plan->sections.num_ints * sizeof(int32_t));
}

static void add_image(fault_picture *picture, const fault_world *world, support_image *image)
{
    if (image->tensor.buffer == NULL)
        return;
    support_image_download(image, &world->device);
    add(picture, image->bytes, image->num_bytes);
}

static void add_results(fault_picture *picture, fault_world *world)
{
    for (int i = 0; world->attention != NULL && i < SUPPORT_NUM_RESULTS; i++)
        add_image(picture, world, &world->attention->results[i]);
    if (world->merge != NULL) {
        add_image(picture, world, &world->merge->out);
        add_image(picture, world, &world->merge->lse);
    }
}

fault_picture fault_world_take_picture(fault_world *world, bool with_results)
{
    fault_picture picture = {.bytes = NULL};
    ADD(&picture, world->plan);
    ADD(&picture, world->cache);
    ADD(&picture, world->sequences);
    ADD(&picture, world->made);
    if (world->cache != NULL)
        add_cache(&picture, world);
    if (world->append.cache != NULL)
        append_check_layers(&world->append, "layers after a failed call");
    if (world->plan != NULL)
        add_plan(&picture, world);
    if (with_results)
        add_results(&picture, world);
    return picture;
}

void fault_picture_destroy(fault_picture *picture)
{
    free(picture->bytes);
    *picture = (fault_picture){0};
}

void fault_picture_expect_same(const fault_picture *expected, const fault_picture *found)
{
    assert_int_equal(found->num_bytes, expected->num_bytes);
    for (size_t i = 0; i < expected->num_bytes; i++) {
        if (expected->bytes[i] != found->bytes[i])
            fail_msg("the failed call changed byte %zu of %zu of the picture", i, expected->num_bytes);
    }
}
