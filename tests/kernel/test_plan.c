/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans over their life: what they decide, that an update reuses memory and needs no waiting, and their largest sizes.
 * The linker hands the library's allocations to this test, which refuses them. What plans refuse is in
 * test_ragged_page_plan_errors.c, what they do when a call fails in tests/fault.
 */
#include "attention/plan.h"
#include "support/attention.h"
#include "support/attention_small.h"
#include "support/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

typedef enum allocation { NO_ALLOCATION, HOST_ALLOCATION, DEVICE_ALLOCATION } allocation;

/* What is refused, and whether it was asked for. */
static allocation refused = NO_ALLOCATION;
static bool was_asked;

void *__wrap_malloc(size_t num_bytes);
void *__real_malloc(size_t num_bytes);
cl_mem __wrap_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result);
cl_mem __real_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result);

static bool refuse(allocation kind)
{
    was_asked = was_asked || kind == refused;
    return kind == refused;
}

void *__wrap_malloc(size_t num_bytes)
{
    return refuse(HOST_ALLOCATION) ? NULL : __real_malloc(num_bytes);
}

cl_mem __wrap_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result)
{
    if (!refuse(DEVICE_ALLOCATION))
        return __real_clCreateBuffer(context, flags, size, host, result);
    *result = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return NULL;
}

static const int32_t small_q_lens[] = {1, 21};
static const int32_t small_context_lens[] = {40, 21};
static const int32_t large_q_lens[] = {1, 1, 0, 47, 1, 3, 1};
static const int32_t large_context_lens[] = {300, 93, 17, 61, 1, 257, 64};

static support_attention_case make_case(const int32_t *q_lens, const int32_t *context_lens, int32_t num_seqs)
{
    return (support_attention_case){
        .seed = 77,
        .num_seqs = num_seqs,
        .q_lens = q_lens,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 16,
        .page_size = 8,
        .lse = true,
        .tail_rows = 2,
    };
}

static support_attention_case small_case(void)
{
    return make_case(small_q_lens, small_context_lens, COUNT(small_q_lens));
}

static support_attention_case large_case(void)
{
    return make_case(large_q_lens, large_context_lens, COUNT(large_q_lens));
}

static void require_ok(const support_device *device, clattn_status status)
{
    if (status != CLATTN_OK)
        fail_msg("%s: %s", clattn_status_name(status), clattn_context_last_error(device->ctx));
}

static clattn_plan *create_plan(const support_device *device, const clattn_plan_params *params)
{
    clattn_plan *plan = NULL;
    require_ok(device, clattn_plan_create(device->ctx, params, &plan));
    assert_non_null(plan);
    return plan;
}

static clattn_plan_info info_of(const clattn_plan *plan)
{
    clattn_plan_info info;
    assert_int_equal(clattn_plan_get_info(plan, &info), CLATTN_OK);
    return info;
}

static void require_same_info(const clattn_plan_info *a, const clattn_plan_info *b)
{
    assert_int_equal(a->family, b->family);
    assert_int_equal(a->num_decode_items, b->num_decode_items);
    assert_int_equal(a->num_prefill_items, b->num_prefill_items);
    assert_int_equal(a->num_merge_items, b->num_merge_items);
    assert_int_equal(a->max_splits, b->max_splits);
    assert_int_equal(a->block_q, b->block_q);
    assert_int_equal(a->block_kv, b->block_kv);
    assert_int_equal(a->workspace_bytes, b->workspace_bytes);
    assert_int_equal(a->metadata_bytes, b->metadata_bytes);
}

static void run_with(support_attention *ragged, const support_device *device, const clattn_plan *plan)
{
    const clattn_ragged_page_attention_params params = support_attention_ragged_page_params(ragged, plan);
    support_attention_reset(ragged, device);
    require_ok(device, clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(ragged, device);
}

static void info_tells_what_was_decided(void **state)
{
    const support_device *device = *state;
    support_attention_case description = large_case();
    description.num_splits = 1;
    support_attention *ragged = support_attention_create(device, &description);
    clattn_plan_params params = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &params);
    clattn_plan_info info = info_of(plan);
    int64_t num_pages = 0;

    assert_int_equal(info.family, device->family);
    assert_in_range(info.num_decode_items + info.num_prefill_items, 6, 47); /* sequences with queries; all tokens */
    assert_true(info.num_decode_items >= 4);                                /* one token is decoded */
    assert_int_equal(info.num_merge_items, 1);                              /* the tail */
    assert_int_equal(info.max_splits, 1);
    assert_true(info.block_q >= 1 && info.block_kv >= 1);
    assert_int_equal(info.workspace_bytes, 0);
    for (int32_t s = 0; s < COUNT(large_context_lens); s++)
        num_pages += (large_context_lens[s] + 7) / 8;
    const int64_t num_records = params.num_seqs + info.num_decode_items + info.num_prefill_items + info.num_merge_items;
    assert_true((int64_t)info.metadata_bytes >= 32 * num_records + 4 * num_pages);

    params.num_splits = 3;
    require_ok(device, clattn_plan_update(plan, &params));
    info = info_of(plan);
    assert_int_equal(info.max_splits, 3);
    assert_true(info.num_merge_items > 1);
    /* Rows of the first sequence alone: 3 splits x 2 heads of 2 kv heads, each 16 floats and a pair. */
    assert_true(info.workspace_bytes >= (uint64_t)(3 * 2 * 2 * (16 + 2)) * sizeof(float));
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

static void an_override_shows_in_the_info(void **state)
{
    const support_device *device = *state;
    const bool vector = device->family == CLATTN_FAMILY_VECTOR;
    support_attention_case description = small_case();
    const clattn_tuning tuning = {.num_queries_per_block = vector ? 96 : 16, .num_kv_pages_per_block = 4};
    description.tuning = support_device_tuning(device, tuning);
    support_attention *ragged = support_attention_create(device, &description);
    const clattn_plan_params params = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &params);
    const clattn_plan_info info = info_of(plan);

    assert_int_equal(info.block_q, vector ? 192 : 32);
    if (description.tuning.num_kv_pages_per_block > 0)
        assert_int_equal(info.block_kv, 32);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

/* What is equal or smaller fits where the larger was. */
static void an_update_reuses_memory(void **state)
{
    const support_device *device = *state;
    const support_attention_case small_description = small_case();
    support_attention_case large_description = large_case();
    large_description.num_splits = 4;
    support_attention *small = support_attention_create(device, &small_description);
    support_attention *large = support_attention_create(device, &large_description);
    const clattn_plan_params small_params = support_attention_plan_params(small);
    clattn_plan_params large_params = support_attention_plan_params(large);
    clattn_plan *plan = create_plan(device, &large_params);
    const clattn_plan_info first = info_of(plan);
    const cl_mem buffers[] = {plan->metadata.buffer, plan->partial_acc, plan->partial_sums};

    for (int step = 0; step < 8; step++) {
        large_params.num_splits = 4 - step % 3;
        require_ok(device, clattn_plan_update(plan, step % 2 == 0 ? &small_params : &large_params));
        const clattn_plan_info info = info_of(plan);
        assert_int_equal(info.metadata_bytes, first.metadata_bytes);
        assert_int_equal(info.workspace_bytes, first.workspace_bytes);
        assert_ptr_equal(plan->metadata.buffer, buffers[0]);
        assert_ptr_equal(plan->partial_acc, buffers[1]);
        assert_ptr_equal(plan->partial_sums, buffers[2]);
        support_attention *ragged = step % 2 == 0 ? small : large;
        run_with(ragged, device, plan);
        support_attention_check(ragged);
    }
    clattn_plan_destroy(&plan);
    support_attention_destroy(&small);
    support_attention_destroy(&large);
}

/* After a reservation no allocation may be tried: each would fail. The plan goes on with the batch it had. */
static void updates_within_a_reservation_allocate_nothing(void **state)
{
    const support_device *device = *state;
    static const int32_t num_splits[] = {0, 3};
    for (int32_t i = 0; i < COUNT(num_splits); i++) {
        support_attention_case small_description = small_case();
        support_attention_case large_description = large_case();
        small_description.num_splits = num_splits[i];
        large_description.num_splits = num_splits[i];
        support_attention *small = support_attention_create(device, &small_description);
        support_attention *large = support_attention_create(device, &large_description);
        const clattn_plan_params small_params = support_attention_plan_params(small);
        clattn_plan_params large_params = support_attention_plan_params(large);
        int64_t slots[256];
        assert_true(large_params.total_tokens <= COUNT(slots));
        for (int32_t token = 0; token < large_params.total_tokens; token++)
            slots[token] = token;
        large_params.slot_mapping = slots;
        clattn_plan *plan = create_plan(device, &small_params);

        require_ok(device, clattn_plan_reserve(plan, large_params.num_seqs, large_params.total_tokens, 300));
        run_with(small, device, plan);
        support_attention_check(small);
        const clattn_plan_info reserved = info_of(plan);
        for (int step = 0; step < 4; step++) {
            was_asked = false;
            refused = step % 2 == 0 ? HOST_ALLOCATION : DEVICE_ALLOCATION;
            const clattn_status status = clattn_plan_update(plan, &large_params);
            refused = NO_ALLOCATION;
            require_ok(device, status);
            assert_false(was_asked);
        }
        run_with(large, device, plan);
        support_attention_check(large);
        const clattn_plan_info used = info_of(plan);
        assert_int_equal(used.metadata_bytes, reserved.metadata_bytes);
        assert_int_equal(used.workspace_bytes, reserved.workspace_bytes);
        clattn_plan_destroy(&plan);
        support_attention_destroy(&small);
        support_attention_destroy(&large);
    }
}

static void reservations_that_cannot_be_are_refused(void **state)
{
    const support_device *device = *state;
    const support_attention_case description = small_case();
    support_attention *ragged = support_attention_create(device, &description);
    const clattn_plan_params params = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &params);
    const clattn_plan_info before = info_of(plan);

    assert_int_equal(clattn_plan_reserve(NULL, 1, 1, 1), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_plan_reserve(plan, -1, 1, 1), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "num_seqs"));
    assert_int_equal(clattn_plan_reserve(plan, 1, -1, 1), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "total_tokens"));
    assert_int_equal(clattn_plan_reserve(plan, 1, 1, -1), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "max_context_len"));
    assert_int_equal(clattn_plan_reserve(plan, INT32_MAX, INT32_MAX, INT32_MAX), CLATTN_SIZE_OVERFLOW);
    const clattn_plan_info after = info_of(plan);
    require_same_info(&before, &after);
    require_ok(device, clattn_plan_reserve(plan, 0, 0, 0));
    run_with(ragged, device, plan);
    support_attention_check(ragged);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

static void slots_reach_the_device(void **state)
{
    const support_device *device = *state;
    const support_attention_case description = large_case();
    support_attention *ragged = support_attention_create(device, &description);
    clattn_plan_params params = support_attention_plan_params(ragged);
    clattn_plan *plan = create_plan(device, &params);
    const int32_t num_tokens = params.total_tokens;
    int64_t *slots = calloc((size_t)num_tokens, sizeof *slots);
    int64_t *found = calloc((size_t)num_tokens, sizeof *found);
    cl_mem buffer = NULL;
    uint64_t offset = 0;
    int32_t total_tokens = 0;
    int64_t num_slots = 0;

    assert_true(slots != NULL && found != NULL);
    assert_false(clattn_plan_slot_mapping(plan, &buffer, &offset, &total_tokens, &num_slots));
    for (int32_t i = 0; i < num_tokens; i++)
        slots[i] = (int64_t)params.num_pages * params.page_size - 1 - i;
    params.slot_mapping = slots;
    require_ok(device, clattn_plan_update(plan, &params));
    assert_true(clattn_plan_slot_mapping(plan, &buffer, &offset, &total_tokens, &num_slots));
    assert_int_equal(total_tokens, num_tokens);
    assert_int_equal(num_slots, (int64_t)params.num_pages * params.page_size);
    support_require_cl(clEnqueueReadBuffer(device->queue, buffer, CL_TRUE, (size_t)offset * sizeof *found,
                                           (size_t)num_tokens * sizeof *found, found, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    assert_memory_equal(found, slots, (size_t)num_tokens * sizeof *found);
    run_with(ragged, device, plan); /* the pages behind the slots are still found */
    support_attention_check(ragged);
    free(slots);
    free(found);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&ragged);
}

/* Three sequences whose last NUM_STEPS tokens are decoded one step at a time, each into its rows of one output. */
enum { NUM_STEPS = 200, NUM_GROWING = 3 };

static clattn_plan_params make_step_plan_params(const support_attention *whole, int32_t step)
{
    clattn_plan_params params = support_attention_plan_params(whole);

    params.total_tokens = NUM_GROWING;
    params.num_splits = step % 3 == 1 ? 2 : 0;
    return params;
}

static clattn_ragged_page_attention_params make_step_params(const support_attention *whole, int32_t step,
                                                            const clattn_plan *plan)
{
    const int64_t row = (int64_t)whole->description.num_q_heads * whole->description.head_dim;
    const int64_t lse_row = whole->description.num_q_heads;
    clattn_ragged_page_attention_params params = support_attention_ragged_page_params(whole, plan);
    clattn_tensor *tensors[] = {&params.queries, &params.out, &params.lse};

    for (int i = 0; i < 3; i++) {
        const int64_t width = i < 2 ? row : lse_row;
        tensors[i]->shape[0] = NUM_GROWING;
        tensors[i]->offset_bytes = (uint64_t)(step * width) * sizeof(float);
        tensors[i]->strides[0] = NUM_STEPS * width;
        tensors[i]->strides[1] = i < 2 ? whole->description.head_dim : 1;
        tensors[i]->strides[2] = i < 2 ? 1 : 0;
    }
    return params;
}

/* Updates that are refused early, late (staging memory is in use by then) and last; none of them may be seen. */
static void refuse_updates(const support_device *device, clattn_plan *plan, const clattn_plan_params *right)
{
    static const int64_t same_slots[NUM_GROWING] = {5, 6, 5};
    clattn_plan_params params = *right;
    params.num_pages = 1;
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_INVALID_PAGE);
    params = *right;
    params.slot_mapping = same_slots;
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_INVALID_PAGE);
    params = *right;
    params.num_splits = 2; /* at least 5 items, each for 2^29 kv heads */
    params.num_q_heads = params.num_kv_heads = 1 << 29;
    params.kv_layout = CLATTN_KV_HND;
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_SIZE_OVERFLOW);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "the work list has"));
}

/* Updates the plan for a step from arrays that are destroyed at once, and enqueues the step's call. */
static void enqueue_step(const support_attention *whole, const support_device *device, clattn_plan **plan, int32_t step,
                         bool with_refusals)
{
    int32_t query_start_loc[NUM_GROWING + 1], context_lens[NUM_GROWING];
    int64_t slots[NUM_GROWING] = {3 * step, 3 * step + 1, 3 * step + 2};
    clattn_plan_params plan_params = make_step_plan_params(whole, step);
    clattn_ragged_page_attention_params params;

    for (int32_t s = 0; s <= NUM_GROWING; s++)
        query_start_loc[s] = s;
    for (int32_t s = 0; s < NUM_GROWING; s++)
        context_lens[s] = whole->description.context_lens[s] - NUM_STEPS + 1 + step;
    plan_params.query_start_loc = query_start_loc;
    plan_params.context_lens = context_lens;
    plan_params.num_pages = whole->num_pages;
    plan_params.slot_mapping = step % 2 == 0 ? slots : NULL;
    require_ok(device, *plan == NULL ? clattn_plan_create(device->ctx, &plan_params, plan)
                                     : clattn_plan_update(*plan, &plan_params));
    if (with_refusals)
        refuse_updates(device, *plan, &plan_params);
    memset(query_start_loc, 0x5a, sizeof query_start_loc);
    memset(context_lens, 0x5a, sizeof context_lens);
    memset(slots, 0x5a, sizeof slots);
    params = make_step_params(whole, step, *plan);
    require_ok(device, clattn_ragged_page_attention(device->ctx, &params, 0, NULL, NULL));
}

static support_attention *create_growing(const support_device *device, const int32_t *context_lens)
{
    static const int32_t q_lens[NUM_GROWING] = {NUM_STEPS, NUM_STEPS, NUM_STEPS};
    support_attention_case description = make_case(q_lens, context_lens, NUM_GROWING);
    description.tail_rows = 0;
    description.page_size = 11;
    support_size_spend(NUM_STEPS * support_attention_work(&description));
    return support_attention_create(device, &description);
}

/* Nothing waits between the steps; in the end every row of every step is compared with the reference. */
static void many_steps_run_without_waiting(void **state)
{
    static const int32_t context_lens[NUM_GROWING] = {NUM_STEPS, NUM_STEPS + 93, 2300};
    const support_device *device = *state;
    support_attention *whole = create_growing(device, context_lens);
    clattn_plan *plan = NULL;
    uint64_t metadata_bytes = 0;
    int num_growths = 0;

    support_attention_reset(whole, device);
    for (int32_t step = 0; step < NUM_STEPS; step++) {
        enqueue_step(whole, device, &plan, step, step % 5 == 3);
        const uint64_t bytes = info_of(plan).metadata_bytes;
        num_growths += bytes != metadata_bytes;
        metadata_bytes = bytes;
    }
    assert_in_range(num_growths, 1, 6); /* a growing batch reallocates seldom */
    clattn_plan_destroy(&plan);         /* while its last steps may still be running */
    support_attention_read(whole, device);
    support_attention_check(whole);
    support_attention_destroy(&whole);
}

/* A queue that stands still: two updates may run ahead of it, and each call sees the plan that it was made with. */
static void two_updates_run_ahead_of_the_queue(void **state)
{
    static const int32_t context_lens[NUM_GROWING] = {NUM_STEPS, NUM_STEPS + 93, 300};
    const support_device *device = *state;
    support_attention *whole = create_growing(device, context_lens);
    clattn_plan *plan = NULL;
    cl_int result;

    support_attention_reset(whole, device);
    for (int32_t step = 0; step + 3 <= NUM_STEPS; step += 3) {
        enqueue_step(whole, device, &plan, step, false);
        support_require_cl(clFinish(device->queue), "clFinish");
        const cl_event gate = clCreateUserEvent(device->cl, &result);
        support_require_cl(result, "clCreateUserEvent");
        support_require_cl(clEnqueueBarrierWithWaitList(device->queue, 1, &gate, NULL), "clEnqueueBarrierWithWaitList");
        enqueue_step(whole, device, &plan, step + 1, false);
        enqueue_step(whole, device, &plan, step + 2, false);
        support_require_cl(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
        clReleaseEvent(gate);
    }
    for (int32_t step = NUM_STEPS - NUM_STEPS % 3; step < NUM_STEPS; step++)
        enqueue_step(whole, device, &plan, step, false);
    clattn_plan_destroy(&plan);
    support_attention_read(whole, device);
    support_attention_check(whole);
    support_attention_destroy(&whole);
}

static void rows_of_all_tokens_fit_into_31_bits(void **state)
{
    const support_device *device = *state;
    clattn_plan_params params = {
        .total_tokens = 16,
        .num_q_heads = (1 << 27) - 1,
        .num_kv_heads = (1 << 27) - 1,
        .head_dim = 8,
        .page_size = 16,
        .kv_layout = CLATTN_KV_HND,
    };
    clattn_plan *plan = create_plan(device, &params);
    assert_int_equal(info_of(plan).num_merge_items, 1);
    params.num_q_heads = params.num_kv_heads = 1 << 27;
    assert_int_equal(clattn_plan_update(plan, &params), CLATTN_SIZE_OVERFLOW);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "total_tokens 16 times num_q_heads 134217728"));
    assert_int_equal(info_of(plan).num_merge_items, 1);
    clattn_plan_destroy(&plan);
}

/* 64 splits for each of 2^25 heads are one too many; one head less only wants more memory than there is. */
static void work_groups_fit_into_31_bits(void **state)
{
    const support_device *device = *state;
    static const int32_t query_start_loc[] = {0, 1};
    static const int32_t context_lens[] = {64 * 16};
    static const int32_t block_tables[] = {0};
    const clattn_tuning tuning = support_device_tuning(device, (clattn_tuning){.block_kv = 16});
    clattn_plan_params params = {
        .num_seqs = 1,
        .total_tokens = 1,
        .query_start_loc = query_start_loc,
        .context_lens = context_lens,
        .block_tables = block_tables,
        .pages_per_seq = 1,
        .num_q_heads = 1 << 25,
        .num_kv_heads = 1 << 25,
        .head_dim = 8,
        .page_size = 64 * 16,
        .num_pages = 1,
        .kv_layout = CLATTN_KV_HND,
        .num_splits = 64,
        .tuning = &tuning,
    };
    clattn_plan *plan = NULL;
    assert_int_equal(clattn_plan_create(device->ctx, &params, &plan), CLATTN_SIZE_OVERFLOW);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "2147483648 entries"));
    assert_null(plan);

    params.num_q_heads = params.num_kv_heads = 1000;
    plan = create_plan(device, &params);
    assert_int_equal(info_of(plan).max_splits, 64);
    params.num_q_heads = params.num_kv_heads = (1 << 25) - 1;
    refused = DEVICE_ALLOCATION; /* of 16 GiB: no device is asked for it */
    const clattn_status status = clattn_plan_update(plan, &params);
    refused = NO_ALLOCATION;
    assert_int_equal(status, CLATTN_OUT_OF_DEVICE_MEMORY);
    assert_int_equal(info_of(plan).max_splits, 64);
    clattn_plan_destroy(&plan);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_tells_what_was_decided),
        cmocka_unit_test(an_override_shows_in_the_info),
        cmocka_unit_test(an_update_reuses_memory),
        cmocka_unit_test(updates_within_a_reservation_allocate_nothing),
        cmocka_unit_test(reservations_that_cannot_be_are_refused),
        cmocka_unit_test(slots_reach_the_device),
        cmocka_unit_test(many_steps_run_without_waiting),
        cmocka_unit_test(two_updates_run_ahead_of_the_queue),
        cmocka_unit_test(rows_of_all_tokens_fit_into_31_bits),
        cmocka_unit_test(work_groups_fit_into_31_bits),
    };

    support_select_family(argc, argv);
    return support_run_tests("plan", tests, sizeof(tests) / sizeof(tests[0]));
}
