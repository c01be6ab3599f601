/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: which device they open, the caller's handles, what is refused, and that nothing is left behind. */
#include "runtime/context.h"
#include "runtime/device.h"
#include "support/device.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What the log callback received. */
typedef struct log_record {
    int num_errors;
    char last_error[CLATTN_ERROR_BYTES];
} log_record;

static void record_line(void *user, clattn_log_level level, const char *message)
{
    log_record *record = user;
    if (level != CLATTN_LOG_ERROR)
        return;
    record->num_errors++;
    snprintf(record->last_error, sizeof record->last_error, "%s", message);
}

/* Handles as an application that already uses OpenCL has them. */
typedef struct handles {
    cl_device_id device;
    cl_context cl;
    cl_command_queue queue;
} handles;

static void handles_init(handles *made, cl_command_queue_properties properties)
{
    cl_int result = CL_SUCCESS;
    clattn_error error;
    assert_int_equal(clattn_device_find(NULL, &made->device, &error), CLATTN_OK);
    made->cl = clCreateContext(NULL, 1, &made->device, NULL, NULL, &result);
    support_require_cl(result, "clCreateContext");
    made->queue = clCreateCommandQueue(made->cl, made->device, properties, &result);
    if (properties == 0)
        support_require_cl(result, "clCreateCommandQueue");
}

static void handles_finish(handles *made)
{
    if (made->queue != NULL)
        clReleaseCommandQueue(made->queue);
    clReleaseContext(made->cl);
}

static cl_uint context_references(cl_context cl)
{
    cl_uint count = 0;
    support_require_cl(clGetContextInfo(cl, CL_CONTEXT_REFERENCE_COUNT, sizeof count, &count, NULL),
                       "clGetContextInfo");
    return count;
}

static cl_uint queue_references(cl_command_queue queue)
{
    cl_uint count = 0;
    support_require_cl(clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof count, &count, NULL),
                       "clGetCommandQueueInfo");
    return count;
}

/* Fails the test unless creation fails with this status, with one line of log that contains `part`. */
static void assert_create_fails(clattn_context_params params, clattn_status expected, const char *part)
{
    log_record record = {0};
    clattn_context *ctx = (clattn_context *)(void *)&record; /* must become NULL */
    params.log = record_line;
    params.log_user = &record;
    params.cache_dir = "";
    assert_int_equal(clattn_context_create(&params, &ctx), expected);
    assert_null(ctx);
    assert_int_equal(record.num_errors, 1);
    if (strstr(record.last_error, part) == NULL)
        fail_msg("expected=\"%s\" in log=\"%s\"", part, record.last_error);
}

static clattn_context *create(clattn_context_params params)
{
    clattn_context *ctx = NULL;
    if (params.cache_dir == NULL)
        params.cache_dir = "";
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    assert_non_null(ctx);
    return ctx;
}

static void assert_opens(const char *request, const clattn_device_facts *expected)
{
    clattn_context *ctx = create((clattn_context_params){.device = request});
    assert_memory_equal(clattn_context_device(ctx)->name, expected->name, sizeof expected->name);
    assert_memory_equal(clattn_context_device(ctx)->platform, expected->platform, sizeof expected->platform);
    clattn_context_destroy(&ctx);
}

static int type_rank(clattn_device_type type)
{
    return type == CLATTN_DEVICE_GPU ? 3 : type == CLATTN_DEVICE_ACCELERATOR ? 2 : type == CLATTN_DEVICE_CPU ? 1 : 0;
}

static void device_facts_are_plausible(void **state)
{
    (void)state;
    const int32_t num_devices = clattn_device_count();
    for (int32_t i = 0; i < num_devices; i++) {
        clattn_device_facts facts;
        assert_int_equal(clattn_device_query(i, &facts), CLATTN_OK);
        assert_true(facts.name[0] != '\0' && facts.platform[0] != '\0' && facts.driver[0] != '\0');
        assert_true(facts.num_compute_units >= 1);
        assert_true(facts.max_work_group_size >= 1);
        assert_true(facts.preferred_multiple >= 1);
        assert_true(facts.float_vector_width >= 1);
        assert_true(facts.max_allocation_bytes >= 1 && facts.max_allocation_bytes <= facts.global_memory_bytes);
        assert_true(facts.local_memory_bytes >= 1);
    }
}

static void device_query_outside_is_refused(void **state)
{
    (void)state;
    clattn_device_facts facts = {.num_compute_units = 93};
    const int32_t outside[] = {-1, clattn_device_count(), INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++)
        assert_int_equal(clattn_device_query(outside[i], &facts), CLATTN_NO_DEVICE);
    assert_int_equal(facts.num_compute_units, 93);
    assert_int_equal(clattn_device_query(0, NULL), CLATTN_INVALID_ARGUMENT);
}

static void device_null_opens_the_best(void **state)
{
    (void)state;
    clattn_context *ctx = create((clattn_context_params){0});
    const clattn_device_facts *opened = clattn_context_device(ctx);
    for (int32_t i = 0; i < clattn_device_count(); i++) {
        clattn_device_facts facts;
        assert_int_equal(clattn_device_query(i, &facts), CLATTN_OK);
        assert_true(type_rank(facts.type) <= type_rank(opened->type));
        if (facts.type == opened->type)
            assert_true(facts.num_compute_units <= opened->num_compute_units);
    }
    clattn_context_destroy(&ctx);
}

static void params_null_open_the_best(void **state)
{
    (void)state;
    clattn_context *by_default = NULL;
    assert_int_equal(clattn_context_create(NULL, &by_default), CLATTN_OK);
    assert_opens(NULL, clattn_context_device(by_default));
    clattn_context_destroy(&by_default);
}

static void device_index_opens_that_device(void **state)
{
    (void)state;
    for (int32_t i = 0; i < clattn_device_count(); i++) {
        clattn_device_facts facts;
        char request[16];
        assert_int_equal(clattn_device_query(i, &facts), CLATTN_OK);
        snprintf(request, sizeof request, "%d", i);
        assert_opens(request, &facts);
        snprintf(request, sizeof request, "000%d", i);
        assert_opens(request, &facts);
    }
}

static void device_name_part_in_any_case_opens_it(void **state)
{
    (void)state;
    clattn_device_facts facts;
    char label[2 * CLATTN_NAME_BYTES + 4];
    assert_int_equal(clattn_device_query(0, &facts), CLATTN_OK);
    snprintf(label, sizeof label, "%s / %s", facts.platform, facts.name);
    assert_opens(label, &facts);
    for (char *letter = label; *letter != '\0'; letter++)
        *letter = (char)toupper((unsigned char)*letter);
    assert_opens(label, &facts);
    assert_opens(label + strlen(facts.platform) - 1, &facts);
}

static void device_unknown_is_refused_with_the_list(void **state)
{
    (void)state;
    clattn_device_facts facts;
    char past[16];
    assert_int_equal(clattn_device_query(0, &facts), CLATTN_OK);
    snprintf(past, sizeof past, "%d", clattn_device_count());
    const char *const requests[] = {"no such device", past, "99999999999999999999", "-1", "0x0", ""};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const clattn_context_params params = {.device = requests[i]};
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", requests[i]);
        assert_create_fails(params, CLATTN_NO_DEVICE, quoted);
        assert_create_fails(params, CLATTN_NO_DEVICE, facts.name);
    }
}

static void handles_are_used_and_given_back(void **state)
{
    (void)state;
    handles own;
    handles_init(&own, 0);
    const cl_uint context_before = context_references(own.cl);
    const cl_uint queue_before = queue_references(own.queue);
    clattn_context *ctx =
        create((clattn_context_params){.cl_context_handle = own.cl, .cl_device = own.device, .cl_queue = own.queue});
    assert_ptr_equal(clattn_context_cl_context(ctx), own.cl);
    assert_ptr_equal(clattn_context_cl_device(ctx), own.device);
    assert_ptr_equal(clattn_context_cl_queue(ctx), own.queue);
    assert_true(context_references(own.cl) > context_before);
    assert_true(queue_references(own.queue) > queue_before);
    clattn_context_destroy(&ctx);
    assert_int_equal(context_references(own.cl), context_before);
    assert_int_equal(queue_references(own.queue), queue_before);
    handles_finish(&own);
}

static void handles_incomplete_are_refused(void **state)
{
    (void)state;
    handles own;
    handles_init(&own, 0);
    for (int given = 1; given < 7; given++) {
        const clattn_context_params params = {
            .cl_context_handle = given & 1 ? own.cl : NULL,
            .cl_device = given & 2 ? own.device : NULL,
            .cl_queue = given & 4 ? own.queue : NULL,
        };
        assert_create_fails(params, CLATTN_INVALID_ARGUMENT, given & 4 ? "missing: cl_" : "cl_queue");
    }
    handles_finish(&own);
}

static void handles_with_a_request_are_refused(void **state)
{
    (void)state;
    handles own;
    handles_init(&own, 0);
    clattn_context_params params = {.cl_context_handle = own.cl, .cl_device = own.device, .cl_queue = own.queue};
    params.device = "0";
    assert_create_fails(params, CLATTN_INVALID_ARGUMENT, "device: ");
    params.device = NULL;
    params.profiling = true;
    assert_create_fails(params, CLATTN_INVALID_ARGUMENT, "profiling: ");
    handles_finish(&own);
}

static void queue_of_another_context_is_refused(void **state)
{
    (void)state;
    handles own;
    handles other;
    handles_init(&own, 0);
    handles_init(&other, 0);
    const cl_uint context_before = context_references(own.cl);
    assert_create_fails(
        (clattn_context_params){.cl_context_handle = own.cl, .cl_device = own.device, .cl_queue = other.queue},
        CLATTN_INVALID_ARGUMENT, "cl_queue: ");
    assert_int_equal(context_references(own.cl), context_before);
    handles_finish(&own);
    handles_finish(&other);
}

/* Sub-devices stand for the several devices of a machine that has but one. False where there are none. */
static bool split_device(cl_device_id device, cl_device_id halves[2])
{
    const cl_device_partition_property by_counts[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, 1,
                                                      CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    cl_uint max_sub_devices = 0;
    /* Asked first because rusticl crashes where it should refuse. */
    if (clGetDeviceInfo(device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof max_sub_devices, &max_sub_devices, NULL) !=
            CL_SUCCESS ||
        max_sub_devices < 2)
        return false;
    return clCreateSubDevices(device, by_counts, 2, halves, NULL) == CL_SUCCESS;
}

static void queue_of_another_device_is_refused(void **state)
{
    (void)state;
    handles own;
    cl_device_id halves[2];
    handles_init(&own, 0);
    if (!split_device(own.device, halves)) {
        handles_finish(&own);
        skip();
    }
    cl_int result = CL_SUCCESS;
    cl_context both = clCreateContext(NULL, 2, halves, NULL, NULL, &result);
    support_require_cl(result, "clCreateContext");
    cl_command_queue second = clCreateCommandQueue(both, halves[1], 0, &result);
    support_require_cl(result, "clCreateCommandQueue");
    clattn_context_params params = {.cl_context_handle = both, .cl_device = halves[0], .cl_queue = second};
    assert_create_fails(params, CLATTN_INVALID_ARGUMENT, "another device");
    params.cl_device = own.device;
    assert_create_fails(params, CLATTN_INVALID_ARGUMENT, "another device");
    params.cl_device = halves[1];
    clattn_context *ctx = create(params);
    assert_ptr_equal(clattn_context_cl_device(ctx), halves[1]);
    clattn_context_destroy(&ctx);
    clReleaseCommandQueue(second);
    clReleaseContext(both);
    clReleaseDevice(halves[0]);
    clReleaseDevice(halves[1]);
    handles_finish(&own);
}

static void queue_out_of_order_is_refused(void **state)
{
    (void)state;
    handles own;
    handles_init(&own, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    if (own.queue == NULL) {
        handles_finish(&own);
        skip();
    }
    assert_create_fails(
        (clattn_context_params){.cl_context_handle = own.cl, .cl_device = own.device, .cl_queue = own.queue},
        CLATTN_UNSUPPORTED, "out-of-order");
    handles_finish(&own);
}

static void profiling_is_a_property_of_the_own_queue(void **state)
{
    (void)state;
    for (int profiling = 0; profiling < 2; profiling++) {
        cl_command_queue_properties properties = 0;
        clattn_context *ctx = create((clattn_context_params){.profiling = profiling});
        support_require_cl(clGetCommandQueueInfo(clattn_context_cl_queue(ctx), CL_QUEUE_PROPERTIES, sizeof properties,
                                                 &properties, NULL),
                           "clGetCommandQueueInfo");
        assert_int_equal((properties & CL_QUEUE_PROFILING_ENABLE) != 0, profiling);
        assert_int_equal(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0);
        clattn_context_destroy(&ctx);
    }
}

static void family_follows_the_device_unless_given(void **state)
{
    (void)state;
    clattn_context *ctx = create((clattn_context_params){0});
    const clattn_device_facts *facts = clattn_context_device(ctx);
    const bool holds_vector_tiles = facts->type == CLATTN_DEVICE_CPU && facts->local_memory_bytes >= 1 << 20;
    assert_int_equal(clattn_context_family(ctx), holds_vector_tiles ? CLATTN_FAMILY_VECTOR : CLATTN_FAMILY_SIMT);
    clattn_context_destroy(&ctx);
    for (int family = 1; family < CLATTN_NUM_FAMILIES; family++) {
        ctx = create((clattn_context_params){.family = (clattn_family)family});
        assert_int_equal(clattn_context_family(ctx), family);
        clattn_context_destroy(&ctx);
    }
    assert_create_fails((clattn_context_params){.family = CLATTN_NUM_FAMILIES}, CLATTN_INVALID_ARGUMENT, "family: ");
    assert_create_fails((clattn_context_params){.family = (clattn_family)-1}, CLATTN_INVALID_ARGUMENT, "family: ");
}

static void result_pointer_null_is_refused(void **state)
{
    (void)state;
    log_record record = {0};
    const clattn_context_params params = {.log = record_line, .log_user = &record};
    assert_int_equal(clattn_context_create(&params, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(record.num_errors, 1);
    assert_int_equal(clattn_context_create(NULL, NULL), CLATTN_INVALID_ARGUMENT);
}

static void last_error_is_empty_until_a_call_fails(void **state)
{
    (void)state;
    clattn_context *ctx = create((clattn_context_params){0});
    assert_string_equal(clattn_context_last_error(ctx), "");
    assert_int_equal(clattn_context_check_cl(ctx, CL_SUCCESS, "clFinish"), CLATTN_OK);
    assert_string_equal(clattn_context_last_error(ctx), "");
    assert_int_equal(clattn_context_check_cl(ctx, CL_INVALID_VALUE, "clFinish"), CLATTN_OPENCL_ERROR);
    assert_string_equal(clattn_context_last_error(ctx), "clFinish failed with CL_INVALID_VALUE (-30)");
    clattn_context_destroy(&ctx);
    assert_string_equal(clattn_context_last_error(NULL), "");
}

static void destroy_accepts_null(void **state)
{
    (void)state;
    clattn_context *ctx = NULL;
    clattn_context_destroy(NULL);
    clattn_context_destroy(&ctx);
    ctx = create((clattn_context_params){0});
    clattn_context_destroy(&ctx);
    assert_null(ctx);
    clattn_context_destroy(&ctx);
}

static void wait_list_and_count_must_agree(void **state)
{
    (void)state;
    clattn_context *ctx = create((clattn_context_params){0});
    cl_int result = CL_SUCCESS;
    cl_event waited[2] = {clCreateUserEvent(clattn_context_cl_context(ctx), &result), NULL};
    support_require_cl(result, "clCreateUserEvent");
    cl_event event = waited[0];
    const int params = 0;
    assert_int_equal(clattn_call_begin(ctx, &params, &(clattn_sync){.event = &event}), CLATTN_OK);
    assert_null(event);
    assert_int_equal(clattn_call_begin(ctx, &params, &(clattn_sync){.num_wait_events = 1, .wait_events = waited}),
                     CLATTN_OK);
    const clattn_sync wrong[] = {
        {.num_wait_events = 1, .event = &event},
        {.wait_events = waited, .event = &event},
        {.num_wait_events = 2, .wait_events = waited, .event = &event},
    };
    for (int i = 0; i < 3; i++) {
        event = waited[0];
        assert_int_equal(clattn_call_begin(ctx, &params, &wrong[i]), CLATTN_INVALID_ARGUMENT);
        assert_non_null(strstr(clattn_context_last_error(ctx), "wait_events"));
        assert_null(event);
    }
    event = waited[0];
    assert_int_equal(clattn_call_begin(ctx, NULL, &(clattn_sync){.event = &event}), CLATTN_INVALID_ARGUMENT);
    assert_non_null(strstr(clattn_context_last_error(ctx), "params is NULL"));
    assert_null(event);
    event = waited[0];
    assert_int_equal(clattn_call_begin(NULL, &params, &(clattn_sync){.event = &event}), CLATTN_INVALID_ARGUMENT);
    assert_null(event);
    clReleaseEvent(waited[0]);
    clattn_context_destroy(&ctx);
}

/* Resident memory of this process; 0 where /proc does not tell. */
static size_t resident_bytes(void)
{
    unsigned long total = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    const int num_read = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    return num_read == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

/* AddressSanitizer keeps freed memory for a while; there its leak checker does this test's work. */
#if defined(__SANITIZE_ADDRESS__)
#define FREED_MEMORY_IS_KEPT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREED_MEMORY_IS_KEPT 1
#endif
#endif
#ifndef FREED_MEMORY_IS_KEPT
#define FREED_MEMORY_IS_KEPT 0
#endif

/* A context is larger than 4 KiB, its error sentence alone: leaked each time it would exceed the bound. */
static void thousands_of_contexts_leave_nothing_behind(void **state)
{
    (void)state;
    size_t before = 0;
    for (int i = 0; i < 2550; i++) {
        if (i == 50)
            before = resident_bytes();
        clattn_context *ctx = create((clattn_context_params){0});
        clattn_context_destroy(&ctx);
    }
    const size_t after = resident_bytes();
    if (!FREED_MEMORY_IS_KEPT && after > before + (9u << 20))
        fail_msg("resident_before=%zu resident_after=%zu", before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_facts_are_plausible),
        cmocka_unit_test(device_query_outside_is_refused),
        cmocka_unit_test(device_null_opens_the_best),
        cmocka_unit_test(params_null_open_the_best),
        cmocka_unit_test(device_index_opens_that_device),
        cmocka_unit_test(device_name_part_in_any_case_opens_it),
        cmocka_unit_test(device_unknown_is_refused_with_the_list),
        cmocka_unit_test(handles_are_used_and_given_back),
        cmocka_unit_test(handles_incomplete_are_refused),
        cmocka_unit_test(handles_with_a_request_are_refused),
        cmocka_unit_test(queue_of_another_context_is_refused),
        cmocka_unit_test(queue_of_another_device_is_refused),
        cmocka_unit_test(queue_out_of_order_is_refused),
        cmocka_unit_test(profiling_is_a_property_of_the_own_queue),
        cmocka_unit_test(family_follows_the_device_unless_given),
        cmocka_unit_test(result_pointer_null_is_refused),
        cmocka_unit_test(last_error_is_empty_until_a_call_fails),
        cmocka_unit_test(destroy_accepts_null),
        cmocka_unit_test(wait_list_and_count_must_agree),
        cmocka_unit_test(thousands_of_contexts_leave_nothing_behind),
    };
    if (clattn_device_count() == 0) {
        fprintf(stderr, "no OpenCL device\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
