/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument checks, the plan and the launch of all attention operations, on an OpenCL that computes nothing: no
 * input may crash them, and of every call that is accepted each work item is walked (walk.h). What is valid by
 * construction must be accepted, unless it is too large for the device or the host.
 */
#include "walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Host memory that one allocation of the library may take: what a plan of more work items would need is not walked. */
#define LARGEST_ALLOCATION ((size_t)2 << 20)

void *__real_malloc(size_t num_bytes);
void *__wrap_malloc(size_t num_bytes);

void *__wrap_malloc(size_t num_bytes)
{
    return num_bytes <= LARGEST_ALLOCATION ? __real_malloc(num_bytes) : NULL;
}

static struct {
    int64_t num_calls;
    int64_t num_accepted;
    int64_t num_changed;
    int64_t num_changed_accepted;
    int64_t num_items;
} statistics;

const char *fuzz_summary(void)
{
    static char text[256];
    snprintf(text, sizeof text,
             "%" PRId64 " calls, %" PRId64 " accepted (of %" PRId64 " changed ones %" PRId64 "), %" PRId64
             " work items walked",
             statistics.num_calls, statistics.num_accepted, statistics.num_changed, statistics.num_changed_accepted,
             statistics.num_items);
    return text;
}

/* A refusal says why, and a valid call is refused for its size alone. */
static void check_refusal(const clattn_context *ctx, const fuzz_call *call, clattn_status status)
{
    FUZZ_REQUIRE(strlen(clattn_context_last_error(ctx)) > 8, "%s without a reason", clattn_status_name(status));
    const bool ends_loops = clattn_context_device(ctx)->max_loop_iterations > 0;
    const bool too_large = status == CLATTN_OUT_OF_MEMORY || status == CLATTN_OUT_OF_DEVICE_MEMORY ||
                           status == CLATTN_SIZE_OVERFLOW || status == CLATTN_INVALID_TUNING ||
                           (ends_loops && status == CLATTN_UNSUPPORTED);
    FUZZ_REQUIRE(call->changed || too_large, "a valid call is refused: %s", clattn_context_last_error(ctx));
}

static void issue(clattn_context *ctx, const clattn_device_facts *facts, const fuzz_call *call, const clattn_plan *plan)
{
    call_walk walk;
    cl_event event = NULL;
    walk_begin(&walk, call, facts);
    fake_opencl_set_visitor(walk_launch, &walk);
    const clattn_status status = call_issue(ctx, call, plan, &event);
    fake_opencl_set_visitor(NULL, NULL);
    FUZZ_REQUIRE((event != NULL) == (status == CLATTN_OK), "%s, but %s event", clattn_status_name(status),
                 event != NULL ? "an" : "no");
    if (status == CLATTN_OK) {
        walk_check(&walk);
        clReleaseEvent(event);
    } else {
        FUZZ_REQUIRE(!walk.begun, "a kernel runs for a call that is refused");
        check_refusal(ctx, call, status);
    }
    statistics.num_calls++;
    statistics.num_accepted += status == CLATTN_OK;
    statistics.num_changed += call->changed;
    statistics.num_changed_accepted += call->changed && status == CLATTN_OK;
    statistics.num_items += walk.num_items;
    walk_finish(&walk);
}

static void change(fuzz_bytes *bytes, fuzz_call *call, bool with_batch)
{
    for (int32_t left = fuzz_one_in(bytes, 2) ? fuzz_between(bytes, 1, 3) : 0; left > 0; left--)
        call_change(bytes, call, with_batch);
    call_settle(call);
}

/* Makes the plan or updates it; a refused update must leave it as it was. */
static clattn_status plan_call(clattn_context *ctx, const fuzz_call *call, clattn_plan **plan)
{
    const clattn_plan_params params = call_plan_params(call);
    if (*plan == NULL)
        return clattn_plan_create(ctx, &params, plan);
    clattn_plan_info before, after;
    clattn_plan_get_info(*plan, &before);
    const clattn_status status = clattn_plan_update(*plan, &params);
    clattn_plan_get_info(*plan, &after);
    FUZZ_REQUIRE(status == CLATTN_OK ||
                     (before.num_decode_items == after.num_decode_items && before.max_splits == after.max_splits &&
                      before.num_prefill_items == after.num_prefill_items && before.family == after.family &&
                      before.num_merge_items == after.num_merge_items),
                 "a refused update changes the plan");
    return status;
}

static void reserve(fuzz_bytes *bytes, clattn_plan *plan)
{
    const int32_t num_seqs = fuzz_extreme_int32(bytes);
    const int32_t total_tokens = fuzz_extreme_int32(bytes);
    (void)clattn_plan_reserve(plan, num_seqs, total_tokens, fuzz_extreme_int32(bytes));
}

static void run_planned(fuzz_bytes *bytes, clattn_context *ctx, const clattn_device_facts *facts, fuzz_call *call,
                        clattn_plan **plan)
{
    const bool change_late = fuzz_one_in(bytes, 2);
    if (!change_late)
        change(bytes, call, true);
    const clattn_status status = plan_call(ctx, call, plan);
    if (status != CLATTN_OK) {
        check_refusal(ctx, call, status);
        return;
    }
    if (fuzz_one_in(bytes, 4))
        reserve(bytes, *plan);
    if (change_late)
        change(bytes, call, false);
    issue(ctx, facts, call, *plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t num_bytes)
{
    fuzz_bytes bytes = {data, num_bytes};
    const clattn_device_facts facts = call_make_device(&bytes);
    fake_opencl_set_device(&facts);
    clattn_context_params params = fake_opencl_context_params();
    if (fuzz_one_in(&bytes, 4))
        params.family = (clattn_family)fuzz_between(&bytes, CLATTN_FAMILY_DEFAULT, CLATTN_NUM_FAMILIES - 1);
    clattn_context *ctx = NULL;
    FUZZ_REQUIRE(clattn_context_create(&params, &ctx) == CLATTN_OK, "no context");
    clattn_plan *plan = NULL;
    for (int32_t left = fuzz_between(&bytes, 1, 3); left > 0; left--) {
        fuzz_call call;
        call_make(&bytes, &call);
        if (call.operation != CALL_MERGE_STATES && fuzz_one_in(&bytes, 2)) {
            run_planned(&bytes, ctx, &facts, &call, &plan);
        } else {
            change(&bytes, &call, true);
            issue(ctx, &facts, &call, NULL);
        }
        call_release(&call);
    }
    clattn_plan_destroy(&plan);
    clattn_context_destroy(&ctx);
    FUZZ_REQUIRE(fake_opencl_num_objects() == 0, "%" PRId64 " OpenCL objects are left", fake_opencl_num_objects());
    return 0;
}
